"""Identity of encoders."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from geocell.encoders import TowerEncoder, load_encoder
from geocell.encoders.info import NOT_PINNED, EncoderInfo
from geocell.encoding import encode_images
from tests.worlds import make_clip


def test_another_crop_is_another_encoder_and_another_folder_name_is_not(tmp_path: Path) -> None:
    from transformers import CLIPImageProcessorPil

    first = TowerEncoder(str(make_clip(tmp_path / "a")), device="cpu").info
    renamed = TowerEncoder(str(make_clip(tmp_path / "renamed")), device="cpu").info
    first.require_same(renamed, "the head", "the cache")
    other = CLIPImageProcessorPil(size={"shortest_edge": 64}, crop_size={"height": 56, "width": 56})
    other.save_pretrained(make_clip(tmp_path / "b"))
    with pytest.raises(ValueError, match="processor='CLIPImageProcessorPil"):
        first.require_same(TowerEncoder(str(tmp_path / "b"), device="cpu").info, "the head", "the cache")


def test_the_three_features_of_one_name_are_three(towers: Any, images: list[Image.Image]) -> None:
    one, two = (load_encoder(towers("clip"), device="cpu", pooling=pooling) for pooling in ("pooler_output", "cls"))
    assert one.info.dim == two.info.dim
    assert np.abs(encode_images(images, one) - encode_images(images, two)).max() > 0.1
    with pytest.raises(ValueError, match=r"pooling='pooler_output'.*pooling='cls'"):
        one.info.require_same(two.info, "the head", "the cache")


def info(**changes: Any) -> EncoderInfo:
    return replace(EncoderInfo("a/b", "1" * 40, "pooler_output", 32, 56, "P 123", source="a/b"), **changes)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"dtype": "bfloat16"}, True),
        ({"source": "elsewhere"}, True),
        ({"name": "c/d"}, False),
        ({"revision": "2" * 40}, False),
        ({"pooling": "cls"}, False),
        ({"dim": 64}, False),
        ({"image_size": 64}, False),
        ({"processor": "P 456"}, False),
        ({"revision": NOT_PINNED}, True),
        ({"processor": NOT_PINNED, "image_size": 0}, True),
        ({"revision": NOT_PINNED, "dim": 64}, False),
    ],
)
def test_what_makes_the_same_features_is_one_encoder(changes: dict[str, Any], same: bool) -> None:
    for left, right in ((info(), info(**changes)), (info(**changes), info())):
        if same:
            left.require_same(right, "the head", "the cache")
        else:
            with pytest.raises(ValueError, match=f"the head: {list(changes)[-1]}="):
                left.require_same(right, "the head", "the cache")


def test_equal_local_weights_are_one_encoder_whatever_their_folder_is_called() -> None:
    info(name="x", revision="sha256:1").require_same(info(name="y", revision="sha256:1"), "the head", "the cache")
    with pytest.raises(ValueError, match="the head: name='x', revision="):
        info(name="x", revision="sha256:1").require_same(info(name="y", revision="sha256:2"), "the head", "the cache")


def test_an_encoder_of_a_name_alone_is_not_pinned() -> None:
    assert info().is_pinned
    for fact in ("revision", "pooling", "processor"):
        assert not info(**{fact: NOT_PINNED}).is_pinned


def test_json_round_trip() -> None:
    assert EncoderInfo.from_dict(json.loads(json.dumps(info().to_dict())), "x") == info()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "x must describe an encoder by .*, got None"),
        ({"name": "a"}, r"got \['name'\]"),
        ({**info().to_dict(), "more": 1}, "'more'"),
        ({**info().to_dict(), "dim": "32"}, "x must have .*'dim'"),
        ({**info().to_dict(), "dim": True}, "x must have .*'dim'"),
        ({**info().to_dict(), "name": None}, "x must have .*'name'"),
    ],
)
def test_what_is_no_description_is_refused(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EncoderInfo.from_dict(value, "x")
