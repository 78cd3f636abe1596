"""Results as text: tables of scores and of audits, for the terminal and for Markdown.

Objects and JSON hold fractions; percent begins here. These functions return strings and print nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from geocell.decoders.base import decoder_label
from geocell.metrics.clusters import clusters_text
from geocell.metrics.scores import shared_coordinates_text
from geocell.reports.tables import (
    ABSENT,
    Column,
    Row,
    Table,
    chosen_columns,
    km_text,
    number,
    numbers,
    percent,
    words,
)


def _within(km: str) -> Column:
    def text(row: Row) -> str | None:
        fractions = row.get("within")
        value = number(fractions, km) if isinstance(fractions, Mapping) else None
        return None if value is None else percent(value)

    return Column(f"within_{km}", f"≤{km}", text)


def _balscore(row: Row) -> str | None:
    value = number(row, "balscore")
    if value is None:
        return None
    intervals = row.get("intervals")
    interval = intervals.get("balscore") if isinstance(intervals, Mapping) else None
    if not isinstance(interval, Sequence) or len(interval) != 2:
        return percent(value)
    low, high = (float(end) for end in interval)
    return f"{percent(value)} [{percent(low)}, {percent(high)}]"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _outside(row: Row) -> str | None:
    """Return how many locations lie in no cell, which is worth a column only when there are some."""
    value = number(row, "n_outside")
    return _count(value) if value else None


def _weights(row: Row) -> str | None:
    low, high = number(row, "weight_min"), number(row, "weight_max")
    return None if low is None or high is None else f"{low:.2g}–{high:.3g}"


_DISTANCES = (
    numbers("median_km", "median km", km_text),
    numbers("mean_km", "mean km", km_text),
    *(_within(km) for km in ("1", "25", "200", "750", "2500")),
    Column("balscore", "balscore", _balscore),
)

COLUMNS: tuple[Column, ...] = (
    words("head", "head"),
    words("fit", "fit"),
    words("partition", "partition"),
    numbers("n_cells", "cells", _count),
    words("decoder", "decoder", shared=True, form=decoder_label),
    words("split", "split", shared=True),
    numbers("n_locations", "locations", _count, shared=True),
    Column("n_outside", "outside", _outside),
    numbers("top1", "top-1", percent),
    numbers("top5", "top-5", percent),
    numbers("outside_region", "flagged", percent),
    *_DISTANCES,
)
"""The columns of every score table, in their order; further keys of a row are not shown."""

CELL_COLUMNS: tuple[Column, ...] = (
    words("partition", "partition"),
    words("kind", "kind"),
    numbers("n_cells", "cells", _count),
    numbers("count_min", "fewest", _count),
    numbers("count_median", "median", "{:,g}".format),
    numbers("count_max", "most", _count),
    numbers("n_single", "single", _count),
    numbers("count_gini", "Gini", "{:.2f}".format),
    Column("weights", "weights", _weights),
    numbers("radius_km_median", "radius km", km_text),
    numbers("area_km2_median", "area km²", _count),
    numbers("n_parameters", "parameters", _count),
)
"""The first columns of an audit: how cells are filled, how large they are."""

CEILING_COLUMNS: tuple[Column, ...] = (
    words("partition", "partition"),
    words("country", "country"),
    numbers("n_locations", "locations", _count, shared=True),
    numbers("fallback", "fallback", percent),
    numbers("outside", "outside", percent),
    *_DISTANCES,
)
"""The other columns of an audit: how locations find their cells, what the oracle reaches."""


def _table(rows: Sequence[Row], all_columns: Sequence[Column], keys: Sequence[str] | None = None) -> Table:
    chosen = chosen_columns(rows, all_columns, keys)
    texts = {column.key: [column.text(row) or ABSENT for row in rows] for column in chosen}
    notes = []
    for column in [column for column in chosen if column.shared and keys is None]:
        if len(set(texts[column.key])) == 1:
            value = texts.pop(column.key)[0]
            notes.append(f"{value} {column.header}" if column.key == "n_locations" else f"{column.header} {value}")
            chosen.remove(column)
    if any(column.key.startswith(("top", "within_", "balscore")) for column in chosen):
        top = "top-k, " if any(column.key.startswith("top") for column in chosen) else ""
        notes.append(f"{top}≤km (locations within that distance) and balscore in %")
    if any(column.key == "outside_region" for column in chosen):
        notes.append("flagged as outside the region in %")
    if any("[" in text for text in texts.get("balscore", ())):
        drawn = {(row.get("clustered_by"), row.get("n_clusters")) for row in rows}
        by, n = drawn.pop() if len(drawn) == 1 else (None, None)
        over = f" over {clusters_text(by, n)}" if isinstance(by, str) and isinstance(n, int) else ""
        notes.append(f"[95 % interval{over}]")
    cells = [[texts[column.key][i] for column in chosen] for i in range(len(rows))]
    return Table(chosen, cells, " · ".join(notes))


def score_table(rows: Sequence[Row], columns: Sequence[str] | None = None, beside: Sequence[Row] = ()) -> str:
    """Return scores as an aligned table for the terminal.

    Args:
        rows: one mapping per head: `Scores.to_dict()`, and the words that tell rows apart (`head`, `fit`,
            `partition`). Other keys are not shown.
        columns: keys of `COLUMNS` to show, in this order. When omitted, those with a value in some row, and what all
            rows share (decoder, split, number of locations) stands in the note below.
        beside: further rows below these, of baselines.

    Returns:
        Header, rule, rows and note, without a final newline. Below a single row stands the interval of every score,
        and below the note how many of its locations have the coordinates of a training location, if any.

    Raises:
        ValueError: for no rows, or an unknown column.
        TypeError: when a row holds something else than a number where a score belongs.
    """
    table = _table([*rows, *beside], COLUMNS, columns)
    if len(rows) == 1:
        table.cells[1:1] = _interval_lines(rows[0], table.columns)
        if said := shared_coordinates_text(rows[0]):
            return f"{table.text()}\n{said}"
    return table.text()


def _interval_lines(row: Row, columns: Sequence[Column]) -> list[list[str]]:
    """Return a line with the interval of every score but balscore, which has its own beside it; none without."""
    known = row.get("intervals")
    texts = []
    for column in columns:
        ends = known.get(column.key) if isinstance(known, Mapping) and column.key != "balscore" else None
        form = km_text if column.key.endswith("_km") else percent
        texts.append("" if ends is None else f"[{form(ends[0])}, {form(ends[1])}]")
    return [texts] if any(texts) else []


def markdown_table(rows: Sequence[Row], columns: Sequence[str] | None = None) -> str:
    """Return the same table as `score_table` in Markdown, for model cards and READMEs.

    Raises:
        ValueError: see `score_table`.
        TypeError: see `score_table`.
    """
    return _table(rows, COLUMNS, columns).markdown()


def audit_table(rows: Sequence[Row]) -> str:
    """Return audits of partitions side by side, for the terminal.

    Args:
        rows: one mapping per partition: `Audit.to_dict()`, and the word that tells rows apart (`partition`).

    Returns:
        A table of the cells, one of the oracle's ceilings, what they mean, and the advice; without a final newline.

    Raises:
        ValueError: for no rows.
        TypeError: when a row holds something else than a number where one belongs.
    """
    cells, ceilings = _table(rows, CELL_COLUMNS), _table(rows, CEILING_COLUMNS)
    of_heads = any(column.key == "n_parameters" for column in cells.columns)
    notes = [
        "fewest, median, most: training locations in a cell; single: cells with one; weights: by inverse frequency\n"
        f"radius, area: median over the cells{'; parameters: of a head' if of_heads else ''}",
        "of an oracle that knows the true cell and answers its centroid; fallback, outside: in %",
    ]
    blocks = [f"{cells.text()}\n{notes[0]}", f"{ceilings.text()}\n{notes[1]}"]
    advice = [f"{row.get('partition', '')}: {text}" for row in rows for text in _texts(row.get("advice"))]
    return "\n\n".join([*blocks, *(["\n".join(advice)] if advice else [])])


NO_COUNTRIES = "ceilings by country need a column 'country' beside the coordinates, and there is none: add it."


def country_table(rows: Sequence[Row]) -> str:
    """Return what the oracle reaches in every country, one table over all partitions, worst countries first.

    Args:
        rows: as for `audit_table`; those of `Audit.to_dict()["countries"]` are shown.

    Raises:
        ValueError: when no row knows countries.
    """
    lines = []
    for row in rows:
        countries = row.get("countries")
        known = countries.items() if isinstance(countries, Mapping) else ()
        found = [{"country": name, **value} for name, value in known]
        found.sort(key=lambda line: (line["balscore"], -line["n_locations"], line["country"]))
        lines += [{"partition": row.get("partition"), **line} for line in found]
    if not lines:
        raise ValueError(NO_COUNTRIES)
    return _table(lines, CEILING_COLUMNS).text()


def _texts(value: object) -> list[str]:
    return [str(text) for text in value] if isinstance(value, Sequence) and not isinstance(value, str) else []
