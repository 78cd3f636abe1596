"""The region of a head: its threshold, its file, and what is refused."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from geocell.features.locations import Locations
from geocell.uncertainty import region_model as module
from geocell.uncertainty.out_of_region import angle_to_subspace
from geocell.uncertainty.region_model import REGION_FILE, RegionModel, read_region
from tests.worlds import make_locations

DIM = 12


def drawn(n: int, seed: int, away: float = 0.1) -> Locations:
    """Locations with features near a plane of three dimensions; the farther away, the more unlike."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(2 * n, DIM)) * ([3.0] * 3 + [away] * (DIM - 3)) + 1.0
    return make_locations(np.zeros((n, 2)), features, np.full(n, 2))


def entropies(locations: Locations) -> np.ndarray:
    """Numbers that rise with the second feature, as an entropy might."""
    return np.exp(locations.mean_features()[:, 1].astype(float) / 4)


def fit(train: Locations, val: Locations, **kw: float) -> RegionModel:
    return RegionModel.from_locations(train, val, entropies(val), **kw)


def scored(region: RegionModel, locations: Locations) -> np.ndarray:
    return region.scores(locations.mean_features(), entropies(locations))


@cache
def fitted() -> RegionModel:
    return fit(drawn(200, 0), drawn(99, 1))


@pytest.fixture
def region() -> RegionModel:
    return fitted()


def test_the_score_is_the_sum_of_angle_and_entropy_in_deviations_of_the_validation(region: RegionModel) -> None:
    train, val, asked = drawn(200, 0), drawn(99, 1), drawn(30, 2)
    means = np.array([asked.features[2 * i : 2 * i + 2].mean(axis=0) for i in range(30)])
    centred = train.mean_features() - train.mean_features().mean(axis=0)
    _, values, vectors = np.linalg.svd(centred.astype(np.float64))
    k = int(np.searchsorted(np.cumsum(values**2) / (values**2).sum(), 0.9)) + 1
    assert region.components.shape == (k, DIM)
    expected = np.zeros(30)
    origin = train.mean_features().mean(axis=0)
    angle_of_val, angle = (angle_to_subspace(x, origin, vectors[:k]) for x in (val.mean_features(), means))
    for known, number in ((angle_of_val, angle), (entropies(val), entropies(asked))):
        expected += (number - known.mean()) / known.std()
    assert scored(region, asked) == pytest.approx(expected, abs=1e-4)
    assert scored(region, val).mean() == pytest.approx(0, abs=1e-5)


def test_an_entropy_that_never_differs_counts_nothing() -> None:
    region = RegionModel.from_locations(drawn(200, 0), drawn(99, 1), np.full(99, 0.7))
    x = drawn(9, 2).mean_features()
    assert np.array_equal(region.scores(x, np.full(9, 0.7)), region.scores(x, np.full(9, 5.0)))


def test_pieces_do_not_matter(region: RegionModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 17)
    pieces = fit(drawn(200, 0), drawn(99, 1))
    assert pieces.known == pytest.approx(region.known, abs=1e-4)
    assert pieces.threshold == pytest.approx(region.threshold, abs=1e-4)
    assert region.scores(np.empty((0, DIM)), np.empty(0)).shape == (0,)


def test_the_threshold_is_the_rank_of_the_validation_scores(region: RegionModel) -> None:
    known = sorted(scored(region, drawn(99, 1)).tolist())
    assert region.known.tolist() == pytest.approx(known)
    assert region.threshold == pytest.approx(known[94])  # the 95th of 99 for 5 %
    assert region.flagged(known).tolist() == [False] * 95 + [True] * 4
    assert region.share_as_unlike([-99.0, known[94], 99.0]) == pytest.approx([1.0, 0.06, 0.01])


@given(values=st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=20))
def test_what_is_flagged_is_rarer_than_the_false_alarms(values: list[float]) -> None:
    region = fitted()
    flags, shares = region.flagged(values), region.share_as_unlike(values)
    assert np.array_equal(flags, shares <= region.false_alarms + 1e-9)
    assert ((shares > 0) & (shares <= 1)).all()


def test_as_many_are_flagged_as_was_asked_for() -> None:
    rates, found = [], []
    for seed in range(300):
        region = fit(drawn(40, 3 * seed), drawn(39, 3 * seed + 1), false_alarms=0.1)
        rates.append(region.flagged(scored(region, drawn(200, 3 * seed + 2))).mean())
        found.append(region.flagged(scored(region, drawn(50, seed, away=3.0))).mean())
    assert 0.09 < np.mean(rates) < 0.115  # 0.103 by two deviations of the same locations
    assert np.mean(found) > 0.8


def test_scores_of_many_validation_locations_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fit(drawn(200, 0), drawn(999, 1))
    monkeypatch.setattr(module, "_MOST_KNOWN", 100)
    thinned = fit(drawn(200, 0), drawn(999, 1))
    assert (len(thinned.known), thinned.n_val) == (100, 999)
    assert set(thinned.known) <= set(whole.known)
    assert whole.flagged(whole.known).mean() == pytest.approx(0.05, abs=0.002)
    assert thinned.flagged(whole.known).mean() == pytest.approx(0.05, abs=0.01)


def test_round_trip(region: RegionModel, tmp_path: Path) -> None:
    region.save_into(tmp_path)
    back = read_region(tmp_path)
    for name in ("mean", "components", "standard", "known"):
        assert np.array_equal(getattr(back, name), getattr(region, name))
    assert (back.encoder, back.false_alarms, back.variance) == (region.encoder, 0.05, 0.9)
    assert (back.n_train, back.n_val) == (200, 99)
    assert back.sha256 == region.sha256
    assert replace(region, known=region.known[1:]).sha256 != region.sha256
    assert replace(region, false_alarms=0.06).sha256 != region.sha256
    assert repr(back) == f"<RegionModel: {len(region.components)} of 12 dimensions, 200 locations, 5 % false alarms>"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mean": np.zeros(3, np.float32)}, "it holds"),
        ({"mean": np.full(DIM, np.nan, np.float32)}, "finite numbers"),
        ({"mean": np.zeros(DIM)}, "it holds"),
        ({"components": np.zeros((2, DIM), np.float32)}, "must be orthonormal"),
        ({"components": np.eye(DIM, dtype=np.float32)}, "it holds"),
        ({"components": np.zeros((0, DIM), np.float32)}, "it holds"),
        ({"components": np.zeros((), np.float32)}, "it holds"),
        ({"known": np.linspace(1, 0, 99, dtype=np.float32)}, "must rise"),
        ({"standard": -np.ones((2, 2), np.float32)}, "deviations be from 0 on"),
        ({"standard": np.ones((2, 3), np.float32)}, "it holds"),
        ({"known": np.zeros(18, np.float32)}, "at least 19 validation locations, got 18"),
        ({"known": np.zeros(5000, np.float32)}, "it holds"),
        ({"more": np.zeros(1, np.float32)}, "it holds"),
    ],
)
def test_damaged_tensors(region: RegionModel, tmp_path: Path, change: dict[str, Any], words: str) -> None:
    region.save_into(tmp_path)
    path = tmp_path / REGION_FILE
    rewrite(path, {**load_file(path), **change}, {})
    refused(tmp_path, words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "format 2"),
        ({"false_alarms": 0}, "a share between 0 and 1, got 0"),
        ({"false_alarms": "0.05"}, "false_alarms"),
        ({"false_alarms": 0.001}, "at least 999 validation locations"),
        ({"variance": 1.5}, "variance between 0 and 1"),
        ({"n_val": 3}, "numbers of its locations"),
        ({"encoder": {}}, "must describe an encoder"),
        ({"encoder": None}, "encoder"),
        ({"padding": "x" * 70_000}, "characters"),
    ],
)
def test_damaged_descriptions(region: RegionModel, tmp_path: Path, change: dict[str, Any], words: str) -> None:
    region.save_into(tmp_path)
    path = tmp_path / REGION_FILE
    rewrite(path, load_file(path), change)
    refused(tmp_path, words)


def rewrite(path: Path, tensors: dict[str, Any], change: dict[str, Any]) -> None:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        facts = json.loads(file.metadata()["region"])
    save_file(tensors, path, {"region": json.dumps({**facts, **change})})


def refused(folder: Path, words: str) -> None:
    with pytest.raises(ValueError, match=r"region\.safetensors (encoder )?must (be|have|describe)") as got:
        read_region(folder)
    assert words in str(got.value)
    assert "\n" not in str(got.value)


def test_other_files(region: RegionModel, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"needs the file region\.safetensors"):
        read_region(tmp_path)
    region.save_into(tmp_path)
    path = tmp_path / REGION_FILE
    whole = path.read_bytes()
    for data in (whole[:-8], whole[:40], b"", b"\xff" * 64):
        path.write_bytes(data)
        refused(tmp_path, "")
    save_file({"mean": np.zeros(3, np.float32)}, path)
    refused(tmp_path, "")
    path.write_bytes(whole)
    read_region(tmp_path, region.encoder)
    with pytest.raises(ValueError, match=r"the head and .*region\.safetensors must share one encoder; the head: dim=9"):
        read_region(tmp_path, replace(region.encoder, dim=9))


def test_what_makes_no_region_is_refused(region: RegionModel) -> None:
    train, val = drawn(200, 0), drawn(99, 1)
    with pytest.raises(ValueError, match="20 training locations with features of at least 2 dimensions, got 19"):
        fit(drawn(19, 0), val)
    with pytest.raises(ValueError, match="1 % false alarms needs at least 99 validation locations, got 98"):
        fit(train, drawn(98, 1), false_alarms=0.01)
    with pytest.raises(ValueError, match="a share between 0 and 1, got 5: "):
        fit(train, val, false_alarms=5)
    with pytest.raises(ValueError, match="must share one encoder"):
        fit(train, replace(val, encoder=replace(val.encoder, revision="2")))
    broken = drawn(99, 1)
    broken.features[5] = np.nan
    with pytest.raises(ValueError, match="finite features"):
        fit(train, broken)
    with pytest.raises(ValueError, match="finite features"):
        fit(broken, val)
    with pytest.raises(ValueError, match="a region needs finite features, got NaN"):
        scored(region, broken)
    with pytest.raises(ValueError, match=r"features \(P, 12\) and entropies \(P,\), got \(1, 3\) and \(1,\)"):
        region.scores(np.ones((1, 3)), np.ones(1))
    with pytest.raises(TypeError, match="training locations of a region must be Locations"):
        RegionModel.from_locations(train.features, val, entropies(val))  # type: ignore[arg-type]
