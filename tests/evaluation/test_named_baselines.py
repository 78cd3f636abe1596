"""Baselines by name: the same answers as made by hand, behind the protocol of heads."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import geocell as gc
from geocell.encoders.info import EncoderInfo
from geocell.evaluation import named_baselines
from geocell.evaluation.baselines import baselines, majority_points, nearest_points
from geocell.evaluation.named_baselines import (
    MAJORITY_LABEL,
    NEAREST_LABEL,
    is_named_baseline,
    majority_baseline,
    named_baseline,
    nearest_baseline,
    zero_shot_baseline,
)
from geocell.evaluation.score import outcomes, require_unseen
from geocell.partitioners import KMeansPartitioner
from tests.evaluation.test_score import head_on
from tests.worlds import make_locations
from tests.zeroshot.worlds import CITIES, INFO, Words, places


@pytest.fixture
def world() -> tuple[gc.Locations, gc.Locations]:
    """Train and test whose first features tell where they are."""
    rng = np.random.default_rng(0)
    latlon = np.stack((rng.uniform(40, 60, 200), rng.uniform(0, 20, 200)), axis=1)
    features = np.concatenate((latlon, 3 * rng.normal(size=(200, 6))), axis=1).astype(np.float32)
    locations = make_locations(latlon, features)
    return locations.take(np.arange(120)), locations.take(np.arange(120, 200))


def answers(model: gc.Head | named_baselines.PointBaseline, locations: gc.Locations) -> np.ndarray:
    return np.concatenate([points for _, _, points in model.answer_chunks(locations)])


def test_the_nearest_training_location(world: tuple[gc.Locations, gc.Locations]) -> None:
    train, test = world
    model = named_baseline("1-NN", train.encoder, train=lambda: train)
    np.testing.assert_array_equal(answers(model, test), nearest_points(train, test))
    posterior = model.posterior(test)
    np.testing.assert_array_equal(posterior.sum(axis=1), 1)
    np.testing.assert_array_equal(train.latlon[posterior.argmax(axis=1)], nearest_points(train, test))
    with pytest.raises(ValueError, match="are training locations"):
        require_unseen([model], train)


def test_pieces_have_the_answers_of_the_whole(
    world: tuple[gc.Locations, gc.Locations], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = world
    whole = nearest_baseline(train)
    expected = whole.posterior(test)
    monkeypatch.setattr(named_baselines, "_MOST", 7 * len(train))
    pieces = list(whole.answer_chunks(test))
    assert [rows.stop - rows.start for rows, _, _ in pieces] == [7] * 11 + [3]
    np.testing.assert_array_equal(np.concatenate([posterior for _, posterior, _ in pieces]), expected)


def test_the_fullest_cell(world: tuple[gc.Locations, gc.Locations]) -> None:
    train, test = world
    head = head_on(KMeansPartitioner(k=8, seed=0).fit(train.latlon))
    model = named_baseline("majority", head.encoder, head=head)
    np.testing.assert_array_equal(answers(model, test), majority_points(head.partition, 80))
    counts = head.partition.counts
    np.testing.assert_allclose(model.posterior(test), np.tile(counts / counts.sum(), (80, 1)), rtol=1e-6)
    truth = head.partition.assign(test.latlon)
    assert outcomes(model, test).values()["top1"] == (truth == counts.argmax()).mean()
    unknown = replace(head, partition=replace(head.partition, counts=np.zeros(8, np.int64)))
    with pytest.raises(ValueError, match="does not know how many"):
        majority_baseline(unknown)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("1-nn", NEAREST_LABEL),
        ("majority", MAJORITY_LABEL),
        (NEAREST_LABEL, NEAREST_LABEL),
        (MAJORITY_LABEL, MAJORITY_LABEL),
    ],
)
def test_comparisons_are_those_beside_a_head(world: tuple[gc.Locations, gc.Locations], name: str, known: str) -> None:
    train, test = world
    head = head_on(KMeansPartitioner(k=8, seed=0).fit(train.latlon))
    model = named_baseline(name, head.encoder, head=head, train=lambda: train)
    for decode in ("centroid", "within:750"):
        found = gc.compare(head, model, test, decode)
        beside = baselines(head, test, train, decode)[known]
        assert beside.comparison is not None
        assert found.b["balscore"] == beside.values["balscore"]
        assert found.differences["mean_km"] == beside.comparison.differences["mean_km"]
        assert found.intervals["mean_km"] == beside.comparison.intervals["mean_km"]
        assert (found.decoder, found.decoder_b) == (decode, None)


def test_zero_shot_of_the_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(info: EncoderInfo, device: str, source: str | None) -> Words:
        asked.append((info, device, source))
        return Words()

    monkeypatch.setattr("geocell.imagetext.image_text_for", load)
    file = tmp_path / "cities.json"
    file.write_text(json.dumps(CITIES.to_records()))
    model = named_baseline(f"zero-shot:{file}", INFO, device="cpu")
    assert asked == [(INFO, "cpu", None)]
    expected = gc.ZeroShot.from_model(Words(), CITIES)
    assert model.sha256 == expected.sha256
    np.testing.assert_array_equal(model.posterior(places()), expected.posterior(places()))


def test_zero_shot_as_published_has_the_cities_of_the_gazetteer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocell.imagetext.image_text_for", lambda *_: Words())
    monkeypatch.setattr("geocell.zeroshot.candidates.gazetteer_candidates", lambda: CITIES)
    model = zero_shot_baseline(INFO)
    assert model.candidates.sha256 == CITIES.sha256
    assert model.settings == gc.ZeroShotSettings()


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("zero-shot", "Zero-Shot", "zero-shot:cities.csv", "1-nn", "1-NN", "majority", "Majority Cell"):
        assert is_named_baseline(name)
    for name in ("head", "user/zero-shot", "1-nn:x", "majority:x", "zero-shots", ""):
        assert not is_named_baseline(name)
    (tmp_path / "zero-shot").mkdir()
    assert not is_named_baseline("zero-shot")  # the folder is meant


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("zero-shot:", "must be zero-shot, zero-shot:CANDIDATES.csv, 1-nn or majority, got 'zero-shot:'"),
        ("nearest", "got 'nearest'"),
        ("1-nn:3", "got '1-nn:3'"),
        ("1-nn", "there are none"),
        ("majority", "compare a head with it"),
        ("zero-shot:no.csv", "there is none at no.csv"),
    ],
)
def test_what_is_no_baseline_is_one_sentence(name: str, message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        named_baseline(name, INFO)
    joined = replace(INFO, name="a + b")
    with pytest.raises(ValueError, match="the cache joins those of a \\+ b"):
        named_baseline("zero-shot", joined)


def test_features_of_another_encoder_are_refused(world: tuple[gc.Locations, gc.Locations]) -> None:
    train, test = world
    other = replace(test, encoder=replace(test.encoder, name="other"))
    with pytest.raises(ValueError, match="the baseline 1-nn"):
        nearest_baseline(train).posterior(other)
