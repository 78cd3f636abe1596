"""What was measured of the speed of partitions: every kind is there, and gives what the field's tools give."""

from benchmarks.common import read_results
from benchmarks.partition_speed import CASES, COMPARISONS, FAISS
from geocell.partitioners import PARTITIONERS

ROWS = read_results("partition_speed")
COMPARED = {row["case"]: row for row in ROWS if row["times_faster"]}
KINDS = [row for row in ROWS if row["fit_s"]]


def test_every_kind_is_measured_at_every_size() -> None:
    assert set(CASES) == set(PARTITIONERS)
    assert set(COMPARED) | {FAISS} == set(COMPARISONS)
    sizes = {kind: [int(row["n"]) for row in KINDS if row["case"] == kind] for kind in CASES}
    assert {kind for kind, n in sizes.items() if n[1:] == [10**6, 10**7]} == set(CASES) - {"semantic"}
    assert sizes["semantic"][1:] == [10**6]


def test_answers_are_those_of_the_other_tools() -> None:
    assert float(COMPARED["K-Means, scikit-learn"]["inertia_ratio"]) <= 1.01
    assert COMPARED["S2 ids, s2cell"]["differ"] == "0"
