"""Answers of the demo: those of predict, by the decoders that the head has all for, with its nearest neighbours."""

from dataclasses import replace

import numpy as np
import pytest

from geocell.demo.answering import Answerer, decoder_choices, neighbours
from geocell.demo.uploads import Photograph
from geocell.geo.geodesy import distance_km
from geocell.heads.calibration import Calibration
from geocell.prediction.geolocator import Geolocator
from tests.demo.conftest import Quarters, World

SHARES = {25: 0.2, 200: 0.5, 750: 0.8}


def calibrated(world: World, **kw: object) -> Calibration:
    return Calibration(1.0, SHARES, "within:200", {50: 1.0, 90: 2.0}, **kw)  # type: ignore[arg-type]


def photographs(world: World, rows: list[int]) -> list[Photograph]:
    return [Photograph((world.cache.features[row],), b"\xff\xd8") for row in rows]


def test_the_answer_is_that_of_predict(world: World) -> None:
    answerer = Answerer(world.locator)
    answer = answerer.answer(photographs(world, [0, 1]))
    expected = world.locator.locate([str(path) for path in world.photos(2)], one_location=True, top_k=5)
    assert replace(answer.prediction, location="", thumbnails=()) == replace(expected, location="", thumbnails=())
    assert answer.prediction.location == "2 photographs"
    assert "default-src 'none'" in answer.page
    assert "<h1>Where was it taken?</h1>" in answer.page
    assert answerer.answer_zero_shot(photographs(world, [0])) is None
    with pytest.raises(ValueError, match="at least one photograph, got none"):
        answerer.answer([])


def test_decoders_are_those_that_the_head_has_all_for(world: World) -> None:
    plain = replace(world.head, neighbours=None)
    assert decoder_choices(plain) == (
        "centroid", "mean", "medoid", "geoscore", "within:25", "within:200", "within:750",
    )  # fmt: skip
    assert "knn" in decoder_choices(world.head)
    both = decoder_choices(replace(world.head, calibration=calibrated(world)))
    assert both[0] == "within:200"
    assert both.count("within:200") == 1
    assert {"knn", "balscore"} <= set(both)
    answer = Answerer(world.locator).answer(photographs(world, [3]), "mean")
    assert answer.prediction.decoder == "mean"
    with pytest.raises(ValueError, match=r"must be one of centroid, .*, got 'offset'"):
        Answerer(world.locator).answer(photographs(world, [3]), "offset")


def test_answers_are_withheld_on_request(world: World) -> None:
    head = replace(world.head, calibration=calibrated(world, abstain_below=1.0))
    answerer = Answerer(Geolocator(head, Quarters(), "cpu"))
    assert answerer.abstain_below == 1.0
    assert answerer.answer(photographs(world, [0]), withhold=True).prediction.abstained
    assert not answerer.answer(photographs(world, [0]), withhold=False).prediction.abstained
    assert Answerer(world.locator).abstain_below is None


def test_neighbours_are_the_nearest_training_locations(world: World) -> None:
    answer = Answerer(world.locator).answer(photographs(world, [0, 1]))
    index = world.head.neighbours
    assert index is not None
    asked = world.cache.features[:2].astype(np.float32).mean(axis=0) - index.mean
    cosines = index.features.astype(np.float32) @ asked / np.linalg.norm(asked)
    order = np.argsort(-cosines)[:5]
    assert [item.similarity for item in answer.neighbours] == pytest.approx(cosines[order].tolist(), abs=1e-3)
    assert answer.neighbours[0].similarity == pytest.approx(1.0, abs=1e-3)  # it is a training location itself
    point = (answer.prediction.lat, answer.prediction.lon)
    for item, row in zip(answer.neighbours, order, strict=True):
        assert (item.lat, item.lon) == tuple(index.latlon[row])
        assert item.away_km == pytest.approx(float(distance_km(index.latlon[row], point)))
    without = replace(world.head, neighbours=None)
    assert Answerer(Geolocator(without, Quarters(), "cpu")).answer(photographs(world, [0])).neighbours == ()
    locations = world.cache.locations().take(np.array([0]))
    names = neighbours(world.head, locations, answer.prediction, lambda latlon: ["somewhere"] * len(latlon), k=2)
    assert [item.place for item in names] == ["somewhere"] * 2


def test_another_answers_beside_the_head(world: World) -> None:
    class Other(Quarters):
        def __call__(self, pixels: np.ndarray) -> np.ndarray:
            return super().__call__(pixels)

    shared = world.locator
    same = Answerer(shared, Geolocator(world.head, shared.encoder, "cpu"))
    assert same.encoders == (shared.encoder,)
    assert "<h1>The head</h1>" in same.answer(photographs(world, [0])).page
    beside = same.answer_zero_shot(photographs(world, [0]))
    assert beside is not None
    assert "<h1>Zero-shot</h1>" in beside.page
    two = Answerer(shared, Geolocator(world.head, Other(), "cpu"))
    assert len(two.encoders) == 2
    features = world.cache.features
    first, second = (
        two.answer([Photograph((features[0], features[5]), b"")]),
        Answerer(shared).answer(photographs(world, [5])),
    )
    found = two.answer_zero_shot([Photograph((features[0], features[5]), b"")])
    assert found is not None
    assert found.prediction.cells == second.prediction.cells
    assert first.prediction.cells != second.prediction.cells
