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


def sets() -> str:
    """Return coverage and areas of the sets of cells."""
    words = {
        "mass": "smallest area with that probability",
        "hpd": "`hpd`, the smallest area",
        "lac": "`lac`, the fewest cells",
        "aps": "`aps`, by probability",
    }
    lines = []
    for row in read_results("trust"):
        first = row["folds"]
        for method, text in words.items():
            line = [first, text]
            for share in (50, 90):
                exact = row.get(f"{method}_{share}_exact")
                held = f"{100 * float(row[f'{method}_{share}']):.1f}"
                area = f"{float(row[f'{method}_{share}_km2_median']) / 1e6:,.3g}"
                line += [f"{held} ({100 * float(exact):.1f})" if exact else held, area]
            lines.append(line)
            first = ""
    header = ["folds by", "cells", "50 % sets hold", "million km²", "90 % sets hold", "million km²"]
    searched = [
        f"by {row['folds']} {float(row['searched_median_km2']) / 1e6:,.3g} and "
        f"{float(row['searched_by_probability_median_km2']) / 1e6:,.3g}"
        for row in read_results("trust")
    ]
    note = (
        "Percent of the true cells, and the median area; in brackets of sets that may be empty. 64 K-Means cells divide "
        "the whole earth,\nseas included. The area searched until the true cell is found, by probability per area and by "
        f"probability alone, in the median and\nin million km²: {', '.join(searched)}."
    )
    return f"{markdown(header, lines, left=2)}\n\n{note}"


def risk() -> str:
    """Return risk against coverage by what ranks the answers, and what thresholds do."""
    ranks = {
        "confidence": "confidence, P(within 200 km)",
        "max_probability": "largest probability",
        "entropy": "entropy of the probabilities",
    }
    lines, kept = [], []
    for row in read_results("trust"):
        first = row["folds"]
        for name, text in ranks.items():
            lines.append([first, text, *(f"{100 * float(row[f'{area}_{name}']):.1f}" for area in ("aurc", "augrc"))])
            first = ""
        numbers = [f"{100 * float(row[name]):.0f} %" for name in ("threshold_found", "kept", "error_kept", "error")]
        kept.append(
            f"Folds by {row['folds']}: `--max-error {float(row['wanted_error']):g}` finds a threshold in {numbers[0]} "
            f"of the folds; there it keeps {numbers[1]} of\nthe answers, of which {numbers[2]} are wrong by more than "
            f"200 km, where {numbers[3]} of all answers are."
        )
    table = markdown(["folds by", "answers ranked by", "AURC", "AUGRC"], lines, left=2)
    return "\n".join([table, "", "Percent, of answers wrong by more than 200 km; less is better.", *kept])


def scalings() -> str:
    """Return the errors by temperature and by vector scaling."""
    lines = []
    for row in read_results("trust"):
        first = row["folds"]
        for name in ("temperature", "vector", "auto"):
            scores = [f"{100 * float(row[f'{name}_{score}']):.1f}" for score in ("top1", "balscore")]
            chosen = f"{100 * float(row[f'{name}_vector_chosen']):.0f} %"
            lines.append([first, f"`{name}`", f"{float(row[f'{name}_nll']):.3f}", *scores, chosen])
            first = ""
    header = ["folds by", "`--scaling`", "log-likelihood", "top-1", "balscore", "biases in"]
    return markdown([*header[:2], "negative " + header[2], *header[3:]], lines, left=2)


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
