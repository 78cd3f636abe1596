"""A model card as text: parts that are generated, between marks, and what a person wrote around them, which is kept."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from geocell.files import DamagedFileError, printable

PART_END = "<!-- end -->"
MAX_CARD_BYTES = 4 << 20

_METADATA = re.compile(r"\A\s*---\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_START = re.compile(r"<!-- generated: (?P<name>[a-z]+)(?: (?P<sum>[0-9a-f]{8}))? -->")
_END_LINE = re.compile(rf"^{re.escape(PART_END)}[ \t]*$", re.MULTILINE)
_MAX_METADATA = 256 << 10
_PART = re.compile(rf"^{_START.pattern}\n(?P<text>.*?)^{re.escape(PART_END)}[ \t]*$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class CardText:
    """The parts of a card.

    Attributes:
        metadata: its YAML block.
        own: text written by a person: name of the generated part before it, "" above the first -> text.
        changed: the generated parts that are not as they were written.
    """

    metadata: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)
    changed: tuple[str, ...] = ()


def parse_card(card: str, where: str) -> CardText:
    """Parse a card. Without generated parts, all of it counts as written by a person.

    Args:
        card: Markdown below an optional YAML block.
        where: path or address, for error messages.

    Raises:
        ValueError: when the YAML block is none, or a mark of a generated part lacks its other one.
    """
    found = _METADATA.match(card)
    body = card[found.end() :] if found else card
    own: dict[str, str] = {}
    changed, end, last = [], 0, ""
    whole = max((found.end() for found in _END_LINE.finditer(body)), default=0)
    for part in _PART.finditer(body, 0, whole):  # from a mark without an end it would search all of the rest
        own[last] = f"{own.get(last, '')}{body[end : part.start()]}"
        last, end = part["name"], part.end()
        if _START.search(part["text"]):
            raise _unpaired(where)
        if part["sum"] is not None and part["sum"] != _sum(part["text"]):
            changed.append(last)
    own[last] = f"{own.get(last, '')}{body[end:]}"
    if any(_START.search(text) or PART_END in text for text in own.values()):
        raise _unpaired(where)
    texts = {name: text.strip("\n") for name, text in own.items() if text.strip()}
    return CardText(_read_metadata(found[1], where) if found else {}, texts, tuple(changed))


def require_unchanged(card: CardText, where: str) -> None:
    """Raise ValueError when a generated part was edited: the edit would be lost."""
    if card.changed:
        raise ValueError(
            f"{where} was changed inside generated parts, which are written anew ({', '.join(card.changed)}): move "
            f"what you wrote below their {PART_END}, where it is kept, and remove the number from the mark above them."
        )


def render_card(metadata: str, body: str, own: Mapping[str, str]) -> str:
    """Return a card.

    Args:
        metadata: YAML.
        body: nothing but generated parts between `<!-- generated: NAME -->` and `<!-- end -->`.
        own: see `CardText`; what stood below a part that there is no more stands at the end.
    """
    pieces, names = [own.get("", "")], {""}
    for part in _PART.finditer(body):
        name, text = part["name"], part["text"].strip("\n")
        names.add(name)
        pieces += [f"<!-- generated: {name} {_sum(text)} -->\n{text}\n\n{PART_END}", own.get(name, "")]
    pieces += [text for name, text in own.items() if name not in names]
    return f"---\n{metadata.strip()}\n---\n\n" + "\n\n".join(filter(None, pieces)) + "\n"


def _sum(text: str) -> str:
    """Return the checksum of a part, ignoring white space at the ends of lines."""
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return hashlib.sha256(lines.encode()).hexdigest()[:8]


def _read_metadata(text: str, where: str) -> dict[str, Any]:
    import yaml

    if len(text) > _MAX_METADATA:
        raise DamagedFileError(f"{where} must begin with a YAML block of at most {_MAX_METADATA:,} characters.")
    try:
        value = yaml.safe_load(text)
    except Exception as error:  # PyYAML has exceptions of its own, and passes on those of dates and numbers
        reason = printable(" ".join(str(error).split()))
        raise DamagedFileError(
            f"{where} must begin with a YAML block, got a syntax error ({reason}): correct it."
        ) from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DamagedFileError(
            f"{where} must begin with a YAML block of keys, got a {type(value).__name__}: correct it."
        )
    return value


def _unpaired(where: str) -> DamagedFileError:
    return DamagedFileError(
        f"{where} must have {PART_END} below every '<!-- generated: … -->', and one of them lacks the other: put it "
        "back, or remove both."
    )
