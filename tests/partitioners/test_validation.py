"""Checks of the values in the files of a partition."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.partitioners.validation import (
    MAX_TEXT,
    ascending,
    distinct_places,
    integers,
    items,
    number,
    numbers,
    shown,
    texts,
    whole,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.integers(-5, 20))
def test_a_whole_number_is_accepted_exactly_within_its_bounds(value: int) -> None:
    if 0 <= value <= 15:
        assert whole({"n": value}, "n", 0, 15) == value
    else:
        with pytest.raises(ValueError, match=rf"'n' must be an integer in \[0, 15\], got {value}"):
            whole({"n": value}, "n", 0, 15)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, [1], {}])
def test_what_equals_an_integer_is_none(value: object) -> None:
    with pytest.raises(ValueError, match="'n' must be an integer"):
        whole({"n": value}, "n", 0, 15)


def test_a_number_may_be_an_integer_but_is_finite() -> None:
    assert number({"x": 3}, "x", 0, 4) == 3.0
    assert isinstance(number({"x": 3}, "x", 0, 4), float)
    for value in (math.nan, math.inf, True, "3", 4.1):
        with pytest.raises(ValueError, match="'x' must be a number in"):
            number({"x": value}, "x", 0, 4)


def test_lists_have_a_least_length() -> None:
    assert items({"a": []}, "a", least=0) == []
    with pytest.raises(ValueError, match="'a' must be a list with at least 1 items, got list of 0"):
        items({"a": []}, "a")
    with pytest.raises(ValueError, match="'a' is missing"):
        items({}, "a")


def test_integers_are_int64_and_name_the_first_that_is_none() -> None:
    found = integers({"a": [0, 7]}, "a", 0, 7)
    assert found.dtype == np.int64
    assert found.tolist() == [0, 7]
    with pytest.raises(ValueError, match=r"'a' must hold integers in \[0, 7\], got 8"):
        integers({"a": [0, 8, 9]}, "a", 0, 7)
    with pytest.raises(ValueError, match="got True"):
        integers({"a": [True]}, "a", 0, 7)


def test_numbers_come_as_a_vector_or_as_rows() -> None:
    assert numbers([1, 2.5], "x").tolist() == [1.0, 2.5]
    assert numbers([], "x", 2).shape == (0, 2)
    assert numbers([[1, 2]], "x", 2).tolist() == [[1.0, 2.0]]
    with pytest.raises(ValueError, match="x must hold lists of 2 numbers, got list of 3"):
        numbers([[1, 2, 3]], "x", 2)


def test_places_are_distinct_degrees() -> None:
    assert distinct_places([[1, 2], [2, 1]], "centres").tolist() == [[1.0, 2.0], [2.0, 1.0]]
    with pytest.raises(ValueError, match="centres must be distinct places"):
        distinct_places([[1, 2], [1.0, 2.0]], "centres")


def test_texts_are_bounded() -> None:
    assert texts(["a" * MAX_TEXT], "names") == ("a" * MAX_TEXT,)
    with pytest.raises(ValueError, match="names must be texts of at most 1000 characters"):
        texts(["a" * (MAX_TEXT + 1)], "names")


@given(st.lists(st.integers(0, 2**64 - 1), max_size=6))
def test_ids_ascend_exactly_when_they_are_their_sorted_set(ids: list[int]) -> None:
    array = np.array(ids, dtype=np.uint64)
    if ids == sorted(set(ids)):
        assert ascending(array, "cells") is array
    else:
        with pytest.raises(ValueError, match="cells must ascend"):
            ascending(array, "cells")


@given(json_values)
def test_any_json_value_is_shown_in_one_short_line(value: Any) -> None:
    assert len(shown(value)) <= 61
    assert "\n" not in shown(value)


@pytest.mark.parametrize(
    "check", [lambda v: whole(v, "a", 0, 1), lambda v: number(v, "a", 0, 1), lambda v: items(v, "a")]
)
@given(value=json_values)
def test_whatever_is_no_object_is_missing_its_key(check: Callable[[Any], object], value: Any) -> None:
    if not isinstance(value, dict):
        with pytest.raises(ValueError, match="'a' is missing"):
            check(value)
