"""The folder of a trained model: what transformers loads, the record of the training, and a card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocell._version import __version__
from geocell.files import (
    FORMAT,
    DamagedFileError,
    csv_text,
    new_folder,
    printable,
    read_json,
    require_types,
    write_json,
    write_text,
)
from geocell.heads.card_text import render_card
from geocell.heads.markdown import code, text

if TYPE_CHECKING:
    from geocell.pretraining.caption_set import CaptionSet
    from geocell.pretraining.checkpoint import Progress
    from geocell.pretraining.clip_model import ClipModel
    from geocell.pretraining.config import PretrainConfig

RECORD_FILE, HISTORY_FILE, PROBLEMS_FILE = "pretraining.json", "history.csv", "problems.csv"
MODEL_MARKS = (RECORD_FILE,)
MODEL_FILES = (
    "config.json", "model*.safetensors", "model.safetensors.index.json", "generation_config.json",
    "preprocessor_config.json", "processor_config.json", "tokenizer*", "vocab.json", "merges.txt",
    "special_tokens_map.json", "added_tokens.json", HISTORY_FILE, PROBLEMS_FILE, "README.md",
)  # fmt: skip

_RECORD: Mapping[str, type | tuple[type, ...]] = {
    "geocell": str, "start": dict, "settings": dict, "n_images": int, "n_captions": int, "history": list,
    "saved": dict, "held_out": list,
}  # fmt: skip
_SETTINGS: Mapping[str, type | tuple[type, ...]] = {
    "batch": int, "accumulate": int, "lora": int, "interpolate": float, "epochs": int, "lr": float,
}  # fmt: skip


def save_trained(
    folder: Path,
    clip: ClipModel,
    train: CaptionSet,
    config: PretrainConfig,
    progress: Progress,
    *,
    held_out: tuple[str, ...] = (),
    overwrite: bool = False,
) -> None:
    """Write a trained model with its record, whole or not at all.

    Args:
        folder: where; transformers, `--encoder` and zero-shot load it from there.
        clip: the trained model.
        train: what it was trained on.
        config: how.
        progress: what was done.
        held_out: countries that were kept out of the training, for the record.
        overwrite: whether to replace such a folder.

    Raises:
        FileExistsError: when it exists and `overwrite` is false, or is something else.
    """
    record = {
        "format": FORMAT,
        "geocell": __version__,
        "start": {"name": clip.name, "revision": clip.revision},
        "settings": config.to_dict(),
        "n_images": len(train),
        "n_captions": len(train.captions),
        "captions_sha256": train.sha256,
        "n_problems": len(progress.problems),
        "history": progress.history,
        "saved": progress.saved,
        "held_out": list(held_out),
    }
    with new_folder(folder, overwrite=overwrite, marks=MODEL_MARKS, parts=MODEL_FILES) as made:
        clip.save(made)
        write_json(made / RECORD_FILE, record)
        write_text(made / HISTORY_FILE, csv_text(progress.history))
        if progress.problems:
            rows = [{"image": image, "problem": problem} for image, problem in sorted(progress.problems.items())]
            write_text(made / PROBLEMS_FILE, csv_text(rows))
        write_text(made / "README.md", model_card(record))


def model_card(record: Mapping[str, Any]) -> str:
    """Return the card in the folder of a trained model; a push writes it with licence and address."""
    name = _start(record)
    base = [f"base_model: {name}"] if "/" in name else []
    metadata = "\n".join(["library_name: transformers", *base, "tags: [geolocation, clip, geocell]"])
    return render_card(metadata, card_body(record), {})


def card_title(record: Mapping[str, Any]) -> str:
    """Return the title of the card of a trained model."""
    return f"A CLIP trained on captions of places, from {_start(record)}"


def card_body(record: Mapping[str, Any], address: str = "FOLDER") -> str:
    """Return the generated part of the card of a trained model.

    Args:
        record: the content of its `pretraining.json`.
        address: what a reader loads it by.
    """
    start, last, settings = record["start"], record["history"][-1], record["settings"]
    after = {name.removeprefix("val_"): value for name, value in last.items() if name.startswith("val_")}
    rows = [
        f"| {printable(name.replace('_', ', '))} | {100 * value:.1f} % |"
        for name, value in (record["saved"] or after).items()
    ]
    table = ["", "| zero-shot, on validation images | |", "|---|---:|", *rows] if rows else []
    batch = min(settings["batch"] * settings["accumulate"], record["n_images"])
    notes = []
    if settings["lora"]:
        notes.append(f"The attention was trained by LoRA of rank {settings['lora']}.")
    if (share := settings["interpolate"]) < 1:
        notes.append(f"The weights are {share:g} of the way from the start to the trained ones (WiSE-FT).")
    if record["held_out"]:
        notes.append(f"No image of {text(', '.join(record['held_out']))} was trained on.")
    return "\n".join(
        [
            "<!-- generated: model -->",
            "# A CLIP trained on captions of places",
            "",
            f"Trained by geocell {text(record['geocell'])} from {code(_start(record))} at {code(start['revision'])} on "
            f"{record['n_images']:,} images with {record['n_captions']:,} captions: {settings['epochs']} epochs of "
            f"contrastive batches of {batch:,}, learning rate {settings['lr']:g}.",
            *(["", " ".join(notes)] if notes else []),
            *table,
            "",
            f"`geocell encode … --encoder {address}`, `geocell zero-shot` and transformers load it. The licence of the "
            "model it was trained from holds for it too.",
            "",
            "**Out of scope**: finding out where a private person lives, works, stays or travels, or where a photo "
            "that they shared was taken.",
            "",
            "<!-- end -->",
        ]
    )


def _start(record: Mapping[str, Any]) -> str:
    return printable(str(record["start"]["name"])).replace("`", "")


def read_record(folder: Path) -> dict[str, Any]:
    """Read `pretraining.json` of a trained model: every value that is used is of its type.

    Raises:
        FileNotFoundError: when it is missing.
        ValueError: when it is damaged.
    """
    path = folder / RECORD_FILE
    record = read_json(path, "the record of a training")
    require_types(record, _RECORD, str(path))
    require_types(record["start"], {"name": str, "revision": str}, f"{path} start")
    require_types(record["settings"], _SETTINGS, f"{path} settings")
    if not record["history"] or not all(isinstance(name, str) for name in record["held_out"]):
        raise DamagedFileError(f"{path} must have an epoch and names of countries: copy it again from its origin.")
    for row in [*record["history"], record["saved"]]:
        require_types(row, dict.fromkeys(row, float), f"{path} history")
    return record


def read_history(folder: Path) -> list[dict[str, float]] | None:
    """Return the history of a trained model, a row per epoch; None where the folder is none.

    Raises:
        ValueError: when its record is damaged.
    """
    path = folder / RECORD_FILE
    if not path.is_file():
        return None
    record = read_json(path, "the record of a training")
    require_types(record, {"history": list}, str(path))
    for row in record["history"]:
        require_types(row, {"epoch": int, "train_loss": float, "lr": float}, str(path))
    return list(record["history"])
