"""Sentences about how far answers can be trusted, for the terminal and for model cards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

METHOD_WORDS = {
    "radius": "radius",
    "hpd": "smallest-area sets (hpd)",
    "lac": "fewest-cells sets (lac)",
    "aps": "sets by probability (aps)",
}
"""What holds the truth, as in `Scores.trust["coverage"]` -> what people call it."""

FEWEST_OF_A_COUNTRY = 20
_TOO_LARGE = 1e15


def trust_sentences(trust: Any) -> list[str]:  # noqa: ANN401 - JSON of a file
    """Return what `Scores.trust` says, each in a sentence without a final stop; none for what it lacks.

    Args:
        trust: JSON of `geocell.evaluation.trust`; anything else has no sentences.
    """
    found = (say(trust) for say in (_risk, _areas, _coverage, _countries, _abstention))
    return [text for text in found if text]


def _risk(trust: object) -> str:
    error, km = _number(trust, "error"), _number(trust, "risk_km")
    found = [_area(trust, by, name) for by in ("confidence", "max_probability") for name in ("aurc", "augrc")]
    if error is None or km is None or not all(found):
        return ""
    aurc, augrc, aurc_largest, augrc_largest = found
    return (
        f"{_percent(error)} % are wrong by more than {km:g} km: area under the risk–coverage curve (AURC) {aurc} and "
        f"under the generalised one (AUGRC) {augrc} by confidence, {aurc_largest} "
        f"and {augrc_largest} by the largest probability"
    )


def _area(trust: object, by: str, name: str) -> str:
    """Return an area in percent with its interval, which earlier files lack; "" where it is not known."""
    value = _number(trust, by, name)
    if value is None:
        return ""
    ends = trust[by].get(f"{name}_interval") if isinstance(trust, Mapping) else None
    known = [_number({"end": end}, "end") for end in ends] if isinstance(ends, list) and len(ends) == 2 else [None]
    if None in known:
        return f"{_percent(value)} %"
    return f"{_percent(value)} % [{', '.join(_percent(end or 0.0) for end in known)}]"


def _areas(trust: object) -> str:
    half, most = (_number(trust, "area_km2", share) for share in ("0.5", "0.9"))
    if half is None:
        return ""
    rest = "not within the cells" if most is None else f"within {rounded_km2(most)} km²"
    said = f"the true cell is found within {rounded_km2(half)} km² for 50 % of the locations, {rest} for 90 %"
    return f"{said} (areas are estimates)" if _number(trust, "areas_estimated") else said


def _coverage(trust: object) -> str:
    parts = []
    for name, words in METHOD_WORDS.items():
        held = [_number(trust, "coverage", name, share) for share in ("50", "90")]
        if None not in held:
            parts.append(f"{words} {' and '.join(_percent(value or 0.0) for value in held)} %")
    return f"asked for 50 and 90 %, these contain the true position: {', '.join(parts)} of the time" if parts else ""


def _countries(trust: object) -> str:
    found = sorted(_by_country(trust))
    if len(found) < 2:
        return ""
    (low, worst, n), (high, best, m) = found[0], found[-1]
    return (
        f"the radius of 90 % holds that of {_percent(low)} % in {worst} ({n:,} locations) to {_percent(high)} % in "
        f"{best} ({m:,})"
    )


def _by_country(trust: object) -> Iterator[tuple[float, str, int]]:
    countries = trust.get("coverage_by_country") if isinstance(trust, Mapping) else None
    for name in countries if isinstance(countries, Mapping) else ():
        held, n = _number(countries, name, "radius", "90"), _number(countries, name, "n_locations")
        if held is not None and n is not None and n >= FEWEST_OF_A_COUNTRY:
            yield held, str(name), int(n)


def _abstention(trust: object) -> str:
    below, coverage = (_number(trust, "abstention", name) for name in ("below", "coverage"))
    if below is None or coverage is None:
        return ""
    error, score = _number(trust, "abstention", "error"), _number(trust, "abstention", "scores", "balscore")
    start = f"abstaining below a confidence of {_percent(below)} % answers {_percent(coverage)} % of the locations"
    if error is None or score is None:
        return start
    km = _number(trust, "risk_km") or 0.0
    return f"{start}: {_percent(error)} % of these are wrong by more than {km:g} km, balscore {_percent(score)}"


def _number(value: object, *keys: str) -> float | None:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    known = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _TOO_LARGE
    return float(value) if known else None  # type: ignore[arg-type]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def rounded_km2(area: float) -> str:
    """Return an area in km² with three digits."""
    return f"{float(f'{area:.3g}'):,.0f}"
