"""Texts of other people's files that UTF-8 cannot hold: names of other encodings, and lone surrogates of JSON."""

from __future__ import annotations

from typing import Any

_LARGEST = 1 << 63


def clean_text(text: str) -> str:
    r"""Return a text in which what UTF-8 cannot hold is escaped.

    >>> clean_text("caf\udce9.jpg"), clean_text("café.jpg")
    ('caf\\udce9.jpg', 'café.jpg')
    """
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def is_clean(text: str) -> bool:
    """Return whether UTF-8 can hold a text."""
    return clean_text(text) == text


def clean_record(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Return a JSON value whose texts are clean; integers beyond 64 bits, which no column holds, become texts."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(key): clean_record(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clean_record(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -_LARGEST <= value < _LARGEST:
        return str(value)
    return value
