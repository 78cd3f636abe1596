"""Tables and lists of a report."""

import re
from dataclasses import replace

from geocell.reporting import sections
from geocell.reporting.measured import Measured
from tests.reporting.conftest import HOSTILE


def test_scores_have_their_unit_and_interval() -> None:
    assert sections.value_text("balscore", 0.4567, unit=True) == "45.7 %"
    assert sections.value_text("median_km", 1234.5) == "1,234"
    assert sections.value_text("geoscore", None) == "–"
    assert sections.interval_text("within_25", (0.1, 0.25)) == "10.0–25.0"
    assert [sections.header_text(name) for name in ("within_25", "median_km", "geoscore", "country_accuracy")] == [
        "≤ 25 km", "median, km", "GeoScore", "country, %",
    ]  # fmt: skip


def test_a_difference_is_marked_where_the_locations_can_tell() -> None:
    rows = [{"name": "other", "difference": {"balscore": [0.1, 0.02, 0.2], "median_km": [50.0, 10.0, 90.0],
                                             "within_25": [0.1, -0.1, 0.2]}}]  # fmt: skip
    (cells,) = sections._differences(rows)
    by_name = dict(zip(("name", *sections._DIFFERENCES), cells, strict=True))
    assert by_name["balscore"].text == "▲ +10.0"
    assert by_name["median_km"].text == "▼ +50.0"  # more km are worse
    assert (by_name["within_25"].text, by_name["within_25"].strong) == ("+10.0", False)
    assert by_name["geoscore"].text == "–"


def test_the_tables_hold_what_was_measured(made: Measured) -> None:
    value = made.value
    text = sections.score_tables(value)
    assert text.count("<tr>") == 1 + len(value["rows"]) + 1 + len(value["rows"]) - 1
    assert f"{100 * value['scores']['balscore']:.1f}" in text
    countries = sections.countries_table(value)
    assert countries.count("<tr>") == 1 + len(value["by_country"])
    about = sections.about(value)
    assert "test; drawn by location" in about
    assert value["leaks"]["verdict"].split(";")[0] in about.replace("&#x27;", "'")
    assert "temperature scaling" in about
    assert sections.distance_facts({**value, "leaks": None}) == ""


def test_an_example_shows_its_image_and_its_way(made: Measured) -> None:
    item = {**made.value["worst"][0], "location": HOSTILE, "truth_place": HOSTILE}
    row = int(made.examples["worst"][0])
    shown = replace(made, value={**made.value, "worst": [item]}, examples={"worst": made.examples["worst"][:1]})
    text = sections.example_cards(replace(shown, thumbnails={row: b"jpeg"}), "worst")
    assert "<script" not in text
    assert 'src="data:image/jpeg;base64,anBlZw=="' in text
    (lat, lon), (to_lat, to_lon) = item["truth"], item["answer"]
    assert f'data-way="{lat},{lon},{to_lat},{to_lon}"' in text
    assert not re.search("<img", sections.example_cards(replace(shown, thumbnails={}), "worst"))
