"""Pages of one file: what a template is filled with stays what it is, and a browser shows the cells."""

from pathlib import Path

import numpy as np
import pytest

from geocell.geo.geodesy import distance_km
from geocell.partitioners import H3Partitioner
from geocell.plots import draw_cells
from geocell.plots.web import ground, page_box, steps
from geocell.prediction.predictions import town_names
from tests.browser import needs_browser, open_page
from tests.plots.test_cells import data_of
from tests.prediction.test_predictions import bare

PLACES = np.random.default_rng(0).uniform([37, -8], [43, 0], (300, 2))


def test_no_value_is_a_place_to_fill_in(tmp_path: Path) -> None:
    out = draw_cells(tmp_path / "a.html", H3Partitioner(resolution=2).fit(PLACES), "{{DATA}}", caption="{{SCRIPT}}")
    text = out.read_text(encoding="utf-8")
    assert "<h1>{{DATA}}</h1><p>{{SCRIPT}}</p>" in text
    assert text.count('"use strict"') == 1


def test_steps_come_back() -> None:
    xy = np.array([[10.0, 50.0], [10.0001, 49.9999], [-3.5, 0.25]])
    assert np.cumsum(np.reshape(steps(xy), (-1, 2)), axis=0) / 1e4 == pytest.approx(xy)


def test_outlines_past_the_antimeridian_are_fine_on_both_sides() -> None:
    fiji = ground((-20.0, 176.0, -15.0, 183.0))
    assert fiji["box"] == [-20.0, 176.0, -15.0, 183.0]
    sizes = [[sum(map(len, rings)) for rings in found["countries"]] for found in (fiji, ground((0.0, 0.0, 1.0, 1.0)))]
    both = [[sum(map(len, rings)) for rings in ground(box)["countries"]] for box in (
        (-20.0, 176.0, -15.0, 180.0), (-20.0, -180.0, -15.0, -177.0)
    )]  # fmt: skip
    assert sizes[0] == np.maximum(*both).tolist()
    assert sum(sizes[0]) > sum(np.minimum(sizes[0], sizes[1]))


def test_pages_of_the_world_begin_with_less_of_the_north() -> None:
    assert page_box((-60.0, -180.0, 85.0, 180.0)) == (-60.0, -180.0, 80.0, 180.0)
    assert page_box((-90.0, -180.0, 85.0, 180.0)) == (-84.0, -180.0, 80.0, 180.0)
    for box in ((40.0, -5.0, 50.0, 5.0), (-20.0, 170.0, 10.0, 190.0)):
        assert page_box(box) == box


def test_outlines_of_countries_fit_a_budget() -> None:
    everything = ground((-60.0, -180.0, 80.0, 180.0), 400_000)
    near = ground((46.0, 6.0, 47.0, 8.0))
    sizes = [sum(len(str(ring)) for country in made["countries"] for ring in country) for made in (everything, near)]
    assert sizes[0] < 600_000
    assert [row[0] for row in near["names_of_countries"][:2]] == ["Antarctica", "Russia"]  # the largest on the map
    swiss = next(row for row in near["names_of_countries"] if row[0] == "Switzerland")
    assert 46 < swiss[1] < 47.6


@needs_browser
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_a_browser_shows_the_cells(tmp_path: Path, width: int, height: int) -> None:
    partition = H3Partitioner(resolution=3).fit(PLACES)
    out = draw_cells(tmp_path / "cells.html", partition)
    script = """(() => {
      const [lat, lon] = data.centroids[3], [x, y] = pixelOf(lat, lon);
      show(x, y);
      return {hovered, tip: tip.textContent, inside: x > 0 && x < width() && y > 0 && y < height(),
        over: document.documentElement.scrollWidth - innerWidth};
    })()"""
    seen = open_page(out, width, height, script)
    assert seen.console == []
    assert seen.result["hovered"] == 3
    assert partition.names[3] in seen.result["tip"]
    assert seen.result["inside"]
    assert seen.result["over"] == 0


def test_a_page_of_centroids_has_discs_that_do_not_touch(tmp_path: Path) -> None:
    places = np.array([[50.0, 10.0], [50.0, 12.0], [-17.0, 179.99], [89.99, 0.0]])
    data = data_of(draw_cells(tmp_path / "cells.html", bare(places)))
    assert data["areas"] is None
    assert data["places"] == town_names(places)
    assert data["counts"] == [0, 0, 0, 0]
    first, second = (np.cumsum(np.reshape(data["cells"][i][0], (-1, 2)), axis=0) / 1e4 for i in (0, 1))
    assert first.mean(axis=0) == pytest.approx([10.0, 50.0], abs=0.05)
    assert first[:, 0].max() < second[:, 0].min()
    assert distance_km(first[0, ::-1], places[0]) == pytest.approx(distance_km(places[0], places[1]) / 3, rel=0.01)


@needs_browser
def test_a_browser_shows_the_centroids(tmp_path: Path) -> None:
    out = draw_cells(tmp_path / "cells.html", bare(np.array([[50.0, 10.0], [50.0, 12.0]])))
    script = """(() => {
      show(...pixelOf(50, 10));
      return {hovered, tip: tip.textContent, legend: getComputedStyle(document.getElementById("legend")).display};
    })()"""
    seen = open_page(out, 800, 600, script)
    assert seen.console == []
    assert seen.result["hovered"] == 0
    assert "km²" not in seen.result["tip"]
    assert "training" not in seen.result["tip"]
    assert seen.result["legend"] == "none"
