"""Calibrations and comparisons of decoders as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geocell.decoders.base import decoder_label
from geocell.evaluation.comparison import signed
from geocell.evaluation.decoders import BASELINE, METRICS, DecoderComparison
from geocell.heads.calibration import Calibration
from geocell.heads.combination import Combination
from geocell.metrics.scores import score_unit
from geocell.metrics.trust import METHOD_WORDS
from geocell.reports.tables import folded, percent, text_table
from geocell.uncertainty.region_model import RegionModel

_ERRORS = (
    ("ece", "expected calibration error in %", 100),
    ("nll", "negative log-likelihood", 1),
    ("brier", "Brier score", 1),
)


def calibration_text(calibration: Calibration) -> str:
    """Return what was learned, and the errors before and after, for the terminal."""
    record = calibration.record
    before, after = record.get("before", {}), record.get("after", {})
    rows = [
        [words, f"{factor * before[name]:.3g}", f"{factor * after[name]:.3g}"]
        for name, words, factor in _ERRORS
        if name in before and name in after
    ]
    shares = ", ".join(f"{percent(share)} % within {radius} km" for radius, share in calibration.shares.items())
    lines = [
        f"temperature {calibration.temperature:.3g}; the decoder balscore reaches {shares}",
        *([text_table(["each half by the other", "before", "after"], rows, left=1)] if rows else []),
    ]
    coverage = record.get("coverage", {})
    if coverage:
        held = " and ".join(f"{percent(share)} % of the time for {asked} %" for asked, share in coverage.items())
        answers = f"radii around the answers of {decoder_label(calibration.decoder)}"
        lines.append(f"{answers} contain the true position: {held}")
    sets = record.get("set_coverage", {})
    if any(sets.values()):
        held = ", ".join(f"{METHOD_WORDS[m]} {' and '.join(map(percent, of.values()))} %" for m, of in sets.items())
        lines.append(f"asked for 50 and 90 %, sets of cells contain the true position: {held} of the time")
    if "scaling_nll" in record:
        lines.append(_scaling(calibration))
    if "abstention" in record:
        lines.append(_abstention(record["abstention"]))
    return "\n".join(lines)


def _scaling(calibration: Calibration) -> str:
    """Return which scaling was chosen, and the likelihoods it was chosen by."""
    tried = ", ".join(
        f"{nll:.4g} with {'temperature alone' if width == '0' else f'biases of {width}'}"
        for width, nll in calibration.record["scaling_nll"].items()
    )
    chosen = "temperature alone" if calibration.bias is None else "vector scaling"
    return f"{chosen}: negative log-likelihood of places left out {tried}"


def _abstention(found: Mapping[str, Any]) -> str:
    """Return the threshold, and what is known of the answers above it."""
    return (
        f"abstaining below a confidence of {percent(found['below'])} % answers {percent(found['coverage'])} % of the "
        f"locations, of which {percent(found['error'])} % are wrong by more than 200 km, and with "
        f"{percent(1 - found['delta'])} % certainty at most {percent(found['bound'])} %"
    )


def region_text(region: RegionModel) -> str:
    """Return what tells locations outside the region of a head apart, for the terminal."""
    return (
        f"outside the region: flagged above {region.threshold:.2f}, by the angle to {len(region.components):,} "
        f"principal components of {region.n_train:,} training locations and the entropy; "
        f"{100 * region.false_alarms:g} % false alarms, by {region.n_val:,} validation locations"
    )


def combination_text(combination: Combination) -> str:
    """Return of what a combination is made, and what was chosen and learned, for the terminal."""
    pooling, record = combination.pooling, combination.record
    weights = ", ".join(f"{weight:.2f}" for weight in pooling.weights)
    lines = [
        f"{len(combination.members)} heads on {len(combination.partition):,} candidates ({record['candidates']})",
        f"  {pooling.rule} pool, weights {weights}",
    ]
    if pooling.vote is not None:
        vote = pooling.vote
        lines.append(
            f"  the {vote.k} nearest training features vote, temperature {vote.temperature:g}, share of the pool "
            f"{percent(vote.share)} %"
        )
    elif any(row.get("share") is not None for row in record.get("tried", ())):
        lines.append("  the nearest training features do not vote: without them is best on the validation locations")
    if combination.calibration is None:
        lines.append("  not calibrated: `geocell calibrate` learns on validation locations how sure it may be")
    else:
        where = f"{record['n_locations']:,} locations of the split {record['split']}"
        lines.append(f"  chosen on {where}, answers by {decoder_label(combination.calibration.decoder)}")
        lines += [f"  {line}" for line in calibration_text(combination.calibration).splitlines()]
    return "\n".join(lines)


def decoders_text(comparison: DecoderComparison) -> str:
    """Return one line per decoder with the differences to `centroid`, and what to use, for the terminal."""
    rows = []
    for name, values in comparison.values.items():
        row = [decoder_label(name)]
        for metric in METRICS:
            row.append(percent(values[metric]) if score_unit(metric) == "%" else f"{values[metric]:,.1f}")
        if name == BASELINE:
            row.append("")
        else:
            low, high = comparison.intervals[name]["balscore"]
            difference = values["balscore"] - comparison.values[BASELINE]["balscore"]
            row.append(f"{signed(100 * difference)} [{signed(100 * low)}, {signed(100 * high)}]")
        rows.append(row)
    header = ["decoder", *(metric.replace("within_", "≤").replace("_", " ") for metric in METRICS), "− centroid"]
    note = (
        f"{comparison.n_locations:,} locations · shares and balscore in % · − centroid: of balscore, with the 95 % "
        f"interval of the paired difference over {comparison.drawn_text}"
    )
    left_out = [f"left out: {why}" for why in comparison.left_out.values()]
    return "\n".join([text_table(header, rows, left=1), *map(folded, (note, *left_out, "", *comparison.sentences()))])
