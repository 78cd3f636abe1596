"""Names of repositories: read as they are written, and refused where the Hub has no such name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.hub.names import HubName, why_no_name

WORDS = st.from_regex(r"[a-cX-Z019]([_.-]?[a-cX-Z019])*", fullmatch=True).filter(lambda word: len(word) < 40)


@given(WORDS, WORDS, st.none() | st.text("abc019_.-/", min_size=1))
def test_a_name_is_read_as_it_is_written(user: str, repo: str, revision: str | None) -> None:
    name = HubName.parse(f"{user}/{repo}" + ("" if revision is None else f"@{revision}"))
    assert name == HubName(f"{user}/{repo}", revision or "main")
    assert HubName.parse(str(name)) == name


@pytest.mark.parametrize("text", ["head", "me/head@", "me/head/more", "me/he ad", "/me/head", "me/head@v1@v2", ""])
def test_other_texts_are_no_names(text: str) -> None:
    with pytest.raises(ValueError, match="is written user/repo or user/repo@revision, got"):
        HubName.parse(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("me/a--b", "Cannot have -- or .."),
        ("me/head.git", "cannot end by '.git'"),
        ("me/-head@v1", "cannot start or end with '-' or '.'"),
        ("me/" + "a" * 97, "maximum length is 96"),
    ],
)
def test_names_that_the_hub_does_not_take(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"needs a name that the Hub takes, got '{text}': .*{words}"):
        HubName.parse(text)
    assert words in why_no_name(text.partition("@")[0])
    assert why_no_name("me/a-b") == ""
