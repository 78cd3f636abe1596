"""What a split leaks: planted leaks are found and counted, and scores by distance are those of the parts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from geocell.encoding import import_features
from geocell.evaluation.leaks import Leaks, leaks, scores_by_distance
from geocell.geo.geodesy import distance_matrix_km
from geocell.metrics.outcomes import Outcomes, balscore_of
from geocell.splits.splits import Splits
from geocell.views import read_views
from tests.worlds import INFO

N = 60
SPLITS = Splits(
    {
        "train": tuple(f"l{i:02d}" for i in range(40)),
        "val": tuple(f"l{i:02d}" for i in range(40, 50)),
        "test": tuple(f"l{i:02d}" for i in range(50, 60)),
    },
    protocol="by location",
)


def make_cache(folder: Path, *, coordinates: bool = True, images: bool = True, features: bool = True) -> pd.DataFrame:
    """Make a cache of 60 locations with two views each; return its table, whose leaks can be switched on."""
    rng = np.random.default_rng(0)
    latlon = np.round(np.column_stack((rng.uniform(40, 60, N), rng.uniform(0, 20, N))), 5)
    numbers = rng.normal(size=(N, 2, INFO.dim)).astype(np.float32)
    names = np.array([[f"v{i}{view}.jpg" for view in "ab"] for i in range(N)])
    if coordinates:
        latlon[50:53] = latlon[:3]
        latlon[40] = latlon[0]
    if images:
        names[55, 1] = names[7, 0]
    if features:
        numbers[56:58, 1] = 3 * numbers[8:10, 0]
    table = pd.DataFrame(
        {
            "image": names.ravel(),
            "location": np.repeat([f"l{i:02d}" for i in range(N)], 2),
            "lat": np.repeat(latlon[:, 0], 2),
            "lon": np.repeat(latlon[:, 1], 2),
            "user": np.repeat([f"u{i % 45}" if i != 59 else "" for i in range(N)], 2),
        }
    )
    table.to_csv(folder / "t.csv", index=False)
    np.save(folder / "f.npy", numbers.reshape(2 * N, -1))
    views = read_views(folder / "t.csv", images_optional=True)
    import_features(folder / "f.npy", folder / "cache", table=views, encoder=INFO)
    return table.drop_duplicates("location")


def test_planted_leaks_are_found(tmp_path: Path) -> None:
    table = make_cache(tmp_path)
    found = leaks(tmp_path / "cache", SPLITS, columns=["user"])
    assert found.protocol == "by location"
    assert found.n_train == 40
    val, test = found.splits["val"], found.splits["test"]
    assert (val.n_shared_coordinates, test.n_shared_coordinates) == (1, 3)
    assert dict(val.n_shared) == {"image": 0, "user": 5}  # users of 45 to 49 are those of 0 to 4
    assert dict(test.n_shared) == {"image": 1, "user": 9}  # one has none
    assert (val.n_near_duplicates, test.n_near_duplicates) == (0, 2)
    assert (
        found.verdict
        == "leaks: 10 % of the val locations and 30 % of the test locations share coordinates with training"
    )
    latlon = table[["lat", "lon"]].to_numpy()
    km = distance_matrix_km(latlon[50:], latlon[:40]).min(axis=1)
    assert test.quantiles_km["0.5"] == pytest.approx(np.median(km), abs=1e-5)
    edges = [0, 0.1, 1, 5, 25, 100, np.inf]
    assert list(test.counts.values()) == np.histogram(km, edges)[0].tolist()
    assert next(iter(test.counts)) == "<0.1"
    assert test.counts["<0.1"] == 3
    assert (found.decoder, dict(test.scores), test.n_trained_on) == ("", {}, None)


def verdict_of(tmp_path: Path, **planted: bool) -> Leaks:
    make_cache(tmp_path, **{"coordinates": False, "images": False, "features": False, **planted})
    return leaks(str(tmp_path / "cache"), SPLITS)


def test_the_verdict_names_the_worst(tmp_path: Path) -> None:
    parts = [tmp_path / name for name in ("images", "features", "none")]
    for part in parts:
        part.mkdir()
    assert verdict_of(parts[0], images=True).verdict == "leaks: 10 % of the test locations share an image with training"
    said = verdict_of(parts[1], features=True).verdict
    assert said.startswith("leaks: 20 % of the test locations have a view that is nearly one of training (cosine")
    said = verdict_of(parts[2]).verdict
    assert said.startswith("no shared coordinate, image or near-duplicate was found; half of the val locations have")
    assert leaks(parts[2] / "cache", SPLITS, columns=["user"]).verdict == (
        "leaks: 50 % of the val locations and 90 % of the test locations share a user with training"
    )


def test_scores_by_distance_are_those_of_each_part() -> None:
    rng = np.random.default_rng(2)
    km, errors = rng.choice([0.0, 0.05, 3.0, 40.0, 2000.0], 300), rng.exponential(200, 300)
    found = scores_by_distance(Outcomes(errors), km)
    assert list(found) == ["<0.1", "1–5", "25–100", "≥100"]
    assert found["<0.1"]["n_locations"] == int((km < 0.1).sum())
    here = errors[km == 40.0]
    assert found["25–100"]["balscore"] == pytest.approx(balscore_of(here))
    assert found["25–100"]["within_200"] == pytest.approx((here <= 200).mean())
    assert found["25–100"]["median_km"] == pytest.approx(np.median(here))
    assert found["25–100"]["balscore_low"] < found["25–100"]["balscore"] < found["25–100"]["balscore_high"]


def test_what_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    make_cache(tmp_path)
    for splits, options, words in (
        (SPLITS, {"columns": ["nobody"]}, "must have the column 'nobody'"),
        (SPLITS, {"cosine": 1.5}, "cosine must be above 0"),
        (Splits({"train": ("l01",)}), {}, "got the splits train with 1 training locations"),
        (Splits({"val": ("l01",)}), {}, "with 0 training locations"),
    ):
        with pytest.raises(ValueError, match=words):
            leaks(tmp_path / "cache", splits, **options)
