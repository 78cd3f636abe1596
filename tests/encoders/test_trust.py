"""Model folders that bring code: refused, and neither asked about nor run."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from geocell.cli.app import main
from geocell.encoders.trust import ModelError, require_architecture, require_data_only, require_sizes
from tests.worlds import make_clip, make_photos

CODE = (
    "import pathlib, sys\npathlib.Path({marker!r}).write_text('ran')\nfrom transformers import CLIPVisionConfig as C\n"
)


def with_code(folder: Path, file: str, known: bool, marker: Path) -> Path:
    """Save a CLIP whose `file` maps a class to a module that writes a marker."""
    make_clip(folder)
    (folder / "custom.py").write_text(CODE.format(marker=str(marker)))
    path = folder / file
    value = json.loads(path.read_text())
    if file == "config.json":
        value["auto_map"] = {"AutoConfig": "custom.C", "AutoModel": "custom.C"}
        value["model_type"] = value["model_type"] if known else "of-its-own"
    else:
        value["auto_map"] = {"AutoImageProcessor": ["custom.C", None]}
        value["image_processor_type"] = value["image_processor_type"] if known else "OfItsOwn"
    path.write_text(json.dumps(value))
    return folder


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json"])
def test_code_of_a_model_is_neither_asked_about_nor_run(
    tmp_path: Path, file: str, known: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("sys.stdin", io.StringIO("y\ny\ny\n"))
    monkeypatch.setattr("geocell.cli.app._quiet_third_parties", lambda: None)  # for all of the process
    marker = tmp_path / "marker"
    folder = with_code(tmp_path / "model", file, known, marker)
    table = make_photos(tmp_path / "photos", 2, 1)
    assert main(f"encode {table} --encoder {folder} --device cpu --out {tmp_path / 'c'}".split()) == 1
    said = capsys.readouterr()
    assert "--encoder module:attribute" in said.err
    assert "names code to run (auto_map)" in said.err
    assert "y/N" not in said.out + said.err
    assert sys.stdin.read() == "y\ny\ny\n"
    assert not marker.exists()
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"vision_config": {"auto_map": {"AutoConfig": "a.B"}}},
        {"attn_implementation": "someone/kernel"},
        {"text_config": {"_attn_implementation": "someone/kernel:f"}},
        {"architecture": "local-dir:/x"},
        {"model_args": {"checkpoint_path": "x.pth"}},
        {"image_processor": [{"auto_map": {"AutoImageProcessor": "a.B"}}]},
    ],
)
def test_whatever_names_code_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"names code to run .*module:attribute"):
        require_data_only(settings, "someone/model", "config.json")


def test_settings_alone_pass() -> None:
    require_data_only(
        {"auto_map": {}, "attn_implementation": "sdpa", "architecture": "vit_base", "model_args": {"depth": 3}},
        "someone/model",
        "config.json",
    )


@pytest.mark.parametrize(
    "settings",
    [{"size": 10**9}, {"size": {"height": 0, "width": 9}}, {"crop_size": {"height": "x"}}, {"pad_size": [8, 1e300]}],
)
def test_images_of_any_size_are_refused_before_one_is_made(settings: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"^here must have an image processor with \w+ from 1 to 8,192 pixels, got"):
        require_sizes(settings, "here")


def test_usual_sizes_are_taken() -> None:
    require_sizes(
        {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}, "pad_size": None}, "here"
    )
    require_sizes({"size": 224, "do_resize": True}, "here")


@pytest.mark.parametrize(
    "settings",
    [
        {"num_hidden_layers": 2147483648},
        {"vision_config": {"num_hidden_layers": 1001}},
        {"depths": [2, 2, 10**9, 2]},
        {"model_args": {"depth": 1e12}},
    ],
)
def test_layers_without_end_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(
        ModelError, match=r"^it must have at most 1,000 layers of a kind, got (num_hidden_layers|depths?)"
    ):
        require_architecture(settings, "it")


@pytest.mark.parametrize(
    "settings",
    [
        {"num_channels": 1099511627779},
        {"vision_config": {"hidden_size": 2**31}},
        {"hidden_sizes": [96, 10**7]},
        {"model_args": {"embed_dim": 1e12}},
    ],
)
def test_layers_wider_than_any_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"^it must have at most 131,072 numbers a side, got (num_ch|hid|emb)"):
        require_architecture(settings, "it")


def test_usual_layers_are_taken() -> None:
    require_architecture(
        {"num_hidden_layers": 48, "depths": [3, 3, 27, 3], "hidden_size": 4096, "layer_norm_eps": 1e-5}, "it"
    )


def test_a_model_of_layers_without_end_is_refused_before_it_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = make_clip(tmp_path)
    config = json.loads((clip / "config.json").read_text())
    config["num_hidden_layers"] = 2147483648
    (clip / "config.json").write_text(json.dumps(config))
    table = make_photos(tmp_path / "photos", 1, 1)
    assert main(["encode", str(table), "--encoder", str(clip), "--out", str(tmp_path / "cache")]) == 1
    assert "must have at most 1,000 layers of a kind, got num_hidden_layers = 2147483648" in capsys.readouterr().err
