"""Radii on real photographs: smaller than those of whole cells, and still around most of the truth."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.radii import measure
from benchmarks.real_features import real_locations

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


def test_radii_hold_the_truth_without_holding_the_earth(shared_data: Path) -> None:
    found = measure(real_locations(shared_data), range(1))
    for decoder in ("centroid", "mean"):
        before, now = (np.array(found[decoder, method]).T for method in ("whole cells", "discs"))
        assert (now[1:] > 0).all()
        assert (now[1] <= now[2]).all()
        assert np.median(now[1]) < 0.65 * np.median(before[1])
        error, half, most = now
        assert (error <= half).mean() > 0.5
        assert (error <= most).mean() > 0.9
