"""Small made-up regions in the columns of GISCO, and the examples that the contract runs on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shapely.geometry import box, mapping

pytest.register_assert_rewrite("tests.partitioners.contract")

Regions = Callable[..., Path]


def write_regions(path: Path, regions: dict[str, Any], level: int = 3) -> Path:
    features = [
        {
            "type": "Feature",
            "properties": {"NUTS_ID": code, "LEVL_CODE": level, "NAME_LATN": f"Region {code}", "COUNTRY": code[:2]},
            "geometry": mapping(shape),
        }
        for code, shape in regions.items()
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def regions() -> Regions:
    """A function that writes code -> polygon as a GISCO GeoJSON."""
    return write_regions


@pytest.fixture(scope="session")
def world_shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Boxes of 30° that tile the earth, in 12 countries of 6 regions, written in no useful order."""
    boxes = {
        f"{chr(65 + i)}X{j}": box(-180 + 30 * i, -90 + 30 * j, -150 + 30 * i, -60 + 30 * j)
        for i in range(12)
        for j in range(6)
    }
    return write_regions(tmp_path_factory.mktemp("shapes") / "world.geojson", dict(reversed(boxes.items())))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of the contract on every example of the module that imported them."""
    if "example" in metafunc.fixturenames:
        examples = metafunc.module.EXAMPLES
        metafunc.parametrize("example", list(examples.values()), ids=list(examples))
