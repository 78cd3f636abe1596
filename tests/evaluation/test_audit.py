"""The oracle ceiling of a partition."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from h3.api.numpy_int import cell_to_latlng
from hypothesis import given, settings
from hypothesis import strategies as st

from geocell.evaluation.audit import Audit, audit, gini
from geocell.geo.geodesy import distance_km
from geocell.partitioners import H3Partitioner, KDTreePartitioner, NUTSPartitioner, Partition
from geocell.partitioners.h3 import h3_indexes
from tests.worlds import make_locations

TRAIN = np.array([[50.0, 0.0], [50.0, 18.0], [50.0, 20.0]])  # a cell of one location and a cell of two


def uniform_europe(n: int, seed: int) -> np.ndarray:
    """Points that are uniform on the sphere in 36 to 70°N, 10°W to 40°E."""
    rng = np.random.default_rng(seed)
    lat = np.degrees(np.arcsin(rng.uniform(*np.sin(np.radians([36.0, 70.0])), n)))
    return np.stack((lat, rng.uniform(-10, 40, n)), axis=1)


@pytest.mark.parametrize(
    ("resolution", "within_25", "median_km"),
    [
        (3, 0.174, 42.0),
        (4, 0.988, 16.0),
        pytest.param(5, 1.0, 6.0, marks=pytest.mark.slow),
        pytest.param(6, 1.0, 2.3, marks=pytest.mark.slow),
    ],
)
def test_ceilings_of_h3_in_europe(resolution: int, within_25: float, median_km: float) -> None:
    # Known figures for cell centres; fitting on the centre of every cell puts the centroids there.
    points = uniform_europe(60_000, seed=0)
    cells = np.unique(h3_indexes(points, resolution))
    partition = H3Partitioner(resolution=resolution).fit([cell_to_latlng(int(cell)) for cell in cells])
    result = audit(partition, points)
    assert result.n_cells == len(cells)
    assert result.fallback == result.outside == 0.0
    assert result.within[25] == pytest.approx(within_25, abs=0.004)
    assert result.median_km == pytest.approx(median_km, rel=0.015)


def test_oracle_answers_the_centroid_of_the_true_cell() -> None:
    partition = KDTreePartitioner(max_count=2).fit(TRAIN)
    probes = np.array([[50.0, 0.0], [50.0, 1.0], [50.0, 10.0], [50.0, 19.0]])
    result = audit(partition, probes)
    # The split lies at 9°E. The mean of 18 and 20°E is (50.004, 19): the great circle bulges to the north.
    distances = distance_km(probes, partition.centroids[[0, 0, 1, 1]])
    assert result.within == {1: 0.5, 25: 0.5, 200: 0.75, 750: 1.0, 2500: 1.0}
    assert result.balscore == pytest.approx((0.5 * 0.75) ** (1 / 3))
    assert result.mean_km == pytest.approx(distances.mean())
    assert result.median_km == pytest.approx(np.median(distances))
    assert (result.n_locations, result.n_cells) == (4, 2)
    assert (result.count_min, result.count_median, result.count_max, result.n_single) == (1, 1.5, 2, 1)
    assert result.partition_sha256 == partition.sha256


def test_shares_by_fallback_and_outside(tmp_path: Path) -> None:
    square = {"type": "Polygon", "coordinates": [[[0, 50], [1, 50], [1, 51], [0, 51], [0, 50]]]}
    feature = {"type": "Feature", "properties": {"NUTS_ID": "XA1", "LEVL_CODE": 3}, "geometry": square}
    shapes = tmp_path / "one.geojson"
    shapes.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}), encoding="utf-8")
    partition = NUTSPartitioner(shapes).fit([[50.5, 0.5]])
    result = audit(partition, [[50.5, 0.5], [51.1, 0.5], [55.0, 0.5], [56.0, 0.5]])
    assert result.fallback == 0.25
    assert result.outside == 0.5
    # Outside, the oracle answers the nearest centroid: its score stays a ceiling, and finite.
    north = distance_km([50.5, 0.5], [[50.5, 0.5], [51.1, 0.5], [55.0, 0.5], [56.0, 0.5]])
    assert result.mean_km == pytest.approx(north.mean())


def test_text_and_json() -> None:
    result = audit(KDTreePartitioner(max_count=2).fit(TRAIN), TRAIN)
    assert isinstance(result, Audit)
    assert str(result).startswith("kdtree: 2 cells with 1 to 2 training locations, median 1.5; 1 with one\n")
    assert "1 km 33.3%  25 km 33.3%  200 km 100.0%" in str(result)
    low, high = result.intervals["balscore"]
    assert (
        f"balscore {100 * result.balscore:.1f}, 95 % interval over 3 places {100 * low:.1f} to {100 * high:.1f}, "
        in str(result)
    )
    value = json.loads(json.dumps(result.to_dict()))
    assert value["within"]["200"] == 1.0
    assert value["intervals"]["balscore"] == [low, high]
    assert value["n_single"] == 1
    assert (value["clustered_by"], value["n_clusters"]) == ("place", 3)


def test_how_cells_are_filled() -> None:
    result = audit(KDTreePartitioner(max_count=2).fit(TRAIN), TRAIN)
    assert result.n_training == 3
    assert result.count_gini == pytest.approx(1 / 6)  # the mean difference of 1 and 2 is 1/2, twice the mean is 3
    assert (result.weight_min, result.weight_max) == (3 / (2 * 2), 3 / (2 * 1))
    assert result.radius_km_max == pytest.approx(distance_km([50.0, 18.0], [50.0, 20.0]) / 2, rel=1e-3)
    assert (result.dim, result.n_parameters) == (None, None)
    assert "parameters" not in str(result)
    assert audit(KDTreePartitioner(max_count=2).fit(TRAIN), TRAIN, dim=8).n_parameters == 2 * 8 + 2 + 2 * 8


def test_a_head_has_that_many_parameters() -> None:
    from geocell.heads.module import GeoHead

    partition = KDTreePartitioner(max_count=1).fit(TRAIN)
    module = GeoHead(16, len(partition))
    assert audit(partition, TRAIN, dim=16).n_parameters == sum(p.numel() for p in module.parameters())


def test_locations_know_their_features_and_countries() -> None:
    partition = KDTreePartitioner(max_count=2).fit(TRAIN)
    locations = make_locations(TRAIN, np.zeros((3, 8), dtype=np.float16))
    result = audit(partition, locations)
    assert (result.dim, result.n_parameters) == (8, 2 * 8 + 2 + 2 * 8)
    assert "\na head on 8 features has 34 parameters\n" in str(result)
    assert result == audit(partition, TRAIN, dim=8)
    assert audit(partition, locations, dim=16).n_parameters == 2 * 16 + 2 + 2 * 16
    known = replace(locations, columns={"country": np.array(["GB", "PL", "PL"], dtype=object)})
    assert audit(partition, known).countries == audit(partition, TRAIN, ["GB", "PL", "PL"]).countries


@pytest.mark.parametrize("dim", [0, -1, 1024.0, True, "8"])
def test_a_number_of_features_that_cannot_be(dim: object) -> None:
    with pytest.raises(ValueError, match=r"dim must be a whole number of at least 1, got .*: pass the number"):
        audit(KDTreePartitioner(max_count=2).fit(TRAIN), TRAIN, dim=dim)


@settings(deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30).filter(any))
def test_gini_is_its_definition(counts: list[int]) -> None:
    n = np.array(counts)
    assert gini(n) == pytest.approx(np.abs(n[:, None] - n).mean() / (2 * n.mean()), abs=1e-12)
    assert gini(3 * n) == pytest.approx(gini(n), abs=1e-12)


def test_ceilings_by_country() -> None:
    partition = KDTreePartitioner(max_count=2).fit(TRAIN)
    result = audit(partition, TRAIN, ["GB", "PL", None])
    assert list(result.countries) == ["GB", "PL"]
    assert result.countries["GB"].within[1] == 1.0
    assert result.countries["PL"].within == {1: 0.0, 25: 0.0, 200: 1.0, 750: 1.0, 2500: 1.0}
    there = result.to_dict()["countries"]["PL"]
    assert there["within"]["200"] == 1.0
    assert there["intervals"]["within_25"] == list(result.countries["PL"].intervals["within_25"])
    assert audit(partition, TRAIN).countries == {}
    with pytest.raises(ValueError, match="one for each of 3 locations, got 2"):
        audit(partition, TRAIN, ["GB", "PL"])


def test_advice_says_what_is_off_and_nothing_else(tmp_path: Path) -> None:
    grid = np.stack(np.meshgrid(np.arange(40, 60), np.arange(0, 20)), axis=-1).reshape(-1, 2) + 0.5
    dense = np.repeat(grid, 6, axis=0)
    fine = audit(KDTreePartitioner(max_count=6).fit(dense), dense[1:])
    assert fine.advice == ()
    assert str(fine).endswith("km²")
    single = audit(KDTreePartitioner(max_count=1).fit(grid), grid[1:])
    assert single.advice == ("400 of 400 cells have one training location: raise --min-count.",)
    few = audit(KDTreePartitioner(max_count=6).fit(np.repeat(grid, 3, axis=0)), grid)
    assert few.advice[0].startswith("Half of the 200 cells have at most 6") or few.count_median >= 5
    large = audit(KDTreePartitioner(max_count=600).fit(dense), dense[1:])
    assert large.advice == (
        "Even the oracle is within 25 km for 0.0% of the locations only: take smaller cells; "
        f"half of the {large.n_cells} cells reach {large.radius_km_median:.0f} km or farther from their centroid.",
    )
    assert large.advice[0] in str(large)
    uneven = np.concatenate((dense, np.repeat(grid[:1], 2000, axis=0)))
    assert [text.split(":")[0] for text in audit(KDTreePartitioner(max_count=6).fit(uneven), uneven[1:]).advice] == [
        "One of 400 cells has 46% of the training locations",
        "Inverse-frequency class weights run from 0.0055 to 1.83",
    ]
    square = {"type": "Polygon", "coordinates": [[[0, 40], [4, 40], [4, 60], [0, 60], [0, 40]]]}
    feature = {"type": "Feature", "properties": {"NUTS_ID": "XA1", "LEVL_CODE": 3}, "geometry": square}
    shapes = tmp_path / "one.geojson"
    shapes.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}), encoding="utf-8")
    lost = audit(NUTSPartitioner(shapes, snap_km=70).fit(dense), np.concatenate((dense, dense)))
    assert [text.split(":")[0] for text in lost.advice][:2] == [
        "75.0% of the locations are outside every cell",
        "5.0% of the locations get a cell only by the fallback rule",
    ]


def test_no_advice_contradicts_another() -> None:
    """One location per cell, audited far away: cells are too small and too few, and neither reaches 0 km by advice."""
    here = np.stack(np.meshgrid(np.arange(40, 50), np.arange(0, 10)), axis=-1).reshape(-1, 2) + 0.5
    for partitioner in (KDTreePartitioner(max_count=1), H3Partitioner(resolution=5)):
        result = audit(partitioner.fit(here), here - [-0.45, 0.0])
        assert result.radius_km_median == 0.0
        assert result.within[25] < 0.75
        text = " ".join(result.advice)
        assert "collect more training locations" in text
        assert "reach 0 km" not in text
        for contradiction in ("raise --min-count", "take smaller cells", "take larger cells"):
            assert contradiction not in text
    few = audit(KDTreePartitioner(max_count=9).fit(here), here - [-0.45, 0.0])
    assert ("take smaller cells" in " ".join(few.advice)) == (few.count_median >= 5)


LARGER = ("raise --min-count", "take fewer cells", "take larger cells")
SMALLER = ("take smaller cells", "smaller cells would help")


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(4, 200),
    heap=st.integers(0, 3000),
    cells=st.integers(1, 40),
    away=st.floats(0.0, 3.0),
    spread=st.floats(0.01, 20.0),
)
def test_advice_never_asks_for_larger_and_smaller_cells(
    n: int, heap: int, cells: int, away: float, spread: float
) -> None:
    rng = np.random.default_rng(n)
    here = np.concatenate((rng.uniform([40, 0], [40 + spread, spread], (n, 2)), np.full((heap, 2), 40.0)))
    result = audit(KDTreePartitioner(max_count=cells).fit(here), np.add(here[:n], [away, 0.0]))
    text = " ".join(result.advice)
    assert not (any(words in text for words in LARGER) and any(words in text for words in SMALLER)), text


def test_radii_that_are_not_known_are_null(tmp_path: Path) -> None:
    fitted = KDTreePartitioner(max_count=2).fit(TRAIN)
    unknown = replace(fitted, radius_km=np.full(2, np.nan))
    result = audit(unknown, TRAIN)
    assert (result.radius_km_median, result.radius_km_max) == (None, None)
    assert "radius of a cell unknown" in str(result)
    json.dumps(result.to_dict(), allow_nan=False)
    partly = audit(replace(fitted, radius_km=np.array([np.nan, 30.0])), TRAIN)
    assert (partly.radius_km_median, partly.radius_km_max) == (30.0, 30.0)


def test_one_is_not_plural() -> None:
    assert str(audit(KDTreePartitioner(max_count=2).fit(TRAIN[:1]), TRAIN[:1])).startswith(
        "kdtree: 1 cell with 1 to 1 training location, median 1; 1 with one\noracle on 1 location: "
    )


def test_it_says_when_it_saw_the_locations_before(tmp_path: Path) -> None:
    partition = KDTreePartitioner(max_count=2).fit(TRAIN)
    partition.save(tmp_path / "cells")
    again = audit(Partition.load(tmp_path / "cells"), TRAIN[::-1])
    assert again.seen
    assert again.advice[0].startswith("These are the locations that the partition was fitted on")
    assert json.loads(json.dumps(again.to_dict()))["seen"] is True
    assert not audit(partition, TRAIN[1:]).seen


def test_nothing_to_audit(tmp_path: Path) -> None:
    partition = KDTreePartitioner(max_count=2).fit(TRAIN)
    with pytest.raises(ValueError, match="an audit needs at least one location, got none"):
        audit(partition, np.empty((0, 2)))
    partition.save(tmp_path / "cells")
    (tmp_path / "cells/partition.json").unlink()
    with pytest.raises(ValueError, match="can only decode"):
        audit(Partition.load(tmp_path / "cells"), TRAIN)


def test_it_shows_itself() -> None:
    places = uniform_europe(300, 0)
    partition = KDTreePartitioner(max_count=20).fit(places)
    found = audit(partition, places, np.array(["A<", "B"] * 150, dtype=object))
    assert repr(found).startswith(f"<Audit of kdtree: {len(partition)} cells, balscore of the oracle on 300 locations ")
    page = found._repr_html_()
    assert "A&lt;" in page
    assert "300, those of the fit" in page
    assert f">{100 * found.within[200]:.1f} %</td>" in page
