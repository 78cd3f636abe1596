"""The page of a report: one file that asks for nothing, small, and readable in a browser."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geocell.partitioners import KMeansPartitioner
from geocell.partitioners.base import Partition
from geocell.reporting.measured import Measured
from geocell.reporting.page import MOST_ARCS, write_report
from tests.browser import needs_browser, open_page
from tests.reporting.conftest import HOSTILE

pytest.importorskip("matplotlib")


def data_of(page: Path) -> dict[str, Any]:
    packed = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert packed is not None
    value = json.loads(packed[1])
    assert isinstance(value, dict)
    return value


def hostile(made: Measured) -> Measured:
    """Return a report in which every text of others is one that attacks."""
    value = json.loads(json.dumps(made.to_dict()))
    value["head"]["name"] = value["cache"] = HOSTILE
    for row in value["rows"]:
        row["name"] = row["sentence"] = HOSTILE
    value["error_cdf"] = {f"{HOSTILE}{i}": curve for i, curve in enumerate(value["error_cdf"].values())}
    for item in (*value["worst"], *value["random"]):
        item["location"] = item["truth_place"] = item["answer_place"] = HOSTILE
    names = tuple(f"{HOSTILE}{i}" for i in range(len(made.partition)))
    return replace(made, value=value, partition=replace(made.partition, labels=names))


def test_it_is_one_file_whatever_things_are_called(made: Measured, tmp_path: Path) -> None:
    text = write_report(tmp_path / "a.html", hostile(made)).read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\((?!#)|fetch\(|XMLHttpRequest|(src|href)=(?!\"(data:|#))", text)
    assert "default-src 'none'" in text
    assert text.count("<script") == text.count("</script>") == 2
    assert not re.search(r"\{\{(THEME|SCRIPT|TITLE|CAPTION|CREDITS|CONTENTS|\w+_MAP|MAP_NOTE|PAGE_\w+)\}\}", text)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    links = re.findall(r'href="#([^"]+)"', text)
    assert set(links) <= set(ids)
    assert {"summary", "about", "scores", "map-section", "errors", "trust", "countries", "partition", "worst"} <= set(
        links
    )


def test_the_map_holds_the_answers_the_shares_and_the_cells(made: Measured, tmp_path: Path) -> None:
    data = data_of(write_report(tmp_path / "a.html", made))
    ways = np.reshape(data["ways"], (-1, 4)) / data["units"]
    assert np.allclose(ways, np.hstack([made.truth, made.points]), atol=1e-4)
    assert data["km"] == np.round(made.distances_km).tolist()
    assert sum(n for _, n, _, _ in data["by_country"].values()) == len(made.truth)
    assert len(data["codes"]) == len(data["countries"])
    assert data["counts"] == made.partition.counts.tolist()
    assert all(data["cells"])
    assert "were left out" not in (tmp_path / "a.html").read_text()


@pytest.mark.slow
def test_a_hundred_thousand_locations_and_many_cells_stay_small(made: Measured, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 100_000
    truth, points = (np.column_stack([rng.uniform(-60, 75, n), rng.uniform(-180, 180, n)]) for _ in range(2))
    partition = KMeansPartitioner(k=600, seed=0).fit(truth[:4000])
    thumbnails = {i: bytes(rng.integers(0, 256, 12_000, dtype=np.uint8)) for i in range(40)}
    examples = {"worst": np.arange(20), "random": np.arange(20, 40)}
    value = {**made.value, "worst": (made.value["worst"] * 20)[:20], "random": (made.value["random"] * 20)[:20]}
    value["by_country"] = [{**made.value["by_country"][0], "code": f"{i:02d}"} for i in range(250)]
    many = Measured(value, truth, points, rng.uniform(0, 2e4, n), partition, examples, thumbnails)
    page = write_report(tmp_path / "a.html", many)
    assert page.stat().st_size < 3e6
    data = data_of(page)
    assert len(data["km"]) == MOST_ARCS
    said = "2,000 of the 100,000 locations, drawn at random with the seed 0"
    assert said in page.read_text()
    assert data["ways"] == data_of(write_report(tmp_path / "b.html", many))["ways"]


SEEN = """({
  ready: document.documentElement.dataset.ready, title: document.title,
  wide: document.documentElement.scrollWidth - innerWidth,
  images: [...document.images].filter(i => !i.naturalWidth).length,
  charts: document.querySelectorAll("svg.chart").length, legend: $("classes").textContent,
  layers: [...document.querySelectorAll("[data-layer]")].map(b => {
    b.click();
    return [layer, cells.length, b.getAttribute("aria-pressed")];
  }),
  hovered: (() => {
    choose("cells");
    const [lat, lon] = data.centroids[0];
    show(...pixelOf(lat, lon));
    return tip.textContent;
  })(),
  way: (() => { document.querySelector("[data-way]").click(); return [layer, chosen.length]; })(),
  sorted: (() => {
    const t = document.querySelector("#countries table"), h = t.tHead.rows[0].cells;
    const column = k => [...t.tBodies[0].rows].map(r => r.cells[k].dataset.v);
    const click = k => { h[k].firstElementChild.click(); return column(k); };
    const columns = [click(1), click(1), click(0)];
    return [...columns, h[0].getAttribute("aria-sort"), h[1].getAttribute("aria-sort")];
  })(),
  reach: [...document.querySelectorAll("a[href], button, canvas, .scroll")].filter(e => e.tabIndex < 0).length,
})"""

DRAWN = """(() => {
  paint();
  const image = pen.getImageData(0, 0, canvas.width, canvas.height).data, seen = new Set();
  for (let i = 0; i < image.length; i += 4) seen.add(image[i] << 16 | image[i + 1] << 8 | image[i + 2]);
  const classes = [...new Set(data.km.map(classOf))];
  return [canvas.width, classes.map(k => seen.has(parseInt(tones[k].slice(1), 16))), seen.has(0xdde8ef)];
})()"""


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser(made: Measured, tmp_path: Path, width: int) -> None:
    page = write_report(tmp_path / "a.html", replace(hostile(made), thumbnails=made.thumbnails))
    seen = open_page(page, width, 900, SEEN)
    assert seen.console == []
    found = seen.result
    assert found["ready"] == "yes"
    assert found["title"].startswith("Report of </script>")
    assert found["wide"] <= 0
    assert found["images"] == 0
    assert found["charts"] == 7
    assert "≤ 25 km" in found["legend"]
    assert [name for name, _, _ in found["layers"]] == ["answers", "countries", "cells"]
    assert found["layers"][2][1:] == [6, "true"]
    assert "training locations" in found["hovered"]
    assert found["way"] == ["answers", 4]
    down, up, names, ascending, unsorted = found["sorted"]
    assert [float(v) for v in down] == sorted(map(float, down), reverse=True)
    assert [float(v) for v in up] == sorted(map(float, up))
    assert names == sorted(names)
    assert (ascending, unsorted) == ("ascending", None)
    assert found["reach"] == 0


@needs_browser
def test_cells_whose_ends_are_not_known_are_dots(made: Measured, tmp_path: Path) -> None:
    n = len(made.partition)
    counts, names = np.zeros(n, dtype=np.int64), made.partition.names
    bare = Partition("centroids", names, names, made.partition.centroids, counts, np.full(n, np.nan))
    page = write_report(tmp_path / "a.html", replace(made, partition=bare))
    data = data_of(page)
    assert data["cells"] == [[]] * n
    assert data["range"] is None
    seen = open_page(page, 1280, 900, SEEN)
    assert seen.console == []
    assert seen.result["hovered"] == names[0]
    assert seen.result["charts"] == 6  # none of counts


@needs_browser
def test_the_map_is_drawn(made: Measured, tmp_path: Path) -> None:
    page = write_report(tmp_path / "a.html", made)
    width, classes, sea = open_page(page, 1280, 900, DRAWN).result
    assert width > 800
    assert all(classes)
    assert sea
