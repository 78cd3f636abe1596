"""The JSON form of scores."""

import json

import numpy as np
import pytest

from geocell.metrics.scores import Scores
from tests.metrics.test_outcomes import scores_at


def test_json_round_trip() -> None:
    scores = scores_at([0.5, 20, 100], hits=(np.array([True, False, False]), np.array([True] * 3)), n_outside=1)
    value = json.loads(json.dumps(scores.to_dict()))
    assert value["format"] == 1
    assert value["within"]["25"] == pytest.approx(2 / 3)
    assert Scores.from_dict(value) == scores


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, r"scores must be of format 1, got 2"),
        ({"extra": 1}, r"scores must have the keys .*got .*'extra'"),
    ],
)
def test_strange_json(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scores.from_dict({**scores_at([1.0]).to_dict(), **change})
