"""Which location is in which split: `splits.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geocell.features.locations import Locations
from geocell.files import FORMAT, read_json, require_new, write_json

NAMES = ("train", "val", "test")


@dataclass(frozen=True)
class Splits:
    """Which location is in which split.

    Attributes:
        ids: split name -> location ids, in the canonical (sorted) order.
        seed: seed of the draw, or None for splits that came with the data.
        buffer_km: locations closer than this share a split.
    """

    ids: Mapping[str, tuple[str, ...]]
    seed: int | None = None
    buffer_km: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a location in two splits."""
        seen: dict[str, str] = {}
        for name, ids in self.ids.items():
            for location in ids:
                if location in seen:
                    raise ValueError(
                        f"a location must be in one split, got {location!r} in {seen[location]!r} and {name!r}: "
                        "make the splits again."
                    )
                seen[location] = name

    def select(self, locations: Locations, name: str) -> Locations:
        """Return the locations of one split that `locations` has.

        Raises:
            ValueError: for an unknown split, or one of which no location is there.
        """
        if name not in self.ids:
            raise ValueError(f"split must be one of {list(self.ids)}, got {name!r}.")
        wanted = set(self.ids[name])
        if not wanted:
            raise ValueError(f"split {name!r} has no location: name another one, or split with a share for it.")
        index = np.flatnonzero([location in wanted for location in locations.ids])
        if not len(index):
            raise ValueError(
                f"split {name!r} must share locations with the cache, got none of its {len(wanted)} there: "
                "the splits belong to another cache."
            )
        return locations.take(index)

    def save(self, path: Path | str, *, overwrite: bool = False) -> None:
        """Write `splits.json`."""
        path = Path(path)
        require_new(path, overwrite)
        path.parent.mkdir(parents=True, exist_ok=True)
        splits = {name: list(ids) for name, ids in self.ids.items()}
        write_json(path, {"format": FORMAT, "seed": self.seed, "buffer_km": self.buffer_km, "splits": splits})

    @classmethod
    def load(cls, path: Path | str) -> Splits:
        """Read `splits.json`."""
        path = Path(path)
        value = read_json(path, "splits")
        splits = value.get("splits")
        if not isinstance(splits, dict) or not all(
            isinstance(ids, list) and all(isinstance(i, str) for i in ids) for ids in splits.values()
        ):
            raise ValueError(f"{path} must hold 'splits': name -> location ids: make it with `geocell split`.")
        return cls({k: tuple(ids) for k, ids in splits.items()}, value.get("seed"), value.get("buffer_km", 0))
