"""The folder of a head: written whole or not at all, read strictly, no pickle in either direction."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from geocell.decoders.table import parse_decoder
from geocell.encoders.info import EncoderInfo
from geocell.features.neighbours import NEIGHBOURS_FILE, NeighbourIndex, read_neighbours
from geocell.features.training_places import PLACES_FILE, TrainingPlaces, read_places
from geocell.files import (
    DamagedFileError,
    held_folder,
    is_out_of_files,
    missing,
    new_folder,
    one_sentence,
    said_when_full,
    too_many_open,
    write_json,
    write_text,
)
from geocell.heads.calibration import CALIBRATION_FILE, Calibration, read_calibration
from geocell.heads.card_file import PICTURE_FILE, SCORES_FILE, write_scores_and_card
from geocell.heads.config_file import (
    CONFIG_FILE,
    HISTORY_FILE,
    config_json,
    history_csv,
    read_config,
    read_history,
)
from geocell.heads.fit_config import FitConfig, fit_config_from_dict, stored_settings
from geocell.heads.hashes import (
    COMBINATION_FILE,
    HASHES_FILE,
    OFFSETS_FILE,
    WEIGHTS_FILE,
    check_hashes,
    write_hashes,
)
from geocell.heads.module import tensor_shapes
from geocell.heads.trained_on import TRAINED_ON_FILE, TrainedOn, read_trained_on, write_trained_on
from geocell.hub.client import CARD_FILE
from geocell.metrics.scores import Scores
from geocell.partitioners.base import PARTITION_FILE, Partition
from geocell.partitioners.cells import INFO_FILE
from geocell.partitioners.kinds import Kind
from geocell.partitioners.polygon_rule import SHAPES_FILE
from geocell.uncertainty.region_model import REGION_FILE, RegionModel, read_region

ENSEMBLE_FILE = "ensemble.json"
T = TypeVar("T")
_DTYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}

HEAD_FILES = (
    CONFIG_FILE, WEIGHTS_FILE, OFFSETS_FILE, INFO_FILE, PARTITION_FILE, SHAPES_FILE, SCORES_FILE, "scores-*.json",
    HISTORY_FILE, TRAINED_ON_FILE, CALIBRATION_FILE, NEIGHBOURS_FILE, REGION_FILE, PLACES_FILE, HASHES_FILE, CARD_FILE,
    PICTURE_FILE,
)  # fmt: skip
"""Names and patterns of all that a head's folder or repository is made of: nothing else is pushed or pulled."""

HEAD_MARKS = (CONFIG_FILE, WEIGHTS_FILE, INFO_FILE)
"""The files of every head, by which its folder is known before it is replaced."""


@dataclass(frozen=True, eq=False)
class HeadParts:
    """What the folder of a head holds, but for its scores and its card.

    Attributes:
        weights: name -> tensor, on the CPU.
        partition: the C cells.
        encoder: which encoder's features it reads.
        config: the settings it was fitted with.
        training: what it was fitted on and how the fit went, JSON.
        history: one row per epoch, column name -> number.
        trained_on: hashes of the training locations, None where they are not known.
        calibration: what was learned on validation locations after the fit, None before that.
        neighbours: index of training features for the decoder `knn`, None where there is none.
        region: what tells locations outside its region apart, None where that was not learned.
        places: training places, candidates of decoders, None where there are none.
    """

    weights: Mapping[str, Tensor]
    partition: Partition
    encoder: EncoderInfo
    config: FitConfig
    training: Mapping[str, Any]
    history: Sequence[Mapping[str, float]]
    trained_on: TrainedOn | None = None
    calibration: Calibration | None = None
    neighbours: NeighbourIndex | None = None
    region: RegionModel | None = None
    places: TrainingPlaces | None = None

    @cached_property
    def sha256(self) -> str:
        """Hash of weights, cells, fusion, calibration and region, and of index or places where it answers by them."""
        digest = hashlib.sha256(f"{self.partition.sha256} {self.config.fusion}".encode())
        for name, value in sorted(self.weights.items()):
            digest.update(f"{name} {tuple(value.shape)}".encode())
            digest.update(value.float().contiguous().numpy().data)
        if self.calibration is not None:
            digest.update(self.calibration.sha256.encode())
            needed = parse_decoder(self.calibration.decoder).needed
            if self.neighbours is not None and "neighbours" in needed:
                digest.update(self.neighbours.sha256.encode())
            if "places" in needed and (places := self.known_places) is not None:
                digest.update(places.sha256.encode())
        if self.region is not None:
            digest.update(self.region.sha256.encode())
        return digest.hexdigest()

    @property
    def known_places(self) -> TrainingPlaces | None:
        """The training places; those of the index where there are none."""
        return self.neighbours.places if self.places is None and self.neighbours is not None else self.places

    def config_json(self) -> dict[str, Any]:
        """Return the content of `config.json`."""
        return config_json(self.encoder, self.partition, self.config, self.training)


def write_head(parts: HeadParts, path: Path, scores: Scores | None = None, *, overwrite: bool = False) -> None:
    """Write a head as one folder, atomically: it appears complete or not at all.

    Args:
        parts: of the head.
        path: the folder.
        scores: what `score` returned, for `scores.json` and the model card.
        overwrite: whether to replace an existing folder.

    Raises:
        FileExistsError: when `path` exists and `overwrite` is false.
        ValueError: when the scores are of another partition.
    """
    from safetensors.torch import save_file

    with new_folder(path, overwrite=overwrite, marks=HEAD_MARKS, parts=HEAD_FILES) as folder:
        weights = {name: value.float().contiguous() for name, value in parts.weights.items()}
        with said_when_full(path.parent):
            for name, tensors in _by_file(weights).items():
                save_file(tensors, folder / name)
        parts.partition.write_into(folder)
        write_json(folder / CONFIG_FILE, parts.config_json())
        if parts.history:
            write_text(folder / HISTORY_FILE, history_csv(parts.history))
        if parts.trained_on is not None:
            write_trained_on(folder, parts.trained_on)
        if parts.calibration is not None:
            write_json(folder / CALIBRATION_FILE, parts.calibration.to_dict())
        if parts.neighbours is not None:
            parts.neighbours.save_into(folder)
        if parts.region is not None:
            parts.region.save_into(folder)
        if parts.places is not None:
            parts.places.save_into(folder)
        write_hashes(folder)
        write_scores_and_card(parts, folder, scores)


def write_scores(parts: HeadParts, folder: Path, scores: Scores) -> None:
    """Write scores into the folder that a head was loaded from, and the generated parts of its model card anew.

    Raises:
        FileNotFoundError: when `folder` is not the folder of a head.
        ValueError: when it is the folder of a head on other cells, the scores are of another partition, or a person
            wrote into a generated part of the card; nothing is written then.
    """
    with held_folder(folder):
        if read_config(folder)["partition_sha256"] != parts.partition.sha256:
            raise ValueError(f"scores go into the folder of the head they are of, and {folder} has another partition.")
        require_weights(parts, folder)
        write_scores_and_card(parts, folder, scores)


def require_weights(parts: HeadParts, folder: Path, called: Path | None = None) -> None:
    """Refuse a folder that has other weights than the head that was loaded from it: another one took its place.

    Args:
        parts: of the head that was loaded.
        folder: where to look.
        called: what the message calls the folder.

    Raises:
        ValueError: when it has.
    """
    for name, tensors in _by_file(parts.weights).items():
        try:
            there = _read_weights(folder / name, {tensor: tuple(value.shape) for tensor, value in tensors.items()})
            same = all(value.float().cpu().equal(there[tensor]) for tensor, value in tensors.items())
        except (DamagedFileError, FileNotFoundError):
            same = False
        if not same:
            raise ValueError(
                f"{called or folder} must hold the head that was loaded from it, and another one has taken its place "
                "meanwhile: run the command again."
            )


@one_sentence()
def read_head(folder: Path, partitioner: str | type[Kind] | None = None) -> HeadParts:
    """Read the folder of a head strictly; see `geocell.heads.head.load_head`.

    Raises:
        FileNotFoundError: when a file is missing.
        ValueError: when a file is of another format, damaged, or of another head.
    """
    if (folder / ENSEMBLE_FILE).is_file():
        raise ValueError(
            f"expected one head, got the ensemble {folder}: name one of its heads, {folder / '0'} say, or make them "
            "one with `geocell average`; `geocell.load_ensemble` reads it whole."
        )
    if (folder / COMBINATION_FILE).is_file():
        raise ValueError(
            f"expected one head, got the combination {folder}: name one of its members, {folder / '0'} say; "
            "`geocell.load_combination` reads it whole."
        )
    check_hashes(folder)
    config = read_config(folder)
    encoder = EncoderInfo.from_dict(config["encoder"], f"{folder / CONFIG_FILE} encoder")
    fit = fit_config_from_dict(stored_settings(config["fit"]), f"{folder / CONFIG_FILE} fit")
    partition = Partition.load(folder, partitioner)
    if partition.sha256 != config["partition_sha256"] and not (folder / PARTITION_FILE).is_file():
        raise missing(folder / PARTITION_FILE, "a head")
    if partition.sha256 != config["partition_sha256"]:
        raise ValueError(
            f"the partition in {folder} must be the one the head was fitted on, {config['partition_sha256']}, "
            f"got {partition.sha256}: copy the whole folder again from its origin."
        )
    stated = (config["dim"], config["n_cells"], config["fusion"])
    if stated != (encoder.dim, len(partition), fit.fusion):
        raise ValueError(
            f"{folder / CONFIG_FILE} must agree with its encoder, partition and fit on (dim, n_cells, fusion), "
            f"{(encoder.dim, len(partition), fit.fusion)}, got {stated}: write the head again."
        )
    if not fit.offsets and (folder / OFFSETS_FILE).exists():
        raise ValueError(
            f"{folder / OFFSETS_FILE} belongs to another head: this one was fitted with offsets 0; remove the file, or "
            "copy the whole folder again from its origin."
        )
    weights: dict[str, Tensor] = {}
    for name, shapes in _by_file(tensor_shapes(encoder.dim, len(partition), fit)).items():
        weights |= _read_weights(folder / name, shapes)
    parts = HeadParts(
        weights,
        partition,
        encoder,
        fit,
        config["training"],
        read_history(folder),
        read_trained_on(folder),
        read_calibration(folder),
    )
    index = read_neighbours(folder) if (folder / NEIGHBOURS_FILE).is_file() else None
    places = read_places(folder) if (folder / PLACES_FILE).is_file() else None
    for added in (index, places):
        if added is not None:
            added.require_for(parts)
    region = read_region(folder, encoder) if (folder / REGION_FILE).is_file() else None
    return replace(parts, neighbours=index, region=region, places=places)


def _by_file(weights: Mapping[str, T]) -> dict[str, dict[str, T]]:
    """Return file name -> tensors, or their shapes; offsets are in a file that other readers need not know."""
    files: dict[str, dict[str, T]] = {}
    for name, value in weights.items():
        files.setdefault(OFFSETS_FILE if name.startswith("offsets.") else WEIGHTS_FILE, {})[name] = value
    return files


def _read_weights(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, if they are float32 of exactly these names and shapes.

    The header is checked before any tensor is read.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise missing(path, "a head")
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            got = {name: (tuple(part.get_shape()), part.get_dtype()) for name, part in slices.items()}
            expected = {name: (shape, "F32") for name, shape in shapes.items()}
            if got != expected:
                raise DamagedFileError(
                    f"{path} must hold {_describe(expected)}; got {_describe(got)}: it is not the weights of this head."
                )
            return {name: file.get_tensor(name) for name in got}
    except (SafetensorError, OSError) as error:
        if is_out_of_files(error, path):
            raise too_many_open(path) from error
        raise DamagedFileError(
            f"{path} must be a safetensors file, got a damaged one ({error}): copy it again."
        ) from error


def _describe(tensors: Mapping[str, tuple[tuple[int, ...], str]]) -> str:
    parts = (f"{name} {list(shape)} {_DTYPES.get(kind, kind)}" for name, (shape, kind) in sorted(tensors.items()))
    return ", ".join(parts) or "nothing"
