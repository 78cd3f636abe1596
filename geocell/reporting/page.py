"""The page of a report: one file that asks for nothing, with its maps, charts, tables and examples inside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geocell.files import printable, write_text
from geocell.geo.countries import country_outlines
from geocell.geo.gazetteer import Gazetteer
from geocell.geo.maps import ERROR_KM, count_range, extent
from geocell.plots.chart import inline_svg
from geocell.plots.web import GEONAMES, OUTLINES, cell_rings, filled_template, ground, page_box, rings_chars
from geocell.reporting import sections
from geocell.reporting.charts import charts
from geocell.reporting.examples import drawn
from geocell.reporting.html import chart_figure, paragraph, section

if TYPE_CHECKING:
    from geocell.reporting.measured import Measured

MOST_ARCS = 2000
"""Locations on the map of answers; of more, so many are drawn at random."""

_MOST_CELLS = 20_000
_MOST_CELL_CHARS, _MOST_COUNTRY_CHARS = 450_000, 550_000
_MOST_NAME = 60  # characters of the name of a cell
_UNITS = 1e4


def write_report(out: Path, measured: Measured) -> Path:
    """Write the page; see `Report.save`."""
    value = measured.value
    found = {
        name: chart_figure(
            inline_svg(chart.figure, name, f"{chart.title}. {chart.reading}"), chart.title, chart.reading, name
        )
        for name, chart in charts(measured).items()
    }
    name = value["head"]["name"]
    text = filled_template(
        "report.html",
        f"Report of {name}",
        _caption(value),
        _data(measured),
        room="geocell.reporting",
        parts={"PAGE_STYLE": "report.css", "PAGE_SCRIPT": "report.js"},
        fragments=_fragments(measured, found),
        credits_=f"{OUTLINES}. {GEONAMES}" if Gazetteer.installed() else OUTLINES,
    )
    write_text(out, text)
    return out


def _caption(value: Mapping[str, Any]) -> str:
    n, split = value["scores"]["n_locations"], value["split"]
    where = f"{n:,} locations of split {split['name']}" if split["protocol"] else f"all {n:,} locations of the cache"
    return f"{value['head']['kind'].capitalize()} on {where}, decoder {value['scores']['decoder']}"


def _parts(measured: Measured, found: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return id -> title and content of every section but the map; those without content are empty."""
    value = measured.value

    def figures(*names: str, beside: str = "") -> str:
        shown = "\n".join(found[name] for name in names if name in found)
        shown += f"<div>{beside}</div>" if beside else ""
        return f'<div class="figures">{shown}</div>' if shown else ""

    def of(*parts: str) -> str:
        return "\n".join(filter(None, parts))

    images = "" if measured.thumbnails else "Their images are not on this machine, or were left out."
    seeded = f"Drawn with the seed {value['seed']}, whatever their error."
    counts = figures("cell-counts")
    trust = figures("reliability", "risk-coverage", "coverage", beside=sections.trust_text(value))
    return {
        "summary": ("Summary", of(sections.key_scores(value), sections.verdict(value))),
        "about": ("What was measured", sections.about(value)),
        "scores": ("Scores", sections.score_tables(value)),
        "errors": ("Errors", of(figures("error-cdf", "by-distance"), sections.distance_facts(value))),
        "trust": ("Trust in answers", trust),
        "countries": ("Countries", of(sections.countries_table(value), figures("confusion"))),
        "partition": ("Partition", of('<div class="pair">', sections.partition_facts(measured), counts, "</div>")),
        "worst": ("Largest errors", of(paragraph(images, "note"), sections.example_cards(measured, "worst"))),
        "random": ("Random locations", of(paragraph(seeded, "note"), sections.example_cards(measured, "random"))),
    }


def _fragments(measured: Measured, found: Mapping[str, str]) -> dict[str, str]:
    """Return the HTML of the page before and after its map, and the links to all sections."""
    parts = _parts(measured, found)
    names = list(parts)
    at = names.index("scores") + 1
    shown = {name: section(name, title, content) for name, (title, content) in parts.items()}
    links = {name: parts[name][0] for name in names if shown[name]}
    order = [*names[:at], "map-section", *names[at:]]
    links["map-section"] = "Map"
    return {
        "BEFORE_MAP": "\n".join(shown[name] for name in names[:at]),
        "AFTER_MAP": "\n".join(shown[name] for name in names[at:]),
        "CONTENTS": "".join(f'<a href="#{name}">{links[name]}</a>' for name in order if name in links),
        "MAP_NOTE": paragraph(_map_note(measured), "note"),
    }


def _map_note(measured: Measured) -> str:
    n, seed = len(measured.truth), measured.value["seed"]
    part = f"{MOST_ARCS:,} of the {n:,} locations, drawn at random with the seed {seed}. " if n > MOST_ARCS else ""
    return f"{part}Arcs are the shortest ways from the true place, a dot, to the answer, a small cross."


def _data(measured: Measured) -> dict[str, Any]:
    """Return what the map draws: a sample of locations, shares by country, and the cells."""
    rows = drawn(len(measured.truth), MOST_ARCS)
    truth, points = measured.truth[rows], measured.points[rows]
    partition, value = measured.partition, measured.value
    cells = np.arange(len(partition))
    if len(cells) > _MOST_CELLS:  # the fullest, whose places are known best
        cells = np.sort(np.argsort(-partition.counts, kind="stable")[:_MOST_CELLS])
    outlines = cell_rings(partition, cells.tolist(), _MOST_CELL_CHARS)
    if rings_chars(outlines) > 1.5 * _MOST_CELL_CHARS:
        outlines = [[] for _ in cells]  # too many for outlines: their centroids are drawn
    box = extent(np.vstack([truth, points, measured.truth[measured.examples["worst"]]]))
    counts = np.maximum(partition.counts[cells], 1)
    return {
        **ground(page_box(box), _MOST_COUNTRY_CHARS),
        "codes": country_outlines()["iso_a2"].tolist(),
        "ways": np.round(np.hstack([truth, points]) * _UNITS).astype(np.int64).ravel().tolist(),
        "ends": list(ERROR_KM),
        "km": np.round(measured.distances_km[rows]).astype(np.int64).tolist(),
        "by_country": {
            row["code"]: [row["name"], row["n_locations"], round(row["within_200"], 4), round(row["median_km"])]
            for row in value["by_country"]
        },
        "names": [_cut(partition.labels[c] or partition.names[c]) for c in cells],
        "counts": partition.counts[cells].tolist(),
        "n_cells": len(partition),
        "range": list(count_range(counts))[:2] if partition.counts.any() else None,
        "centroids": np.round(partition.centroids[cells], 3).tolist(),
        "cells": outlines,
    }


def _cut(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= _MOST_NAME else f"{shown[: _MOST_NAME - 1]}…"
