"""Scores of tables of predictions against a slow computation, and what is refused."""

import hashlib
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
        (
            lambda f: f.assign(id=["x", *f.id[1:]]),
            "1 of 60 ids, of the column id, are not in the column id of the truth",
        ),
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


@pytest.mark.parametrize("n", [1, 3, 9])
def test_few_rows_that_may_be_exchanged_are_told(
    n: int, tables: tuple[Path, Path, pd.DataFrame, pd.DataFrame], capsys: pytest.CaptureFixture[str]
) -> None:
    p, t, answers, truth = tables
    truth[:n].to_csv(t, index=False)
    answers[:n].rename(columns={"lat": "lon", "lon": "lat"}).to_csv(p, index=False)
    with pytest.warns(UserWarning, match=r"latitude and longitude may be exchanged \(median [\d,]+ km, [\d,]+ km the"):
        gc.score_predictions(p, t)
    assert main(["score", "--predictions", str(p), "--truth", str(t)]) == 0
    assert "may be exchanged" in capsys.readouterr().err
    answers[:n].to_csv(p, index=False)
    gc.score_predictions(p, t)  # which says nothing


def test_a_few_rows_of_which_one_is_right_as_it_is_are_not_told(
    tables: tuple[Path, Path, pd.DataFrame, pd.DataFrame],
) -> None:
    p, t, _, truth = tables
    truth[:3].to_csv(t, index=False)
    turned = truth[:3].rename(columns={"lat": "lon", "lon": "lat"})
    pd.concat([turned[:2], truth[2:3]]).to_csv(p, index=False)
    gc.score_predictions(p, t)


def test_latitudes_beyond_90_are_exchanged_at_any_count(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,lat,lon\na,35,139\n")
    (tmp_path / "p.csv").write_text("id,lat,lon\na,139,35\n")
    with pytest.raises(ValueError, match="within ±90, got 139: latitude and longitude are exchanged, mend lat"):
        gc.score_predictions(tmp_path / "p.csv", tmp_path / "t.csv")


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
    assert main(["score", "--predictions", p, "--truth", t, "--device", "cpu"]) == 2
    assert main(["score", "--predictions", p, "--truth", t, "--overwrite"]) == 2


def test_predictions_compared_with_themselves_are_equal(
    tables: tuple[Path, Path, pd.DataFrame, pd.DataFrame],
) -> None:
    p, t = tables[:2]
    same = gc.compare_predictions(p, p, t)
    assert (same.n_same, same.differences["balscore"]) == (60, 0.0)
    best = gc.compare_predictions(t, p, t)
    assert best.differences["mean_km"] == pytest.approx(-gc.score_predictions(p, t).mean_km)


def test_what_answers_say_of_themselves(tables: tuple[Path, Path, pd.DataFrame, pd.DataFrame]) -> None:
    p, t, answers, truth = tables
    rng = np.random.default_rng(3)
    radii, sure = rng.uniform(20, 300, 60), rng.uniform(0, 1, 60)
    radii[:4], sure[7] = np.nan, np.nan
    answers.assign(radius_90_km=radii, Probability=sure).sample(frac=1, random_state=2).to_csv(p, index=False)
    points = zip(answers[["lat", "lon"]].to_numpy(), truth[["lat", "lon"]].to_numpy(), strict=True)
    distances = [slow_km(tuple(a), tuple(b)) for a, b in points]
    scores = gc.score_predictions(p, t)
    assert scores.radii is not None
    assert list(scores.radii) == ["90"]
    found = scores.radii["90"]
    assert (found["n_locations"], found["median_km"]) == (56, pytest.approx(sum(sorted(radii[4:])[27:29]) / 2))
    assert found["coverage"] == sum(d <= r for d, r in zip(distances[4:], radii[4:], strict=True)) / 56
    low, high = found["interval"]
    assert low < found["coverage"] < high
    said = [(c, d <= 200) for c, d in zip(sure, distances, strict=True) if not math.isnan(c)]
    assert scores.confidence is not None
    assert scores.confidence["brier"] == pytest.approx(sum((c - h) ** 2 for c, h in said) / 59)
    assert scores.confidence["share"] == pytest.approx(sum(h for _, h in said) / 59)
    assert gc.Scores.from_dict(json.loads(json.dumps(scores.to_dict()))) == scores
    plain = gc.score_predictions(t, t)
    assert (plain.radii, plain.confidence) == (None, None)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"radius_50_km": -1.0}, "radius_50_km must be numbers of at least 0, got -1.0 for the id '000'"),
        (
            {"radius_50_km": 9.0, "radius_90_km": 3.0},
            "radius_90_km must be at least radius_50_km, and is less for the id",
        ),
        ({"radius_90_km": math.inf}, "radius_90_km must be numbers of at least 0, got inf"),
        ({"confidence": 73.0}, "confidence must be numbers from 0 to 1, got 73.0"),
        ({"probability": "high"}, "probability must be numbers from 0 to 1, got high"),
    ],
)
def test_radii_and_probabilities_that_cannot_be(
    tables: tuple[Path, Path, pd.DataFrame, pd.DataFrame], columns: dict[str, object], message: str
) -> None:
    p, t, answers, _ = tables
    answers.assign(**columns).to_csv(p, index=False)
    with pytest.raises(ValueError, match=message):
        gc.score_predictions(p, t)


def test_two_people_see_whether_they_have_the_same_truth(
    tables: tuple[Path, Path, pd.DataFrame, pd.DataFrame], capsys: pytest.CaptureFixture[str]
) -> None:
    p, t, _, truth = tables
    scores = gc.score_predictions(p, t)
    rows = [[i, round(lat * 1e6), round(lon * 1e6)] for i, lat, lon in sorted(truth.itertuples(index=False))]
    assert scores.truth_sha256 == hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()
    assert scores.predictions_sha256 == hashlib.sha256(p.read_bytes()).hexdigest()
    assert scores.truth_file_sha256 == hashlib.sha256(t.read_bytes()).hexdigest()
    other = t.with_suffix(".parquet")
    truth.sample(frac=1, random_state=5).round(11).to_parquet(other)
    assert gc.score_predictions(p, other, truth_sha256=scores.truth_sha256[:12]).truth_sha256 == scores.truth_sha256
    moved = truth.assign(lat=[truth.lat[0] + 2e-6, *truth.lat[1:]])
    moved.to_csv(t, index=False)
    with pytest.raises(ValueError, match=rf"must have the hash {scores.truth_sha256[:12]}…, got [0-9a-f]{{12}}…: pass"):
        gc.score_predictions(p, t, truth_sha256=scores.truth_sha256)
    flags = ["--predictions", str(p), "--truth", str(t), "--truth-sha256"]
    assert main(["score", *flags, scores.truth_sha256]) == 1
    assert main(["score", *flags, "xyz"]) == 2
    assert main(["compare", "--predictions", str(p), str(p), *flags[2:], scores.truth_sha256]) == 1
    assert main(["score", "head", "--cache", "c", "--truth-sha256", scores.truth_sha256]) == 2
    assert "must be 64 hexadecimal digits" in capsys.readouterr().err


def test_the_points_of_a_benchmark_are_pinned(
    tables: tuple[Path, Path, pd.DataFrame, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    p, t, _, truth = tables
    truth.rename(columns={"id": "IMG_ID", "lat": "LAT", "lon": "LON"}).to_csv(t, index=False)
    monkeypatch.setattr("geocell.evaluation.predictions.BENCHMARK_ROWS", {"im2gps3k": 60})
    with pytest.raises(ValueError, match="the points of im2gps3k have the hash 5668fbfd4fda…, got"):
        gc.score_predictions(p, t, preset="im2gps3k")


def test_what_was_published_on_a_benchmark_stands_below_the_scores(
    tables: tuple[Path, Path, pd.DataFrame, pd.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    p, t, answers, truth = tables
    answers.assign(id=answers.id + ".jpg").to_csv(p, index=False)
    truth.assign(id=truth.id + ".jpg").rename(columns={"id": "IMG_ID", "lat": "LAT", "lon": "LON"}).to_csv(
        t, index=False
    )
    monkeypatch.setattr("geocell.evaluation.predictions.BENCHMARK_ROWS", {"im2gps3k": 60})
    monkeypatch.setattr("geocell.evaluation.predictions.BENCHMARK_TRUTHS", {"im2gps3k": None})
    monkeypatch.setattr("geocell.evaluation.benchmarks.BENCHMARK_TRUTHS", {"im2gps3k": None})
    flags = ["--predictions", str(p), "--truth", str(t), "--preset", "im2gps3k"]
    assert main(["score", *flags]) == 0
    assert "published, not measured here" in capsys.readouterr().out
    assert main(["score", *flags, "--json"]) == 0
    published = json.loads(capsys.readouterr().out)["published"]
    assert published[0]["model"] == "PlaNet (Weyand et al. 2016)"
    assert main(["score", *flags[:4], "--json"]) == 0
    assert "published" not in json.loads(capsys.readouterr().out)


def test_answers_may_stand_beside_their_truth(tables: tuple[Path, Path, pd.DataFrame, pd.DataFrame]) -> None:
    p, t, answers, truth = tables
    alone = gc.score_predictions(p, t)
    truth.assign(predicted_lat=answers.lat, predicted_long=answers.lon).to_csv(p, index=False)
    assert gc.score_predictions(p, t).mean_km == pytest.approx(alone.mean_km)
