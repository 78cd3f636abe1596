"""Models by name."""

import pytest

from geocell.encoders import load_encoder
from geocell.imagetext import image_text_for, load_image_text


def test_names_that_have_no_texts() -> None:
    for name in ("timm:vit_small_patch16_224.dino", "my_module:MyEncoder"):
        with pytest.raises(ValueError, match="an encoder of images alone"):
            load_image_text(name)
    with pytest.raises(FileNotFoundError, match="expected a Hub id"):
        load_image_text("nothing")
    with pytest.raises(ValueError, match="has no revisions, got 'main'"):
        load_image_text("efficientnet-lite0", "main")


def test_the_packaged_encoder_of_another_version_is_refused() -> None:
    from dataclasses import replace

    info = replace(load_encoder("efficientnet-lite0", device="cpu").info, revision="0.0")
    with pytest.raises(ValueError, match=r"must share one encoder; .*revision='0.1.*'; the features: revision='0.0'"):
        image_text_for(info, "cpu")
