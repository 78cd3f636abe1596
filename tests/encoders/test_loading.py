from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geocell.encoders import Encoder, TowerEncoder, describe_encoder, encoder_for, load_encoder
from geocell.encoders.info import EncoderInfo
from geocell.encoders.trust import ModelError
from geocell.encoding import encode
from tests.worlds import make_clip, make_photos


def test_a_local_clip_is_known_by_its_weights(tmp_path: Path) -> None:
    first = TowerEncoder(str(make_clip(tmp_path / "a")), device="cpu")
    moved = TowerEncoder(str((tmp_path / "a").rename(tmp_path / "b")), device="cpu")
    other = TowerEncoder(str(make_clip(tmp_path / "c", seed=1)), device="cpu")
    assert isinstance(first, Encoder)
    assert first.info.revision == moved.info.revision != other.info.revision
    assert (first.info.dim, first.info.image_size, first.info.pooling) == (32, 56, "pooler_output")
    assert first.info.dtype == "float32"
    assert first.info.processor.startswith("CLIPImageProcessorPil ")


def test_the_encoder_of_a_record_is_found_or_refused(tmp_path: Path) -> None:
    info = TowerEncoder(str(make_clip(tmp_path / "a")), device="cpu").info
    assert encoder_for(info, "cpu").info == info
    make_clip(tmp_path / "other" / "a", seed=1)
    with pytest.raises(ValueError, match="must share one encoder; the head: revision='sha256"):
        encoder_for(info, "cpu", str(tmp_path / "other" / "a"))
    gone = EncoderInfo(**{**info.to_dict(), "source": str(tmp_path / "gone")})
    with pytest.raises(FileNotFoundError, match="say where it is with --encoder"):
        encoder_for(gone, "cpu")


@pytest.mark.parametrize("name", ["/no/such/folder", "no-such-name", "./x/y"])
def test_names_that_are_neither_hub_nor_folder(name: str) -> None:
    with pytest.raises(FileNotFoundError, match="which is neither"):
        load_encoder(name, device="cpu")


def test_a_hub_id_that_is_not_cached_says_what_to_do() -> None:
    with pytest.raises(OSError, match="the weights of nobody/nothing could not be loaded"):
        load_encoder("nobody/nothing", device="cpu")


def test_a_folder_of_another_family(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="got model type 'bert'"):
        load_encoder(str(tmp_path), device="cpu")


def test_a_folder_without_weights(tmp_path: Path) -> None:
    folder = make_clip(tmp_path / "a")
    (folder / "model.safetensors").unlink()
    with pytest.raises(OSError, match="could not be loaded"):
        load_encoder(str(folder), device="cpu")


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="device must be"):
        TowerEncoder(str(make_clip(tmp_path / "a")), device="tpu")


@pytest.mark.weights
def test_streetclip_has_its_published_shape() -> None:
    from huggingface_hub import try_to_load_from_cache

    if not isinstance(try_to_load_from_cache("geolocal/StreetCLIP", "config.json"), str):
        pytest.skip("the weights of geolocal/StreetCLIP are not in the local Hub cache")
    info = load_encoder("geolocal/StreetCLIP", device="cpu").info
    assert (info.dim, info.image_size, info.pooling) == (1024, 336, "pooler_output")


def test_the_example_of_the_documentation_is_an_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "encoders.md").read_text()
    code = page.split("```python\n", 1)[1].split("```", 1)[0]
    (tmp_path / "histogram.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    encoder = load_encoder("histogram:ColourHistogram")
    assert isinstance(encoder, Encoder)
    cache = encode(make_photos(tmp_path, 3, 1), encoder, tmp_path / "cache")
    np.testing.assert_allclose(cache.features.sum(1), 3, atol=1e-2)  # the shares of three channels
    assert cache.encoder.name == "colour-histogram"
    info = replace(encoder.info, source="histogram:ColourHistogram")
    with pytest.raises(ValueError, match="pass --encoder histogram:ColourHistogram if you trust that module"):
        encoder_for(info)
    assert encoder_for(info, source="histogram:ColourHistogram").info == encoder.info


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("no_such_module:Encoder", ImportError, "expected an encoder at no_such_module:Encoder"),
        ("json:nothing", ImportError, "has no attribute 'nothing'"),
        ("builtins:dict", ValueError, "must make an encoder with info, preprocess and a call, got dict"),
    ],
)
def test_names_that_make_no_encoder(name: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        load_encoder(name)


@pytest.mark.parametrize("augment", ["none", "crop5"])
def test_draft_is_part_of_what_an_encoder_is(tmp_path: Path, augment: str) -> None:
    folder = str(make_clip(tmp_path / "clip"))
    whole, draft = (load_encoder(folder, device="cpu", augment=augment, backend=name) for name in ("pil", "pil-draft"))
    assert draft.info.processor == f"{whole.info.processor}, draft"
    assert encoder_for(draft.info, "cpu").info == draft.info
    assert encoder_for(draft.info, "cpu").preprocess == draft.preprocess != whole.preprocess
    assert draft.preprocess.draft_side == {"none": 2 * 56, "crop5": 2 * 56 / 7 * 8}[augment]
    table = make_photos(tmp_path, 2, 1)
    encode(table, whole, tmp_path / "cache")
    with pytest.raises(ValueError, match=r"must share one encoder.*, draft'"):
        encode(table, draft, tmp_path / "cache")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pooling": "max"}, "pooling must be one of pooler_output, cls, mean, patch_mean, projection, got 'max'"),
        ({"augment": "crop9"}, "augment must be one of none, flip, crop5"),
        ({"backend": "opencv"}, "backend must be one of pil, pil-draft, torchvision"),
        ({"name": "efficientnet-lite0", "backend": "torchvision"}, "efficientnet-lite0 has resizing of its own"),
        ({"name": "a:b", "backend": "pil-draft"}, "a:b has resizing of its own, got the backend 'pil-draft'"),
        ({"name": "efficientnet-lite0", "pooling": "cls"}, "efficientnet-lite0 has one pooling of its own"),
        ({"name": "a:b", "pooling": "cls"}, "a:b has one pooling of its own"),
    ],
)
def test_settings_are_refused_before_anything_is_loaded(settings: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load_encoder(**settings)


@pytest.mark.parametrize("name", ["no_such_module:make", "math:make", ":make", ".math:make"])
def test_an_encoder_of_ones_own_that_is_not_there(name: str) -> None:
    with pytest.raises(ImportError, match=f"expected an encoder at {name} "):
        load_encoder(name, device="cpu")


def test_an_attribute_that_makes_no_encoder() -> None:
    with pytest.raises(ValueError, match=r"math:pi must make an encoder .*, got float"):
        load_encoder("math:pi", device="cpu")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("config.json", '"initializer_range": 0.02', '"initializer_range": [0.02]'),
        ("config.json", '"patch_size": 14', '"patch_size": 0'),
        ("preprocessor_config.json", '"do_rescale": true', '"do_rescale": "\\ud800"'),
        ("preprocessor_config.json", '"rescale_factor": 0.00392156862745098', '"rescale_factor": []'),
        ("preprocessor_config.json", '"shortest_edge": 56', '"shortest_edge": 1000000000'),
        ("preprocessor_config.json", "{", "\udc97"),
        ("model.safetensors", '"dtype":"F32"', '"dtype":"F64"'),
    ],
)
def test_damaged_models_are_one_sentence(tmp_path: Path, file: str, old: str, new: str) -> None:
    folder = make_clip(tmp_path / "clip")
    content = (folder / file).read_bytes()
    assert old.encode() in content
    (folder / file).write_bytes(content.replace(old.encode(), new.encode(errors="surrogateescape"), 1))
    for load in (load_encoder, describe_encoder):
        try:
            load(str(folder))
        except (ValueError, OSError) as error:
            assert type(error) in {ModelError, OSError}
            assert str(error).isprintable()
            assert len(str(error)) <= 1000
