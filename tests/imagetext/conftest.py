"""Images, and models of images and texts of every family."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.imagetext.models import make_image_text


@pytest.fixture(scope="package")
def images() -> list[Image.Image]:
    random = np.random.default_rng(0)
    shapes = ((70, 90), (111, 83), (56, 56), (200, 61))
    return [Image.fromarray(random.integers(0, 256, (*shape, 3), dtype=np.uint8)) for shape in shapes]


@pytest.fixture(scope="package")
def models(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the folder of a family, made once."""
    folder = tmp_path_factory.mktemp("models")

    def made(family: str) -> str:
        if not (folder / family).is_dir():
            make_image_text(folder / family, family)
        return str(folder / family)

    return made
