"""The nearest training location against one product of everything in float64."""

from dataclasses import replace

import numpy as np
import pytest

from geocell.features import nearest, pieces
from geocell.features.locations import Locations
from geocell.features.nearest import nearest_training
from tests.elsewhere import elsewhere
from tests.worlds import make_locations


def world(n: int, seed: int, views: int = 1) -> Locations:
    rng = np.random.default_rng(seed)
    latlon = np.stack((rng.uniform(40, 60, n), rng.uniform(0, 20, n)), axis=1)
    features = (rng.normal(size=(n * views, 8)) + 3).astype(np.float32)
    return make_locations(latlon, features, np.full(n, views))


@pytest.mark.parametrize("centred", [True, False])
def test_blocks_answer_like_one_product(centred: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    train, asked = world(57, 0, views=2), world(31, 1, views=3)
    known = train.features.astype(float).reshape(57, 2, 8).mean(axis=1)
    new = asked.features.astype(float).reshape(31, 3, 8).mean(axis=1)
    if centred:
        new, known = new - known.mean(axis=0), known - known.mean(axis=0)
    cosine = (new @ known.T) / np.linalg.norm(new, axis=1)[:, None] / np.linalg.norm(known, axis=1)
    for size in (1, 5, 57, 1000):
        monkeypatch.setattr(nearest, "_KNOWN", size)
        monkeypatch.setattr(nearest, "_ASKED", size)
        np.testing.assert_array_equal(nearest_training(train, asked, centred=centred), cosine.argmax(axis=1))


def test_the_nearest_are_the_same_wherever_they_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    train, asked = world(57, 0, views=2), world(31, 1)
    here = nearest_training(train, asked)
    monkeypatch.setattr(nearest, "_KNOWN", 20)
    monkeypatch.setattr(pieces, "PIECE", 10)
    with elsewhere() as engine:
        np.testing.assert_array_equal(nearest_training(train, asked), here)
    assert engine.pieces == 3 + 4  # of the mean, and of the search


def test_of_equal_ones_it_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    one = world(1, 0)
    train = make_locations(np.zeros((6, 2)), np.ones((6, 8), np.float32))
    monkeypatch.setattr(nearest, "_KNOWN", 2)
    assert nearest_training(train, one, centred=False).tolist() == [0]


def test_training_features_may_stay_on_the_disk() -> None:
    train, asked = world(40, 0), world(9, 1)
    read: list[int] = []

    class OnDisk:
        shape = train.features.shape

        def __getitem__(self, rows: np.ndarray) -> np.ndarray:
            read.append(len(rows))
            return np.asarray(train.features)[rows]

    np.testing.assert_array_equal(
        nearest_training(replace(train, features=OnDisk()), asked), nearest_training(train, asked)
    )
    assert sum(read) == 80


def test_what_cannot_be_compared_is_refused() -> None:
    train, asked = world(5, 0), world(5, 1)
    with pytest.raises(ValueError, match="needs at least one training location, got none"):
        nearest_training(train.take(np.empty(0, np.int64)), asked)
    with pytest.raises(ValueError, match="must share one encoder"):
        nearest_training(train, replace(asked, encoder=replace(asked.encoder, revision="2")))
    with pytest.raises(ValueError, match="needs finite features"):
        nearest_training(train, replace(asked, features=np.full((5, 8), np.nan, np.float32)))
    with pytest.raises(TypeError, match="must be Locations, got list"):
        nearest_training([], asked)
