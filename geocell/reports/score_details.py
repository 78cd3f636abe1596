"""What stands below a table of scores: GeoScore, quantiles, radii, confidence, and what was scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geocell.reports.tables import percent


def details_text(scores: Mapping[str, Any]) -> str:
    """Return the scores that have no column, a line each, "" where there are none.

    Args:
        scores: `Scores.to_dict()`.
    """
    lines = (_points, _quantiles, _radii, _confidence, _missing, _files)
    return "\n".join(text for line in lines if (text := line(scores)))


def _points(scores: Mapping[str, Any]) -> str:
    if scores.get("geoscore") is None:
        return ""
    return f"GeoScore {scores['geoscore']:,.1f} ({scores['geoscore_rounded']:,.1f} with points rounded)"


def _quantiles(scores: Mapping[str, Any]) -> str:
    found = scores.get("quantiles_km") or {}
    texts = [f"{100 * float(share):.0f} % within {km:,.1f} km" for share, km in found.items()]
    return " · ".join(texts)


def _radii(scores: Mapping[str, Any]) -> str:
    texts = []
    for share, found in (scores.get("radii") or {}).items():
        low, high = map(percent, found["interval"])
        texts.append(
            f"radius of {share} %: holds {percent(found['coverage'])} % [{low}, {high}], median "
            f"{found['median_km']:,.1f} km"
        )
    return "\n".join(texts)


def _confidence(scores: Mapping[str, Any]) -> str:
    found = scores.get("confidence")
    if not found:
        return ""
    return (
        f"confidence: {percent(found['mean'])} % on average, {percent(found['share'])} % within "
        f"{found['within_km']} km; calibration error {percent(found['ece'])} %, Brier score {found['brier']:.3f}"
    )


def _missing(scores: Mapping[str, Any]) -> str:
    n = scores.get("n_missing")
    return "" if n is None else f"{n:,} locations without a prediction"


def _files(scores: Mapping[str, Any]) -> str:
    found = scores.get("truth_sha256")
    return "" if found is None else f"truth {found}"
