from pathlib import Path

import pytest

from tests.pretraining.captioned_photos import World, make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Eighteen photographs of three countries, their captions, and a small random CLIP."""
    return make_world(tmp_path_factory.mktemp("captions"))


@pytest.fixture
def folder(world: World) -> Path:
    """The folder of the world: images, captions.parquet and the model in `clip`."""
    return world.folder
