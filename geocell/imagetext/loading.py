"""Loading models of images and texts by name, or by the encoder that features record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from geocell.encoders.info import EncoderInfo
from geocell.encoders.lite0 import LITE0
from geocell.encoders.loading import load_encoder
from geocell.encoders.tower import STREETCLIP, hub_id
from geocell.imagetext.checkpoints import CheckpointModel, checkpoint_for
from geocell.imagetext.joined import JoinedTowers
from geocell.imagetext.protocol import ImageTextModel


def load_image_text(name: str = STREETCLIP, revision: str | None = None, device: str = "auto") -> ImageTextModel:
    """Load a model of images and texts by name.

    Args:
        name: Hub id or local folder of a CLIP or SigLIP checkpoint; or `efficientnet-lite0`, which is joined with
            MiniLM (extra `towers`).
        revision: branch, tag or commit on the Hub.
        device: `cpu`, `cuda`, `mps`, or `auto` for the fastest available.

    Raises:
        ValueError: for a model without a text tower, or one that cannot tell captions apart.
        FileNotFoundError: for neither a folder nor a Hub id.
        OSError: when the weights can't be loaded.
        ImportError: when an extra is not installed.
    """
    if name == LITE0:
        if revision is not None:
            raise ValueError(f"{LITE0} comes with its package and has no revisions, got {revision!r}: leave it out.")
        return JoinedTowers(load_encoder(LITE0, device="cpu").info, device)
    _require_possible(name)
    return CheckpointModel(name, revision, device)


def image_text_for(info: EncoderInfo, device: str = "auto", source: str | None = None) -> ImageTextModel:
    """Load the model of images and texts whose vision tower made features, and refuse another.

    Args:
        info: the encoder that a cache, or a head, records.
        device: see `load_image_text`.
        source: where to load it from instead of the recorded source.

    Raises:
        ValueError: when the model found there has other weights, no text tower, or no projection of these features.
        FileNotFoundError, OSError, ImportError: see `load_image_text`.
    """
    where = source or info.source or info.name
    if LITE0 in (where, info.name):
        here = load_encoder(LITE0, device="cpu").info
        here.require_same(replace(info, processor=here.processor), f"the encoder {LITE0}", "the features")
        return JoinedTowers(info, device)
    if source is None and info.revision.startswith("sha256:") and not Path(where).is_dir():
        raise FileNotFoundError(
            f"the features are of the local model {info.name}, and there is no folder {where}: pass --encoder with the "
            "folder where it is now."
        )
    _require_possible(where)
    return checkpoint_for(info, device, source)


def _require_possible(name: str) -> None:
    """Refuse names of what has no text tower before anything is loaded."""
    if ":" in name and not Path(name).expanduser().is_dir():
        raise ValueError(
            f"zero-shot needs a model of images and texts, got {name!r}, an encoder of images alone: use StreetCLIP, "
            "another CLIP or SigLIP, or efficientnet-lite0."
        )
    if hub_id(name) is None and not Path(name).expanduser().is_dir():
        raise FileNotFoundError(f"expected a Hub id (user/model), a folder or {LITE0}, got {name!r}.")
