"""The command that answers where images were taken."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from geocell.cli.answerers import Decode, open_answerer
from geocell.cli.output import UsageError, emit, note, usage_errors
from geocell.prediction.sets import SetMethod
from geocell.views import ColumnNames, require_root

if TYPE_CHECKING:
    from geocell.encoders.info import EncoderInfo
    from geocell.partitioners.base import Partition
    from geocell.prediction.predictions import Predictions

Flat = Parameter(name="*")


def predict(
    head: str,
    /,
    *images: str,
    root: str | None = None,
    one_location: bool = False,
    columns: Annotated[ColumnNames, Flat] = ColumnNames(),
    top_k: int = 5,
    decode: Decode | None = None,
    sets: SetMethod | None = None,
    abstain_below: float | None = None,
    out: Path | None = None,
    hide_truth: bool = False,
    encoder: str | None = None,
    device: str = "auto",
    overwrite: bool = False,
    partitioner: str | None = None,
    json: bool = False,
) -> None:
    """Say where images were taken.

    Views that share a value of a table's column `location` are one location; every other image is one of its own. An
    image that cannot be read is a row with its reason. Where the truth is known, by columns of a table or by EXIF
    data, the distance to it is shown. Answers and cells are named by the nearest town where the extra `gazetteer` is
    installed. Exit status 1 when no location was answered.

    Args:
        head: folder of a head, a combination, an ensemble or a zero-shot classifier, or user/repo@revision on the Hub.
        images: images, folders of images, tables, WebDataset shards, or URLs of them; no position is needed.
        root: folder that image paths of tables are relative to; usually that of the table.
        one_location: all images show one location, in several headings say.
        columns: columns of a table that are not spelled as usual.
        top_k: how many cells to name.
        decode: the decoder; that of the calibration when left out, centroid without one.
        sets: cells that hold half and 90 % of the probability (mass, the smallest area), or the truth that often: the
            smallest area (hpd, highest predictive density), the fewest cells (lac, least ambiguous classifier) or by
            probability (aps, adaptive prediction sets), which `calibrate` learns. Their polygons go into a .geojson
            file; only their areas are told when left out.
        abstain_below: mark answers as withheld of which less than this probability lies within 200 km; the threshold of
            the calibration when left out.
        out: .csv table, .geojson points, or .html map to write the answers to, beside printing them. A map has small
            copies of the first images in it.
        hide_truth: read no true positions, so that no file or page shows them.
        encoder: where to load the head's encoder from; another one is refused.
        device: where encoder and head compute: auto, cpu, cuda or mps.
        overwrite: replace an existing file.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object.
    """
    from geocell.compute.devices import choose_device
    from geocell.decoders.table import as_decoder
    from geocell.encoders import encoder_for
    from geocell.files import require_new
    from geocell.geo.gazetteer import Gazetteer
    from geocell.heads.loading import is_ensemble
    from geocell.heads.protocol import default_decoder
    from geocell.heads.zero_shot_folder import is_zero_shot
    from geocell.prediction.files import require_prediction_file
    from geocell.prediction.geolocator import Geolocator
    from geocell.prediction.inputs import require_some
    from geocell.prediction.predictions import require_top_k, town_names
    from geocell.prediction.sets import SetMaker
    from geocell.reports.predictions import predictions_text
    from geocell.uncertainty.selective import require_threshold

    with usage_errors():
        decoder = None if decode is None else as_decoder(decode)
        require_top_k(top_k)
        choose_device(device)
        require_threshold(abstain_below)
        if out is not None:
            require_prediction_file(out)
        require_some(images)
    _require_root(root, images)
    if out is not None:
        require_new(out, overwrite)
    elif overwrite:
        raise UsageError("--overwrite replaces the file that --out names, and there is none: leave it out.")
    loaded, place = open_answerer(head, partitioner)
    decoder = as_decoder(default_decoder(loaded)) if decoder is None else decoder
    loaded.prepare(decoder)
    SetMaker.of(loaded, sets)  # refused before the encoder is loaded
    note(f"loading the encoder {loaded.encoder.name}")
    names = town_names if Gazetteer.installed() else None
    locator = Geolocator(loaded, encoder_for(loaded.encoder, device, encoder), device, names, sets, abstain_below)
    if place.snapshot is None and not is_ensemble(place) and not is_zero_shot(place.folder):
        _pin(head, place.folder, locator.encoder.info)
    answers = locator.locate_inputs(
        images, columns, one_location=one_location, top_k=top_k, decode=decoder, truth=not hide_truth, root=root
    )
    _say_what_areas_are(loaded.partition, sets is not None and out is not None and out.suffix.lower() == ".geojson")
    value = answers.to_dict()
    try:
        emit(value, predictions_text(value["predictions"]), json)
    finally:  # a full disk must not lose what is printed, and a closed pipe not what is saved
        if out is not None:
            note(f"wrote {answers.save(out)}")
            _say_absolute_ids(answers, out)
    _require_answers(answers, images)


def _require_root(root: str | None, images: Sequence[str]) -> None:
    """Refuse a root that is no folder, or that nothing is relative to."""
    from geocell.prediction.inputs import is_table

    if root is not None and not any(map(is_table, images)):
        raise UsageError(f"--root is for the image paths of tables, and {images[0]} is none: leave it out.")
    require_root(root)


def _require_answers(answers: Predictions, images: Sequence[str]) -> None:
    """Refuse to end well when no location at all was answered."""
    from geocell.prediction.inputs import is_table

    if any(answer.answered for answer in answers):
        return
    lost = any(map(is_table, images)) and all(answer.problem.endswith("no such file") for answer in answers)
    step = "check --root, the folder that image paths of a table are relative to" if lost else "see the reasons above"
    raise ValueError(f"at least one location must be answered, got none of {len(answers)}: {step}.")


def _say_absolute_ids(answers: Predictions, out: Path) -> None:
    """Say when a file names images by absolute paths, which a page does not show."""
    from geocell.prediction.names import absolute_paths

    paths = [path for answer in answers for path in absolute_paths(answer.location)]
    if paths and out.suffix.lower() != ".html":
        note(
            f"{out} names images as they were given, {paths[0]} first: to publish it, give paths that are relative, or "
            "their folder."
        )


def _pin(head: str, folder: Path, encoder: EncoderInfo) -> None:
    """Record which encoder a head is used with, where its folder knows it by name alone."""
    from geocell.heads.additions import pin_encoder

    try:
        if pin_encoder(folder, encoder):
            note(f"{head}: its encoder is pinned to {encoder.revision}")
    except OSError as error:  # a folder that cannot be written to can be used all the same
        note(f"{head}: its encoder could not be pinned: {error}")


def _say_what_areas_are(partition: Partition, polygons: bool) -> None:
    """Say when areas of cells are estimates, and when there are no polygons of them although they are asked for."""
    from geocell.uncertainty.areas import cell_areas

    if remark := cell_areas(partition).note:
        note(f"{remark}.")
    if polygons and not partition.can_assign:
        note("no polygons of sets are written: of these cells only the centroids are known.")
