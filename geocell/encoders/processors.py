"""Image processors of checkpoints: loading, replacing by Pillow, and identity."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from geocell.encoders.trust import ModelError, require_data_only, require_sizes
from geocell.files import canonical_json
from geocell.images.transforms import (
    Normalisation,
    PillowTransform,
    Transform,
    normalisation_of,
    pillow_transform,
    transform_of,
)

Backend = Literal["pil", "pil-draft", "torchvision"]
DRAFT = ", draft"
_KEYS = (
    "do_convert_rgb", "do_resize", "size", "resample", "do_center_crop", "crop_size", "do_rescale", "rescale_factor",
    "do_normalize", "image_mean", "image_std",
)  # fmt: skip


@dataclass(frozen=True)
class Processor:
    """Preprocessing of a model's images.

    Attributes:
        transform: image -> bytes.
        normalisation: bytes -> the model's input.
        identity: class of the processor, with a hash of its settings.
    """

    transform: Transform
    normalisation: Normalisation
    identity: str


class _Settings(dict[str, Any]):
    """Settings of a processor whose class is not available, with the interface of one."""

    def to_dict(self) -> dict[str, Any]:
        return self


def check_backend(backend: str) -> None:
    """Refuse an unknown backend.

    Raises:
        ValueError: when it is none of pil, pil-draft and torchvision.
    """
    if backend not in get_args(Backend):
        raise ValueError(f"backend must be one of {', '.join(get_args(Backend))}, got {backend!r}.")


def backend_of(identity: str) -> Backend:
    """Return the backend of a recorded identity: transformers names the classes on Pillow `…Pil`."""
    if identity.endswith(DRAFT):
        return "pil-draft"
    name = identity.split(" ", 1)[0]
    return "torchvision" if name.endswith("ImageProcessor") else "pil"


def load_processor(config: Any, where: str, revision: str | None, backend: str) -> Processor:  # noqa: ANN401
    """Load the image processor of a checkpoint.

    A checkpoint whose processor transformers has on torchvision only is processed by Pillow with the same settings,
    unless `backend` asks for torchvision; so is one of timm. Draft is part of the identity.

    Args:
        config: the checkpoint's configuration.
        where: Hub id or folder.
        revision: commit on the Hub.
        backend: `pil`, `pil-draft` or `torchvision`.

    Raises:
        ValueError: when Pillow cannot do what the settings say, or not alone, which `pil-draft` needs.
        ImportError: when torchvision is asked for and does not load.
    """
    check_backend(backend)
    if backend == "pil-draft":
        whole = _load(config, where, revision, "pil")
        return replace(whole, transform=drafted(whole.transform, where), identity=f"{whole.identity}{DRAFT}")
    return _load(config, where, revision, backend)


def drafted(transform: Transform, name: str) -> Transform:
    """Return a transform that receives large JPEG files at a fraction of their size; `name` is its model.

    Raises:
        ValueError: when the transform needs more than Pillow.
    """
    if not isinstance(transform, PillowTransform):
        raise ModelError(f"{name} has an image processor that does more than Pillow: pass --backend pil.")
    return replace(transform, draft=True)


def _load(config: Any, where: str, revision: str | None, backend: str) -> Processor:  # noqa: ANN401
    import transformers

    if config.model_type == "timm_wrapper":
        return _of_timm(config)
    if backend == "torchvision":
        import torchvision  # noqa: F401 - transformers would fall back to Pillow and only warn
    auto: Any = transformers.AutoImageProcessor
    base: Any = transformers.ImageProcessingMixin
    settings, _ = base.get_image_processor_dict(where, revision=revision)
    require_data_only(settings, where, "image processor")
    require_sizes(settings, where)
    try:
        processor = auto.from_pretrained(where, revision=revision, backend=backend, trust_remote_code=False)
    except (ImportError, ValueError):
        if backend == "torchvision":
            raise
        return _of_settings(_Settings(_defaults(settings)), where)
    if backend == "pil" and backend_of(type(processor).__name__) != "pil":
        return _of_settings(_Settings(_defaults(processor.to_dict())), where)
    return Processor(
        transform_of(processor), normalisation_of(processor), _identity(type(processor).__name__, processor)
    )


def _defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with the defaults of transformers' processors."""
    return {"do_resize": True, "do_rescale": True, "do_normalize": True, "rescale_factor": 1 / 255} | dict(settings)


def _of_settings(settings: _Settings, where: str) -> Processor:
    transform = pillow_transform(settings)
    if transform is None:
        raise ModelError(
            f"{where} has an image processor that Pillow cannot stand in for: install torchvision and pass --backend "
            "torchvision."
        )
    return Processor(transform, normalisation_of(settings), _identity("Pillow", settings))


def _identity(name: str, processor: Any) -> str:  # noqa: ANN401 - a class of transformers
    settings = processor.to_dict()
    content = canonical_json({key: settings.get(key) for key in _KEYS})
    return f"{name} {hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _of_timm(config: Any) -> Processor:  # noqa: ANN401 - a class of transformers
    """Return what `timm.data.create_transform` does for evaluation, by Pillow alone."""
    import timm.data
    from PIL import Image

    data: dict[str, Any] = timm.data.resolve_data_config(config.pretrained_cfg, verbose=False)
    height, width = data["input_size"][1:]
    if data["crop_mode"] not in {"center", "squash"} or (data["crop_mode"] == "center" and height != width):
        raise ModelError(
            f"timm's crop mode must be center or squash here, got {data['crop_mode']!r}: encode elsewhere."
        )
    resized = [math.floor(side / data["crop_pct"]) for side in (height, width)]
    size = resized[0] if data["crop_mode"] == "center" else (resized[0], resized[1])
    resample = Image.Resampling[data["interpolation"].upper()]
    transform = PillowTransform(size, (height, width), resample, centre="round")
    mean, std = tuple(map(float, data["mean"])), tuple(map(float, data["std"]))
    content = canonical_json([size, [height, width], int(resample), mean, std])
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    return Processor(transform, Normalisation(1 / 255, mean, std), f"timm {digest}")
