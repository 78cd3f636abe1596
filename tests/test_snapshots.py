"""Public names, flags and error sentences change only when somebody means it."""

import pytest

from tests.snapshots import HERE, SNAPSHOTS


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_a_change_is_meant(name: str) -> None:
    now = SNAPSHOTS[name]()
    assert now == (HERE / name).read_text(encoding="utf-8"), f"run python -m tests.snapshots if {name} is to change"
