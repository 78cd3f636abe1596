"""The audit of every kind of partition: all cases are measured, and what was measured is what they give."""

from pathlib import Path

import pytest

from benchmarks.common import read_results
from benchmarks.partition_audit import CASES, fitted, halves, label, row_of
from benchmarks.partition_recipes import NUTS, street_view
from benchmarks.readme import one_of_each_kind
from geocell.partitioners import PARTITIONERS

ROWS = read_results("partition_audit")


def test_every_case_of_every_kind_is_measured() -> None:
    assert [row["partition"] for row in ROWS] == [label(kind, parameters) for kind, parameters in CASES]
    assert {row["kind"] for row in ROWS} == set(PARTITIONERS)
    assert {row["n_locations"] for row in ROWS} == {ROWS[0]["n_locations"]}
    chosen = one_of_each_kind(ROWS)
    assert sorted(row["kind"] for row in chosen) == sorted(PARTITIONERS)
    assert {row["partition"] for row in chosen} >= {"kmeans k=1000", "kdtree max_count=39", "h3 resolution=3"}


@pytest.mark.parametrize("name", ["h3 resolution=3", "s2 max_count=100 min_count=25", "kdtree max_count=78", "nuts"])
def test_results_are_what_the_cases_give(name: str, shared_data: Path) -> None:
    train, test = halves(street_view("Europe"))
    parameters = next(parameters for kind, parameters in CASES if label(kind, parameters) == name)
    layers = {"nuts": shared_data / "nuts" / NUTS}
    row = row_of(name, fitted(name.split(" ", maxsplit=1)[0], parameters, train, layers), test)
    measured = next(row for row in ROWS if row["partition"] == name)
    assert {key: str(value) for key, value in row.items()} == {key: measured[key] for key in row}
