"""What was measured of the speed of partitions: every kind is there, and holds what the field's tools set as a bar."""

from benchmarks.common import read_results
from benchmarks.partition_speed import CASES, COMPARISONS
from geocell.partitioners import PARTITIONERS

ROWS = read_results("partition_speed")
COMPARED = {row["case"]: row for row in ROWS if row["times_faster"]}
KINDS = [row for row in ROWS if row["fit_s"]]


def test_every_kind_is_measured_at_every_size() -> None:
    assert set(CASES) == set(PARTITIONERS)
    assert set(COMPARED) == set(COMPARISONS)
    sizes = {kind: [int(row["n"]) for row in KINDS if row["case"] == kind] for kind in CASES}
    assert {kind for kind, n in sizes.items() if n[1:] == [10**6, 10**7]} == set(CASES) - {"semantic"}
    assert sizes["semantic"][1:] == [10**6]


def test_assignment_takes_at_most_two_h3_loops_and_eight_gib() -> None:
    assert max(float(row["assign_per_h3_loop"]) for row in KINDS) < 2
    assert max(float(row["peak_gib"]) for row in KINDS) < 8


def test_floors_beside_other_tools() -> None:
    faster = {case: float(row["times_faster"]) for case, row in COMPARED.items()}
    assert faster["H3 ids, the numpy_int loop"] >= 1
    assert faster["K-Means, scikit-learn"] >= 5
    assert faster["NUTS in bulk, a loop over points with a tree"] >= 20
    assert faster["NUTS in bulk, a loop over points and regions"] >= 20
    assert float(COMPARED["K-Means, scikit-learn"]["inertia_ratio"]) <= 1.03
    assert COMPARED["S2 ids, s2cell"]["differ"] == "0"
