"""Partitions that leave places out, for tests of what is done with them."""

import numpy as np
import pytest

from geocell.partitioners.base import OUTSIDE, Assignment, Partition


def nothing_east_of(lon: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every partition leave out what lies east of a longitude, as one of regions leaves out the sea."""
    locate = Partition.locate

    def limited(self: Partition, latlon: np.ndarray) -> Assignment:
        found = locate(self, latlon)
        return Assignment(np.where(latlon[:, 1] > lon, OUTSIDE, found.cells), found.fallback)

    monkeypatch.setattr(Partition, "locate", limited)
