"""Caption templates: text with fields of a place, and phrases that are left out where their field is missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

FIELDS = ("city", "region", "country", "continent")
"""What a caption may name, from the smallest to the largest."""

STREETCLIP_CAPTION = "A Street View photo[ close to the town of {city}][ in the region of {region}][ in {country}]."
"""The pretraining caption of StreetCLIP (Haas et al. 2023), word for word where all fields are known."""


@dataclass(frozen=True)
class Caption:
    """One caption.

    Attributes:
        text: what it says.
        fields: the fields that it names, in the order of `FIELDS`.
    """

    text: str
    fields: tuple[str, ...]


@dataclass(frozen=True)
class _Phrase:
    optional: bool
    parts: tuple[tuple[bool, str], ...]  # (whether it is a field, its name or the text)

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(text for is_field, text in self.parts if is_field)


@dataclass(frozen=True)
class CaptionTemplate:
    """A caption with fields in braces, and in brackets the phrases that need not be there.

    A phrase in brackets is left out when a field of it is missing, or when all that it names was named before: "close
    to the town of Zürich in Switzerland", not "in the region of Zürich" as well.

    Attributes:
        text: the template, such as `STREETCLIP_CAPTION`.
    """

    text: str

    def __post_init__(self) -> None:
        """Check the template.

        Raises:
            ValueError: for unbalanced or nested brackets, an unknown field, or no field at all.
        """
        if not any(phrase.fields for phrase in self._phrases):
            raise ValueError(f"a caption template must name one of {_choices()}, got {self.text!r}.")

    @cached_property
    def _phrases(self) -> tuple[_Phrase, ...]:
        return tuple(
            _Phrase(piece.startswith("["), self._parts(piece.removeprefix("[").removesuffix("]")))
            for piece in re.split(r"(\[[^\[\]]*\])", self.text)
            if piece
        )

    def _parts(self, piece: str) -> tuple[tuple[bool, str], ...]:
        parts = tuple((number % 2 == 1, part) for number, part in enumerate(re.split(r"\{([^{}\[\]]*)\}", piece)))
        for is_field, part in parts:
            if is_field and part not in FIELDS:
                raise ValueError(f"a caption template may name {_choices()}, got {{{part}}} in {self.text!r}.")
            if not is_field and re.search(r"[\[\]{}]", part):
                raise ValueError(
                    f"brackets and braces of a caption template must be closed and not nested, got {self.text!r}."
                )
        return parts

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that it may name, in the order of `FIELDS`."""
        named = {field for phrase in self._phrases for field in phrase.fields}
        return tuple(field for field in FIELDS if field in named)

    def caption(self, place: Mapping[str, str]) -> Caption | None:
        """Return the caption of a place, None when a field outside brackets is missing or nothing remains to say.

        Args:
            place: field -> name; a field that is missing or blank is not known.
        """
        known = {field: name for field in FIELDS if (name := place.get(field, "").strip())}
        text, named = "", dict[str, str]()
        for phrase in self._phrases:
            values = {field: known.get(field, "") for field in phrase.fields}
            missing = not all(values.values())
            if missing and not phrase.optional:
                return None
            said = {name.casefold() for name in named.values()}
            repeats = bool(values) and all(value.casefold() in said for value in values.values())
            if phrase.optional and (missing or repeats):
                continue
            text += "".join(values[part] if is_field else part for is_field, part in phrase.parts)
            named |= values
        return Caption(text, tuple(field for field in FIELDS if field in named)) if named else None


def _choices() -> str:
    return ", ".join(f"{{{field}}}" for field in FIELDS)
