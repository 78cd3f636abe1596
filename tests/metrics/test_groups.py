"""Groups of locations by a column."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geocell.metrics.groups import named_groups


def test_groups_by_name_leave_out_who_has_none() -> None:
    groups = dict(named_groups(["PL", "DE", None, "", "PL", float("nan"), 7]))
    assert list(groups) == ["7", "DE", "PL"]
    assert groups["PL"].tolist() == [True, False, False, False, True, False, False]
    assert np.flatnonzero(groups["7"]).tolist() == [6]
    assert list(named_groups([])) == []


@given(st.lists(st.sampled_from(["DE", "FR", "", None, float("nan"), "É"]), max_size=30))
def test_every_named_location_is_in_one_group(names: list[object]) -> None:
    groups = dict(named_groups(np.array(names, dtype=object)))
    assert list(groups) == sorted({name for name in names if isinstance(name, str) and name})
    for name, rows in groups.items():
        assert rows.tolist() == [value == name for value in names]
