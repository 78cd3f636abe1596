"""Charts of countries: shares of a row, and the colour of a country on the map."""

import pytest
from matplotlib.colors import to_hex

from geocell.geo.maps import COLOURS
from geocell.plots.chart import HEAT
from geocell.plots.country_charts import confusion_chart, country_map

pytest.importorskip("matplotlib")


def test_cells_of_the_matrix_are_percent_of_their_row() -> None:
    axes = confusion_chart(["France", "Spain"], [[3, 0, 1], [5, 5, 0]]).axes[0]
    texts = {(round(t.get_position()[0]), t.get_position()[1]): t.get_text() for t in axes.texts}
    assert texts == {(0, 0): "75", (2, 0): "25", (0, 1): "50", (1, 1): "50"}
    filled = {to_hex(patch.get_facecolor()) for patch in axes.patches if patch.get_fill()}
    assert {HEAT[7], HEAT[2], HEAT[5]} <= filled
    assert [t.get_text() for t in axes.get_yticklabels()] == ["France (4)", "Spain (10)"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["France", "Spain", "elsewhere"]


def test_a_country_has_the_colour_of_its_share() -> None:
    axes = country_map({"FR": 1.0, "DE": 0.0}, (42.0, -5.0, 55.0, 15.0), "share, %").axes[0]
    colours = [to_hex(artist.get_facecolor()) for artist in axes.patches]
    assert colours.count(COLOURS[-1]) == 1
    assert colours.count(COLOURS[0]) == 1
    with pytest.raises(ValueError, match="latitude comes first"):
        country_map({}, (55.0, -5.0, 42.0, 15.0), "")
