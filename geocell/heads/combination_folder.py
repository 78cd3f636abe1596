"""The folder of a combination: its members' folders, the map from their cells to its candidates, and its own files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell._version import __version__
from geocell.decoders.table import parse_decoder
from geocell.encoders.joined import joined_info, joined_order
from geocell.features.neighbours import NEIGHBOURS_FILE, NeighbourIndex, read_neighbours
from geocell.files import (
    FORMAT,
    DamagedFileError,
    canonical_json,
    held_folder,
    is_out_of_files,
    missing,
    new_folder,
    reading,
    too_many_open,
    write_bytes,
    write_json,
)
from geocell.heads.calibration import CALIBRATION_FILE, Calibration, read_calibration
from geocell.heads.card_file import write_scores_and_card
from geocell.heads.combination_file import COMBINATION_MARKS, COMBINATION_PARTS, read_combination_file
from geocell.heads.folder import write_head
from geocell.heads.hashes import COMBINATION_FILE, POOL_FILE, check_hashes, write_hashes
from geocell.heads.head import Head, load_head
from geocell.heads.pooling import Pooling
from geocell.heads.source import HeadSource
from geocell.heads.trained_on import TrainedOn, read_trained_on, write_trained_on
from geocell.heads.zero_shot import ZeroShot
from geocell.heads.zero_shot_folder import is_zero_shot, load_zero_shot, save_zero_shot
from geocell.partitioners.base import Partition
from geocell.partitioners.kinds import Kind

if TYPE_CHECKING:
    from geocell.encoders.info import EncoderInfo
    from geocell.metrics.scores import Scores


Member = Head | ZeroShot
"""What a combination may be made of."""


@dataclass(frozen=True, eq=False)
class CombinationParts:
    """What the folder of a combination holds, but for its scores and its card.

    Attributes:
        members: M heads, of which some may be zero-shot classifiers.
        partition: the K candidates.
        cells: (M, K) int64 cell of each member that each candidate lies in.
        places: (K,) int64 training places that each stands for.
        pooling: weights and rule.
        neighbours: index of training features whose cells are the candidates; None where they are no part.
        trained_on: hashes of the training locations of all, None where they are not known.
        calibration: what was learned of the pool on validation locations, None before that.
        record: how the pooling was chosen; JSON.
    """

    members: tuple[Member, ...]
    partition: Partition
    cells: NDArray[np.int64]
    places: NDArray[np.int64]
    pooling: Pooling
    neighbours: NeighbourIndex | None = None
    trained_on: TrainedOn | None = None
    calibration: Calibration | None = None
    record: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def encoders(self) -> list[EncoderInfo]:
        """The different encoders of the members, in the order in which their features stand side by side."""
        return encoders_of(self.members)

    @cached_property
    def encoder_of_member(self) -> list[int]:
        """(M,) which of the encoders each member reads."""
        return [
            next(i for i, encoder in enumerate(self.encoders) if _is_same(encoder, head.encoder))
            for head in self.members
        ]

    @cached_property
    def encoder(self) -> EncoderInfo:
        """Which encoder's features it reads; of members of several, all of these side by side."""
        return self.encoders[0] if len(self.encoders) == 1 else joined_info(self.encoders)

    @property
    def region(self) -> None:
        """None: see `Combination.region`."""
        return

    @cached_property
    def sha256(self) -> str:
        """Hash of members, candidates, pooling and calibration, and of the index where it answers by one."""
        digest = hashlib.sha256(" ".join(head.sha256 for head in self.members).encode())
        digest.update(f"{self.partition.sha256} {canonical_json(self.pooling.to_dict())}".encode())
        for part in (self.cells, self.places):
            digest.update(f"{part.shape}".encode())
            digest.update(np.ascontiguousarray(part, dtype="<i8").data)
        decoder = None if self.calibration is None else parse_decoder(self.calibration.decoder)
        if self.calibration is not None:
            digest.update(self.calibration.sha256.encode())
        votes = self.pooling.vote is not None or (decoder is not None and "neighbours" in decoder.needed)
        if self.neighbours is not None and votes:
            digest.update(self.neighbours.sha256.encode())
        return digest.hexdigest()

    def config_json(self) -> dict[str, Any]:
        """Return what a card says of it, under the keys of the `config.json` of a head."""
        return {
            "encoder": self.encoder.to_dict(),
            "n_cells": len(self.partition),
            "partition_sha256": self.partition.sha256,
            "fusion": " and ".join(dict.fromkeys(_fusion_of(member) for member in self.members)),
            "fit": {},
            "training": {},
            "version": __version__,
            "combined": {
                "members": [_described(member) for member in self.members],
                "zero_shot": any(isinstance(member, ZeroShot) for member in self.members),
                **self._trained_on_json(),
                **self.pooling.to_dict(),
                **{key: self.record[key] for key in ("split", "n_locations") if key in self.record},
            },
        }

    def _trained_on_json(self) -> dict[str, Any]:
        """Return how many training locations all members together have, and whether that is all of them."""
        if self.trained_on is not None:
            return {"n_train": len(np.unique(self.trained_on.keys)), "complete": self.trained_on.complete}
        known = [n for head in self.members if (n := _n_train(head)) is not None]
        return {"n_train": max(known), "complete": False} if known else {}

    def combination_json(self) -> dict[str, Any]:
        """Return the content of `combination.json`."""
        return {
            "format": FORMAT,
            "library": "geocell",
            "version": __version__,
            "members": [head.sha256 for head in self.members],
            "n_candidates": len(self.partition),
            "partition_sha256": self.partition.sha256,
            "pooling": self.pooling.to_dict(),
            "record": dict(self.record),
        }


def _described(head: Member) -> str:
    """Return the cells of a member, and what it was fitted on, in words."""
    if isinstance(head, ZeroShot):
        return f"zero-shot over {len(head.candidates):,} cities"
    cells, n = head.partition, _n_train(head)
    parameters = ", ".join(f"{key} {value}" for key, value in cells.parameters.items())
    text = f"{len(cells):,} {cells.kind} cells" + (f" ({parameters})" if parameters else "")
    if "origin" in head.training:
        return f"{text}, imported from {head.training['origin']['source']}"
    return text if n is None else f"{text}, fitted on {n:,} locations"


def _n_train(head: Member) -> int | None:
    """Return the number of locations that a head was fitted on, again where it was; None where that is not known."""
    if isinstance(head, ZeroShot):
        return None
    n = (head.training.get("refit") or head.training).get("n_train")
    return n if isinstance(n, int) else None


def encoders_of(heads: Sequence[Member]) -> list[EncoderInfo]:
    """Return the different encoders of heads, in their `joined_order` where there are several.

    Raises:
        ValueError: when one of several is not pinned.
    """
    found: list[EncoderInfo] = []
    for head in heads:
        if not any(_is_same(encoder, head.encoder) for encoder in found):
            found.append(head.encoder)
    return found if len(found) == 1 else [found[i] for i in joined_order(found)]


def _fusion_of(member: Member) -> str:
    return member.settings.fusion if isinstance(member, ZeroShot) else member.config.fusion


def _is_same(one: EncoderInfo, other: EncoderInfo) -> bool:
    try:
        one.require_same(other, "one", "the other")
    except ValueError:
        return False
    return True


def write_combination(
    parts: CombinationParts, path: Path, scores: Scores | None = None, *, overwrite: bool = False
) -> None:
    """Write a combination as one folder, atomically, with the folders of its members `0`, `1`, … in it.

    Args:
        parts: of the combination.
        path: the folder.
        scores: what `score` returned, for `scores.json` and the model card.
        overwrite: whether to replace an existing folder.

    Raises:
        FileExistsError: when `path` exists and `overwrite` is false, or it is no combination.
        ValueError: when the scores are of another one.
    """
    from safetensors.numpy import save

    with new_folder(path, overwrite=overwrite, marks=COMBINATION_MARKS, parts=COMBINATION_PARTS) as folder:
        for number, member in enumerate(parts.members):
            if isinstance(member, ZeroShot):
                save_zero_shot(member, folder / str(number))
            else:
                write_head(member.parts, folder / str(number))
        tensors = {"cells": np.ascontiguousarray(parts.cells), "places": np.ascontiguousarray(parts.places)}
        write_bytes(folder / POOL_FILE, [save(tensors)])
        parts.partition.write_into(folder)
        write_json(folder / COMBINATION_FILE, parts.combination_json())
        if parts.trained_on is not None:
            write_trained_on(folder, parts.trained_on)
        if parts.calibration is not None:
            write_json(folder / CALIBRATION_FILE, parts.calibration.to_dict())
        if parts.neighbours is not None:
            parts.neighbours.save_into(folder)
        write_hashes(folder)
        write_scores_and_card(parts, folder, scores)


def write_combination_scores(parts: CombinationParts, folder: Path, scores: Scores) -> None:
    """Write scores into the folder that a combination was loaded from, and its card anew; see `write_scores`.

    Raises:
        FileNotFoundError: when `folder` is not the folder of a combination.
        ValueError: when it is that of another one, or the scores are.
    """
    with held_folder(folder):
        there = read_combination_file(folder)
        members = [head.sha256 for head in parts.members]
        if (there["partition_sha256"], there["members"]) != (parts.partition.sha256, members):
            raise ValueError(f"scores go into the folder of the combination they are of, and {folder} has another one.")
        write_scores_and_card(parts, folder, scores)


def read_combination(folder: Path, partitioner: str | type[Kind] | None = None) -> CombinationParts:
    """Read the folder of a combination strictly.

    Args:
        folder: of the combination.
        partitioner: class or `module:attribute` of the partitioner, for members on cells of a custom kind.

    Raises:
        FileNotFoundError: when a file is missing.
        ValueError: when a file is damaged, of another format, or of another combination.
    """
    check_hashes(folder)
    value = read_combination_file(folder)
    path = folder / COMBINATION_FILE
    with reading(path, "a combination"):
        pooling = Pooling.from_dict(value["pooling"], f"{path} pooling")
        if len(pooling.weights) != len(value["members"]):
            raise ValueError(f"{len(value['members'])} members and {len(pooling.weights)} weights")
    partition = Partition.load(folder, partitioner)
    if (partition.sha256, len(partition)) != (value["partition_sha256"], value["n_candidates"]):
        raise DamagedFileError(
            f"the candidates in {folder} must be those of the combination, {value['partition_sha256'][:12]}, got "
            f"{partition.sha256[:12]}: copy the whole folder again from its origin."
        )
    cells, places = _read_pool(folder / POOL_FILE, len(value["members"]), len(partition))
    members = tuple(_read_member(folder / str(number), partitioner) for number in range(len(cells)))
    for number, (head, written) in enumerate(zip(members, value["members"], strict=True)):
        if head.sha256 != written:
            raise DamagedFileError(
                f"member {number} in {folder} is not the one that was written: copy the whole folder again."
            )
        if cells[number].max() >= len(head.partition):
            raise DamagedFileError(f"{folder / POOL_FILE} must name cells of member {number}: copy it again.")
    index = read_neighbours(folder) if (folder / NEIGHBOURS_FILE).is_file() else None
    return CombinationParts(
        members,
        partition,
        cells,
        places,
        pooling,
        index,
        read_trained_on(folder),
        read_calibration(folder),
        value["record"],
    )


def _read_member(folder: Path, partitioner: str | type[Kind] | None) -> Member:
    return load_zero_shot(folder) if is_zero_shot(folder) else load_head(HeadSource(folder), partitioner)


def _read_pool(path: Path, n_members: int, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the (M, K) cells and the (K,) places of `pool.safetensors`, whose shapes are checked before it is read."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise missing(path, "a combination")
    expected = {"cells": ((n_members, n), "I64"), "places": ((n,), "I64")}
    try:
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            found = {name: (tuple(part.get_shape()), part.get_dtype()) for name, part in slices.items()}
            if found != expected:
                raise DamagedFileError(f"{path} must hold {expected}, got {found}: copy it again.")
            cells, places = file.get_tensor("cells"), file.get_tensor("places")
    except (SafetensorError, OSError) as error:
        if is_out_of_files(error, path):
            raise too_many_open(path) from error
        raise DamagedFileError(
            f"{path} must be a safetensors file, got a damaged one ({error}): copy it again."
        ) from error
    if cells.min() < 0 or places.min() < 1 or places.max() > 2**40:
        raise DamagedFileError(f"{path} must hold cells from 0 on and places from 1 on: copy it again.")
    return cells, places
