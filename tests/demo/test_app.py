"""The demo: what its widgets do, and what a visitor sees of it in a browser without a network."""

import gc
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from geocell.demo.answering import Answerer
from geocell.demo.app import Demo, build, one_sentence
from geocell.demo.server import serving
from tests.browser import CHROMIUM, needs_browser
from tests.demo.conftest import World
from tests.demo.test_fragments import Tags

pytestmark = pytest.mark.filterwarnings("ignore")  # those of gradio and of what it serves with


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Have what gradio leaves open collected here, where its warnings are ignored."""
    yield
    gc.collect()


def uploaded(world: World, folder: Path, n: int) -> list[str]:
    """Return copies of photographs as Gradio keeps uploads: each in a folder of its own."""
    paths = []
    for source in world.photos(n):
        place = folder / source.stem
        place.mkdir()
        paths.append(str(shutil.copy(source, place)))
    return paths


def test_photographs_add_up_to_four_and_leave_nothing(world: World, tmp_path: Path) -> None:
    demo = replace(world.demo(), folder=tmp_path)
    (tmp_path / "tmp-empty").touch()
    os.utime(tmp_path / "tmp-empty", (0, 0))
    kept, strip, left_out = demo.add(uploaded(world, tmp_path, 3), ())
    assert (len(kept), strip.count("<img"), left_out) == (3, 3, [])
    assert not list(tmp_path.iterdir())
    kept, strip, left_out = demo.add(uploaded(world, tmp_path, 2), kept)
    assert (len(kept), strip.count("<img")) == (4, 4)
    assert left_out == ["A location has at most 4 photographs here: 1 of 2 are left out."]
    assert not list(tmp_path.iterdir())
    assert demo.add(None, kept)[0] == kept


def test_an_upload_that_has_begun_is_left_alone(world: World, tmp_path: Path) -> None:
    begun = tmp_path / "tmp-of-another-visitor"
    begun.touch()
    os.utime(begun, (2**32, 2**32))  # later than now, whatever the clock says
    replace(world.demo(), folder=tmp_path).add(uploaded(world, tmp_path, 1), ())
    assert list(tmp_path.iterdir()) == [begun]


def test_an_answer_fills_the_page(world: World, tmp_path: Path) -> None:
    demo = Demo(Answerer(world.locator, world.locator))
    kept, _, _ = demo.add(uploaded(world, tmp_path, 1), ())
    said, page, beside, near = demo.answer(kept, "", True, ["One is left out."])
    assert "One is left out." in said
    assert "The two answers are 0.0 km apart." in said
    assert Tags(page).tags[0][0] == Tags(beside).tags[0][0] == "iframe"
    assert near.count("<tr>") == 6
    assert demo.answer((), "", True, []) == ("", "", "", "")


def test_a_game_is_played(world: World) -> None:
    demo = world.demo()
    game, pictures, page, score = demo.ask(demo.begin())
    assert pictures.count("<img") == 2
    assert "iframe" in page
    assert "5,000 points" in score
    with pytest.raises(ValueError, match="a guess must be"):
        demo.guess(game, "somewhere")
    game, page, points = demo.guess(game, "50, 10")
    assert game.played == 1
    assert "It was taken here" in page
    assert "After 1 round" in points
    for _ in range(4):
        game, pictures, page, score = demo.ask(game)
    assert (pictures, page) == ("", "")
    assert "There are no more locations." in score
    with pytest.raises(ValueError, match="there is nothing to guess"):
        demo.guess(game, "50, 10")
    with pytest.raises(ValueError, match="this demo has no quiz"):
        Demo(Answerer(world.locator)).begin()


def test_failures_are_one_sentence_without_paths() -> None:
    gr = pytest.importorskip("gradio")

    def fails(error: Exception) -> None:
        raise error

    with pytest.raises(gr.Error, match="expected a guess"):
        one_sentence(fails)(ValueError("expected a guess"))
    with pytest.raises(gr.Error) as caught:
        one_sentence(fails)(FileNotFoundError(2, "no such file", "/home/me/secret.jpg"))
    assert caught.value.message == "That did not work (FileNotFoundError): try again."
    assert not caught.value.print_exception


def test_it_sends_nothing_home(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gradio")
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    blocks = build(world.demo(), "<Title>", "About")
    assert not blocks.analytics_enabled
    assert {dependency.api_visibility for dependency in blocks.fns.values()} == {"private"}
    assert blocks.delete_cache == (300, 600)


@contextmanager
def visited(address: str, **settings: Any) -> Iterator[tuple[Any, list[str]]]:
    """Yield a page of a browser whose network is the demo alone, and the list of what it complains about."""
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    flags = ["--no-sandbox", "--proxy-server=http://127.0.0.1:9", "--proxy-bypass-list=127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_context(reduced_motion="reduce", **settings).new_page()
        page.set_default_timeout(120_000)
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: complaints.append(asked.url) if not _local(asked.url, address) else None)
        page.goto(address)
        yield page, complaints
        browser.close()


def _local(url: str, address: str) -> bool:
    return url.startswith((address, "data:", "blob:", "about:"))


@needs_browser
@pytest.mark.loopback
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)], ids=["desktop", "phone"])
def test_a_visitor_gets_an_answer(world: World, width: int, height: int) -> None:
    pytest.importorskip("gradio")
    pytest.importorskip("playwright")
    photos = [str(path) for path in world.photos(2)]
    size = {"width": width, "height": height}
    with serving(world.demo(), "Title", "About") as served, visited(served.address, viewport=size) as (page, said):
        page.set_input_files("#upload input[type=file]", photos)
        answer = page.frame_locator("#answer iframe")
        answer.locator("html[data-ready]").wait_for()
        expected = world.locator.locate(photos, one_location=True)
        shown = f"{expected.lat:.3f}°N {expected.lon:.3f}°E"
        assert answer.locator("#now h2").inner_text() == shown
        # the marker, in the colour of an answer, at the place that the map gives the point
        frame = page.frames[1]
        script = (
            "() => { const a = answers[chosen], [x, y] = pixelOf(a.lat, a.lon), r = devicePixelRatio;"
            " return [...pen.getImageData(x * r, y * r, 1, 1).data] }"
        )
        assert frame.evaluate(script)[:3] == [0xD5, 0x5E, 0x00]
        assert page.locator("#strip img").count() == 2
        assert page.locator("#near tbody tr").count() == 5
        page.locator("#decode input").click()
        page.get_by_role("option", name="mean", exact=True).click()
        page.frame_locator("#answer iframe").get_by_text("Decoder mean").first.wait_for(state="attached")
        page.locator("#clear").click()
        page.locator("#answer .empty").wait_for()
        assert page.locator("#strip img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert said == []


@needs_browser
@pytest.mark.loopback
def test_a_visitor_plays(world: World) -> None:
    pytest.importorskip("gradio")
    pytest.importorskip("playwright")
    size = {"width": 390, "height": 844}
    with serving(world.demo(), "Title", "About") as served, visited(served.address, viewport=size) as (page, said):
        page.get_by_role("tab", name="Quiz").click()
        page.locator("#pictures img").first.wait_for()
        page.frame_locator("#quiz-map iframe").locator("html[data-ready]").wait_for()
        page.locator("#quiz-map iframe").scroll_into_view_if_needed()
        box = page.locator("#quiz-map iframe").bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_function("document.querySelector('#guess-text textarea, #guess-text input').value")
        typed = page.locator("#guess-text textarea, #guess-text input").input_value()
        assert re.fullmatch(r"-?\d+\.\d{4}, -?\d+\.\d{4}", typed)
        lat, lon = map(float, typed.split(","))
        assert 30 < lat < 70
        assert -20 < lon < 40
        page.locator("#guess").click()
        page.locator("#score table").wait_for()
        assert "After 1 round" in page.locator("#score").inner_text()
        page.locator("#next").click()
        page.locator("#score table").wait_for(state="detached")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert said == []
