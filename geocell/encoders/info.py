"""Identity of a frozen encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from geocell.files import one_sentence, require_types

NOT_PINNED = "not pinned"
"""A fact of an encoder that was recorded by its name alone: it is filled in when the encoder is first used."""

UNKNOWN = "unknown"
"""A fact of an encoder that whoever imported its features did not give."""


@dataclass(frozen=True)
class EncoderInfo:
    """Identity of the frozen encoder that made features: enough to reproduce them, or to refuse other features.

    Attributes:
        name: Hub id, package encoder, or the folder's name for a local encoder.
        revision: commit, package version, or `sha256:` of the local weights.
        pooling: which tensor of the encoder: `pooler_output`, say.
        dim: D.
        image_size: side of the square input in pixels.
        processor: class of the image processor, with a hash of its settings.
        dtype: arithmetic the encoder ran in; not part of its identity.
        source: folder or Hub id to load it from; not part of its identity.
    """

    name: str
    revision: str
    pooling: str
    dim: int
    image_size: int
    processor: str
    dtype: str = "float32"
    source: str = ""

    @classmethod
    def named(cls, name: str, dim: int) -> EncoderInfo:
        """Return an encoder of D features of which only the name is known; by it alone it is told from others."""
        return cls(name, UNKNOWN, UNKNOWN, dim, 0, UNKNOWN, UNKNOWN)

    def require_same(self, other: EncoderInfo, mine: str, theirs: str) -> None:
        """Raise ValueError, naming both sides, unless `other` makes the same features.

        Args:
            other: the encoder to compare with.
            mine: what this one belongs to ("the head").
            theirs: what the other one belongs to ("the cache").
        """
        identity = ["revision", "pooling", "dim", "image_size", "processor"]
        if not (self.revision == other.revision and self.revision.startswith("sha256:")):
            identity.insert(0, "name")  # equal weights are one encoder, independent of the folder's name
        open_ = self._not_pinned() | other._not_pinned()
        differs = [key for key in identity if key not in open_ and getattr(self, key) != getattr(other, key)]
        if differs:
            left = ", ".join(f"{key}={getattr(self, key)!r}" for key in differs)
            right = ", ".join(f"{key}={getattr(other, key)!r}" for key in differs)
            raise ValueError(
                f"{mine} and {theirs} must share one encoder; {mine}: {left}; {theirs}: {right}. "
                "Encode the images with the encoder of the one, or fit a head on the features of the other."
            )

    def _not_pinned(self) -> set[str]:
        """Return the names of the facts that are filled in at first use; any encoder of that name may have them."""
        found = {key for key in ("revision", "pooling", "processor") if getattr(self, key) == NOT_PINNED}
        return found | ({"image_size"} if self.processor == NOT_PINNED else set())

    @property
    def is_pinned(self) -> bool:
        """Whether it says exactly which encoder it is."""
        return not self._not_pinned()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @classmethod
    @one_sentence()
    def from_dict(cls, value: Mapping[str, Any], where: str) -> EncoderInfo:
        """Read the JSON form; `where` names its place in an error message."""
        names = {field.name for field in fields(cls)}
        if not isinstance(value, Mapping) or set(value) != names:
            got = sorted(value) if isinstance(value, Mapping) else value
            raise ValueError(f"{where} must describe an encoder by {sorted(names)}, got {got}.")
        require_types(value, {name: int if name in {"dim", "image_size"} else str for name in sorted(names)}, where)
        return cls(**value)
