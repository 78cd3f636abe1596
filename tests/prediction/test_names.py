"""Names of images for readers elsewhere."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.prediction.names import absolute_paths, shortened


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")


@pytest.mark.parametrize(
    ("locations", "expected"),
    [
        (["/home/me/photos/a.jpg"], ["a.jpg"]),
        (["/home/me/photos/a.jpg", "/home/me/photos/x/b.jpg"], ["a.jpg", "x/b.jpg"]),
        (["/home/me/a/n.jpg, /home/me/a/e.jpg"], ["n.jpg, e.jpg"]),
        (["/home/me/a.jpg", "/data/b.jpg"], ["~/a.jpg", "/data/b.jpg"]),
        (["/home/me/a.jpg", "/home/you/b.jpg"], ["~/a.jpg", "/home/you/b.jpg"]),
        (["/a.jpg"], ["/a.jpg"]),
        (["file:///home/me/photos/a.jpg"], ["a.jpg"]),
        (["photos/a.jpg", "L0001", "https://host/home/a.jpg", "s3://bucket/a.jpg", ""], None),
        (["photos/a.jpg", "/home/me/photos/a.jpg"], ["photos/a.jpg", "a.jpg"]),
        (["x/a/b.jpg", "/a/c.jpg", "https://host/a/d.jpg"], ["x/a/b.jpg", "c.jpg", "https://host/a/d.jpg"]),
    ],
)
def test_absolute_paths_lose_what_they_share(locations: list[str], expected: list[str] | None) -> None:
    assert list(map(shortened(locations), locations)) == (locations if expected is None else expected)


def test_the_home_folder_is_left_out_of_problems_too() -> None:
    short = shortened(["L0001"])
    text = "1 of 2 views could not be read, the first /home/me/photos/a.jpg: no such file"
    assert short(text) == "1 of 2 views could not be read, the first ~/photos/a.jpg: no such file"


NAME = st.text("ab/ ,.", min_size=1, max_size=8).filter(lambda text: text.strip("/"))


@given(st.lists(NAME.map("/home/me/{}".format), min_size=1, max_size=4, unique_by=lambda text: str(Path(text))))
def test_no_home_folder_is_left_and_names_stay_apart(locations: list[str]) -> None:
    found = list(map(shortened(locations), locations))
    assert not any("/home/me" in name for name in found)
    assert len(set(found)) == len(found)


def test_which_paths_are_absolute() -> None:
    assert list(absolute_paths("/a/b.jpg, c.jpg, file:///d.jpg, https://e/f.jpg")) == ["/a/b.jpg", "/d.jpg"]
