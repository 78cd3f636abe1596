"""The picture of what splits leak."""

from pathlib import Path

import pytest
from PIL import Image

from geocell.plots.leaks_chart import draw_leaks
from geocell.splits.leaks import bin_names

COUNTS = dict.fromkeys(bin_names(), 2)
SCORES = {"1–5": {"balscore": 0.4, "balscore_low": 0.2, "balscore_high": 0.6}}


def test_scores_have_a_panel_of_their_own(tmp_path: Path) -> None:
    bare = {"val": {"n_locations": 12, "counts": COUNTS, "scores": {}}}
    scored = {**bare, "test": {"n_locations": 12, "counts": COUNTS, "scores": SCORES}}
    draw_leaks(tmp_path / "a.png", bare)
    draw_leaks(tmp_path / "b.png", scored, "centroid")
    with Image.open(tmp_path / "a.png") as one, Image.open(tmp_path / "b.png") as two:
        assert one.height < two.height
    draw_leaks(tmp_path / "c.png", scored, "centroid")
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "c.png").read_bytes()
    with pytest.raises(ValueError, match=r"\.png or \.svg"):
        draw_leaks(tmp_path / "a.jpg", bare)
