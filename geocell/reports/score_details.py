"""What stands below a table of scores: GeoScore, quantiles, radii, confidence, and what was scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geocell.metrics.scores import score_unit
from geocell.reports.tables import ABSENT, percent, text_table


def details_text(scores: Mapping[str, Any]) -> str:
    """Return the scores that have no column, a line each, "" where there are none.

    Args:
        scores: `Scores.to_dict()`.
    """
    lines = (_points, _quantiles, _countries, _levels, _radii, _confidence, _missing, _files)
    return "\n".join(text for line in lines if (text := line(scores)))


def countries_text(scores: Mapping[str, Any]) -> str:
    """Return a table of the scores in every country, those with most locations first, "" where none is known.

    Args:
        scores: `Scores.to_dict()`.
    """
    countries = scores.get("countries") or {}
    names = list(dict.fromkeys(name for there in countries.values() for name in there))
    lines = [
        [country, *(_cell(name, there.get(name)) for name in names)]
        for country, there in sorted(countries.items(), key=lambda item: (-item[1]["n_locations"], item[0]))
    ]
    header = ["country", *(name.removeprefix("n_").replace("within_", "≤").replace("_", " ") for name in names)]
    return text_table(header, lines, left=1) if lines else ""


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return ABSENT
    if name == "n_locations":
        return f"{value:,}"
    return percent(value) if score_unit(name) == "%" else f"{value:,.1f}"


def _points(scores: Mapping[str, Any]) -> str:
    if scores.get("geoscore") is None:
        return ""
    ends = scores.get("intervals", {}).get("geoscore")
    interval = "" if ends is None else f" [{ends[0]:,.1f}, {ends[1]:,.1f}]"
    return f"GeoScore {scores['geoscore']:,.1f}{interval} ({scores['geoscore_rounded']:,.1f} with points rounded)"


def _quantiles(scores: Mapping[str, Any]) -> str:
    found = scores.get("quantiles_km") or {}
    texts = [f"{100 * float(share):.0f} % within {km:,.1f} km" for share, km in found.items()]
    return " · ".join(texts)


def _countries(scores: Mapping[str, Any]) -> str:
    if scores.get("country_accuracy") is None:
        return ""
    text = f"in the country of the truth {_with_interval(scores, 'country_accuracy', scores['country_accuracy'])} %"
    macro = scores.get("macro")
    if not macro:
        return text
    means = [
        f"{words} {_with_interval(scores, f'macro_{name}', macro[name])}"
        for name, words in (("country_accuracy", "country"), ("within_25", "≤25"), ("balscore", "balscore"))
        if name in macro
    ]
    return f"{text}\nmean over {macro['n_countries']:,} countries: {' · '.join(means)}"


def _levels(scores: Mapping[str, Any]) -> str:
    found = scores.get("levels") or {}
    texts = [
        f"{name.replace('_', ' ')} ({level['n_groups']:,}) {_with_interval(scores, f'level_{name}', level['accuracy'])}"
        for name, level in found.items()
    ]
    return f"top-1 of coarser levels: {' · '.join(texts)}" if texts else ""


def _with_interval(scores: Mapping[str, Any], name: str, value: float) -> str:
    ends = scores.get("intervals", {}).get(name)
    return percent(value) + ("" if ends is None else f" [{percent(ends[0])}, {percent(ends[1])}]")


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
        f"{found['within_km']:g} km; calibration error {percent(found['ece'])} %, Brier score {found['brier']:.3f}"
    )


def _missing(scores: Mapping[str, Any]) -> str:
    n = scores.get("n_missing")
    return "" if n is None else f"{n:,} locations without a prediction"


def _files(scores: Mapping[str, Any]) -> str:
    found = scores.get("truth_sha256")
    return "" if found is None else f"truth {found}"
