"""What is published of the folder of a zero-shot classifier."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from geocell.files import json_text, read_json
from geocell.heads.card_file import PICTURE_FILE, read_card
from geocell.heads.card_metadata import CardSettings
from geocell.heads.zero_shot import ZeroShot
from geocell.heads.zero_shot_card import zero_shot_card
from geocell.heads.zero_shot_folder import MAX_BYTES, ZERO_SHOT_FILE, ZERO_SHOT_FILES
from geocell.hub.client import CARD_FILE
from geocell.publishing.repository import (
    Contents,
    public_encoder,
    read_own_scores,
    require_benchmark,
    require_known_encoder,
)


def zero_shot_files(folder: Path) -> dict[str, Path]:
    """Return name -> file of what belongs to the zero-shot classifier in a folder."""
    return {
        path.name: path
        for path in sorted(folder.iterdir())
        if path.is_file() and any(fnmatchcase(path.name, pattern) for pattern in ZERO_SHOT_FILES)
    }


def zero_shot_contents(folder: Path, model: ZeroShot, settings: CardSettings) -> Contents:
    """Return what is published of a zero-shot classifier that was read from a folder.

    Raises:
        ValueError: for an encoder that nobody could load, scores of another classifier, or a benchmark without scores.
    """
    require_known_encoder(model.encoder)
    scores = read_own_scores(folder, model)
    require_benchmark(settings, scores, folder)
    add: dict[str, Path | bytes] = {
        name: path for name, path in zero_shot_files(folder).items() if name not in {CARD_FILE, PICTURE_FILE}
    }
    value = read_json(folder / ZERO_SHOT_FILE, "a zero-shot classifier", max_bytes=MAX_BYTES)
    add[ZERO_SHOT_FILE] = json_text({**value, "encoder": public_encoder(value["encoder"])}).encode()
    return Contents(
        files=add,
        left_out=tuple(sorted(p.name for p in folder.iterdir() if p.name not in {*add, CARD_FILE, PICTURE_FILE})),
        card=partial(zero_shot_card, model, scores),
        local=read_card(folder),
        message=f"Zero-shot classifier over {len(model.candidates):,} cities",
        scores=scores,
    )
