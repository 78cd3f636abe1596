"""The splits of locations, and their file `splits.json`."""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.display import Display, TextTable, share_text
from geocell.features.ids import Ids, joined_ids
from geocell.features.locations import Locations
from geocell.files import (
    FORMAT,
    DamagedFileError,
    counted,
    printable,
    reading,
    require_new,
    require_types,
    sentence,
    write_bytes,
)
from geocell.splits.split_file import read_splits, split_parts
from geocell.views.codes import TextCodes

NAMES = ("train", "val", "test")
SPLITS_FILE = "splits.json"

AnyIds = Sequence[str] | NDArray[Any] | TextCodes
"""(P,) location ids."""

UNKNOWN_PROTOCOL = "unknown"
_MAX_PROTOCOL = 500

_TYPES: dict[str, type | tuple[type, ...]] = {
    "splits": dict,
    "seed": (int, type(None)),
    "buffer_km": float,
    "protocol": str,
}


@dataclass(frozen=True, repr=False)
class Splits:
    """The assignment of locations to splits.

    Attributes:
        ids: split name -> location ids, sorted; any sequences of text are taken, and kept as `Ids`.
        seed: seed of the draw; None for splits that came with the data.
        buffer_km: locations closer than this are in one split.
        protocol: how the splits were drawn, such as "by country"; "unknown" for those of older files and by hand.
    """

    ids: Mapping[str, Sequence[str]]
    seed: int | None = None
    buffer_km: float = 0.0
    protocol: str = UNKNOWN_PROTOCOL

    def __post_init__(self) -> None:
        """Check that every location is listed once, and the range of seed and buffer."""
        if self.seed is not None and self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}.")
        if not 0 <= self.buffer_km < math.inf:
            raise ValueError(f"buffer_km must be a number of kilometres of at least 0, got {self.buffer_km}.")
        if not 0 < len(self.protocol) <= _MAX_PROTOCOL or printable(self.protocol) != self.protocol:
            raise ValueError(f"protocol must be a line of 1 to {_MAX_PROTOCOL} printable characters: correct it.")
        object.__setattr__(self, "ids", {name: Ids(ids) for name, ids in self.ids.items()})
        if not self._all.distinct:
            self._refuse_repeated()

    def _refuse_repeated(self) -> None:
        seen: dict[str, str] = {}
        for name, ids in self.ids.items():
            for location in ids:
                if location in seen:
                    where = f"twice in {name!r}" if seen[location] == name else f"in {seen[location]!r} and {name!r}"
                    raise ValueError(
                        f"a location must be in one split, once, got {location!r} {where}: make the splits again."
                    )
                seen[location] = name

    @cached_property
    def _all(self) -> Ids:
        return joined_ids([Ids(ids) for ids in self.ids.values()])

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what makes them again; what was looked up in them stays behind."""
        return Splits, (self.ids, self.seed, self.buffer_km, self.protocol)

    def __repr__(self) -> str:
        """Return how they were drawn, and how many locations each has."""
        counts = ", ".join(f"{len(ids):,} {name}" for name, ids in self.ids.items())
        return f"<Splits {self.protocol}: {counts}>"

    def _repr_html_(self) -> str:
        total = sum(map(len, self.ids.values()))
        rows = [
            (name, f"{len(ids):,}", share_text(len(ids) / total if total else None)) for name, ids in self.ids.items()
        ]
        facts = [
            ("drawn", self.protocol),
            ("seed", "none" if self.seed is None else str(self.seed)),
            ("buffer", f"{self.buffer_km:g} km"),
        ]
        table = TextTable(("split", "locations", "share"), rows)
        return Display(f"Splits: {counted(total, 'location')}", facts, [table]).html()

    def require_split(self, name: str) -> None:
        """Raise ValueError unless there is a split of this name."""
        if name not in self.ids:
            known = ", ".join(self.ids)
            raise ValueError(sentence(f"split must be one of {known}, got {name!r}: name one of these."))

    def homes(self, ids: AnyIds) -> NDArray[np.int64]:
        """Return the (P,) number of the split that each location id is in, in the order of `ids`; −1 for none."""
        known = self.__dict__.get("_homes")  # a command asks for several splits of the same locations
        if known is not None and known[0]() is ids:
            return np.asarray(known[1])
        ends = np.cumsum([len(members) for members in self.ids.values()])
        places = self._all.find(Ids(ids.names if isinstance(ids, TextCodes) else ids))
        homes = np.where(places < 0, -1, np.searchsorted(ends, places, side="right"))
        if isinstance(ids, TextCodes):
            homes = homes[ids.codes]
        if isinstance(ids, np.ndarray | TextCodes):
            self.__dict__["_homes"] = weakref.ref(ids), homes
        return homes

    def members(self, ids: AnyIds, *names: str) -> NDArray[np.bool_]:
        """Return which of (P,) location ids are in one of some splits; those of a split that is not there are none."""
        numbers = [number for number, name in enumerate(self.ids) if name in names]
        return np.isin(self.homes(ids), numbers)

    def select(self, locations: Locations, name: str) -> Locations:
        """Return those of `locations` that are in one split.

        Raises:
            ValueError: for an unknown split, an empty one, or one without any of these locations.
        """
        return locations.take(self.rows(locations.ids, name))

    def rows(self, ids: AnyIds, name: str) -> NDArray[np.int64]:
        """Return which of P distinct location ids are in one split, ascending; see `select`."""
        self.require_split(name)
        n_wanted = len(self.ids[name])
        if not n_wanted:
            raise ValueError(f"split {name!r} has no location: name another one, or split with a share for it.")
        index = np.flatnonzero(self.homes(ids) == list(self.ids).index(name))
        if not len(index):
            raise ValueError(
                f"split {name!r} must share locations with the cache, got none of its {n_wanted} there: "
                "the splits belong to another cache."
            )
        return index

    def save(self, path: Path | str, *, overwrite: bool = False) -> None:
        """Write `splits.json`."""
        path = Path(path)
        require_new(path, overwrite)
        path.parent.mkdir(parents=True, exist_ok=True)
        known = {} if self.protocol == UNKNOWN_PROTOCOL else {"protocol": self.protocol}  # a file stays as it was read
        record = {"format": FORMAT, "seed": self.seed, "buffer_km": self.buffer_km, **known}
        write_bytes(path, split_parts(record, self.ids))

    @classmethod
    def load(cls, path: Path | str) -> Splits:
        """Read `splits.json`.

        Raises:
            FileNotFoundError: when there is no such file.
            IsADirectoryError: when it is a folder.
            DamagedFileError: when it does not hold splits, or a location is in two of them.
        """
        path = Path(path)
        if path.is_dir():
            inside = path / SPLITS_FILE
            name = f"name {inside.name} in it" if inside.is_file() else f"name a {SPLITS_FILE}"
            raise IsADirectoryError(f"splits must be a file, got the folder {path}: {name}.")
        value = {"seed": None, "buffer_km": 0.0, "protocol": UNKNOWN_PROTOCOL, **read_splits(path)}
        with reading(path, "splits"):
            require_types(value, _TYPES, str(path))
            splits = value["splits"]
            for name, ids in splits.items():
                name.encode()  # fails for half of a surrogate pair, which no file can hold
                if not isinstance(ids, Ids) and not (isinstance(ids, list) and all(isinstance(i, str) for i in ids)):
                    raise DamagedFileError(
                        f"{path} must hold 'splits': name -> location ids: make it with `geocell split`."
                    )
            try:
                return cls(splits, value["seed"], value["buffer_km"], value["protocol"])
            except ValueError as error:
                raise DamagedFileError(f"{path}: {error}") from error
