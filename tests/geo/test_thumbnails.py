"""Small maps: marks where they belong, a bounded number of bytes, no request."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from geocell.geo.thumbnails import WIDTH, Marks, map_svg

SVG = "{http://www.w3.org/2000/svg}"


def dots(svg: str) -> dict[str, list[tuple[int, int]]]:
    """Return colour -> the pixels of its marks."""
    found: dict[str, list[tuple[int, int]]] = {}
    for path in ET.fromstring(svg).findall(f"{SVG}path"):  # noqa: S314 - our own
        if path.get("stroke-linecap") == "round":
            spots = re.findall(r"M(-?\d+),(-?\d+)h0", path.get("d", ""))
            found.setdefault(str(path.get("stroke")), []).extend((int(x), int(y)) for x, y in spots)
    return found


def test_marks_are_where_they_belong() -> None:
    corners = [[40.0, 0.0], [60.0, 20.0]]
    svg = map_svg([Marks(corners, "#111111"), Marks([[50.0, 10.0]], "#222222")])
    root = ET.fromstring(svg)  # noqa: S314 - our own
    width, height = WIDTH, int(root.get("height", ""))
    pad = 0.06 * 20.0  # the margin of the box
    x = [round((lon + pad) / (20.0 + 2 * pad) * width) for lon in (0.0, 10.0, 20.0)]
    y = [round((60.0 + pad - lat) / (20.0 + 2 * pad) * height) for lat in (40.0, 50.0, 60.0)]
    found = dots(svg)
    np.testing.assert_allclose(found["#111111"], [(x[0], y[0]), (x[2], y[2])], atol=1)  # a dot is drawn on its grid
    np.testing.assert_allclose(found["#222222"], [(x[1], y[1])], atol=1)


def test_a_picture_stays_small_and_asks_for_nothing() -> None:
    rng = np.random.default_rng(0)
    many = np.stack((rng.uniform(-50, 70, 200_000), rng.uniform(-180, 180, 200_000)), axis=1)
    svg = map_svg([Marks(many, "#111111", 2.5)], label='"<&')
    assert len(svg) < 500_000
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
    assert ET.fromstring(svg).get("aria-label") == '"<&'  # noqa: S314 - our own


def test_the_land_is_that_of_the_box() -> None:
    sea = map_svg([Marks([[0.0, -140.0], [1.0, -139.0]], "#111111")])
    land = map_svg([Marks([[48.0, 2.0], [52.0, 12.0]], "#111111")])
    outline = [re.findall(r'<path d="([^"]*)" fill="#f7f5f0"', svg)[0] for svg in (sea, land)]
    assert outline[0] == ""
    assert outline[1].startswith("M")


def test_lines_rings_and_nothing() -> None:
    marks = [Marks([[48.0, 2.0]], "#111111", 6.0, hollow=True), Marks(np.empty((0, 2)), "#222222")]
    svg = map_svg(marks, [[[48, 2], [47, 3]]])
    assert set(dots(svg)) == {"#111111", "#ffffff"}
    assert svg.count('stroke-opacity="0.45"') == 1
    with pytest.raises(ValueError, match="at least one point, got none"):
        map_svg([Marks(np.empty((0, 2)), "#111111")])


def test_a_map_past_the_antimeridian_is_the_same_map_elsewhere() -> None:
    east, west = np.array([[40.0, 178.0], [41.0, 180.0]]), np.array([[41.0, -180.0], [42.5, -177.5]])
    pictures = []
    for turn in (0.0, -40.0):
        way = [np.add(east, [0.0, turn]), np.add(west, [0.0, turn + 360.0 * (turn != 0.0)])]
        pictures.append(map_svg([Marks(np.concatenate(way), "#111111")], way))
    assert dots(pictures[0]) == dots(pictures[1])
    lines = [re.findall(r'<path d="([^"]*)" fill="none" stroke="#151515"', svg) for svg in pictures]
    assert lines[0] == lines[1]
    fiji = map_svg([Marks([[-19.0, 177.0], [-16.0, -179.0]], "#111111")])
    outline = re.findall(r'<path d="([^"]*)" fill="#f7f5f0"', fiji)[0]
    x = np.array([float(at.split(",")[0]) for at in re.findall(r"-?[\d.]+,-?[\d.]+", outline)])
    assert x.min() < WIDTH / 3 < 2 * WIDTH / 3 < x.max()  # land on both sides of ±180°
