"""The manifest of an exported model: its JSON form is read back, and whatever else stands there is refused."""

import hashlib
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geocell.encoders.info import EncoderInfo
from geocell.encoders.manifest import Manifest, read_manifest
from geocell.images.transforms import Normalisation, PillowTransform

GRAPH = b"a graph"
INFO = EncoderInfo("user/clip", "abc", "pooler_output", 6, 28, "P 1", "float32", "user/clip")


def make_manifest(*, with_encoder: bool = True) -> Manifest:
    norm = Normalisation(1 / 255, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    return Manifest(
        "onnx",
        hashlib.sha256(GRAPH).hexdigest(),
        len(GRAPH),
        INFO,
        "mit",
        PillowTransform(32, (28, 24), 3, "round", "round") if with_encoder else None,
        norm if with_encoder else None,
        ({"name": "a", "label": "A", "place": "Oslo"}, {"name": "b", "label": "b"}),
        np.array([[59.9, 10.75], [-1.5, 179.9]]),
        {"spec": "within:200", "summary": "s", "parameters": {"radius_km": 200.0}, "shares": {}},
        1.25,
        True,
        "feature",
        "h",
        "p",
        "0.1.0",
    )


def write(folder: Path, value: Any, graph: bytes = GRAPH) -> Path:
    (folder / "manifest.json").write_text(json.dumps(value))
    (folder / "model.onnx").write_bytes(graph)
    return folder


@pytest.mark.parametrize("with_encoder", [True, False])
def test_it_is_read_as_it_was_written(tmp_path: Path, with_encoder: bool) -> None:
    made = make_manifest(with_encoder=with_encoder)
    value = made.to_dict()
    found = read_manifest(write(tmp_path, value))
    assert found.to_dict() == value
    assert (found.transform, found.normalisation) == (made.transform, made.normalisation)
    assert np.array_equal(found.centroids, made.centroids)
    assert found.input_shape == ((3, 28, 24) if with_encoder else (6,))
    assert found.outputs == ({"probabilities": 2, "features": 6} if with_encoder else {"probabilities": 2})


def test_sides_without_a_crop_are_those_it_is_resized_to() -> None:
    made = make_manifest()
    squashed = Manifest(**{**vars(made), "transform": PillowTransform((20, 30), None, 2)})
    assert squashed.input_shape == (3, 20, 30)


BROKEN: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "another format": (("format",), 2),
    "an unknown graph": (("graph", "format"), "pickle"),
    "a file elsewhere": (("graph", "file"), "../model.onnx"),
    "a size that is no number": (("graph", "bytes"), "7"),
    "another input": (("input", "shape"), ["batch", 3, 9, 9]),
    "another output": (("outputs",), []),
    "a huge image": (("preprocessing", "centre_crop", "height"), 10**9),
    "no crop": (("preprocessing", "centre_crop"), None),
    "an unknown filter": (("preprocessing", "resample"), "magic"),
    "another rounding": (("preprocessing", "crop_rounding"), "up"),
    "a flag that is a number": (("preprocessing", "draft"), 1),
    "a mean of two": (("preprocessing", "mean"), [0.0, 0.0]),
    "a mean of texts": (("preprocessing", "mean"), ["0", "0", "0"]),
    "a deviation of 0": (("preprocessing", "std", 0), 0.0),
    "a huge number": (("preprocessing", "scale"), 10**400),
    "no cells": (("cells",), []),
    "a cell that is none": (("cells", 0), 3),
    "a latitude beyond the pole": (("cells", 0, "lat"), 91.0),
    "a place that is no text": (("cells", 0, "place"), 5),
    "a temperature of 0": (("temperature",), 0),
    "a bias that is no flag": (("has_bias",), "yes"),
    "a huge encoder": (("encoder", "dim"), 10**12),
    "an encoder of more": (("encoder", "code"), "x"),
    "no licence": (("encoder", "license"), None),
    "a decoder without shares": (("decoder",), {"spec": "centroid"}),
}


@pytest.mark.parametrize(("place", "value"), BROKEN.values(), ids=BROKEN.keys())
def test_damage_is_refused(tmp_path: Path, place: tuple[str | int, ...], value: Any) -> None:
    whole: Any = deepcopy(make_manifest().to_dict())
    inner = whole
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(ValueError, match=r"manifest\.json"):
        read_manifest(write(tmp_path, whole))


@pytest.mark.parametrize("key", make_manifest().to_dict())
def test_every_key_is_needed(tmp_path: Path, key: str) -> None:
    value = make_manifest().to_dict()
    del value[key]
    with pytest.raises(ValueError, match=r"manifest\.json"):
        read_manifest(write(tmp_path, value))


@pytest.mark.parametrize("graph", [b"a grapH", b"a graph longer"])
def test_another_graph_is_refused(tmp_path: Path, graph: bytes) -> None:
    with pytest.raises(ValueError, match=r"must have the size and sha256 of manifest\.json"):
        read_manifest(write(tmp_path, make_manifest().to_dict(), graph))


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"manifest\.json"):
        read_manifest(tmp_path)
    write(tmp_path, make_manifest().to_dict())
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.onnx"):
        read_manifest(tmp_path)
