"""The figures of a report as files, for a thesis or slides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geocell.files import require_new
from geocell.geo.maps import extent
from geocell.plots import draw_cells, draw_centroids, draw_map
from geocell.plots.country_charts import country_map
from geocell.plots.style import own_style, save_figure
from geocell.reporting.charts import charts
from geocell.reporting.examples import drawn

if TYPE_CHECKING:
    from pathlib import Path

    from geocell.reporting.measured import Measured

SUFFIXES = (".svg", ".png")
MAPS = ("error-map", "country-map", "partition")
_MOST_ON_MAP = 500


def write_figures(measured: Measured, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write every chart and map as SVG and PNG; see `Report.save_figures`.

    Returns:
        The files, sorted by name.
    """
    found = charts(measured)
    files = [folder / f"{name}{suffix}" for name in (*found, *MAPS) for suffix in SUFFIXES]
    for file in files:
        require_new(file, overwrite)
    for name, chart in found.items():
        _save(chart.figure, folder, name)
    _write_maps(measured, folder)
    return sorted(files)


def _save(figure: object, folder: Path, name: str) -> None:
    for suffix in SUFFIXES:
        with own_style():
            save_figure(figure, folder / f"{name}{suffix}")  # type: ignore[arg-type]


def _write_maps(measured: Measured, folder: Path) -> None:
    rows = drawn(len(measured.truth), _MOST_ON_MAP)
    truth, points = measured.truth[rows], measured.points[rows]
    box = extent(np.vstack([truth, points]))
    scores, head = measured.value["scores"], measured.value["head"]
    part = (
        ""
        if len(rows) == len(measured.truth)
        else f"{len(rows):,} of {len(measured.truth):,} locations, drawn at random"
    )
    subtitle = f"median {scores['median_km']:,.0f} km, balscore {100 * scores['balscore']:.1f} %"
    shares = {row["code"]: row["within_200"] for row in measured.value["by_country"]}
    _save(country_map(shares, box, "answers within 200 km, %"), folder, "country-map")
    for suffix in SUFFIXES:
        out = folder / f"error-map{suffix}"
        draw_map(out, truth, points, measured.partition, head["name"], subtitle, bbox=box, caption=part)
        cells = folder / f"partition{suffix}"
        if measured.partition.can_assign:
            draw_cells(cells, measured.partition)
        else:
            draw_centroids(cells, measured.partition)
