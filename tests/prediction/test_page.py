"""The page of answers: one file with everything inside, cells where they are known, areas of the right size."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geocell.geo.geodesy import distance_km
from geocell.partitioners import KMeansPartitioner
from geocell.partitioners.base import Partition
from geocell.prediction.page import MOST_ANSWERS, write_answers
from geocell.prediction.predictions import Predictions, predict_locations
from geocell.prediction.records import Prediction, unanswered
from tests.browser import disc_of, needs_browser, open_page
from tests.prediction.test_predictions import PLACES, bare, head_with
from tests.worlds import make_locations

HOSTILE = [
    "</script><script>document.title = 'taken'</script><!--.jpg",
    "{{DATA}} \x1b[2J\u202egpj.exe",
    "caf\udce9.jpg",
]
ANSWER = "#d55e00"


def answers(known: bool = True, places: np.ndarray = PLACES, truth: bool = True) -> Predictions:
    partition = KMeansPartitioner(k=4, seed=0).fit(places) if known else bare(places)
    latlon = np.array([[50.5, 11.0], [np.nan, np.nan], [np.nan, np.nan]] if truth else np.full((3, 2), np.nan))
    locations = make_locations(latlon, np.zeros((3, 2)))
    locations.ids[:] = HOSTILE
    return predict_locations(head_with([0.6, 0.2, 0.15, 0.05], partition), locations, top_k=3)


def data_of(page: Path) -> dict[str, Any]:
    packed = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert packed is not None
    value = json.loads(packed[1])
    assert isinstance(value, dict)
    return value


def corners(ring: list[int], units: float) -> np.ndarray:
    return np.cumsum(np.reshape(ring, (-1, 2)), axis=0)[:, ::-1] / units


def test_a_page_does_not_tell_where_images_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    found = answers()
    names = [f"/home/somebody/photos/{name}.jpg" for name in "ab"]
    items = [replace(item, location=name) for item, name in zip(found, names, strict=False)]
    problem = f"1 of 2 views could not be read, the first {names[1]}: no such file"
    items.append(unanswered("L1", "centroid", problem))
    page = write_answers(tmp_path / "a.html", items, found.partition)
    assert "somebody" not in page.read_text()
    assert [answer["location"] for answer in data_of(page)["answers"]] == ["a.jpg", "b.jpg", "L1"]
    assert data_of(page)["answers"][2]["problem"].endswith("the first b.jpg: no such file")
    single = write_answers(tmp_path / "b.html", items[:1], found.partition)
    assert "somebody" not in single.read_text()
    assert "Where was it taken? a.jpg" in single.read_text()


def at(item: Prediction, lat: float, lon: float, half: float, most: float) -> Prediction:
    return replace(item, lat=lat, lon=lon, radius_50_km=half, radius_90_km=most)


def area_of(item: Prediction, partition: Partition, tmp_path: Path, which: int) -> tuple[np.ndarray, int] | None:
    data = data_of(write_answers(tmp_path / "area.html", [item], partition))
    area = data["answers"][0]["areas"][which]
    return None if area is None else (corners(area["ring"], data["units"]), area["pole"])


def test_it_is_one_file_whatever_images_are_called(tmp_path: Path) -> None:
    page = answers().save(tmp_path / "a.html")
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest|(src|href)=(?!\"data:)", text)
    assert "default-src 'none'" in text
    assert not re.search(r"\{\{(STYLE|SCRIPT|TITLE|CAPTION|CREDITS|PAGE_\w+)\}\}", text)
    assert [a["location"] for a in data_of(page)["answers"]] == [HOSTILE[0], "{{DATA}} �[2J�gpj.exe", "caf�.jpg"]
    assert text.count("<script") == text.count("</script>") == 2
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    assert "<h1>Where was it taken? 3 locations</h1>" in text
    one = answers()[1:2].save(tmp_path / "b.html").read_text(encoding="utf-8")
    assert "<title>Where was it taken? {{DATA}} �[2J�gpj.exe</title>" in one


def test_cells_are_those_of_the_answers(tmp_path: Path) -> None:
    asked = answers()
    data = data_of(asked.save(tmp_path / "a.html"))
    assert len(data["cells"]) == len(data["names"]) == 3
    for ring, centroid in zip(data["cells"], data["centroids"], strict=True):
        outline = corners(ring[0], data["units"])
        assert (outline.min(axis=0) <= centroid).all()
        assert (outline.max(axis=0) >= centroid).all()
    answer = data["answers"][0]
    assert [p for _, p in answer["cells"]] == pytest.approx([0.6, 0.2, 0.15], abs=1e-5)
    assert [data["names"][i] for i, _ in answer["cells"]] == [cell.name for cell in asked[0].cells]


def test_cells_of_the_area_are_shaded_beside_those_that_are_named(tmp_path: Path) -> None:
    partition = KMeansPartitioner(k=4, seed=0).fit(PLACES)
    locations = make_locations(np.zeros((1, 2)), np.zeros((1, 2)))
    asked = predict_locations(head_with([0.4, 0.3, 0.22, 0.08], partition), locations, top_k=1)
    answer = data_of(asked.save(tmp_path / "a.html"))["answers"][0]
    assert [p for _, p in answer["cells"]] == pytest.approx([0.4, 0.3, 0.22], abs=1e-5)
    assert answer["named"] == 1


def test_areas_reach_as_far_as_they_say(tmp_path: Path) -> None:
    asked = answers()
    data = data_of(asked.save(tmp_path / "a.html"))
    answer, radii = data["answers"][0], (asked[0].radius_50_km, asked[0].radius_90_km)
    assert answer["radii"] == pytest.approx(radii, abs=1e-3)  # not rounded here and again by the page
    for area, key, radius in zip(answer["areas"], ("50", "90"), radii, strict=True):
        ring = corners(area["ring"], data["units"])
        assert distance_km((asked[0].lat, asked[0].lon), ring) == pytest.approx(np.full(90, radius), abs=0.1)
        south, west, north, east = answer["boxes"][key]
        assert (ring[:, 0].min(), ring[:, 0].max()) == pytest.approx((south, north), abs=0.01)
        assert (ring[:, 1].min(), ring[:, 1].max()) == pytest.approx((west, east), abs=0.01)


def test_an_area_goes_on_past_the_antimeridian(tmp_path: Path) -> None:
    found = area_of(at(answers()[0], -17.0, 179.5, 300.0, 300.0), answers().partition, tmp_path, 0)
    assert found is not None
    ring, pole = found
    assert pole == 0
    assert ring[:, 1].max() > 181
    assert np.abs(np.diff(ring[:, 1])).max() < 1
    box = data_of(tmp_path / "area.html")["answers"][0]["boxes"]["50"]
    assert box[3] == pytest.approx(ring[:, 1].max(), abs=0.01)


@pytest.mark.parametrize(("lat", "pole"), [(75.0, 1), (-75.0, -1)])
def test_an_area_around_a_pole_is_a_line_from_edge_to_edge(tmp_path: Path, lat: float, pole: int) -> None:
    item = at(answers()[0], lat, 20.0, 3000.0, 3000.0)
    found = area_of(item, answers().partition, tmp_path, 0)
    assert found is not None
    ring, around = found
    assert around == pole
    assert abs(ring[-1, 1] - ring[0, 1]) == pytest.approx(360.0, abs=1e-3)
    assert distance_km((lat, 20.0), ring) == pytest.approx(np.full(len(ring), 3000.0), abs=0.1)
    assert (ring[:, 1].min(), ring[:, 1].max()) == pytest.approx((-160.0, 200.0), abs=1e-3)  # the point in its middle
    south, west, north, east = data_of(tmp_path / "area.html")["answers"][0]["boxes"]["50"]
    assert (east - west, abs(north if pole > 0 else south)) == (360.0, 84.0)


def test_most_of_the_earth_is_no_area(tmp_path: Path) -> None:
    assert area_of(at(answers()[0], 10.0, 0.0, 100.0, 12_000.0), answers().partition, tmp_path, 1) is None
    assert data_of(tmp_path / "area.html")["answers"][0]["boxes"]["90"] == [-84.0, -180.0, 84.0, 180.0]


def test_the_truth_is_shown_with_its_distance_and_the_way(tmp_path: Path) -> None:
    asked = answers()
    data = data_of(asked.save(tmp_path / "a.html"))
    first, second, _ = data["answers"]
    assert "truth" not in second
    assert first["truth"] == [50.5, 11.0]
    assert first["away"] == pytest.approx(asked[0].distance_km, abs=1e-3)
    way = corners(first["arc"][0], data["units"])
    assert way[0] == pytest.approx([50.5, 11.0], abs=1e-4)
    assert way[-1] == pytest.approx([asked[0].lat, asked[0].lon], abs=1e-4)
    south, west, north, east = first["boxes"]["truth"]
    assert south < min(50.5, asked[0].lat) < max(50.5, asked[0].lat) < north
    assert west < min(11.0, asked[0].lon) < max(11.0, asked[0].lon) < east


def test_without_cells_there_are_centroids(tmp_path: Path) -> None:
    data = data_of(answers(known=False).save(tmp_path / "a.html"))
    assert data["cells"] == [[], [], []]
    assert data["centroids"] == PLACES[:3].tolist()


def test_it_says_that_photographs_unlike_those_of_the_region_are_doubted(tmp_path: Path) -> None:
    said = "unlike those of its region are doubted"
    made = answers()
    assert said not in write_answers(tmp_path / "a.html", made, made.partition).read_text()
    known = [replace(item, outside_region=i == 1, doubt="it is unlike") for i, item in enumerate(made)]
    page = write_answers(tmp_path / "b.html", known, made.partition)
    assert said in page.read_text()
    assert data_of(page)["answers"][1]["doubt"] == "it is unlike"


def test_a_location_without_an_answer_is_listed_with_its_reason(tmp_path: Path) -> None:
    asked = answers()
    bad = unanswered("broken.jpg", "centroid", "no such file")
    data = data_of(write_answers(tmp_path / "a.html", [bad, *asked], asked.partition))
    assert (data["answers"][0]["location"], data["answers"][0]["problem"]) == ("broken.jpg", "no such file")
    assert data["answers"][0]["cells"] == []
    alone = data_of(write_answers(tmp_path / "b.html", [bad], asked.partition))
    assert len(alone["answers"]) == 1


def test_places_are_named_and_their_source_is_credited(tmp_path: Path) -> None:
    asked = answers()
    assert "GeoNames" not in asked.save(tmp_path / "a.html").read_text(encoding="utf-8")
    cells = tuple(replace(cell, place=f"near {cell.name}") for cell in asked[0].cells)
    page = write_answers(tmp_path / "b.html", [replace(asked[0], place="Jena, Germany", cells=cells)], asked.partition)
    data = data_of(page)
    assert data["answers"][0]["place"] == "Jena, Germany"
    assert data["places"] == [f"near {name}" for name in data["names"]]
    assert "GeoNames (CC BY 4.0)" in page.read_text(encoding="utf-8")


def test_a_page_of_many_answers_stays_small(tmp_path: Path) -> None:
    """Answers, thumbnails and outlines are bounded: a page is sent and opened on a phone."""
    rng = np.random.default_rng(0)
    places = np.column_stack([rng.uniform(-60, 75, 4000), rng.uniform(-180, 180, 4000)])
    partition = KMeansPartitioner(k=600, seed=0).fit(places)
    locations = make_locations(places[: 2 * MOST_ANSWERS], np.zeros((2 * MOST_ANSWERS, 2)))
    asked = predict_locations(head_with(rng.dirichlet(np.full(600, 0.1)).tolist(), partition), locations)
    items = [replace(item, thumbnails=(bytes(rng.integers(0, 256, 12_000, dtype=np.uint8)),)) for item in asked]
    page = write_answers(tmp_path / "a.html", items, partition)
    assert page.stat().st_size < 3_000_000
    data = data_of(page)
    assert len(data["answers"]) == MOST_ANSWERS
    shown = [a["thumbnails"] for a in data["answers"]]
    assert 50 < sum(map(len, shown)) < MOST_ANSWERS
    assert base64.b64decode(shown[0][0]) == items[0].thumbnails[0]
    assert f"The first {MOST_ANSWERS} of {2 * MOST_ANSWERS} locations" in page.read_text(encoding="utf-8")


FREE = """(() => {
  const [top, right, bottom, side] = margins();
  const inside = ([x, y]) => x > side && x < width() - right && y > top && y < height() - bottom;
  const seen = what => {
    frame(what);
    const corners = what === "truth" ? [[answers[chosen].lat, answers[chosen].lon], answers[chosen].truth]
      : [0, 1].map(i => [answers[chosen].boxes[what][2 * i], answers[chosen].boxes[what][2 * i + 1]]);
    return corners.map(c => pixelOf(...c)).every(inside);
  };
  const views = ["50", "90", "truth"].map(seen);
  frame("50");
  return {title: document.title, views, over: document.documentElement.scrollWidth - innerWidth, rows: rows.length,
    folded: panel.classList.contains("folded"), top: panel.getBoundingClientRect().top / innerHeight,
    shown: $("now").textContent};
})()"""


@needs_browser
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_a_browser_shows_the_answer_beside_the_panel(tmp_path: Path, width: int, height: int) -> None:
    bad = unanswered("broken.jpg", "centroid", "no such file")
    asked = answers()
    page = write_answers(tmp_path / "a.html", [*asked, bad], asked.partition)
    seen = open_page(page, width, height, FREE)
    assert seen.console == []
    assert seen.pixels.shape == (height, width, 3)
    assert seen.result["title"] == "Where was it taken? 4 locations"  # no script of a name ran
    assert seen.result["views"] == [True, True, True]
    assert seen.result["over"] == 0  # nothing to scroll sideways
    assert seen.result["rows"] == 4
    assert HOSTILE[0] in seen.result["shown"]
    found = disc_of(seen.pixels, ANSWER)
    assert found is not None
    if width < 640:
        assert seen.result["folded"]
        assert seen.result["top"] > 0.55  # the sheet leaves the map its room
        assert found[1] < 0.55 * height
    else:
        assert found[0] > 370


RESIZED = """(() => {
  const before = [canvas.clientWidth, scale];
  canvas.style.width = "300px";
  fit();  // what the observer of its size calls
  return {before, after: [canvas.clientWidth, scale], pixels: canvas.width};
})()"""


@needs_browser
def test_a_map_of_another_size_is_painted_before_it_is_shown(tmp_path: Path) -> None:
    asked = answers()
    page = write_answers(tmp_path / "a.html", asked, asked.partition)
    seen = open_page(page, 800, 600, RESIZED)
    assert seen.console == []
    assert seen.result["pixels"] == seen.result["after"][0] == 300
    assert seen.result["before"][0] == 800
    assert seen.result["after"][1] < seen.result["before"][1]  # the same view again, in a narrower map


KEYS = """(() => {
  const press = key => window.dispatchEvent(new KeyboardEvent("keydown", {key, cancelable: true}));
  const views = ["2", "3", "0", "1"].map(key => {
    press(key); return [...document.querySelectorAll("[data-view][aria-pressed=true]")].map(b => b.dataset.view);
  });
  const before = scale; press("+"); const nearer = scale / before; press("-");
  press("n"); const next = chosen; press("p"); press("p"); const last = chosen;
  choose(0); const middle = left + width() / 2 / scale; press("ArrowRight");
  const east = left + width() / 2 / scale - middle;
  $("grip").click(); const folded = panel.classList.contains("folded");
  canvas.dispatchEvent(new WheelEvent("wheel", {deltaY: -300, cancelable: true}));
  return {views, nearer, next, last, east, folded, first: answers[0].location, wheel: scale > before};
})()"""


@needs_browser
def test_a_browser_is_led_by_keys(tmp_path: Path) -> None:
    asked = answers()
    seen = open_page(write_answers(tmp_path / "a.html", asked, asked.partition), 1280, 800, KEYS)
    assert seen.console == []
    assert seen.result["views"] == [["90"], ["truth"], ["all"], ["50"]]
    assert seen.result["nearer"] == pytest.approx(1.6)
    assert (seen.result["next"], seen.result["last"]) == (1, 2)
    assert seen.result["east"] > 0
    assert seen.result["folded"]
    assert seen.result["wheel"]


@needs_browser
def test_a_browser_shows_dark_pages_and_pages_without_an_answer(tmp_path: Path) -> None:
    asked = answers(known=False)
    dark = open_page(asked.save(tmp_path / "a.html"), 800, 600, "dark.matches", ("--force-dark-mode",))
    assert dark.console == []
    assert dark.result is True
    assert dark.pixels.mean() < 100
    none = write_answers(tmp_path / "b.html", [unanswered("x.jpg", "centroid", "no such file")], asked.partition)
    seen = open_page(none, 800, 600, "document.body.innerText")
    assert seen.console == []
    assert "No answer: no such file" in seen.result


@needs_browser
def test_the_console_would_tell_of_a_request(tmp_path: Path) -> None:
    page = answers().save(tmp_path / "a.html")
    page.write_text(page.read_text().replace("<body>", '<body><img src="https://example.org/x.png">'))
    assert open_page(page, 400, 400).console
