"""Models that `geocell pretrain` trained, on the Hub: their folder checked, sent with its card, and fetched back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from geocell.files import DamagedFileError, missing, printable, read_json
from geocell.heads.card import known_license
from geocell.heads.card_file import read_card
from geocell.heads.card_metadata import CardSettings, settings_of
from geocell.heads.card_text import CardText, render_card
from geocell.heads.source import HeadSource
from geocell.hub.client import CARD_FILE, download, pickles
from geocell.hub.names import HubName
from geocell.pretraining.result import (
    MODEL_FILES,
    MODEL_MARKS,
    PROBLEMS_FILE,
    RECORD_FILE,
    card_body,
    card_title,
    read_record,
)
from geocell.publishing.repository import Contents

_OTHER = "other"  # the Hub's word for a licence that is not in its list
_MAX_BYTES = 1 << 20


def is_trained_model(folder: Path) -> bool:
    """Return whether a folder is that of a model that `geocell pretrain` trained."""
    return (folder / RECORD_FILE).is_file()


def model_files(folder: Path) -> dict[str, Path]:
    """Return name -> file of what belongs to the model in a folder."""
    return {
        path.name: path
        for path in sorted(folder.iterdir())
        if path.is_file() and any(fnmatchcase(path.name, pattern) for pattern in (*MODEL_MARKS, *MODEL_FILES))
    }


def require_trained_model(folder: Path) -> Mapping[str, Any]:
    """Check the folder of a trained model as loading does, and return its record. No pickle is read.

    Raises:
        FileNotFoundError: when a file is missing.
        OSError: when the model cannot be loaded.
        ValueError: when a file is damaged, or it is no CLIP that tells captions apart.
    """
    from geocell.pretraining.clip_model import ClipModel

    record = read_record(folder)
    weights = sorted(folder.glob("model*.safetensors"))
    if not weights:
        raise missing(folder / "model.safetensors", "a trained model")
    for path in weights:
        _require_tensors(path)
    config = read_json(folder / "config.json", "a trained model", versioned=False, max_bytes=_MAX_BYTES)
    if config.get("model_type") != "clip":
        kind = config.get("model_type")
        raise DamagedFileError(f"{folder / 'config.json'} must be of a CLIP, got model type {kind!r}.")
    ClipModel.load(str(folder))
    return record


def _require_tensors(path: Path) -> None:
    """Refuse a file that is no whole safetensors file; only its header is read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as error:
        raise DamagedFileError(
            f"{path} must be a safetensors file, got a damaged one ({error}): copy it again from its origin."
        ) from error


def trained_contents(folder: Path, settings: CardSettings) -> Contents:
    """Return what is published of the folder of a trained model; see `require_trained_model`.

    Raises:
        ValueError: for settings that no such model has.
    """
    if settings.benchmark:
        raise ValueError("a benchmark is of scores.json of a head, and a trained model has none: leave it out.")
    record = require_trained_model(folder)
    stays = {CARD_FILE, PROBLEMS_FILE}  # a card is written anew, and images have names of this machine
    add: dict[str, Path | bytes] = {name: path for name, path in model_files(folder).items() if name not in stays}
    return Contents(
        files=add,
        left_out=tuple(sorted(p.name for p in folder.iterdir() if p.name not in {*add, CARD_FILE})),
        card=partial(_card, record),
        local=read_card(folder),
        message=f"CLIP trained on {record['n_images']:,} images",
        is_model=True,
    )


def fetch_trained(name: HubName) -> HeadSource | None:
    """Fetch a trained model from the Hub into huggingface_hub's cache; None where the repository holds none."""
    first = download(name, [RECORD_FILE])
    if not is_trained_model(first.folder):
        return None
    snapshot = replace(download(HubName(name.repo, first.commit), [*MODEL_MARKS, *MODEL_FILES]), name=name)
    ignored = pickles(snapshot)
    remark = (
        f"{name} also holds {printable(', '.join(ignored))}: pickles, not downloaded and not read." if ignored else ""
    )
    return HeadSource(snapshot.folder, snapshot, remark)


def _card(record: Mapping[str, Any], *, address: str, picture: str, before: CardText, settings: CardSettings) -> str:
    """Return the card of a trained model on the Hub."""
    from huggingface_hub import ModelCardData

    del picture
    start = printable(str(record["start"]["name"]))
    settings = settings.with_defaults(settings_of(before.metadata))
    settings = settings.with_defaults(CardSettings(license=known_license(start) or _OTHER))
    more = before.metadata.get("tags")
    tags = ["image-geolocation", "geolocation", "geocell", "clip"]
    tags += [tag for tag in more if tag not in tags] if isinstance(more, list) else []
    data = ModelCardData(
        license=printable(settings.license),
        library_name="transformers",
        pipeline_tag="zero-shot-image-classification",
        tags=tags,
        base_model=start if start.count("/") == 1 else None,
        datasets=list(settings.datasets) or None,
        model_name=printable(card_title(record)),
    )
    return render_card(data.to_yaml(), card_body(record, address), before.own)
