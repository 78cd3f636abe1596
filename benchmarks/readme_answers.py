"""Generated parts of the READMEs about answers: decoders, calibration, benchmarks of predictions."""

from __future__ import annotations

from benchmarks.common import read_results
from geocell.evaluation.benchmarks import BENCHMARK_ROWS, BENCHMARK_TRUTHS
from geocell.reports.tables import markdown


def benchmark_rows() -> str:
    """Return the rows of the truth of every benchmark, and the hash of its points."""
    lines = []
    for name, rows in BENCHMARK_ROWS.items():
        found = BENCHMARK_TRUTHS[name]
        lines.append(
            [
                f"`{name}`",
                "not checked" if rows is None else f"{rows:,}",
                "not checked" if found is None else f"`{found[:12]}…`",
            ]
        )
    return markdown(["`--preset`", "rows of the truth", "hash of its points"], lines)


def calibration() -> str:
    """Return calibration errors, coverage and radii before and after."""
    header = ["folds by", "temperature", "calibration error", "after", "truth within", "median radius"]
    lines = []
    for row in read_results("calibration"):
        first = [row["folds"], f"{float(row['temperature_median']):.2f}"]
        first += [f"{100 * float(row[f'ece_{when}']):.1f} %" for when in ("before", "after")]
        for share in (50, 90):
            held = [f"{100 * float(row[f'within_{share}_{when}']):.1f} %" for when in ("before", "after")]
            radii = [f"{float(row[f'radius_{share}_{when}']):,.0f} km" for when in ("before", "after")]
            lines.append([*first, f"{share} %: {' → '.join(held)}", " → ".join(radii)])
            first = [""] * 4
    repeats = read_results("calibration")[0]["repeats"]
    note = (
        f"559 locations, 64 K-Means cells, {repeats} repeats of five folds: three train, one calibrates, one is asked. "
        "Before → after."
    )
    return f"{markdown(header, lines)}\n\n{note}"


def calibrated_decoders() -> str:
    """Return the scores of every decoder of calibrated heads."""
    header = ["answer", "folds by", "≤25 km", "≤200 km", "≤750 km", "balscore", "− centroid"]
    lines = []
    results = read_results("calibrated_decoders")
    for row in results:
        if row["base"] != "centroid":
            continue
        numbers = [f"{float(row[key]):.1f}" for key in ("within_25", "within_200", "within_750", "balscore")]
        ends = [
            f"{float(row[key]):+.1f}".replace("-", "−") for key in ("difference", "difference_low", "difference_high")
        ]
        difference = "" if row["case"] == row["base"] else f"{ends[0]} [{ends[1]}, {ends[2]}]"
        lines.append([row["case"] if " " in row["case"] else f"`{row['case']}`", row["folds"], *numbers, difference])
    note = (
        "Percent of locations, of calibrated heads, on folds that neither trained nor calibrated them. − centroid: of "
        "balscore, paired;\nin brackets its 95 % interval over places and repeats."
    )
    beside = [row for row in results if row["base"] != "centroid"]
    for row in beside:
        low, high = (f"{float(row[f'difference_{end}']):+.1f}".replace("-", "−") for end in ("low", "high"))
        difference = f"{float(row['difference']):+.1f}".replace("-", "−")
        note += f"\nFolds by {row['folds']}: `{row['case']}` less {row['base']} {difference} [{low}, {high}]."
    return f"{markdown(header, lines, left=2)}\n\n{note}"


def decoders() -> str:
    """Return seconds and memory of every decoder."""
    header = ["decoder", "cells", "prepare s", "decode s", "times the product", "peak MB"]
    rows = read_results("decoders")
    lines = [
        [
            f"`{row['decoder']}`",
            f"{int(row['n_cells']):,}",
            *(row[key] for key in ("prepare_s", "decode_s", "times_the_product", "peak_mb")),
        ]
        for row in rows
    ]
    note = (
        f"{int(rows[0]['n_locations']):,} locations; the product is that of their (P, 1024) features and the weights, "
        f"float32, {rows[0]['cores']} cores."
    )
    return f"{markdown(header, lines)}\n\n{note}"
