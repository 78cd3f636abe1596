"""The folder of a head: written whole or not at all, read strictly, no pickle in either direction."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geocell.features.locations import EncoderInfo
from geocell.files import missing, new_folder, read_json, reading, write_json, write_text
from geocell.heads.card import head_card
from geocell.heads.card_text import CardText, require_unchanged, take_apart
from geocell.heads.config_file import CONFIG_FILE, HISTORY_FILE, config_json, history_csv, read_config, read_history
from geocell.heads.fit_config import fit_config_from_dict
from geocell.heads.head import GeoHead, HasJson, Head
from geocell.hub.client import CARD_FILE, Snapshot, download, pickles
from geocell.hub.names import HubName
from geocell.partitioners.base import PARTITION_FILE, Partition
from geocell.partitioners.cells import INFO_FILE
from geocell.partitioners.polygons import SHAPES_FILE

ENSEMBLE_FILE = "ensemble.json"
WEIGHTS_FILE = "model.safetensors"
OFFSETS_FILE = "offsets.safetensors"
SCORES_FILE = "scores.json"
PICTURE_FILE = "partition.png"
HEAD_FILES = (
    CONFIG_FILE, WEIGHTS_FILE, OFFSETS_FILE, INFO_FILE, PARTITION_FILE, SHAPES_FILE, SCORES_FILE, "scores-*.json",
    HISTORY_FILE, CARD_FILE, PICTURE_FILE,
)  # fmt: skip
"""Names and patterns of all that a head's folder or repository is made of: nothing else is pushed or pulled."""


def save_head(head: Head, path: Path, scores: HasJson | None = None, *, overwrite: bool = False) -> None:
    """Write a head as one folder that appears complete or not at all.

    Args:
        head: the head.
        path: the folder.
        scores: what `score` returned, for `scores.json` and the model card.
        overwrite: whether to replace an existing folder.

    Raises:
        FileExistsError: when `path` exists and `overwrite` is false.
        ValueError: when the scores are of another partition.
    """
    from safetensors.torch import save_file

    with new_folder(path, overwrite=overwrite) as folder:
        weights = {name: value.float().contiguous() for name, value in head.module.state_dict().items()}
        for name, tensors in _by_file(weights).items():
            save_file(tensors, folder / name)
        head.partition.write_into(folder)
        write_json(folder / CONFIG_FILE, config_json(head))
        if head.history:
            write_text(folder / HISTORY_FILE, history_csv(head.history))
        _write_scores_and_card(head, folder, scores)


def write_scores(head: Head, folder: Path, scores: HasJson) -> None:
    """Write scores into the folder that `head` was loaded from, and the generated parts of its model card anew.

    Raises:
        FileNotFoundError: when `folder` is not the folder of a head.
        ValueError: when it is the folder of a head on other cells, the scores are of another partition, or a person
            wrote into a generated part of the card; nothing is written then.
    """
    if read_config(folder)["partition_sha256"] != head.partition.sha256:
        raise ValueError(f"scores go into the folder of the head they are of, and {folder} has another partition.")
    _write_scores_and_card(head, folder, scores)


def require_scores_of(head: Head, scores: Mapping[str, Any], what: str) -> None:
    """Raise ValueError unless scores, in their JSON form, are those of `head`; `what` names them in the message."""
    if scores.get("partition_sha256") != head.partition.sha256:
        raise ValueError(f"{what} must be of its partition, got those of another: score it again.")
    if scores.get("head_sha256") not in {None, head.sha256}:
        raise ValueError(f"{what} must be its own, got those of another head on the same cells: score it again.")


def _write_scores_and_card(head: Head, folder: Path, scores: HasJson | None) -> None:
    numbers = None if scores is None else scores.to_dict()
    if numbers is not None:
        require_scores_of(head, numbers, "scores beside a head")
    card = _card_like(head, folder, numbers)  # first, since a card with text that would be lost is refused
    if numbers is not None:
        write_json(folder / SCORES_FILE, numbers)
    write_text(folder / CARD_FILE, card)


def _card_like(head: Head, folder: Path, scores: Mapping[str, Any] | None) -> str:
    """Return the card for a folder, with what a person wrote and set in the card that is there."""
    picture = PICTURE_FILE if (folder / PICTURE_FILE).is_file() else ""
    return card_of(head, scores, picture=picture, before=read_card(folder))


def read_card(folder: Path) -> CardText:
    """Return the model card in a folder, an empty one when there is none.

    Raises:
        ValueError: when it is damaged, or a person wrote where it would be lost.
    """
    path = folder / CARD_FILE
    if not path.is_file():
        return CardText()
    with reading(path, "Markdown in UTF-8"):
        text = path.read_text(encoding="utf-8")
    card = take_apart(text, str(path))
    require_unchanged(card, str(path))
    return card


def card_of(head: Head, scores: Mapping[str, Any] | None, **kw: Any) -> str:  # noqa: ANN401 - those of head_card
    """Return the model card of a head; see `geocell.heads.card.head_card` for the keywords."""
    cells = head.partition
    partition = {
        "kind": cells.kind,
        "parameters": cells.parameters,
        "outside_rule": cells.outside_rule,
        "centroids": cells.centroids,
    }
    return head_card(config_json(head), partition, scores, **kw)


@dataclass(frozen=True)
class HeadPlace:
    """Where a head lies.

    Attributes:
        folder: its files.
        snapshot: what was fetched from the Hub, None for a folder that was there.
        remark: what a user should hear about it, "" when there is nothing.
    """

    folder: Path
    snapshot: Snapshot | None = None
    remark: str = ""


def find_head(name: str | Path) -> HeadPlace:
    """Return where a head lies, fetching it when it is a repository on the Hub. Pickles are never fetched.

    Args:
        name: folder, or `user/repo@revision`.

    Raises:
        FileNotFoundError: for neither a folder nor a repository with a head.
        PermissionError: when the repository is gated.
        ConnectionError: when the Hub cannot be reached, or fails.
    """
    if Path(name).is_dir():
        return HeadPlace(Path(name))
    try:
        remote = HubName.parse(os.fspath(name))
    except ValueError:
        raise FileNotFoundError(
            f"a head is a folder or user/repo@revision on the Hub, and there is no folder {name}."
        ) from None
    try:
        return fetch_head(remote)
    except (FileNotFoundError, ConnectionError) as error:
        raise type(error)(f"there is no folder {name} here, and {error}") from error


def fetch_head(name: HubName) -> HeadPlace:
    """Fetch a head from the Hub into huggingface_hub's cache; see `find_head`."""
    snapshot = _download_head(name)
    ignored = pickles(snapshot)
    remark = f"{name} also holds {', '.join(ignored)}: pickles, not downloaded and not read." if ignored else ""
    return HeadPlace(snapshot.folder, snapshot, remark)


def _download_head(name: HubName) -> Snapshot:
    """Fetch the files of a head, the weights only when it is one: they may be somebody's large model."""
    first = download(name, [CONFIG_FILE])
    config = first.folder / CONFIG_FILE
    if not config.is_file() or read_json(config, "a head", versioned=False).get("library") != "geocell":
        raise FileNotFoundError(
            f"{name} on the Hub is not a head of geocell: `geocell import` reads published checkpoints (best.pt)."
        )
    return replace(download(HubName(name.repo, first.commit), HEAD_FILES), name=name)


def load_head(path: str | Path) -> Head:
    """Read a head strictly: every tensor, shape and hash must be what `config.json` says. No pickle is read.

    Args:
        path: folder, or `user/repo@revision` on the Hub.

    Raises:
        FileNotFoundError: when there is no such head, or a file is missing.
        PermissionError: when its repository is gated.
        ConnectionError: when the Hub cannot be reached, or fails.
        ValueError: when a file is of another format, damaged, or of another head.
    """
    place = find_head(path)
    if place.remark:
        warnings.warn(place.remark, stacklevel=2)
    folder = place.folder
    if (folder / ENSEMBLE_FILE).is_file():
        raise ValueError(
            f"expected one head, got the ensemble {folder}: name one of its heads, {folder / '0'} say, or make them "
            "one with `geocell average`; `geocell.load_ensemble` reads it whole."
        )
    config = read_config(folder)
    encoder = EncoderInfo.from_dict(config["encoder"], f"{folder / CONFIG_FILE} encoder")
    fit = fit_config_from_dict(config["fit"], f"{folder / CONFIG_FILE} fit")
    partition = Partition.load(folder)
    if partition.sha256 != config["partition_sha256"] and not (folder / PARTITION_FILE).is_file():
        raise missing(folder / PARTITION_FILE, "a head")
    if partition.sha256 != config["partition_sha256"]:
        raise ValueError(
            f"the partition in {folder} must be the one the head was fitted on, {config['partition_sha256']}, "
            f"got {partition.sha256}: copy the whole folder again from its origin."
        )
    stated = (config["dim"], config["n_cells"], config["fusion"])
    if stated != (encoder.dim, len(partition), fit.fusion):
        raise ValueError(
            f"{folder / CONFIG_FILE} must agree with its encoder, partition and fit on (dim, n_cells, fusion), "
            f"{(encoder.dim, len(partition), fit.fusion)}, got {stated}: write the head again."
        )
    if not fit.offsets and (folder / OFFSETS_FILE).exists():
        raise ValueError(
            f"{folder / OFFSETS_FILE} belongs to another head: this one was fitted with offsets 0; remove the file, or "
            "copy the whole folder again from its origin."
        )
    module = GeoHead(encoder.dim, len(partition), fit.dropout, fit.fusion == "attention", fit.offsets > 0)
    weights: dict[str, Tensor] = {}
    for name, expected in _by_file(module.state_dict()).items():
        weights |= _read_weights(folder / name, expected)
    module.load_state_dict(weights, strict=True)
    return Head(module, partition, encoder, fit, config["training"], read_history(folder))


def _by_file(weights: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Return file name -> tensors: offsets stand apart, so that others read the head beside them as ever."""
    files: dict[str, dict[str, Tensor]] = {}
    for name, value in weights.items():
        files.setdefault(OFFSETS_FILE if name.startswith("offsets.") else WEIGHTS_FILE, {})[name] = value
    return files


def _read_weights(path: Path, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, if they have exactly the names, shapes and dtypes of `like`."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise missing(path, "a head")
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} must be a safetensors file, got a damaged one ({error}): copy it again.") from error
    expected = {name: (tuple(value.shape), value.dtype) for name, value in like.items()}
    got = {name: (tuple(value.shape), value.dtype) for name, value in weights.items()}
    if got != expected:
        raise ValueError(
            f"{path} must hold {_describe(expected)}; got {_describe(got)}: it is not the weights of this head."
        )
    return weights


def _describe(tensors: Mapping[str, tuple[tuple[int, ...], torch.dtype]]) -> str:
    parts = (f"{name} {list(shape)} {str(dtype)[6:]}" for name, (shape, dtype) in sorted(tensors.items()))
    return ", ".join(parts) or "nothing"
