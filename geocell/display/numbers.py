"""Numbers for people: fractions as percent, kilometres, with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

ABSENT = "–"
"""What a table shows where there is no value."""


def percent(fraction: float) -> str:
    """Return a fraction as percent with one decimal, without the sign.

    >>> percent(0.6306)
    '63.1'
    """
    return f"{100.0 * fraction:.1f}"


def share_text(fraction: float | None, interval: Sequence[float] | None = None) -> str:
    """Return a fraction as percent with its sign, and its interval where it has one.

    >>> share_text(0.6306), share_text(0.5, (0.4, 0.625)), share_text(None)
    ('63.1 %', '50.0 % [40.0, 62.5]', '–')
    """
    return _with_interval(fraction, interval, percent, " %")


def km_text(km: float | None, interval: Sequence[float] | None = None) -> str:
    """Return a distance in km with one decimal, and its interval where it has one.

    >>> km_text(1234.56), km_text(2.0, (1.0, 3.0)), km_text(float("nan"))
    ('1,234.6 km', '2.0 km [1.0, 3.0]', '–')
    """
    return _with_interval(km, interval, "{:,.1f}".format, " km")


def _with_interval(
    value: float | None, interval: Sequence[float] | None, form: Callable[[float], str], unit: str
) -> str:
    if value is None or value != value:  # noqa: PLR0124 - NaN differs from itself
        return ABSENT
    ends = "" if interval is None else f" [{', '.join(map(form, interval))}]"
    return f"{form(value)}{unit}{ends}"
