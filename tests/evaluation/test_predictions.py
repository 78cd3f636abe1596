"""Scores of tables of predictions against a slow computation, and what is refused."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import geocell as gc
from geocell.cli.app import main


def slow_km(a: tuple[float, float], b: tuple[float, float]) -> float:
    (p, q), (r, s) = (tuple(map(math.radians, point)) for point in (a, b))
    h = math.sin((r - p) / 2) ** 2 + math.cos(p) * math.cos(r) * math.sin((s - q) / 2) ** 2
    return 2 * 6371.0088 * math.asin(math.sqrt(h))


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path, pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(0)
    ids = [f"{i:03d}" for i in range(60)]
    truth = pd.DataFrame({"id": ids, "lat": rng.uniform(40, 60, 60), "lon": rng.uniform(0, 30, 60)})
    answers = truth.assign(lat=truth.lat + rng.normal(0, 1, 60), lon=truth.lon + rng.normal(0, 1, 60))
    truth.to_csv(tmp_path / "t.csv", index=False)
    answers.sample(frac=1, random_state=1).to_csv(tmp_path / "p.csv", index=False)
    return tmp_path / "p.csv", tmp_path / "t.csv", answers, truth


def test_scores_are_those_of_a_slow_computation(tables: tuple[Path, Path, pd.DataFrame, pd.DataFrame]) -> None:
    p, t, answers, truth = tables
    points = zip(answers[["lat", "lon"]].to_numpy(), truth[["lat", "lon"]].to_numpy(), strict=True)
    distances = [slow_km(tuple(a), tuple(b)) for a, b in points]
    scores = gc.score_predictions(p, t)
    shares = {r: sum(d <= r for d in distances) / 60 for r in (1, 25, 200, 750, 2500)}
    assert scores.within == pytest.approx(shares)
    assert scores.balscore == pytest.approx((shares[25] * shares[200] * shares[750]) ** (1 / 3))
    assert scores.mean_km == pytest.approx(sum(distances) / 60)
    assert scores.geoscore == pytest.approx(sum(5000 * math.exp(-d / 1492.7) for d in distances) / 60)
    assert gc.Scores.from_dict(json.loads(json.dumps(scores.to_dict()))) == scores
    for suffix in ("jsonl", "parquet"):
        path = p.with_suffix(f".{suffix}")
        answers.to_json(path, orient="records", lines=True) if suffix == "jsonl" else answers.to_parquet(path)
        assert gc.score_predictions(path, t).mean_km == pytest.approx(scores.mean_km)


def test_missing_rows(tables: tuple[Path, Path, pd.DataFrame, pd.DataFrame]) -> None:
    p, t, answers, _ = tables
    whole = gc.score_predictions(p, t)
    answers[:45].to_csv(p, index=False)
    with pytest.raises(ValueError, match="15 of 60 locations have no prediction"):
        gc.score_predictions(p, t)
    dropped, worst = (gc.score_predictions(p, t, missing=m) for m in ("drop", "worst"))
    assert (dropped.n_locations, worst.n_locations, dropped.n_missing, worst.n_missing) == (45, 60, 15, 15)
    assert worst.mean_km == pytest.approx((45 * dropped.mean_km + 15 * math.pi * 6371.0088) / 60)
    assert worst.within[750] == pytest.approx(dropped.within[750] * 45 / 60)
    assert whole.n_missing == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: pd.concat([f, f[:1]]), "'000' is there more than once"),
        (lambda f: f.assign(id=["x", *f.id[1:]]), "1 of 60 ids are not in the truth, 'x' first"),
        (lambda f: f.assign(lat=[math.nan, *f.lat[1:]]), "'000' has no numbers as coordinates"),
        (lambda f: f.rename(columns={"lat": "lon", "lon": "lat"}), "seem exchanged"),
        (lambda f: f.assign(lat=[95.0, *f.lat[1:]]), "latitudes must lie within ±90, got 95"),
        (lambda f: f.drop(columns="lon"), "must have a column lon"),
        (lambda f: f[:0], "must have rows"),
    ],
)
def test_bad_predictions_are_one_sentence_and_status_1(
    tables: tuple[Path, Path, pd.DataFrame, pd.DataFrame],
    change: Callable[[pd.DataFrame], pd.DataFrame],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    p, t, answers, _ = tables
    change(answers).to_csv(p, index=False)
    with pytest.raises(ValueError, match=message):
        gc.score_predictions(p, t)
    assert main(["score", "--predictions", str(p), "--truth", str(t)]) == 1
    assert message in capsys.readouterr().err.replace("\n", " ")


def test_a_benchmark_has_its_rows(tables: tuple[Path, Path, pd.DataFrame, pd.DataFrame]) -> None:
    p, t, _, truth = tables
    truth.rename(columns={"id": "IMG_ID", "lat": "LAT", "lon": "LON"}).to_csv(t, index=False)
    with pytest.raises(ValueError, match="im2gps3k has 2,997 rows, got 60"):
        gc.score_predictions(p, t, preset="im2gps3k")


def test_wrong_mixtures_are_wrong_usage(tables: tuple[Path, Path, pd.DataFrame, pd.DataFrame]) -> None:
    p, t = map(str, tables[:2])
    assert main(["score"]) == 2
    assert main(["score", "--predictions", p]) == 2
    assert main(["score", "head", "--predictions", p, "--truth", t]) == 2
    assert main(["score", "head", "--cache", "c", "--preset", "im2gps"]) == 2
    assert main(["compare", "a", "--predictions", p, p, "--truth", t]) == 2
    assert main(["compare", "a", "b"]) == 2
    assert main(["compare", "--predictions", p, p, "--truth", t, "--decode", "mean"]) == 2
    assert main(["score", "--predictions", p, "--truth", t, "--allow-training"]) == 2


def test_predictions_compared_with_themselves_are_equal(
    tables: tuple[Path, Path, pd.DataFrame, pd.DataFrame],
) -> None:
    p, t = tables[:2]
    same = gc.compare_predictions(p, p, t)
    assert (same.n_same, same.differences["balscore"]) == (60, 0.0)
    best = gc.compare_predictions(t, p, t)
    assert best.differences["mean_km"] == pytest.approx(-gc.score_predictions(p, t).mean_km)
