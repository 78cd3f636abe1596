"""The encoder in an exported model, run by ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.encoders.info import EncoderInfo
from geocell.encoders.manifest import BATCH, FEATURES, MANIFEST_FILE, Manifest, read_manifest
from geocell.files import DamagedFileError, reading

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from geocell.images.transforms import Transform


def is_exported(name: str | Path) -> bool:
    """Return whether a folder is an exported model, and no checkpoint of transformers."""
    folder = Path(name).expanduser()
    return (folder / MANIFEST_FILE).is_file() and not (folder / "config.json").exists()


def open_session(folder: Path, manifest: Manifest) -> InferenceSession:
    """Return the session of an ONNX graph whose inputs and outputs are those of its manifest.

    Raises:
        ImportError: without the extra `onnx`.
        ValueError: when it is damaged, of other shapes, or has its weights in other files.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            'an ONNX graph needs ONNX Runtime, which is not installed: run pip install "geocell-heads[onnx]".'
        ) from error
    from geocell.compute.cores import usable_cores

    path = folder / manifest.graph_file
    with reading(path, "an ONNX graph"):
        if _has_external(onnx.load(path, load_external_data=False).graph):
            raise DamagedFileError(f"{path} must hold all of its weights, got weights in other files: export it again.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = usable_cores()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    found = [(part.name, part.type, list(part.shape)) for part in (*session.get_inputs(), *session.get_outputs())]
    shapes = {manifest.input_name: manifest.input_shape} | {k: (size,) for k, size in manifest.outputs.items()}
    if manifest.with_encoder != (FEATURES in manifest.outputs) or found != [
        (name, "tensor(float)", [BATCH, *shape]) for name, shape in shapes.items()
    ]:
        raise DamagedFileError(f"{path} must have the inputs and outputs of {MANIFEST_FILE}, got others: export again.")
    return session


def _has_external(graph: Any) -> bool:  # noqa: ANN401 - a protobuf message
    from onnx.external_data_helper import uses_external_data

    return any(map(uses_external_data, _tensors(graph)))


def _tensors(graph: Any) -> Iterator[Any]:  # noqa: ANN401 - a protobuf message
    """Yield every tensor of a graph, and of the graphs within its nodes."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                if inner.ByteSize():
                    yield from _tensors(inner)


def normalised(manifest: Manifest, pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Return the (B, 3, H, W) input of a graph from (B, H, W, 3) bytes."""
    if manifest.normalisation is None:
        raise ValueError("a graph that reads features has no pixels to normalise: export with --with-encoder.")
    norm = manifest.normalisation
    moved = pixels.astype(np.float32).transpose(0, 3, 1, 2)
    mean, std = (np.array(part, dtype=np.float32).reshape(3, 1, 1) for part in (norm.mean, norm.std))
    return np.ascontiguousarray((moved * np.float32(norm.scale) - mean) / std)


class OnnxEncoder:
    """The encoder of a folder that `export_model` wrote in ONNX with its encoder.

    A drop-in for the encoder that was exported: `Geolocator.load(head, encoder=folder)` asks ONNX Runtime.
    """

    def __init__(self, folder: str | Path) -> None:
        """Read the manifest, check the graph and open it.

        Raises:
            FileNotFoundError: when a file is missing.
            ImportError: without the extra `onnx`.
            ValueError: for a damaged folder, or a graph without an encoder or not in ONNX.
        """
        place = Path(folder).expanduser()
        self._manifest = read_manifest(place)
        if self._manifest.format != "onnx" or self._manifest.transform is None:
            raise ValueError(
                f"{place} must be an ONNX graph with its encoder, got {self._manifest.format} "
                f"{'with' if self._manifest.with_encoder else 'without'} it: export with --to onnx --with-encoder."
            )
        self._session = open_session(place, self._manifest)
        self._transform = self._manifest.transform
        self._info = replace(self._manifest.encoder, dtype="float32, onnxruntime", source=str(place.resolve()))

    @property
    def info(self) -> EncoderInfo:
        """Identity of the encoder that was exported."""
        return self._info

    @property
    def preprocess(self) -> Transform:
        """Transform of one upright RGB image to bytes."""
        return self._transform

    def __call__(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return the (B, D) features of (B, H, W, 3) bytes."""
        features = self._session.run([FEATURES], {self._manifest.input_name: normalised(self._manifest, pixels)})[0]
        return np.asarray(features, dtype=np.float32)
