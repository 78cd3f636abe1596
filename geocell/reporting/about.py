"""What a report says a head is: encoder, cells, fit and calibration, without any path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geocell.files import printable
from geocell.heads.combination import Combination
from geocell.heads.head import Head
from geocell.heads.zero_shot import ZeroShot

if TYPE_CHECKING:
    from geocell.heads.calibration import Calibration
    from geocell.heads.protocol import HeadLike
    from geocell.partitioners.base import Partition

_OF_TRAINING = ("n_train", "n_val", "n_train_outside", "best_epoch", "epochs_run", "refit")
_OF_RECORD = ("split", "protocol", "n_locations", "date")
_FILE_FIELDS = frozenset({"path", "file", "layer", "shapes", "source"})
_MOST = 120  # characters of a text that a person may have written


def about_head(head: HeadLike, name: str) -> dict[str, Any]:
    """Return what a head is, as JSON: `name`, `kind`, `sha256`, `encoder`, `partition`, `fit`, `calibration`.

    Args:
        head: a head, a combination, an ensemble or a zero-shot classifier.
        name: what it is called.
    """
    encoder = head.encoder
    return {
        "name": short(name),
        "kind": _kind(head),
        "sha256": head.sha256,
        "encoder": {
            key: short(str(getattr(encoder, key))) for key in ("name", "revision", "pooling", "dim", "image_size")
        },
        "partition": _about_partition(head.partition),
        "fit": _about_fit(head),
        "calibration": None if head.calibration is None else _about_calibration(head.calibration),
    }


def short(text: str) -> str:
    """Return what somebody else wrote as printable text of bounded length."""
    shown = printable(text)
    return shown if len(shown) <= _MOST else f"{shown[: _MOST - 1]}…"


def _kind(head: HeadLike) -> str:
    if isinstance(head, Combination):
        return f"combination of {len(head.members)} heads"
    return "zero-shot classifier" if isinstance(head, ZeroShot) else "head"


def _about_partition(partition: Partition) -> dict[str, Any]:
    parameters = {
        short(str(key)): short(str(value)) for key, value in partition.parameters.items() if key not in _FILE_FIELDS
    }
    n = int(partition.counts.sum())
    return {
        "kind": short(partition.kind),
        "n_cells": len(partition),
        "sha256": partition.sha256,
        "parameters": parameters,
        "n_train": n or None,
        "assigns": partition.can_assign,
    }


def _about_fit(head: HeadLike) -> dict[str, Any]:
    if isinstance(head, ZeroShot):
        return {"templates": {k: short(" · ".join(map(str, v))) for k, v in head.settings.templates.items()}}
    if isinstance(head, Combination):
        names = {"rule": head.pooling.rule, "weights": [round(float(w), 4) for w in head.pooling.weights]}
        return {**names, "vote": head.pooling.vote is not None}
    if not isinstance(head, Head):
        return {}
    training = {key: head.training[key] for key in _OF_TRAINING if key in head.training}
    changed = {key: _plain(value) for key, value in head.config.to_dict().items()}
    return {**training, "config": changed}


def _about_calibration(calibration: Calibration) -> dict[str, Any]:
    record = {key: _plain(calibration.record[key]) for key in _OF_RECORD if key in calibration.record}
    return {
        "temperature": calibration.temperature,
        "decoder": calibration.decoder,
        "scaling": "temperature" if calibration.bias is None else "vector",
        "abstain_below": calibration.abstain_below,
        **record,
    }


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float) else short(str(value))
