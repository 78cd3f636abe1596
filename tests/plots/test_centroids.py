"""The picture of a partition of which only the centroids are known."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geocell.plots import draw_centroids
from tests.prediction.test_predictions import bare


def test_centroids_are_where_they_belong(tmp_path: Path) -> None:
    places = np.array([[40.0, 0.0], [60.0, 0.0], [40.0, 30.0], [60.0, 30.0], [50.0, 15.0]])
    out = draw_centroids(tmp_path / "cells.png", bare(places))
    pixels = np.asarray(Image.open(out).convert("RGB")).astype(int)
    marks = np.abs(pixels - (0x27, 0x50, 0x8F)).sum(axis=2) < 30
    rows, columns = np.nonzero(marks)
    middle = (rows > np.quantile(rows, 0.3)) & (rows < np.quantile(rows, 0.7))
    assert columns[middle].mean() == pytest.approx((columns.min() + columns.max()) / 2, abs=8)
    assert rows[middle].mean() == pytest.approx((rows.min() + rows.max()) / 2, abs=8)
    before = out.read_bytes()
    assert draw_centroids(out, bare(places)).read_bytes() == before
    with pytest.raises(ValueError, match=r"\.png"):
        draw_centroids(tmp_path / "cells.jpg", bare(places))
