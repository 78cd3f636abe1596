"""The folder of a zero-shot classifier: candidates, settings, embeddings; enough to answer without a text tower."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from geocell.encoders.info import EncoderInfo
from geocell.files import (
    FORMAT,
    DamagedFileError,
    new_folder,
    read_folder,
    read_json,
    require_types,
    write_json,
)
from geocell.heads.calibration import CALIBRATION_FILE, Calibration, read_calibration
from geocell.heads.card_file import PICTURE_FILE, SCORES_FILE
from geocell.heads.zero_shot import ZeroShot
from geocell.hub.client import CARD_FILE
from geocell.imagetext.projection import Float32, Projection
from geocell.partitioners.base import PARTITION_FILE
from geocell.partitioners.cells import INFO_FILE
from geocell.zeroshot.candidates import Candidate, Candidates
from geocell.zeroshot.levels import levels_of
from geocell.zeroshot.settings import ZeroShotSettings

ZERO_SHOT_FILE = "zero_shot.json"
TEXTS_FILE = "texts.safetensors"
MARKS = (ZERO_SHOT_FILE, TEXTS_FILE)
PARTS = (INFO_FILE, PARTITION_FILE, CALIBRATION_FILE, SCORES_FILE, "scores-*.json", CARD_FILE, PICTURE_FILE)
ZERO_SHOT_FILES = (*MARKS, *PARTS)
"""Names and patterns of all that the folder or the repository of a zero-shot classifier is made of."""

MAX_BYTES = 256 << 20
_MAX_DIM = 1 << 16
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "encoder": dict,
    "settings": dict,
    "candidates": list,
    "text_identity": str,
    "scale": float,
    "bias": float,
    "sha256": str,
}
_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "country": str,
    "city": str,
    "lat": float,
    "lon": float,
    "region": str,
    "continent": str,
    "population": int,
}


def is_zero_shot(path: str | Path) -> bool:
    """Return whether a folder is that of a zero-shot classifier."""
    return (Path(path) / ZERO_SHOT_FILE).is_file()


def save_zero_shot(model: ZeroShot, path: str | Path, overwrite: bool = False) -> None:
    """Write a zero-shot classifier as one folder, atomically.

    Raises:
        FileExistsError: when `path` exists and `overwrite` is false, or it is something else.
    """
    from safetensors.numpy import save_file

    with new_folder(Path(path), overwrite=overwrite, marks=MARKS, parts=PARTS) as folder:
        model.partition.write_into(folder)
        tensors = {f"texts.{level.name}": texts for level, texts in zip(model.levels, model.texts, strict=True)}
        if model.projection.matrix is not None:
            tensors["projection"] = model.projection.matrix
        save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, folder / TEXTS_FILE)
        value = {
            "format": FORMAT,
            "encoder": model.encoder.to_dict(),
            "text_identity": model.text_identity,
            "settings": model.settings.to_dict(),
            "scale": model.projection.scale,
            "bias": model.projection.bias,
            "independent": model.projection.independent,
            "sha256": model.content_sha256,
            "candidates": model.candidates.to_records(),
        }
        write_json(folder / ZERO_SHOT_FILE, value)
        if model.calibration is not None:
            write_json(folder / CALIBRATION_FILE, model.calibration.to_dict())


def load_zero_shot(path: str | Path) -> ZeroShot:
    """Read a zero-shot classifier strictly; no model is loaded.

    Raises:
        FileNotFoundError: when there is no such folder, or a file is missing.
        ValueError: when a file is damaged, or not the one that was written.
    """
    return read_folder(Path(path), _read)


def write_zero_shot_calibration(folder: Path, calibration: Calibration) -> None:
    """Write what was learned on validation locations into the folder."""
    write_json(folder / CALIBRATION_FILE, calibration.to_dict())


def _read(folder: Path) -> ZeroShot:
    path = folder / ZERO_SHOT_FILE
    value = read_json(path, "a zero-shot classifier", max_bytes=MAX_BYTES)
    require_types(value, _TYPES, str(path))
    if not isinstance(value.get("independent"), bool):
        raise DamagedFileError(f"{path} must have true or false as 'independent': make the folder again.")
    settings = ZeroShotSettings.from_dict(value["settings"], f"{path} settings")
    encoder = EncoderInfo.from_dict(value["encoder"], f"{path} encoder")
    candidates = _candidates(value["candidates"], path)
    names = list(settings.templates)
    sizes = {level.name: len(level) for level in levels_of(candidates, names)}
    tensors = _tensors(folder / TEXTS_FILE, sizes, encoder.dim)
    try:
        projection = Projection(tensors.pop("projection", None), value["scale"], value["bias"], value["independent"])
        texts = tuple(tensors[f"texts.{name}"] for name in names)
        found = ZeroShot(candidates, settings, encoder, projection, texts, value["text_identity"])
    except (ValueError, TypeError, OverflowError) as error:  # the latter two of numbers beyond those of numpy
        raise DamagedFileError(f"{folder}: {error}") from error
    if found.content_sha256 != value["sha256"]:
        raise DamagedFileError(f"{folder} must hold what was written together, and a file was changed: make it again.")
    calibration = read_calibration(folder)
    return found if calibration is None else replace(found, calibration=calibration)


def _candidates(records: list[Any], path: Path) -> Candidates:
    for record in records:
        require_types(record, _FIELDS, f"{path} candidates")
        if set(record) != set(_FIELDS):
            raise DamagedFileError(f"{path} must have candidates with the keys {', '.join(_FIELDS)}: make it again.")
    try:
        return Candidates(tuple(Candidate(**record) for record in records))
    except ValueError as error:
        raise DamagedFileError(f"{path}: {error}") from error


def _tensors(path: Path, sizes: Mapping[str, int], dim: int) -> dict[str, Float32]:
    """Return the tensors of the file, after their names, types and shapes were checked."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(
            f"a zero-shot classifier needs the file {path.name}, and there is none in {path.parent}."
        )
    wanted = {f"texts.{name}": n for name, n in sizes.items()}
    try:
        with safe_open(path, framework="numpy") as file:
            names = set(file.keys())
            shapes = {name: list(file.get_slice(name).get_shape()) for name in names}
            types = {file.get_slice(name).get_dtype() for name in names}
            widths = {shape[1] for name, shape in shapes.items() if len(shape) == 2 and name != "projection"}
            fits = names - {"projection"} == set(wanted) and types == {"F32"} and len(widths) == 1
            fits = fits and all(shapes[name] == [n, *widths] for name, n in wanted.items()) and max(widths) <= _MAX_DIM
            if not fits or ("projection" in names and shapes["projection"] != [*widths, dim]):
                raise DamagedFileError(f"{path} must hold float32 embeddings of {wanted}, got {shapes}: make it again.")
            return {name: file.get_tensor(name) for name in sorted(names)}
    except SafetensorError as error:
        raise DamagedFileError(
            f"{path} must be a safetensors file, got a damaged one ({error}): make it again."
        ) from error


def write_zero_shot_scores(folder: Path, scores: Mapping[str, Any], split: str) -> Path:
    """Write scores beside a zero-shot classifier, `scores.json` for the split test; return the file."""
    path = folder / (SCORES_FILE if split == "test" else f"scores-{split}.json")
    write_json(path, dict(scores))
    return path


__all__ = [
    "is_zero_shot",
    "load_zero_shot",
    "save_zero_shot",
    "write_zero_shot_calibration",
    "write_zero_shot_scores",
]
