"""Locations and a partition to fit on, and a head that was fitted."""

import pytest

from geocell.features.locations import Locations
from geocell.heads.head import Head
from geocell.partitioners import KMeansPartitioner, Partition
from geocell.training.fit import fit_head
from tests.training.test_fit import QUICK, world


@pytest.fixture(scope="module")
def train() -> Locations:
    return world(240, 0)


@pytest.fixture(scope="module")
def val() -> Locations:
    return world(60, 1)


@pytest.fixture(scope="module")
def cells(train: Locations) -> Partition:
    return KMeansPartitioner(k=12, seed=0).fit(train.latlon)


@pytest.fixture(scope="module")
def fitted(train: Locations, val: Locations, cells: Partition) -> Head:
    return fit_head(train, val, cells, QUICK)
