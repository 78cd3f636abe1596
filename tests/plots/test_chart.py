"""Charts inside a page: text stays text, colours follow the theme, ids do not meet."""

import re

import numpy as np
import pytest

from geocell.plots.chart import SERIES, inline_svg, new_chart
from geocell.plots.error_charts import error_cdf
from geocell.plots.style import own_style

pytest.importorskip("matplotlib")


def test_colours_with_a_role_become_variables_of_the_page() -> None:
    with own_style():
        figure, axes = new_chart()
        axes.plot([0, 1], [0, 1], color=SERIES[1])
        axes.set_xlabel("error, km")
    text = inline_svg(figure, "one", 'a "b" <c>')
    assert "stroke: var(--series-1)" in text
    assert SERIES[1] not in text
    assert not re.search(r"#(1c2127|59616b|ffffff)", text)
    assert ">error, km</text>" in text
    assert text.startswith('<svg class="chart" viewBox="0 0 ')
    assert 'aria-label="a &quot;b&quot; &lt;c>"' in text
    assert text.endswith("</svg>")


def test_it_brings_nothing_of_its_own_into_the_page() -> None:
    figure = error_cdf({"a": np.array([[1.0, 0.5], [9.0, 1.0]])})
    first, second = (inline_svg(figure, name, "") for name in ("first", "second"))
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for text, known in zip((first, second), ids, strict=True):
        assert set(re.findall(r'(?:href="#|url\(#)([\w.-]+)', text)) <= known
        assert not re.search(r"https?:|<style|<metadata|<\?xml|font-family", text)


def test_names_are_escaped() -> None:
    text = inline_svg(error_cdf({"<script>x</script>": np.array([[1.0, 1.0]])}), "a", "")
    assert "<script" not in text
