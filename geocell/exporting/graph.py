"""One graph from pixels or features to calibrated probabilities, and its files."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geocell.encoders.manifest import BATCH, FEATURES, PROBABILITIES, GraphFormat, Manifest
from geocell.encoders.onnx_encoder import open_session
from geocell.encoders.torch_encoder import TorchEncoder
from geocell.heads.head import Head

Runner = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""A graph: (B, …) input -> (B, C) probabilities."""


class ExportGraph(nn.Module):
    """A head in evaluation mode, after its encoder if there is one: its temperature, bias and softmax are part of it.

    Args:
        head: the head.
        encoder: the encoder, None for a graph that reads features.
    """

    def __init__(self, head: Head, encoder: TorchEncoder | None) -> None:
        """Refer to the weights of both."""
        super().__init__()
        self.head = head.module
        self.tower = None if encoder is None else encoder.model
        self._encode = None if encoder is None else encoder.forward
        learned = head.calibration
        self.temperature = 1.0 if learned is None else learned.temperature
        self.bias: Tensor | None
        self.register_buffer("bias", None if learned is None or learned.bias is None else torch.tensor(learned.bias))

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the (B, C) probabilities, and with an encoder the (B, D) features."""
        features = inputs if self._encode is None else self._encode(inputs)
        logits = self.head.logits(self.head.pooled(features))
        if self.temperature != 1.0:
            logits = logits / self.temperature
        if self.bias is not None:
            logits = logits + self.bias
        probabilities = torch.softmax(logits, dim=1)
        return (probabilities,) if self._encode is None else (probabilities, features)


def write_graph(graph: ExportGraph, path: Path, to: GraphFormat, shape: tuple[int, ...]) -> None:
    """Write a graph whose batch size is free.

    Args:
        graph: the graph.
        path: file to write.
        to: `onnx` or `pt2`.
        shape: of one row of the input.

    Raises:
        ImportError: for ONNX without the extra `onnx`.
        ValueError: when torch cannot trace the model.
    """
    example = (torch.zeros((2, *shape)),)
    if to == "onnx":
        require_onnx()
    with _quiet(), torch.no_grad():
        try:
            if to == "pt2":
                program = torch.export.export(graph, example, dynamic_shapes={"inputs": {0: torch.export.Dim(BATCH)}})
                for node in program.graph.nodes:
                    node.meta.pop("stack_trace", None)  # paths of this machine
                torch.export.save(program, path)
            else:
                _write_onnx(graph, path, example)
        except ImportError:
            raise
        except Exception as error:  # torch raises errors of many kinds for what it cannot trace
            first = str(error).strip().split("\n", maxsplit=1)[0].removesuffix(".")
            raise ValueError(
                f"torch could not make a graph of this model ({first}): try the other format, or leave the encoder out."
            ) from error


def _write_onnx(graph: ExportGraph, path: Path, example: tuple[Tensor]) -> None:
    names = [PROBABILITIES] if graph.tower is None else [PROBABILITIES, FEATURES]
    program: Any = torch.onnx.export(
        graph,
        example,
        dynamic_shapes={"inputs": {0: BATCH}},
        input_names=[FEATURES if graph.tower is None else "pixel_values"],
        output_names=names,
        dynamo=True,
        verbose=False,
    )
    for node in program.model.graph:
        node.metadata_props.clear()  # stack traces, with paths of this machine
    program.save(path, external_data=False)


def require_onnx() -> None:
    """Raise ImportError without the extra `onnx`."""
    from importlib.util import find_spec

    if lacking := [name for name in ("onnx", "onnxruntime", "onnxscript") if find_spec(name) is None]:
        raise ImportError(
            f'--to onnx needs {lacking[0]}, which is not installed: run pip install "geocell-heads[onnx]", or export '
            "with --to pt2."
        )


def open_written(folder: Path, manifest: Manifest) -> Runner:
    """Return the graph that was just written, as it runs: by ONNX Runtime, or by torch.

    A pt2 file of somebody else is not opened by this package.
    """
    if manifest.format == "onnx":
        session = open_session(folder, manifest)
        return lambda rows: np.asarray(session.run([PROBABILITIES], {manifest.input_name: rows})[0])
    with _quiet():
        module = torch.export.load(folder / manifest.graph_file).module()

    def run(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            return np.asarray(module(torch.from_numpy(rows))[0].numpy())

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's warnings about its own exporter from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
