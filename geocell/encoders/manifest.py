"""`manifest.json` of an exported model: all that somebody needs to run its graph without this package."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from geocell.encoders.info import EncoderInfo
from geocell.files import FORMAT, DamagedFileError, missing, read_json, reading, require_types
from geocell.geo.geodesy import Floats, as_latlon
from geocell.images.transforms import Normalisation, PillowTransform

GraphFormat = Literal["onnx", "pt2"]
MANIFEST_FILE = "manifest.json"
PARITY_FILE = "parity.json"
GRAPH_FILES: Mapping[str, str] = {"onnx": "model.onnx", "pt2": "model.pt2"}
PIXELS, FEATURES, PROBABILITIES, BATCH = "pixel_values", "features", "probabilities", "batch"
"""Names of the inputs and outputs of graphs, and of their first dimension."""

_MAX_BYTES = 64 << 20
_MOST_CELLS = 1_000_000
_MAX_SIDE = 8192
_MAX_DIM = 1 << 16
_RESAMPLE = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")  # Pillow's numbers in order
_TYPES: dict[str, type | tuple[type, ...]] = {
    "geocell_version": str,
    "graph": dict,
    "input": dict,
    "outputs": list,
    "preprocessing": (dict, type(None)),
    "cells": list,
    "decoder": dict,
    "temperature": float,
    "views": dict,
    "encoder": dict,
    "head_sha256": str,
    "partition_sha256": str,
}


@dataclass(frozen=True, eq=False)
class Manifest:
    """What an exported model is.

    Attributes:
        format: of the graph: `onnx` or `pt2`.
        graph_sha256: SHA-256 of the graph's file.
        graph_bytes: its size.
        encoder: the encoder, in the graph or before it.
        license: licence of the encoder's weights, "" where it is not known.
        transform: how an image becomes bytes, None for a graph that reads features.
        normalisation: how those bytes become the graph's input, likewise.
        cells: name, label and, where towns are known, `place` of each of the C cells.
        centroids: (C, 2) degrees.
        decoder: how probabilities become a point: `spec`, `summary`, `parameters` and `shares`.
        temperature: T, which is in the graph.
        has_bias: whether the graph adds a bias to each logit.
        fusion: how the head joins several views of one location.
        head_sha256: hash of the head.
        partition_sha256: hash of the cells.
        geocell_version: version that wrote it.
    """

    format: GraphFormat
    graph_sha256: str
    graph_bytes: int
    encoder: EncoderInfo
    license: str
    transform: PillowTransform | None
    normalisation: Normalisation | None
    cells: tuple[Mapping[str, str], ...]
    centroids: Floats
    decoder: Mapping[str, Any]
    temperature: float
    has_bias: bool
    fusion: str
    head_sha256: str
    partition_sha256: str
    geocell_version: str = field(default="")

    @property
    def with_encoder(self) -> bool:
        """Whether the graph starts at pixels, not at features."""
        return self.transform is not None

    @property
    def graph_file(self) -> str:
        """Name of the graph's file."""
        return GRAPH_FILES[self.format]

    @property
    def input_name(self) -> str:
        """Name of the graph's input."""
        return PIXELS if self.with_encoder else FEATURES

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one row of the input: (3, H, W) or (D,)."""
        return (self.encoder.dim,) if self.transform is None else (3, *_sides(self.transform))

    @property
    def outputs(self) -> dict[str, int]:
        """Name of each output -> length of one row of it."""
        features = {FEATURES: self.encoder.dim} if self.with_encoder else {}
        return {PROBABILITIES: len(self.cells)} | features

    def input_json(self) -> dict[str, Any]:
        """Return what is said of the input."""
        return {"name": self.input_name, "dtype": "float32", "shape": [BATCH, *self.input_shape]}

    def outputs_json(self) -> list[dict[str, Any]]:
        """Return what is said of the outputs."""
        return [{"name": name, "dtype": "float32", "shape": [BATCH, size]} for name, size in self.outputs.items()]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "format": FORMAT,
            "geocell_version": self.geocell_version,
            "graph": {
                "format": self.format,
                "file": self.graph_file,
                "sha256": self.graph_sha256,
                "bytes": self.graph_bytes,
            },
            "input": self.input_json(),
            "outputs": self.outputs_json(),
            "preprocessing": self._preprocessing(),
            "cells": [
                {**cell, "lat": lat, "lon": lon}
                for cell, (lat, lon) in zip(self.cells, self.centroids.tolist(), strict=True)
            ],
            "decoder": dict(self.decoder),
            "temperature": self.temperature,
            "has_bias": self.has_bias,
            "views": {"fusion": self.fusion, "text": _views_text(self.fusion, self.with_encoder)},
            "encoder": {**self.encoder.to_dict(), "license": self.license},
            "head_sha256": self.head_sha256,
            "partition_sha256": self.partition_sha256,
        }

    def _preprocessing(self) -> dict[str, Any] | None:
        if self.transform is None or self.normalisation is None:
            return None
        size, crop, norm = self.transform.size, self.transform.crop, self.normalisation
        return {
            "orientation": "upright by EXIF",
            "colour": "RGB",
            "resize": {"shortest_edge": size} if isinstance(size, int) else {"height": size[0], "width": size[1]},
            "long_side_rounding": self.transform.long_side,
            "resample": _RESAMPLE[self.transform.resample],
            "centre_crop": None if crop is None else {"height": crop[0], "width": crop[1]},
            "crop_rounding": self.transform.centre,
            "draft": self.transform.draft,
            "scale": norm.scale,
            "mean": list(norm.mean),
            "std": list(norm.std),
            "formula": "(byte * scale - mean) / std, channels first",
        }


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest in the folder of an exported model, and the size and hash of its graph.

    Raises:
        FileNotFoundError: when a file is missing.
        ValueError: when a file is damaged, or of another format.
    """
    path = folder / MANIFEST_FILE
    value = read_json(path, "an exported model", max_bytes=_MAX_BYTES)
    require_types(value, _TYPES, str(path))
    with reading(path, "the manifest of an exported model"):
        manifest = _parse(value, str(path))
        if [value["input"], value["outputs"]] != [manifest.input_json(), manifest.outputs_json()]:
            raise DamagedFileError(
                f"{path} must state the input and outputs of its encoder and cells, got others: export it again."
            )
    _check_graph(folder / manifest.graph_file, manifest)
    return manifest


def _check_graph(graph: Path, manifest: Manifest) -> None:
    if not graph.is_file():
        raise missing(graph, "an exported model")
    same = graph.stat().st_size == manifest.graph_bytes  # before hours of hashing something else
    if same:
        with graph.open("rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == manifest.graph_sha256
    if not same:
        raise DamagedFileError(
            f"{graph} must have the size and sha256 of {MANIFEST_FILE}, and has others: it was changed or is of "
            "another export; copy the whole folder again, or export it again."
        )


def _parse(value: Mapping[str, Any], where: str) -> Manifest:
    graph, given = value["graph"], dict(value["encoder"])
    require_types(graph, {"format": str, "file": str, "sha256": str, "bytes": int}, f"{where} graph")
    if GRAPH_FILES.get(graph["format"]) != graph["file"] or graph["bytes"] < 0:
        raise ValueError(f"graph must be one of {', '.join(get_args(GraphFormat))} in its usual file")
    license_ = given.pop("license", None)
    if not isinstance(license_, str):
        raise ValueError("the encoder must have a licence, or an empty text for none")  # noqa: TRY004 - a file
    encoder = EncoderInfo.from_dict(given, f"{where} encoder")
    if not 0 < encoder.dim <= _MAX_DIM:
        raise ValueError(f"the encoder must have 1 to {_MAX_DIM:,} numbers per feature, got {encoder.dim}")
    transform, normalisation = _parse_preprocessing(value["preprocessing"], f"{where} preprocessing")
    cells, centroids = _parse_cells(value["cells"], f"{where} cells")
    require_types(value["decoder"], {"spec": str, "summary": str, "parameters": dict, "shares": dict}, where)
    require_types(value["views"], {"fusion": str, "text": str}, f"{where} views")
    if not value["temperature"] > 0:
        raise ValueError("temperature must be above 0")
    return Manifest(
        graph["format"],
        graph["sha256"],
        graph["bytes"],
        encoder,
        license_,
        transform,
        normalisation,
        cells,
        centroids,
        value["decoder"],
        float(value["temperature"]),
        _flag(value, "has_bias"),
        value["views"]["fusion"],
        value["head_sha256"],
        value["partition_sha256"],
        value["geocell_version"],
    )


def _parse_cells(rows: list[Any], where: str) -> tuple[tuple[Mapping[str, str], ...], Floats]:
    if not 0 < len(rows) <= _MOST_CELLS:
        raise ValueError(f"cells must be 1 to {_MOST_CELLS:,}, got {len(rows):,}")
    for row in rows:
        require_types(row, {"name": str, "label": str, "lat": float, "lon": float}, where)
        if not isinstance(row.get("place", ""), str):
            raise ValueError("the place of a cell must be a text")  # noqa: TRY004 - a file
    centroids = as_latlon(np.array([(row["lat"], row["lon"]) for row in rows], dtype=np.float64))
    return tuple({key: row[key] for key in ("name", "label", "place") if key in row} for row in rows), centroids


def _parse_preprocessing(
    value: Mapping[str, Any] | None, where: str
) -> tuple[PillowTransform | None, Normalisation | None]:
    if value is None:
        return None, None
    types: dict[str, type | tuple[type, ...]] = {
        "resize": dict, "long_side_rounding": str, "resample": str, "centre_crop": (dict, type(None)),
        "crop_rounding": str, "scale": float, "mean": list, "std": list,
    }  # fmt: skip
    require_types(value, types, where)
    resize, crop = value["resize"], value["centre_crop"]
    size = _side(resize, "shortest_edge") if "shortest_edge" in resize else _height_width(resize)
    if {value["long_side_rounding"], value["crop_rounding"]} - {"floor", "round"}:
        raise ValueError("rounding must be floor or round")
    transform = PillowTransform(
        size,
        None if crop is None else _height_width(crop),
        _RESAMPLE.index(value["resample"]),
        value["long_side_rounding"],
        value["crop_rounding"],
        _flag(value, "draft"),
    )
    if crop is None and isinstance(size, int):
        raise ValueError("the input must have a fixed size: a crop, or a height and a width")
    for key in ("mean", "std"):
        if len(value[key]) != 3:
            raise ValueError(f"{key} must be three numbers")
        require_types(dict(zip("rgb", value[key], strict=True)), dict.fromkeys("rgb", float), f"{where} {key}")
    if not all(value["std"]):
        raise ValueError("std must not be 0")
    mean, std = tuple(map(float, value["mean"])), tuple(map(float, value["std"]))
    return transform, Normalisation(float(value["scale"]), mean, std)


def _flag(value: Mapping[str, Any], key: str) -> bool:
    if not isinstance(value.get(key), bool):
        raise ValueError(f"{key} must be true or false")  # noqa: TRY004 - a file
    return bool(value[key])


def _height_width(value: Mapping[str, Any]) -> tuple[int, int]:
    return _side(value, "height"), _side(value, "width")


def _side(value: Mapping[str, Any], key: str) -> int:
    side = value.get(key)
    if not isinstance(side, int) or isinstance(side, bool) or not 0 < side <= _MAX_SIDE:
        raise ValueError(f"{key} must be a whole number of pixels from 1 to {_MAX_SIDE:,}")
    return side


def _sides(transform: PillowTransform) -> tuple[int, int]:
    """Return (H, W) of the pixels that a transform returns."""
    if transform.crop is not None:
        return transform.crop
    if isinstance(transform.size, int):
        raise ValueError("a graph needs images of one size: crop them, or resize them to a height and a width.")  # noqa: TRY004
    return transform.size


def _views_text(fusion: str, with_encoder: bool) -> str:
    """Return what a row of the input is, and how several views of one location are joined."""
    row = "one view (one image)" if with_encoder else "the feature of one view"
    if fusion == "feature" and not with_encoder:
        return "A row is one location: the mean of the features of its views."
    if fusion == "feature":
        return (
            f"A row is {row}. The library answers several views of one location by the mean of their features, which a "
            "graph exported without the encoder reads."
        )
    if fusion == "logit":
        return (
            f"A row is {row}. The library answers several views of one location by the mean of their logits, which is "
            "the geometric mean of their probabilities, scaled to the sum 1."
        )
    return f"A row is {row}. How the library weighs several views of one location is not in the graph."
