"""The encoder in an exported model: a drop-in for the one that was exported, and hostile folders are refused."""

import hashlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from geocell.encoders import encoder_for, load_encoder
from geocell.encoders.manifest import read_manifest
from geocell.encoders.onnx_encoder import OnnxEncoder, is_exported, open_session
from geocell.exporting.export import export_model
from geocell.heads.head import Head
from geocell.prediction.geolocator import Geolocator
from tests.exporting.exports import random_head
from tests.worlds import make_clip, make_image

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Head, Path]:
    """A head of a small CLIP, and its export; the CLIP is beside it."""
    folder = tmp_path_factory.mktemp("made")
    encoder = load_encoder(str(make_clip(folder / "clip")), device="cpu")
    head = random_head(encoder.info)
    return head, export_model(head, folder / "exported", with_encoder=True).folder


def test_it_makes_the_features_of_the_encoder(made: tuple[Head, Path], images: list[Image.Image]) -> None:
    head, folder = made
    theirs, ours = load_encoder(str(folder.parent / "clip"), device="cpu"), load_encoder(str(folder))
    theirs.info.require_same(ours.info, "one", "the other")
    assert ours.info.dtype == "float32, onnxruntime"
    pixels = np.stack([ours.preprocess(image) for image in images])
    np.testing.assert_array_equal(pixels, np.stack([theirs.preprocess(image) for image in images]))
    for n in (1, len(images)):
        np.testing.assert_allclose(ours(pixels[:n]), theirs(pixels[:n]), atol=1e-5)
    assert isinstance(encoder_for(head.encoder, source=str(folder)), OnnxEncoder)


def test_a_geolocator_answers_with_it(made: tuple[Head, Path], tmp_path: Path) -> None:
    head, folder = made
    head.save(tmp_path / "head")
    photos = [str(make_image(tmp_path / f"{i}.jpg", seed=i)) for i in range(3)]
    expected = Geolocator.load(tmp_path / "head", device="cpu").locate(photos)
    found = Geolocator.load(tmp_path / "head", encoder=str(folder)).locate(photos)
    for one, other in zip(found, expected, strict=True):
        assert (one.lat, one.lon) == (other.lat, other.lon)
        assert one.cells[0].probability == pytest.approx(other.cells[0].probability, abs=1e-3)


def test_another_heads_features_are_refused(made: tuple[Head, Path]) -> None:
    head, folder = made
    with pytest.raises(ValueError, match="must share one encoder"):
        encoder_for(replace(head.encoder, pooling="cls"), source=str(folder))


def test_settings_that_are_fixed_are_refused(made: tuple[Head, Path]) -> None:
    _, folder = made
    with pytest.raises(ValueError, match="fixes revision, pooling and backend"):
        load_encoder(str(folder), pooling="cls")
    with pytest.raises(ValueError, match="runs on the CPU, got the device cuda"):
        load_encoder(str(folder), device="cuda")


def test_a_checkpoint_is_no_export(made: tuple[Head, Path], tmp_path: Path) -> None:
    _, folder = made
    assert is_exported(folder)
    assert not is_exported(folder.parent / "clip")
    assert not is_exported("user/model")


def test_a_graph_without_its_encoder_is_refused(tmp_path: Path) -> None:
    folder = export_model(random_head(), tmp_path / "out", to="pt2").folder
    with pytest.raises(ValueError, match="got pt2 without it: export with --to onnx --with-encoder"):
        OnnxEncoder(folder)


def hostile(source: Path, folder: Path, change: Any) -> Path:
    """Return a copy whose graph is changed, with the hash that it has then."""
    shutil.copytree(source, folder)
    model = onnx.load(folder / "model.onnx")
    change(model)
    (folder / "model.onnx").write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return rehashed(folder)


def rehashed(folder: Path) -> Path:
    content = (folder / "model.onnx").read_bytes()
    value = json.loads((folder / "manifest.json").read_text())
    value["graph"] |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (folder / "manifest.json").write_text(json.dumps(value))
    return folder


def test_weights_elsewhere_are_refused(made: tuple[Head, Path], tmp_path: Path) -> None:
    def elsewhere(model: Any) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../etc/passwd")

    folder = hostile(made[1], tmp_path / "hostile", elsewhere)
    with pytest.raises(ValueError, match="must hold all of its weights, got weights in other files"):
        OnnxEncoder(folder)


def test_a_graph_of_other_outputs_is_refused(made: tuple[Head, Path], tmp_path: Path) -> None:
    folder = hostile(made[1], tmp_path / "hostile", lambda model: model.graph.output.pop())
    with pytest.raises(ValueError, match=r"must have the inputs and outputs of manifest\.json"):
        OnnxEncoder(folder)


@pytest.mark.parametrize("content", [b"", b"no graph", bytes(range(256)) * 40], ids=["empty", "text", "bytes"])
def test_what_is_no_graph_is_refused(made: tuple[Head, Path], tmp_path: Path, content: bytes) -> None:
    shutil.copytree(made[1], tmp_path / "hostile")
    (tmp_path / "hostile/model.onnx").write_bytes(content)
    with pytest.raises(ValueError, match="sha256"):
        OnnxEncoder(tmp_path / "hostile")
    with pytest.raises(ValueError, match=r"model\.onnx must be an ONNX graph"):
        OnnxEncoder(rehashed(tmp_path / "hostile"))


def test_a_missing_extra_is_named(made: tuple[Head, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r'run pip install "geocell-heads\[onnx\]"'):
        open_session(made[1], read_manifest(made[1]))
