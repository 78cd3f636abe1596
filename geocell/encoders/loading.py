"""Loading encoders by name, and the encoder that a head or cache recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from geocell.encoders.augmented import AveragedEncoder, averaged_pooling, check_augmentation, split_pooling
from geocell.encoders.info import NOT_PINNED, EncoderInfo
from geocell.encoders.joined import AND, JoinedEncoder, split_info
from geocell.encoders.lite0 import LITE0, EfficientNetLite0
from geocell.encoders.onnx_encoder import OnnxEncoder, is_exported
from geocell.encoders.pooling import POOLINGS, check_pooling
from geocell.encoders.processors import backend_of, check_backend
from geocell.encoders.protocol import Encoder
from geocell.encoders.tower import STREETCLIP, TIMM, TowerEncoder, describe_tower
from geocell.files import import_attribute


def load_encoder(
    name: str = STREETCLIP,
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    compile: bool = False,
    *,
    pooling: str | None = None,
    augment: str = "none",
    backend: str = "pil",
) -> Encoder:
    """Load a frozen encoder by name.

    Args:
        name: Hub id or local folder of a model whose vision tower transformers knows; `timm:NAME` for a model of timm;
            `efficientnet-lite0`; the folder of an exported model, which ONNX Runtime runs; or `module:attribute` for
            your own, a callable that returns an `Encoder`.
        revision: branch, tag or commit on the Hub; the resolved commit is recorded.
        device: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto` for the fastest available.
        dtype: `float32`, `bfloat16`, or `auto`, which is bfloat16 on CUDA and float32 elsewhere.
        compile: run the model through `torch.compile`.
        pooling: which tensor becomes the feature: `pooler_output`, `cls`, `mean`, `patch_mean` or `projection`; the
            first of `pooler_output`, `cls`, `mean` that the model has, when none is named.
        augment: test-time augmentation: `flip` or `crop5` for the mean feature of several variants of every image.
        backend: library that resizes: `pil`, `torchvision`, or `pil-draft`, which is Pillow with large JPEG files
            decoded at a half, a quarter or an eighth of their size.

    Raises:
        ValueError: for a device that is not available, or a model without a vision tower or without that pooling.
        OSError: when the weights can't be loaded.
        ImportError: when an extra is not installed.
    """
    check_encoder_settings(name, revision, pooling, augment, backend)
    if name == LITE0:
        encoder: Encoder = EfficientNetLite0(device, dtype, compile, draft=backend == "pil-draft")
    elif is_exported(name):
        encoder = _exported(name, device)
    elif _is_own(name):
        encoder = _own(name)
    else:
        encoder = TowerEncoder(name, revision, device, dtype, compile, pooling, backend)
    return encoder if augment == "none" else AveragedEncoder(encoder, augment)


def describe_encoder(
    name: str = STREETCLIP,
    revision: str | None = None,
    *,
    pooling: str | None = None,
    augment: str = "none",
    backend: str = "pil",
) -> EncoderInfo:
    """Return which encoder a name and settings mean; of models of transformers, weights are not loaded.

    Args:
        name: see `load_encoder`; so for the others, but that `pooling` is `pooler_output` when omitted.
        revision: branch, tag or commit on the Hub.
        pooling: which tensor becomes the feature.
        augment: test-time augmentation.
        backend: what resizes.

    Returns:
        The description, whose `dim` is 0 where only the weights tell it.

    Raises:
        ValueError, OSError, ImportError: see `load_encoder`.
    """
    check_encoder_settings(name, revision, pooling, augment, backend)
    if name == LITE0 or _is_own(name) or is_exported(name):
        return load_encoder(name, revision, "cpu", pooling=pooling, augment=augment, backend=backend).info
    info = describe_tower(name, revision, pooling, backend)
    return info if augment == "none" else replace(info, pooling=averaged_pooling(info.pooling, augment))


def check_encoder_settings(name: str, revision: str | None, pooling: str | None, augment: str, backend: str) -> None:
    """Refuse settings that the encoder cannot have, before anything is loaded.

    Raises:
        ValueError: for the first of them.
    """
    check_pooling(pooling)
    check_augmentation(augment)
    check_backend(backend)
    if name == LITE0 and revision is not None:
        raise ValueError(f"{LITE0} comes with its package and has no revisions, got {revision!r}: leave it out.")
    if is_exported(name) and (revision, pooling, backend) != (None, None, "pil"):
        raise ValueError(f"{name} is an exported model, which fixes revision, pooling and backend: leave them out.")
    if (name == LITE0 or _is_own(name)) and pooling is not None:
        raise ValueError(f"{name} has one pooling of its own, got {pooling!r}: leave it out.")
    if (name == LITE0 and backend == "torchvision") or (_is_own(name) and backend != "pil"):
        raise ValueError(f"{name} has resizing of its own, got the backend {backend!r}: leave it out.")


def _exported(name: str, device: str) -> OnnxEncoder:
    if device not in {"auto", "cpu"}:
        raise ValueError(f"an exported model runs on the CPU, got the device {device}: pass cpu or auto.")
    return OnnxEncoder(name)


def _is_own(name: str) -> bool:
    return ":" in name and not name.startswith(TIMM) and not Path(name).expanduser().is_dir()


def _own(name: str) -> Encoder:
    """Return the encoder that `attribute` of `module` returns when called."""
    make = import_attribute(name, "an encoder")
    made = make() if callable(make) else make
    if not isinstance(made, Encoder):
        raise ValueError(  # noqa: TRY004 - the name is wrong, not a type
            f"{name} must make an encoder with info, preprocess and a call, got {type(made).__name__}."
        )
    return made


def encoder_for(info: EncoderInfo, device: str = "auto", source: str | None = None) -> Encoder:
    """Load the encoder that made features, and refuse another.

    Args:
        info: identity recorded by a head or a cache.
        device: see `load_encoder`.
        source: where to load it from instead of the recorded source (a local folder that moved, say).

    Raises:
        ValueError: when the encoder found there makes other features.
    """
    parts = split_info(info)
    if len(parts) > 1:
        places: list[str | None] = [None] * len(parts) if source is None else list(source.split(AND))
        if len(places) != len(parts):
            raise ValueError(f"--encoder must name {len(parts)} encoders, A{AND}B, of {info.name}: got {source}.")
        loaded = [_recorded(part, device, place) for part, place in zip(parts, places, strict=True)]
        encoder: Encoder = JoinedEncoder(loaded)
    else:
        encoder = _recorded(info, device, source)
    info.require_same(encoder.info, "the head", f"the encoder {source or info.source or info.name}")
    return encoder


def _recorded(info: EncoderInfo, device: str, source: str | None) -> Encoder:
    """Load what a description names; whether it makes the same features is not checked here."""
    where = source or info.source or info.name
    if source is None and _is_own(where):
        raise ValueError(  # what a file says must not decide which code runs
            f"the encoder {info.name} is somebody's own ({where}): pass --encoder {where} if you trust that module."
        )
    if is_exported(where):
        return _exported(where, device)
    pooling, augment = split_pooling(info.pooling)
    local = Path(where).is_dir() or info.revision.startswith("sha256:")
    fixed = where == LITE0 or _is_own(where)
    try:
        return load_encoder(
            where,
            None if local or fixed or info.revision == NOT_PINNED else info.revision,
            device,
            pooling=pooling if pooling in POOLINGS and not fixed else None,
            augment=augment if augment in {"flip", "crop5"} else "none",
            backend="pil" if _is_own(where) else backend_of(info.processor),
        )
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"expected the encoder {info.name} at {where}, and it is not there: say where it is with --encoder. "
            "Features that were imported under a name alone have none: import them again with --like."
        ) from error
