"""Locations: what groups them by a column."""

import numpy as np

from geocell.locations import named_groups


def test_groups_by_name_leave_out_who_has_none() -> None:
    groups = dict(named_groups(["PL", "DE", None, "", "PL", float("nan"), 7]))
    assert list(groups) == ["7", "DE", "PL"]
    assert groups["PL"].tolist() == [True, False, False, False, True, False, False]
    assert np.flatnonzero(groups["7"]).tolist() == [6]
    assert list(named_groups([])) == []
