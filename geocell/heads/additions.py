"""What is added to the folder of a head after it was written: encoder, calibration, index, places, region."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from geocell.encoders.info import EncoderInfo
from geocell.features.neighbours import NEIGHBOURS_FILE
from geocell.features.training_places import PLACES_FILE
from geocell.files import changed_folder, write_json
from geocell.heads.calibration import CALIBRATION_FILE, Calibration
from geocell.heads.combination_file import read_combination_file
from geocell.heads.config_file import CONFIG_FILE, read_config
from geocell.heads.folder import require_weights
from geocell.heads.hashes import COMBINATION_FILE, HASHES_FILE, read_hashes, replaced_hash
from geocell.heads.zero_shot_folder import is_zero_shot
from geocell.uncertainty.region_model import REGION_FILE

if TYPE_CHECKING:
    from geocell.features.neighbours import NeighbourIndex
    from geocell.features.training_places import TrainingPlaces
    from geocell.heads.head import Head
    from geocell.uncertainty.region_model import RegionModel

    Addition = NeighbourIndex | TrainingPlaces | RegionModel


def pin_encoder(folder: Path, encoder: EncoderInfo) -> bool:
    """Record which encoder a head is used with, where its folder knows it by name alone; see `NOT_PINNED`.

    Args:
        folder: of the head, or of a combination, each of whose members records it.
        encoder: the encoder that was loaded, or that made the features.

    Returns:
        Whether anything was written.

    Raises:
        ValueError: when the head has another encoder.
    """
    if (folder / COMBINATION_FILE).is_file():
        n_members = len(read_combination_file(folder)["members"])
        pinned = [pin_encoder(folder / str(number), encoder) for number in range(n_members)]
        return any(pinned)
    if is_zero_shot(folder):  # made by a model that was loaded, whose encoder is known
        return False
    config = read_config(folder)
    recorded = EncoderInfo.from_dict(config["encoder"], f"{folder / CONFIG_FILE} encoder")
    if recorded.is_pinned or not encoder.is_pinned:
        return False
    recorded.require_same(encoder, "the head", "its encoder")
    with _hashed_anew(folder, CONFIG_FILE) as changed:
        write_json(changed / CONFIG_FILE, {**config, "encoder": replace(encoder, source=recorded.source).to_dict()})
    return True


def write_calibration(folder: Path, calibration: Calibration) -> None:
    """Write a calibration into the folder of a head or a combination; other files keep their hashes."""
    with _hashed_anew(folder, CALIBRATION_FILE) as changed:
        write_json(changed / CALIBRATION_FILE, calibration.to_dict())


def write_learned(folder: Path, after: Head, before: Head) -> list[str]:
    """Write what was learned of a head after its fit into its folder: calibration, index, places and region.

    Args:
        folder: of the head.
        after: with all that its folder should hold.
        before: as it was loaded; what both share is not written again.

    Returns:
        Names of the files that were removed, since the head has no use for them any more.

    Raises:
        ValueError: when another head has taken the place of the one that was loaded; nothing is written then.
    """
    parts: dict[str, tuple[Addition | None, Addition | None]] = {
        NEIGHBOURS_FILE: (after.neighbours, before.neighbours),
        PLACES_FILE: (after.places, before.places),
        REGION_FILE: (after.region, before.region),
    }
    differ = {name: new for name, (new, old) in parts.items() if new is not old}
    with _hashed_anew(folder, CALIBRATION_FILE, *differ) as changed:
        require_weights(before.parts, changed, folder)
        for added in differ.values():  # before the calibration that answers by them
            if added is not None:
                added.save_into(changed)
        if after.calibration is not None:
            write_json(changed / CALIBRATION_FILE, after.calibration.to_dict())
        gone = [name for name, added in differ.items() if added is None and (changed / name).is_file()]
        for name in gone:
            (changed / name).unlink()
    return gone


@contextmanager
def _hashed_anew(folder: Path, *names: str) -> Iterator[Path]:
    """Let the block write or remove some files of a head in the folder that it gets, and hash these alone.

    All of it takes effect at once: a process that is killed leaves the head as it was.
    """
    with changed_folder(folder) as changed:
        hashes = read_hashes(changed)
        if changed.samefile(folder):  # which can't be replaced: a process killed below leaves a head that loads
            (changed / HASHES_FILE).unlink(missing_ok=True)
        yield changed
        if hashes is not None:  # those of the other files stay as they were written
            for name in names:
                hashes = replaced_hash(hashes, changed, name)
            write_json(changed / HASHES_FILE, hashes)
