"""A head with its cache, its splits, a calibration and the images of some views."""

from dataclasses import replace
from pathlib import Path

import pytest

from geocell.evaluation.calibrate import calibrate
from geocell.features import FeatureCache
from geocell.heads.head import Head, load_head
from geocell.reporting.report import Report, report
from geocell.splits.splits import Splits
from tests.worlds import fit_by_command, make_image

HOSTILE = "</script><script>document.title = 'taken'</script>{{DATA}}\u202e\x1b[2J"


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `cache`, `splits.json`, `cells`, `head`, and `photos.csv` beside a few of its images."""
    folder = fit_by_command(tmp_path_factory.mktemp("report"), 150, 6, "0.5 0.2 0.3", "--epochs 20 --lr 0.05")
    for i in range(0, 150, 2):
        make_image(folder / "drawn.jpg", seed=i).rename(folder / f"v{i}")
    return folder


@pytest.fixture(scope="session")
def head(world: Path) -> Head:
    """The head of the world, calibrated."""
    loaded = load_head(world / "head")
    val = Splits.load(world / "splits.json").select(FeatureCache.open(world / "cache").locations(), "val")
    return replace(loaded, calibration=calibrate(loaded, val, split="val"))


@pytest.fixture(scope="session")
def made(world: Path, head: Head) -> Report:
    """A report beside the same head before its calibration."""
    against = {"other": load_head(world / "head")}
    return report(head, world / "cache", world / "splits.json", against=against, name="mine", decode="within:200")
