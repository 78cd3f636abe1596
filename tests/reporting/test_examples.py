"""Locations that are shown one by one, and their thumbnails."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from geocell.features import FeatureCache
from geocell.reporting.examples import drawn, example_rows, images_of, thumbnails_of, worst
from tests.worlds import make_locations


@given(st.integers(0, 300), st.integers(1, 40))
def test_rows_are_drawn_once_and_the_same_each_time(n: int, most: int) -> None:
    rows = drawn(n, most)
    assert len(rows) == len(set(rows.tolist())) == min(n, most)
    assert sorted(rows.tolist()) == rows.tolist()
    assert all(0 <= row < n for row in rows.tolist())
    assert (rows == drawn(n, most)).all()


def test_the_worst_come_first_and_of_equal_ones_the_first() -> None:
    assert worst(np.array([3.0, 9.0, 1.0, 9.0]), 3).tolist() == [1, 3, 0]


def test_what_is_said_of_a_location() -> None:
    locations = make_locations(np.array([[50.123456, 1.0], [2.0, 3.0]]), np.zeros((2, 2)))
    locations.ids[1] = "a" * 200
    km, p = np.array([1.0, 2.0]), np.array([0.5, 0.25])
    points = np.array([[0.0, 0.0], [4.0, 5.0]])
    (row,) = example_rows(np.array([1]), locations, points, km, p, lambda latlon: [f"near {latlon[0, 0]:g}"])
    assert row == {
        "location": "a" * 119 + "…",
        "truth": [2.0, 3.0],
        "answer": [4.0, 5.0],
        "truth_place": "near 2",
        "answer_place": "near 4",
        "distance_km": 2.0,
        "probability": 0.25,
    }
    (row,) = example_rows(np.array([0]), locations, points, km, p, None)
    assert (row["truth"], row["truth_place"]) == ([50.12346, 1.0], "")


def test_thumbnails_where_images_are(world: Path, tmp_path: Path) -> None:
    cache = FeatureCache.open(world / "cache")
    locations = cache.locations()
    even = [int(name[3:]) % 2 == 0 for name in locations.ids.tolist()]  # these have an image
    rows = list(range(20))
    for images in (None, world / "photos.csv"):
        found = thumbnails_of(rows, locations, cache, images_of(cache, images))
        assert sorted(found) == [row for row in rows if even[row]]
    with Image.open(io.BytesIO(found[min(found)])) as image:
        assert image.format == "JPEG"
        assert not image.getexif()
    with pytest.raises(FileNotFoundError):
        images_of(cache, tmp_path / "nothing.csv")


@pytest.mark.parametrize("reference", ["/etc/hostname", "../secret.jpg", "http://127.0.0.1:9/a.jpg", "s3://b/a.jpg"])
def test_a_cache_of_somebody_else_opens_no_other_files(
    world: Path, reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = FeatureCache.open(world / "cache")
    cache.views["image"] = reference
    asked: list[str] = []

    def read(_: Any, name: str) -> bytes:
        asked.append(name)
        raise OSError(name)

    monkeypatch.setattr("geocell.images.sources.FileImages.read", read)
    assert thumbnails_of([0], cache.locations(), cache, images_of(cache, None)) == {}
    assert asked == []
    assert thumbnails_of([0], cache.locations(), cache, images_of(cache, world / "photos.csv")) == {}
    assert asked == [reference]
