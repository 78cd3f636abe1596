"""Results of a sweep: one line per fit, and one per row with intervals over seeds, as files, table and picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geocell.files import FORMAT, DamagedFileError, csv_text, read_json, reading, require_types, write_text
from geocell.heads.card_file import SCORES_FILE
from geocell.heads.config_file import CONFIG_FILE, read_config
from geocell.metrics.intervals import INTERVAL, student_quantile
from geocell.metrics.scores import SCORE_LABELS, Scores
from geocell.reports.sweeps import PUBLISHED, sweep_text
from geocell.sweeps.plan import Fit, Row

RESULTS_FILE = "results.csv"
SUMMARY_FILE = "summary.csv"
BASELINES_FILE = "baselines.csv"
PLOT_FILE = "summary.png"

SCORES = tuple(SCORE_LABELS)
Values = Mapping[str, Any]


def read_fit(folder: Path) -> dict[str, Any]:
    """Return the values of a finished fit from the folder of its head; shares are fractions.

    Raises:
        FileNotFoundError: when a file is missing.
        ValueError: when one is damaged, or lacks a score.
    """
    training = read_config(folder)["training"]
    with reading(folder / CONFIG_FILE, "the head of a fit"):
        require_types(training, {"epochs_run": int, "best_epoch": int, "val": dict}, f"{folder / CONFIG_FILE} training")
        val = {"balscore": None, **training["val"]}
        require_types(val, {"balscore": (float, type(None))}, f"{folder / CONFIG_FILE} training val")
    path = folder / SCORES_FILE
    with reading(path, "the scores of a fit"):
        scores = Scores.from_dict(read_json(path, "a fit of a sweep"), str(path))
        flat = scores.flat()
        lacking = [name for name in SCORES if name not in flat]
        if lacking or "balscore" not in scores.intervals:
            missing = lacking[0] if lacking else "the interval of balscore"
            raise DamagedFileError(
                f"{path} must have the scores {', '.join(SCORES)}, and lacks {missing}: remove the folder of the fit."
            )
        low, high = scores.intervals["balscore"]
        numbers = [scores.n_cells, scores.n_locations, training["epochs_run"], low, high, *flat.values()]
        if not all(math.isfinite(number) for number in numbers if number is not None):
            raise DamagedFileError(
                f"{path} must have finite numbers, got NaN or infinity: remove the folder of the fit."
            )
    return {
        "n_cells": scores.n_cells,
        "epochs_run": training["epochs_run"],
        "best_epoch": training["best_epoch"],
        "val_balscore": val["balscore"],
        "decoder": scores.decoder,
        "split": scores.split,
        "n_locations": scores.n_locations,
        "n_outside": scores.n_outside,
        "n_at_training_coordinates": scores.n_at_training_coordinates,
        **{name: flat[name] for name in SCORES},
        "balscore_low": low,
        "balscore_high": high,
    }


def seed_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % t interval of a mean over seeds, None for one seed."""
    if len(values) < 2:
        return None
    half = student_quantile((1 + INTERVAL) / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)


@dataclass(frozen=True, eq=False)
class SweepResult:
    """A sweep and its results so far.

    Attributes:
        out: its folder.
        fits: all of its fits.
        finished: name of a fit -> its values.
        failed: name of a row -> the reason why it could not be fitted.
        remarks: what a reader must know about the locations: that some share coordinates with training locations.
        baselines: what the majority cell of each partition and the nearest neighbour reach on the scored locations, a
            line each: `baseline`, `partition` and `n_cells` (None of the neighbour), `n_train` (None of a majority
            cell), scores, `balscore_low` and `balscore_high`.
    """

    out: Path
    fits: Sequence[Fit]
    finished: dict[str, Values]
    failed: dict[str, str]
    remarks: Sequence[str] = ()
    baselines: Sequence[Values] = ()

    @property
    def rows(self) -> list[Row]:
        """The rows, in their order."""
        return list({fit.row.name: fit.row for fit in self.fits}.values())

    def results(self) -> list[dict[str, Any]]:
        """Return one mapping per finished fit, in the order of the rows."""
        return [
            {"head": fit.row.name, "partition": fit.row.partition.name, "seed": fit.config.seed, **values}
            for fit in self.fits
            if (values := self.finished.get(fit.name)) is not None
        ]

    def summary(self) -> list[dict[str, Any]]:
        """Return one mapping per row: means over seeds, their 95 % intervals, and the published numbers.

        `balscore_low` and `_high` are the ends of the interval of a score, averaged over seeds; `…_seeds_low` and
        `_high` those of the mean over seeds, None for one seed. Shares are fractions, the published ones too.
        """
        lines = []
        for row in self.rows:
            done = [line for line in self.results() if line["head"] == row.name]
            line: dict[str, Any] = {"head": row.name, "partition": row.partition.name, "seeds": len(done)}
            line["n_cells"] = done[0]["n_cells"] if done else None
            for name in (*SCORES, "balscore_low", "balscore_high"):
                known = [float(fit[name]) for fit in done if fit[name] is not None]
                line[name] = float(np.mean(known)) if known else None
                if name in SCORES:
                    line[f"{name}_seeds_low"], line[f"{name}_seeds_high"] = seed_interval(known) or (None, None)
            for name in PUBLISHED:
                value = row.published.get(name)
                line[f"published_{name}"] = value if value is None or name == "cells" else round(value / 100, 6)
            lines.append({**line, "failed": self.failed.get(row.name)})
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "format": FORMAT,
            "out": str(self.out),
            "summary": self.summary(),
            "results": self.results(),
            "baselines": [dict(line) for line in self.baselines],
            "remarks": list(self.remarks),
        }

    def write(self) -> None:
        """Write `results.csv`, `summary.csv` and `baselines.csv` with the results so far."""
        write_text(self.out / SUMMARY_FILE, results_csv(self.summary()))
        if self.finished:
            write_text(self.out / RESULTS_FILE, results_csv(self.results()))
        if self.baselines:
            write_text(self.out / BASELINES_FILE, results_csv(self.baselines))

    def draw(self) -> Path:
        """Draw `summary.png`.

        Raises:
            ImportError: when matplotlib is not installed.
        """
        from geocell.plots import draw_sweep

        return draw_sweep(self.out / PLOT_FILE, self.summary(), self.results(), caption=self.note())

    def note(self) -> str:
        """Return decoder, split and number of locations, which stand below the table."""
        done = self.results()
        if not done:
            return "no fit has ended"
        first = done[0]
        return f"decoder {first['decoder']} · split {first['split']} · {first['n_locations']:,} locations"

    def text(self) -> str:
        """Return the table for the terminal, and the rows that could not be fitted."""
        return sweep_text(self.summary(), self.note(), self.failed, self.baselines)


def results_csv(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return mappings with the same keys as CSV, numbers with six significant digits, None as an empty field."""
    return csv_text([{key: _rounded(value) for key, value in line.items()} for line in lines])


def _rounded(value: object) -> object:
    """Return a number to six significant digits, whole ones without a fraction."""
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    number = float(f"{value:.6g}")
    return int(number) if number.is_integer() else number
