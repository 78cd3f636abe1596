"""Ids of locations as Arrow text: equal to their tuple, and looked up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geocell.features.ids
from geocell.features.ids import Ids, joined_ids

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), max_size=30)


@given(TEXTS)
def test_they_are_a_sequence_of_their_texts(texts: list[str]) -> None:
    ids = Ids(texts)
    assert ids == texts == list(ids)
    assert ids == tuple(texts)
    assert ids == Ids(np.array(texts, dtype=object)) == Ids(pd.Series(texts, dtype=object))
    assert len(ids) == len(texts)
    assert list(ids[1:]) == texts[1:]
    assert texts == [ids[i] for i in range(len(texts))]
    assert repr(ids) == repr(tuple(texts))
    assert ids != [*texts, "a"]
    assert ids != "a"


@pytest.mark.parametrize("many", [0, 1 << 20])
@given(known=TEXTS, asked=TEXTS)
def test_they_are_found_where_a_dictionary_finds_them(known: list[str], asked: list[str], many: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geocell.features.ids, "_MANY", many)
        patch.setattr(geocell.features.ids, "_PIECE", 4)
        ids = Ids(known)
        first = {text: row for row, text in reversed(list(enumerate(known)))}
        assert ids.find(Ids(asked)).tolist() == [first.get(text, -1) for text in asked]
        assert ids.distinct == (len(set(known)) == len(known))


def test_texts_of_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geocell.features.ids, "_MANY", 0)
    monkeypatch.setattr(Ids, "_hashes", lambda self, _key: np.array([len(text) for text in self], dtype=np.uint64))
    assert Ids(["a", "bb"]).find(Ids(["bb", "b", "a"])).tolist() == [1, -1, 0]
    assert Ids(["a", "b", "cc"]).find(Ids(["cc", "b"])).tolist() == [2, 1]
    assert Ids(["a", "b"]).distinct


def test_many_are_searched_by_hash_where_none_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geocell.features.ids, "_MANY", 0)
    found = Ids(["a", "b"])._find_by_hash(Ids(["c", "d"]))
    assert found is not None
    assert found.tolist() == [-1, -1]


def test_values_that_are_no_text_are_their_text() -> None:
    assert Ids([1, 2.5, None, "a"]) == ("1", "2.5", "None", "a")
    assert Ids(np.arange(3)) == ("0", "1", "2")
    assert Ids(np.array(["é", "b"])) == ("é", "b")
    assert Ids(iter("ab")) == ("a", "b")
    assert Ids(iter([1, 2])) == Ids(value for value in ("1", 2)) == ("1", "2")
    with pytest.raises(ValueError, match="surrogates"):
        Ids(["\ud800"])


def test_they_are_joined_one_after_the_other() -> None:
    assert joined_ids([Ids("ab"), Ids([]), Ids("c")]) == ("a", "b", "c")
    assert joined_ids([]) == ()
