"""Figures as files."""

from pathlib import Path

import pytest
from PIL import Image

from geocell.reporting.figures import MAPS
from geocell.reporting.report import Report

pytest.importorskip("matplotlib")


@pytest.mark.slow
def test_every_figure_is_written_twice_and_not_replaced_unasked(made: Report, tmp_path: Path) -> None:
    files = made.save_figures(tmp_path)
    names = {file.stem for file in files}
    assert names == {
        "error-cdf", "by-distance", "reliability", "risk-coverage", "coverage", "confusion", "cell-counts", *MAPS,
    }  # fmt: skip
    assert sorted(tmp_path.iterdir()) == files
    assert len(files) == 2 * len(names)
    for name in names:
        with Image.open(tmp_path / f"{name}.png") as image:
            assert len(image.getcolors(1 << 24) or []) > 8  # drawn on
        assert (tmp_path / f"{name}.svg").read_text().count("<path") > 3
    with pytest.raises(FileExistsError):
        made.save_figures(tmp_path)
