"""Generated parts of the READMEs about answers: decoders, calibration, benchmarks of predictions."""

from __future__ import annotations

from collections.abc import Mapping

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
                "not pinned" if found is None else f"`{found[:12]}…`",
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
        "Percent of the true cells, and the median area; in brackets of sets that may be empty. 64 K-Means cells "
        "divide the whole earth,\nseas included. The area searched until the true cell is found, by probability per "
        f"area and by probability alone, in the median and\nin million km²: {', '.join(searched)}."
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
            areas = [f"{area}_{name}" for area in ("aurc", "augrc")]
            lines.append([first, text, *(f"{_percent(row, area)} {_ends(row, area)}" for area in areas)])
            first = ""
        numbers = [f"{100 * float(row[name]):.0f} %" for name in ("threshold_found", "kept", "error_kept", "error")]
        kept.append(
            f"Folds by {row['folds']}: `--max-error {float(row['wanted_error']):g}` finds a threshold in {numbers[0]} "
            f"of the folds; there it keeps {numbers[1]} of\nthe answers, of which {numbers[2]} are wrong by more than "
            f"200 km, where {numbers[3]} of all answers are."
        )
    table = markdown(["folds by", "answers ranked by", "AURC", "AUGRC"], lines, left=2)
    note = "Percent, of answers wrong by more than 200 km; less is better. In brackets 95 % intervals over places."
    return "\n".join([table, "", note, *kept])


def _percent(row: dict[str, str], name: str) -> str:
    return f"{100 * float(row[name]):.1f}"


def _ends(row: dict[str, str], name: str) -> str:
    return f"[{_percent(row, f'{name}_low')}, {_percent(row, f'{name}_high')}]"


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


def place_decoders() -> str:
    """Return the scores of decoders over training places, beside those over centroids."""
    header = ["answer", "folds by", "≤1 km", "≤25 km", "≤200 km", "≤750 km", "balscore", "− centroid"]
    lines, repeats = [], ""
    for row in read_results("place_decoders"):
        numbers = [f"{float(row[f'within_{radius}']):.1f}" for radius in (1, 25, 200, 750)]
        low, high = (f"{float(row[f'difference_{end}']):+.1f}".replace("-", "−") for end in ("low", "high"))
        difference = f"{float(row['difference']):+.1f}".replace("-", "−")
        beside = "" if row["case"] == row["base"] else f"{difference} [{low}, {high}]"
        name, comma, words = row["case"].partition(", ")
        balscore, repeats = f"{float(row['balscore']):.1f}", row["repeats"]
        lines.append([f"`{name}`{comma}{words}", row["folds"], *numbers, balscore, beside])
    note = (
        f"Percent of locations, 64 K-Means cells, {repeats} repeats of five folds. − centroid: of balscore, paired; in "
        "brackets its 95 % interval over\nplaces and repeats. Chosen: how many cells, and the shares, on the fold that "
        "calibrates."
    )
    return f"{markdown(header, lines, left=2)}\n\n{note}"


_BOTH = "angle and entropy"


def outside_region() -> str:
    """Return how well each score tells other regions apart, and how often it is wrong at its threshold."""
    header = ["score", "folds by", "AUROC", "of one view", "false alarms", "elsewhere flagged"]
    results = read_results("outside_region")

    def share(row: dict[str, str], key: str, digits: int) -> str:
        value, low, high = (float(row[f"{key}{end}"]) for end in ("", "_low", "_high"))
        if digits:
            return f"{value:.2f} [{low:.2f}, {high:.2f}]"
        return f"{100 * value:.1f} % [{100 * low:.0f}, {100 * high:.0f}]"

    lines = []
    for row in results:
        if row["folds"] == "mixed":
            continue
        known = bool(row["detected"])
        numbers = [share(row, "auroc", 2), *([share(row, "auroc_one_view", 2)] if known else [""])]
        numbers += [share(row, key, 0) if known else "" for key in ("false_alarms", "detected")]
        lines.append([row["score"], row["folds"], *numbers])
    first = results[0]
    sentences = [
        f"{first['n_here']} European locations, {first['n_there']} elsewhere; {first['repeats']} repeats of five "
        "folds: three train, one sets the threshold for 5 % false alarms,\none is asked. In brackets 95 % intervals "
        "over places and repeats. Of one view: without panoramas, which are nearly all European."
    ]
    for row in results:
        if row["chosen"] and row["folds"] != "mixed":
            sentences.append(f"Chosen in folds by {row['folds']}: {row['chosen']}.")
    for row in results:
        if row["score"] == _BOTH and row["folds"] != "mixed":
            value, low, high = (
                f"{float(row[f'less_angle{end}']):+.3f}".replace("-", "−") for end in ("", "_low", "_high")
            )
            sentences.append(f"AUROC of both less that of the angle, folds by {row['folds']}: {value} [{low}, {high}].")
    mixed = next(row for row in results if row["folds"] == "mixed" and row["score"] == _BOTH)
    sentences.append(
        "At new places with a threshold by other photographs of the training places, both have "
        f"{share(mixed, 'false_alarms', 0)} false alarms."
    )
    note = "\n".join(sentences)
    return f"{markdown(header, lines, left=2)}\n\n{note}"


def _difference(row: Mapping[str, str]) -> str:
    ends = [f"{float(row[key]):+.1f}".replace("-", "−") for key in ("difference", "difference_low", "difference_high")]
    return "" if row["case"] == row["base"] else f"{ends[0]} [{ends[1]}, {ends[2]}]"


_IN_SHORT = {
    "majority cell": "majority cell",
    "1-NN": "1-NN",
    "1-NN, centred": "1-NN, centred features",
    "kNN, centred": "kNN, centred features",
    "one head, centroid": "head, `centroid`",
    "one head, geoscore": "head, calibrated, `geoscore`",
    "one head, balscore": "head, calibrated, `balscore`",
    "one head, kNN in its cells": "head, `calibrate --knn`",
    "two partitions": "two partitions, `combine`",
    "eight partitions, kNN": "eight partitions, `combine --knn`",
}
"""Cases of `answers.csv` and `combination.csv` -> what the README calls them."""


def answers() -> str:
    """Return the balscore of a head, of what is added to it, and of what needs none, in both protocols."""
    base, nearest = "one head, centroid", "1-NN, centred"
    results = [*read_results("answers"), *read_results("combination")]
    found = {(row["case"], row["folds"], row["base"]): row for row in results}
    header = ["answer", "by location", "− head", "− centred 1-NN", "by place", "− head", "− centred 1-NN"]
    lines = []
    for case, name in _IN_SHORT.items():
        line = [name]
        for protocol in ("location", "place"):
            line.append(f"{float(found[case, protocol, base]['balscore']):.1f}")
            line += [_difference(found[case, protocol, other]) for other in (base, nearest)]
        lines.append(line)
    note = (
        f"Balscore in percent, {results[0]['repeats']} repeats of five folds; in brackets 95 % intervals over places "
        "and repeats, paired with the head\nthat answers by `centroid`. Temperatures, decoders, neighbours and weights "
        "are chosen on a fold that is not asked."
    )
    return f"{markdown(header, lines)}\n\n{note}"


def combination() -> str:
    """Return the balscore of heads of several partitions in both protocols, and its differences."""
    results = read_results("combination")
    base, nearest = "one head, centroid", "1-NN, centred"
    found = {(row["case"], row["folds"], row["base"]): row for row in results}
    header = ["answer", "by location", "− one head", "− 1-NN", "by place", "− one head", "− 1-NN", "mean − one head"]
    lines = []
    for case in dict.fromkeys(row["case"] for row in results):
        line = [case]
        for protocol in ("location", "place"):
            line.append(f"{float(found[case, protocol, base]['balscore']):.1f}")
            line += [_difference(found[case, protocol, other]) for other in (base, nearest)]
        lines.append([*line, _difference(found[case, "both", base])])
    note = (
        f"Balscore in percent, {results[0]['repeats']} repeats of five folds of 559 locations; in brackets 95 % "
        "intervals over places and repeats.\nThree folds train and one chooses; then all four train, and the fifth is "
        "asked. One head: 64 K-Means cells, answered by `centroid`."
    )
    return f"{markdown(header, lines)}\n\n{note}"


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
