"""Cells of a table: which are empty, and ids as text."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.views import table_from_frame


def test_ids_that_a_gap_made_floats_stay_whole() -> None:
    frame = pd.DataFrame({"image": ["a"], "lat": [1], "lon": [2], "location": [3.0]})
    assert table_from_frame(frame).frame["location"].tolist() == ["3"]


@given(st.lists(st.floats(allow_nan=False) | st.integers(-(1 << 63), 1 << 64).map(float), min_size=1, max_size=5))
def test_ids_that_are_floats_are_told_apart(values: list[float]) -> None:
    frame = pd.DataFrame({"image": "a", "lat": 1, "lon": 2, "location": np.array(values)})
    ids = table_from_frame(frame).frame["location"].tolist()
    assert [float(text) for text in ids] == values


@pytest.mark.parametrize(("value", "text"), [(2.0**63, "9.223372036854775808e+18"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_ids_that_no_integer_holds_stay_floats(value: float, text: str) -> None:
    frame = pd.DataFrame({"image": ["a", "b"], "lat": 1, "lon": 2, "location": [value, 7.0]})
    ids = table_from_frame(frame).frame["location"].tolist()
    assert float(ids[0]) == float(text)
    assert ids[1] == "7"


SPACES = " \t\n\x0b\x0c\r\x1c\x1f\x85\xa0\u1680\u2003\u2028\u3000"
NO_SPACES = "ab\u200b\ufeff"


@given(st.lists(st.none() | st.text(st.sampled_from(SPACES + NO_SPACES)), min_size=1))
def test_empty_cells_of_arrow_are_those_of_python(texts: list[str | None]) -> None:
    frame = pd.DataFrame({"image": ["x", *texts], "lat": 1.0, "lon": 2.0, "location": ["l", *texts]})
    as_objects = frame.astype({"image": object, "location": object})
    found, expected = table_from_frame(frame).frame, table_from_frame(as_objects).frame
    assert found["problem"].tolist()[1:] == ["" if text and text.strip() else "no image" for text in texts]
    for name in ("image", "location", "problem"):
        assert found[name].tolist() == expected[name].tolist()
