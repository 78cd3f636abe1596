"""What every decoder is."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.decoders.base import Decoder, LocationData, LocationFunction, PartitionData, decoder_label
from geocell.decoders.centroid import Centroid
from geocell.decoders.table import decode


@pytest.mark.parametrize("posterior", [[[0.5, 0.5]], [0.5, 0.5], [[]]])
def test_shapes_of_another_partition(posterior: list[float]) -> None:
    with pytest.raises(ValueError, match=r"decode needs a posterior \(P, C\) and centroids \(C, 2\) of one partition"):
        decode("centroid", posterior, [[0.0, 0.0]])


@dataclass(frozen=True)
class Scaled(Decoder):
    """The first centroid times a factor; needs offsets."""

    factor: float
    times: int = 2

    name = "scaled"
    summary = "scaled"
    needs = frozenset({"offsets"})

    def points(self, data: PartitionData) -> LocationFunction:
        def function(posterior: np.ndarray, locations: LocationData) -> np.ndarray:
            return np.tile(data.centroids[:1] * self.factor**self.times, (len(posterior), 1))

        return function


@given(st.floats(0, 1e300), st.integers(0, 9))
def test_a_spec_is_read_as_it_is_written(factor: float, times: int) -> None:
    decoder = Scaled(factor, times)
    assert Scaled.parse(decoder.spec.removeprefix("scaled:")) == decoder


def test_parameters_with_a_default_may_be_left_out() -> None:
    assert Scaled.parse("0.5") == Scaled(0.5, 2)
    assert Scaled.usage() == "scaled:FACTOR,[TIMES]"
    with pytest.raises(ValueError, match=r"scaled:FACTOR,\[TIMES\], got 0 parameters"):
        Scaled.parse("")
    with pytest.raises(ValueError, match=r"with numbers, got 'x' as times"):
        Scaled.parse("1,x")


def test_what_a_decoder_needs_is_asked_for_before_it_answers() -> None:
    prepared = Scaled(0.5).prepare(PartitionData(np.array([[8.0, 4.0]])))
    with pytest.raises(ValueError, match=r"decode scaled:0\.5,2 needs offsets"):
        prepared([[1.0]])
    points = prepared([[1.0], [1.0]], LocationData(offsets_km=lambda cells: np.zeros((len(cells), 2))))
    assert points.tolist() == [[2.0, 1.0], [2.0, 1.0]]


def test_posteriors_that_are_not_finite_are_counted() -> None:
    prepared = Centroid().prepare(PartitionData(np.array([[8.0, 4.0]])))
    with pytest.raises(ValueError, match="NaN or infinity for 2 of 3 locations"):
        prepared([[np.nan], [1.0], [np.inf]])


def test_a_partition_without_cells_is_not_decoded() -> None:
    with pytest.raises(ValueError, match=r"centroids \(C, 2\) of at least one cell, got \(0, 2\)"):
        Centroid().prepare(PartitionData(np.empty((0, 2))))


@pytest.mark.parametrize(
    ("spec", "label"),
    [
        ("balscore:0.123456,0.98765,1.0,places=8", "balscore:0.123,0.988,1,places=8"),
        ("knn:k=5,temperature=0.0299999", "knn:k=5,temperature=0.03"),
        ("within:200", "within:200"),
        ("centroid", "centroid"),
    ],
)
def test_labels_of_decoders(spec: str, label: str) -> None:
    assert decoder_label(spec) == label
