"""Several decoders on the same posterior."""

import numpy as np
import pytest

from geocell.decoders.base import LocationData, PartitionData
from geocell.decoders.table import as_decoder
from geocell.decoders.together import Together, prepared_together
from tests.decoders.test_contract import CENTROIDS, posteriors, prepared


def test_every_decoder_answers_as_it_does_alone() -> None:
    parts = [prepared(spec) for spec in ("medoid", "centroid", "within:5000")]
    taken: list = []
    joined = prepared_together(parts, taken)
    for seed in (0, 1):
        posterior = posteriors(seed)
        assert np.array_equal(joined(posterior), parts[0](posterior))
        for part, points in zip(parts, taken[seed], strict=True):
            assert np.array_equal(points, part(posterior))
    assert len(taken) == 2


def test_what_one_of_them_needs_is_asked_for() -> None:
    joined = prepared_together([prepared("centroid"), prepared("offset")], [])
    with pytest.raises(ValueError, match="decode centroid and offset needs offsets above 0"):
        joined(posteriors(0), LocationData())
    assert Together((as_decoder("centroid"), as_decoder("balscore"))).needed == {"shares"}


def test_the_first_answers_alone_too() -> None:
    both = Together((as_decoder("medoid"), as_decoder("centroid")))
    points = both.prepare(PartitionData(CENTROIDS))(posteriors(0))
    assert np.array_equal(points, prepared("medoid")(posteriors(0)))
