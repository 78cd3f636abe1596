"""Time, peak memory and growth of every kind of partition, beside H3's loop, one sort, scikit-learn, faiss and loops.

The world street-view points as they are, and 1 M and 10 M points resampled from them with a jitter of 0.05°; for kinds
of regions the European ones, on the NUTS regions. Every case runs in a process of its own, which measures the H3 loop
and one sort of its points side by side with it, so that a ratio is of one machine at one time. Seconds are of processor
time, over all threads. The sort is that of the points by latitude, then longitude; np.argsort of as many 64-bit keys
stands beside it.

Run: python -m benchmarks.partition_speed [CASE …] [--quick] [--json]; with cases, the other rows of the table stay.
faiss is compared where it can be imported.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import conditions, finish, parse_flags, read_results, shared_data
from geocell.geo.geodesy import unit_vectors
from geocell.partitioners import make_partitioner
from geocell.partitioners.h3 import h3_indexes
from geocell.partitioners.partitioner import sorted_places
from geocell.partitioners.s2ids import s2_ids

JITTER = 0.05  # degrees
H3_SAMPLE = 1_000_000  # points that the H3 loop is timed on at most; it is linear in their number
KMEANS_SAMPLE = 250_000  # points that scikit-learn's K-Means is compared on at most, which takes minutes
LOOP_SAMPLE = 2_000  # points that the loops over regions are timed on; extrapolated to all, since they are linear
CASES = ("h3", "h3-adaptive", "s2", "quadtree", "kdtree", "kmeans", "nuts", "polygons", "semantic")
REGIONS = ("nuts", "polygons", "semantic")
FAISS = "K-Means, faiss"
PACKAGES = ("geocell-heads", "numpy", "scipy", "scikit-learn", "h3", "shapely")

Points = NDArray[np.float64]


def points(n: int, europe: bool = False) -> Points:
    """Return n places: the street-view points themselves for 0, else drawn from them with jitter."""
    name = "streetview_europe.csv" if europe else "streetview_world.csv"
    places: Points = np.loadtxt(shared_data() / "points" / name, delimiter=",", skiprows=1)
    if n == 0:
        return places
    rng = np.random.default_rng(0)
    places = places[rng.integers(0, len(places), n)] + rng.normal(0, JITTER, (n, 2))
    places[:, 0] = np.clip(places[:, 0], -90, 90)
    places[:, 1] = np.mod(places[:, 1] + 180, 360) - 180
    return places


def timed(work: Callable[[], Any], repeats: int = 1) -> tuple[float, Any]:
    """Return the least seconds of processor time of some runs, and the result."""
    seconds, result = np.inf, None
    for _ in range(repeats):
        start = time.process_time()
        result = work()
        seconds = min(seconds, time.process_time() - start)
    return seconds, result


def h3_loop(latlon: Points, resolution: int = 4) -> NDArray[np.uint64]:
    """Return H3 indexes by the plain loop over the fastest public interface of h3-py."""
    from h3.api.numpy_int import latlng_to_cell

    cells = (latlng_to_cell(lat, lon, resolution) for lat, lon in latlon.tolist())
    return np.fromiter(cells, dtype=np.uint64, count=len(latlon))


def parameters(kind: str, n: int, k: int) -> dict[str, Any]:
    """Return parameters that give a few thousand cells."""
    shapes = shared_data() / "nuts" / "NUTS_RG_20M_2021_4326_LEVL_3.geojson"
    layer = {"shapes": shapes, "id_column": "NUTS_ID", "name_column": "NAME_LATN", "parent_column": "CNTR_CODE"}
    most = max(n // k, 10)
    found: dict[str, dict[str, Any]] = {
        "h3": {"resolution": 4, "min_count": 5},
        "h3-adaptive": {"max_count": most, "min_count": 5},
        "s2": {"max_count": most, "min_count": 5},
        "quadtree": {"max_count": most, "min_count": 5},
        "kdtree": {"max_count": most},
        "kmeans": {"k": k},
        "nuts": {"shapes": shapes},
        "polygons": layer,
        "semantic": {**layer, "max_count": most, "min_count": max(most // 2, 1)},
    }
    return found[kind]


def peak_gib() -> float:
    """Return the most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def kind_case(kind: str, n: int, k: int) -> dict[str, Any]:
    """Fit a kind and assign the same points; both, and the H3 loop on them, in seconds."""
    latlon = points(n, europe=kind in REGIONS)
    before = peak_gib()
    partitioner = make_partitioner(kind, parameters(kind, len(latlon), k))
    fit_s, partition = timed(lambda: partitioner.fit(latlon))
    assign_s, _ = timed(lambda: partition.assign(latlon), 3 if n <= H3_SAMPLE else 1)
    row = {"n": len(latlon), "cells": len(partition), "fit_s": fit_s, "assign_s": assign_s, "peak_gib": peak_gib()}
    sorts = beside_a_sort(kind, latlon, fit_s)
    sample = latlon[:H3_SAMPLE]
    loop_s = timed(lambda: h3_loop(sample), 3)[0] * len(latlon) / len(sample)
    return {**row, "points_gib": before, "h3_loop_s": loop_s, "assign_per_h3_loop": assign_s / loop_s, **sorts}


def beside_a_sort(kind: str, latlon: Points, fit_s: float) -> dict[str, float]:
    """Return the seconds of a sort of the points, one of 64-bit keys, and indexing, and the rest of a fit in sorts."""
    keys = np.random.default_rng(0).integers(0, 1 << 63, len(latlon), dtype=np.uint64)
    sort_s = statistics.median(timed(lambda: sorted_places(latlon))[0] for _ in range(3))
    argsort_s = statistics.median(timed(lambda: np.argsort(keys, kind="stable"))[0] for _ in range(3))
    index: dict[str, Callable[[], Any]] = {
        "h3": lambda: h3_indexes(latlon, 4),
        "h3-adaptive": lambda: h3_indexes(latlon, 7),
        "s2": lambda: s2_ids(latlon),
    }
    index_s = timed(index[kind])[0] if kind in index else 0.0
    return {"sort_s": sort_s, "argsort_s": argsort_s, "index_s": index_s, "rest_in_sorts": (fit_s - index_s) / sort_s}


def h3_ids_case(kind: str, n: int, k: int) -> dict[str, Any]:
    """Time H3 ids of whole arrays beside the loop, turn by turn."""
    del kind, k
    latlon = points(n)
    ours, loop = np.inf, np.inf
    for _ in range(4):
        loop_s, expected = timed(lambda: h3_loop(latlon))
        ours_s, found = timed(lambda: h3_indexes(latlon, 4))
        loop, ours = min(loop, loop_s), min(ours, ours_s)
    if not np.array_equal(expected, found):
        raise ValueError("H3 ids of whole arrays must equal those of the loop, and they do not.")
    return {"n": n, "ours_s": ours, "other_s": loop, "times_faster": loop / ours}


def s2_ids_case(kind: str, n: int, k: int) -> dict[str, Any]:
    """Compare S2 ids at levels 2 to 30 with s2cell's, on points of which a tenth are on edges of faces or by a pole."""
    del kind, k
    import s2cell

    from geocell.geo.geodesy import latlon_from_unit
    from geocell.partitioners.s2ids import s2_parents

    rng = np.random.default_rng(0)
    places = latlon_from_unit(rng.normal(size=(n, 3)))
    edge, meridian, pole = np.array_split(rng.permutation(n)[: n // 10], 3)
    vectors = rng.normal(size=(len(edge), 3))
    vectors[:, 1] = np.abs(vectors[:, 0]) * rng.choice([-1, 1], len(edge))  # two components of one size
    places[edge] = latlon_from_unit(rng.permuted(vectors, axis=1))
    places[meridian, 1] = rng.choice([-180.0, 180.0], len(meridian))
    places[pole, 0] = rng.choice([-1, 1], len(pole)) * (90 - 10.0 ** rng.uniform(-12, 0, len(pole)))
    ours_s, found = timed(lambda: s2_ids(places))
    start = time.process_time()
    expected = np.array([s2cell.lat_lon_to_cell_id(lat, lon) for lat, lon in places.tolist()], dtype=np.uint64)
    other_s = time.process_time() - start
    differ = int((found != expected).sum())
    for level in range(2, 30):  # the reference's parents of the reference's leaves, each point at one level
        rows = slice(level - 2, None, 28)
        parents = [s2cell.cell_id_to_parent_cell_id(i, level) for i in expected[rows].tolist()]
        differ += int((s2_ids(places[rows], level) != np.array(parents, dtype=np.uint64)).sum())
        differ += int((s2_parents(found[rows], level) != np.array(parents, dtype=np.uint64)).sum())
    return {"n": n, "ours_s": ours_s, "other_s": other_s, "times_faster": other_s / ours_s, "differ": differ}


def scikit_centres(vectors: Points, k: int) -> Points:
    """Return the centres of scikit-learn's K-Means."""
    from sklearn.cluster import KMeans

    found: Points = KMeans(k, n_init=1, random_state=0).fit(vectors).cluster_centers_
    return found


def faiss_centres(vectors: Points, k: int) -> Points:
    """Return the centres of faiss's K-Means with its defaults: 25 iterations on 256 points per cluster at most."""
    import faiss

    kmeans = faiss.Kmeans(3, k, seed=1)
    kmeans.train(vectors.astype(np.float32))
    return np.asarray(kmeans.centroids, dtype=np.float64)


def kmeans_case(other: Callable[[Points, int], Points], n: int, k: int) -> dict[str, Any]:
    """Time K-Means beside another, and compare the mean squares of the distances to the nearest centre."""
    from scipy.spatial import cKDTree

    latlon = points(n)
    vectors = unit_vectors(latlon)
    ours_s, rule = timed(lambda: make_partitioner("kmeans", {"k": k}).make_rule(sorted_places(latlon)))
    other_s, theirs = timed(lambda: other(vectors, k))
    distances = [cKDTree(c).query(vectors, workers=-1)[0] for c in (unit_vectors(rule.centres), theirs)]
    ours_rms, other_rms = (float(np.sqrt(np.mean(np.square(d)))) for d in distances)
    ratios = {"times_faster": other_s / ours_s, "inertia_ratio": (ours_rms / other_rms) ** 2}
    return {"n": n, "cells": len(rule.names), "ours_s": ours_s, "other_s": other_s, **ratios}


def regions_case(kind: str, n: int, k: int) -> dict[str, Any]:
    """Time the bulk assignment to NUTS regions beside two loops over points, timed on a sample and extrapolated."""
    del k
    import shapely

    latlon = points(n, europe=True)
    partition = make_partitioner("nuts", parameters("nuts", n, 1)).fit(latlon[:LOOP_SAMPLE])
    shapes: Any = getattr(partition.rule, "shapes")  # noqa: B009 - a rule of this kind has them
    tree = shapely.STRtree(shapes)
    sample = latlon[:LOOP_SAMPLE].tolist()

    def with_tree() -> None:
        for lat, lon in sample:
            tree.query(shapely.Point(lon, lat), predicate="intersects")

    def without() -> None:
        for lat, lon in sample:
            place = shapely.Point(lon, lat)
            next((i for i, shape in enumerate(shapes) if shape.intersects(place)), None)

    ours_s, _ = timed(lambda: partition.rule.locate(latlon) if partition.rule else None)
    other_s = timed(with_tree if kind == "tree" else without)[0] * n / LOOP_SAMPLE
    return {"n": n, "ours_s": ours_s, "other_s": other_s, "times_faster": other_s / ours_s}


COMPARISONS: dict[str, Callable[[str, int, int], dict[str, Any]]] = {
    "H3 ids, the numpy_int loop": h3_ids_case,
    "S2 ids, s2cell": s2_ids_case,
    "K-Means, scikit-learn": lambda _, n, k: kmeans_case(scikit_centres, min(n, KMEANS_SAMPLE), k),
    FAISS: lambda _, n, k: kmeans_case(faiss_centres, n, k),
    "NUTS in bulk, a loop over points with a tree": lambda _, n, k: regions_case("tree", n, k),
    "NUTS in bulk, a loop over points and regions": lambda _, n, k: regions_case("plain", n, k),
}


def run_case(name: str, n: int, k: int) -> dict[str, Any]:
    """Run a case in its own process, so that its peak of memory is its own."""
    command = [sys.executable, "-m", "benchmarks.partition_speed", "case", name, str(n), str(k)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    if done.returncode != 0:
        raise SystemExit(f"the case {name} with {n} points failed: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    print(f"{name}, {found['n']} points: {done.stdout.strip()}", file=sys.stderr)
    return {"case": name, **found}


def main() -> None:
    """Run every case, or the one that a process of its own was started for."""
    if sys.argv[1:2] == ["case"]:
        name, n, k = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
        print(json.dumps(COMPARISONS.get(name, kind_case)(name, n, k)))
        return
    every = (*COMPARISONS, *CASES)
    chosen = [name for name in sys.argv[1:] if name in every]
    sys.argv[1:] = [name for name in sys.argv[1:] if name not in every]
    flags = parse_flags(__doc__ or "")
    k = 200 if flags.quick else 2000
    sizes = (0, 200_000) if flags.quick else (0, 1_000_000, 10_000_000)
    names = [name for name in chosen or every if name != FAISS or find_spec("faiss")]
    rows = [run_case(name, 50_000 if flags.quick else 1_000_000, k) for name in names if name in COMPARISONS]
    kinds = [name for name in names if name in CASES]
    rows += [run_case(kind, n, k) for kind in kinds for n in sizes if kind != "semantic" or n <= 1_000_000]
    where = conditions(*PACKAGES)
    made = [{key: _short(value) for key, value in row.items()} | where for row in rows]
    kept = [row for row in read_results("partition_speed") if row["case"] not in names] if chosen else []
    table: list[dict[str, Any]] = sorted([*kept, *made], key=lambda row: every.index(row["case"]))
    columns = dict.fromkeys([*(key for row in table for key in row if key not in where), *where])
    finish("partition_speed", [{key: row.get(key, "") for key in columns} for row in table], summary(rows), flags)


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the ratios: faster than whom, assignment in H3 loops, memory, and time per point from size to size."""
    kinds = {kind: [row for row in rows if row["case"] == kind] for kind in CASES}
    return {
        "compared": {row["case"]: {k: v for k, v in row.items() if k != "case"} for row in rows if "ours_s" in row},
        "assign_per_h3_loop": {kind: [row["assign_per_h3_loop"] for row in found] for kind, found in kinds.items()},
        "peak_gib": {kind: max(row["peak_gib"] for row in found) for kind, found in kinds.items() if found},
        "fit_growth_per_point": {
            kind: [b["fit_s"] / b["n"] / (a["fit_s"] / a["n"]) for a, b in pairwise(found)]
            for kind, found in kinds.items()
        },
    }


def _short(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else value


if __name__ == "__main__":
    main()
