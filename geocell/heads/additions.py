"""What is added to the folder of a head after it was written: encoder, calibration, index, places, region."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from geocell.encoders.info import EncoderInfo
from geocell.features.neighbours import NEIGHBOURS_FILE, NeighbourIndex
from geocell.features.training_places import PLACES_FILE, TrainingPlaces
from geocell.files import write_json
from geocell.heads.calibration import CALIBRATION_FILE, Calibration
from geocell.heads.combination_file import read_combination_file
from geocell.heads.config_file import CONFIG_FILE, read_config
from geocell.heads.hashes import COMBINATION_FILE, HASHES_FILE, read_hashes, replaced_hash
from geocell.heads.zero_shot_folder import is_zero_shot
from geocell.uncertainty.region_model import REGION_FILE, RegionModel


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
    with _hashed_anew(folder, CONFIG_FILE):
        write_json(folder / CONFIG_FILE, {**config, "encoder": replace(encoder, source=recorded.source).to_dict()})
    return True


def write_calibration(folder: Path, calibration: Calibration) -> None:
    """Write a calibration into the folder of a head or a combination; other files keep their hashes."""
    with _hashed_anew(folder, CALIBRATION_FILE):
        write_json(folder / CALIBRATION_FILE, calibration.to_dict())


def write_neighbours(folder: Path, index: NeighbourIndex) -> None:
    """Write an index of training features into the folder of a head; see `write_calibration`."""
    with _hashed_anew(folder, NEIGHBOURS_FILE):
        index.save_into(folder)


def write_region(folder: Path, region: RegionModel | None) -> None:
    """Write what tells locations outside the region of a head apart into its folder, or remove it for None."""
    with _hashed_anew(folder, REGION_FILE):
        if region is None:
            (folder / REGION_FILE).unlink(missing_ok=True)
        else:
            region.save_into(folder)


def write_places(folder: Path, places: TrainingPlaces) -> None:
    """Write training places into the folder of a head; see `write_calibration`."""
    with _hashed_anew(folder, PLACES_FILE):
        places.save_into(folder)


@contextmanager
def _hashed_anew(folder: Path, name: str) -> Iterator[None]:
    """Let the block write one file of a head, and hash that one alone."""
    hashes = read_hashes(folder)
    (folder / HASHES_FILE).unlink(missing_ok=True)  # a process killed below leaves a head that loads
    yield
    if hashes is not None:  # of the other files as they were written, which may have changed since they were checked
        write_json(folder / HASHES_FILE, replaced_hash(hashes, folder, name))
