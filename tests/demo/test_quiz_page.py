"""The map of the quiz: it asks for nothing, gives nothing away, and shows truth, guess and answer."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from geocell.demo.quiz_page import guess_map, result_map
from tests.browser import needs_browser, open_page

BOX = (35.0, -10.0, 60.0, 30.0)
TRUTH, GUESS, ANSWER = (48.0, 11.0), (41.0, 2.0), (52.0, 20.0)


def data_of(page: str) -> dict[str, Any]:
    packed = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert packed is not None
    value = json.loads(packed[1])
    assert isinstance(value, dict)
    return value


def test_it_asks_for_nothing() -> None:
    for page in (guess_map(BOX), result_map(TRUTH, GUESS, ANSWER, "<b>München</b>")):
        assert "default-src 'none'" in page
        assert "--sea:" in page
        assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest|(src|href)=(?!\"data:)", page)
        assert "{{" not in page.replace("{{DATA}}", "")
        assert len(page) < 1_500_000
    assert "&lt;b&gt;München&lt;/b&gt;" in result_map(TRUTH, GUESS, ANSWER, "<b>München</b>")


def test_the_map_before_a_guess_tells_nothing() -> None:
    data = data_of(guess_map(BOX))
    assert (data["truth"], data["answer"], data["guess"], data["arcs"]) == (None, None, None, [])
    assert data["box"] == list(BOX)


def test_the_map_after_it_shows_all_three() -> None:
    data = data_of(result_map(TRUTH, GUESS, ANSWER, "Munich"))
    assert (data["truth"], data["guess"], data["answer"]) == (list(TRUTH), list(GUESS), list(ANSWER))
    for lines, end in zip(data["arcs"], (GUESS, ANSWER), strict=True):
        corners = np.cumsum(np.reshape(lines[0], (-1, 2)), axis=0)[:, ::-1] / data["units"]
        assert np.allclose(corners[0], TRUTH, atol=1e-3)
        assert np.allclose(corners[-1], end, atol=1e-3)
    south, west, north, east = data["box"]
    for lat, lon in (TRUTH, GUESS, ANSWER):
        assert south < lat < north
        assert west < lon < east


@needs_browser
def test_it_is_drawn(tmp_path: Path) -> None:
    page = tmp_path / "quiz.html"
    page.write_text(result_map(TRUTH, GUESS, ANSWER, "Munich"), encoding="utf-8")
    script = (
        "(() => { paint(); const all = pen.getImageData(0, 0, canvas.width, canvas.height); "
        "const at = p => { const [x, y] = pixelOf(...p).map(v => Math.round(v * devicePixelRatio)), "
        "i = 4 * (y * canvas.width + x); return [...all.data.slice(i, i + 3)] }; "
        "return {marks: [data.guess, data.answer, data.truth].map(at), wide: document.documentElement.scrollWidth} })()"
    )
    for width in (900, 500):
        seen = open_page(page, width, 600, script)
        assert seen.console == []
        assert seen.result["marks"] == [[0x00, 0x72, 0xB2], [0xD5, 0x5E, 0x00], [0xF0, 0xE4, 0x42]]
        assert seen.result["wide"] <= width
