"""Graphs compute what a head computes, for every batch size, and say nothing of the machine they were made on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geocell.exporting import graph as graphs
from geocell.exporting.graph import ExportGraph, require_onnx, write_graph
from geocell.heads.head import Head
from tests.exporting.exports import CELLS, by_hand, random_head, vector_scaling

HEADS = {
    "plain": random_head,
    "calibrated": lambda: random_head(calibration=vector_scaling()),
    "logit fusion": lambda: random_head(fusion="logit"),
    "attention fusion": lambda: random_head(fusion="attention"),
}


def rows(n: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(n).normal(size=(n, 8)).astype(np.float32)


@pytest.mark.parametrize("make", HEADS.values(), ids=HEADS.keys())
def test_it_is_the_head_by_hand(make: Any) -> None:
    head: Head = make()
    (found,) = ExportGraph(head, None).eval()(torch.from_numpy(rows(20)))
    np.testing.assert_allclose(found.numpy(), by_hand(head, rows(20)), atol=2e-6)
    assert found.numpy().max() > 2 / CELLS  # the weights matter


def test_an_onnx_file_answers_for_every_batch_size(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    head = random_head(calibration=vector_scaling())
    write_graph(ExportGraph(head, None).eval(), tmp_path / "g.onnx", "onnx", (8,))
    assert {path.name for path in tmp_path.iterdir()} == {"g.onnx"}  # weights and all
    content = (tmp_path / "g.onnx").read_bytes()
    assert b"site-packages" not in content
    assert b"/geocell/" not in content
    session = runtime.InferenceSession(tmp_path / "g.onnx", providers=["CPUExecutionProvider"])
    assert [(part.name, part.shape) for part in session.get_inputs()] == [("features", ["batch", 8])]
    for n in (1, 2, 33):
        np.testing.assert_allclose(session.run(None, {"features": rows(n)})[0], by_hand(head, rows(n)), atol=2e-6)


def test_a_pt2_file_answers_for_every_batch_size(tmp_path: Path) -> None:
    head = random_head()
    write_graph(ExportGraph(head, None).eval(), tmp_path / "g.pt2", "pt2", (8,))
    assert b"site-packages" not in (tmp_path / "g.pt2").read_bytes()
    module = torch.export.load(tmp_path / "g.pt2").module()
    for n in (1, 2, 33):
        (found,) = module(torch.from_numpy(rows(n)))
        np.testing.assert_allclose(found.detach().numpy(), by_hand(head, rows(n)), atol=2e-6)


def test_what_torch_cannot_trace_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = ExportGraph(random_head(), None).eval()
    monkeypatch.setattr(graph.head, "pooled", lambda features: features if features.sum() > 0 else -features)
    with pytest.raises(ValueError, match=r"^torch could not make a graph of this model \(.+\): try the other format"):
        write_graph(graph, tmp_path / "g.pt2", "pt2", (8,))


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(ImportError, match=r'needs onnxscript, .+: run pip install "geocell-heads\[onnx\]", or'):
        require_onnx()


def test_only_what_was_written_is_opened_by_torch() -> None:
    callers = [path for path in Path(graphs.__file__).parents[1].rglob("*.py") if "export.load(" in path.read_text()]
    assert callers == [Path(graphs.__file__)]
