"""Commands about how posteriors are turned into answers, and how far these can be trusted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from geocell.cli.output import Decode, cache_locations, emit, note, open_head, split_name, usage_errors
from geocell.uncertainty.vector import Scaling

_NOT_FOR_CHOICES = ("test", "train")


def calibrate(
    head: str,
    /,
    *,
    cache: Path,
    splits: Path,
    split: str = "val",
    decode: Decode = "centroid",
    knn: bool = False,
    scaling: Scaling = "temperature",
    max_error: float | None = None,
    plot: Path | None = None,
    device: str = "auto",
    partitioner: str | None = None,
    json: bool = False,
) -> None:
    """Learn on validation locations how sure a head may be, and write calibration.json into its folder.

    Learned are the temperature of its probabilities, the shares that the decoder balscore needs, radii and sets of
    cells that hold 50 and 90 % of the true positions, and with `max_error` the confidence from which on it answers.
    `score`, `predict` and `compare` use them, and decode with `--decode` of this command unless another decoder is
    typed. Scores that were written before are of another head afterwards: score it again.

    Args:
        head: folder of the head.
        cache: feature cache.
        splits: splits.json.
        split: which split of it; not one that is reported.
        decode: the decoder that radii are learned for, and that answers by default afterwards.
        knn: answer by the nearest training features inside the most probable cells: their index goes into the head's
            folder, and the parameters are chosen on the validation locations. It needs the split train.
        scaling: temperature; vector for a bias per cell too; or auto, what is more likely at places left out.
        max_error: the wanted largest share of answers that are wrong by more than 200 km; from then on answers of too
            little confidence are marked as withheld.
        plot: .png or .svg picture of the reliability before and after, and of risk against coverage; an existing file
            is replaced.
        device: where the head computes: auto, cpu, cuda or mps.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object.
    """
    from geocell.compute.devices import choose_device
    from geocell.decoders.table import parse_decoder
    from geocell.evaluation.calibrate import calibrate as learn
    from geocell.features.neighbours import NeighbourIndex
    from geocell.heads.additions import write_calibration, write_neighbours
    from geocell.heads.neighbours import fit_neighbours
    from geocell.plots.calibration_chart import draw_calibration
    from geocell.plots.style import require_picture_name
    from geocell.reports.calibrations import calibration_text
    from geocell.splits.splits import Splits
    from geocell.uncertainty.selective import require_error

    with usage_errors():
        parse_decoder(decode)  # a file names it, so it is one of the package
        choose_device(device)
        _require_for_choices(split)
        require_error(max_error)
        if plot is not None:
            require_picture_name(plot)
        if knn and decode != "centroid":
            raise ValueError(f"--knn is a decoder of its own, got --decode {decode} too: leave one of them out.")
    loaded, place = open_head(head, partitioner)
    if place.snapshot is not None:
        raise ValueError(f"{head} is on the Hub: pull it into a folder with `geocell pull`, and calibrate that.")
    locations = cache_locations(cache, splits, split)
    loaded.encoder.require_same(locations.encoder, "the head", "the locations")
    protocol = Splits.load(splits).protocol
    wanted: dict[str, Any] = {"protocol": protocol, "scaling": scaling, "max_error": max_error}
    if knn:
        del wanted["max_error"]  # of the answers of the other decoder
    calibration = learn(loaded, locations, decode, split, device, **wanted)
    if knn:
        index = NeighbourIndex.from_locations(loaded, cache_locations(cache, splits, "train"))
        near = replace(loaded, neighbours=index)
        decoder, _ = fit_neighbours(replace(near, calibration=calibration), index, locations, device=device)
        calibration = learn(near, locations, decoder, split, device, **wanted, max_error=max_error)
        write_neighbours(place.folder, index)
    write_calibration(place.folder, calibration)
    try:
        emit(calibration.to_dict(), f"{head}: {calibration_text(calibration)}", json)
    finally:
        if plot is not None:
            note(f"wrote {draw_calibration(plot, calibration.record)}")


def decode(
    head: str,
    /,
    *,
    cache: Path,
    splits: Path | None = None,
    split: str | None = None,
    device: str = "auto",
    allow_training: bool = False,
    partitioner: str | None = None,
    json: bool = False,
) -> None:
    """Compare all decoders of a head on the same locations, and say which to use for which score.

    Args:
        head: folder of the head, or user/repo@revision on the Hub.
        cache: feature cache.
        splits: splits.json; without it every location of the cache is decoded.
        split: which split of it; val when left out, since a decoder is a choice.
        device: where the head computes: auto, cpu, cuda or mps.
        allow_training: compare even if some of the locations are training locations of the head.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object.
    """
    from geocell.compute.devices import choose_device
    from geocell.evaluation.decoders import compare_decoders
    from geocell.evaluation.score import require_unseen
    from geocell.reports.calibrations import decoders_text

    with usage_errors():
        choose_device(device)
    name = split_name(splits, split, "val")
    loaded, _ = open_head(head, partitioner)
    locations = cache_locations(cache, splits, name)
    loaded.encoder.require_same(locations.encoder, "the head", "the locations")
    with usage_errors():
        require_unseen([loaded], locations, allow_training)
    if name == "test":
        note("a decoder that is chosen on the split test makes its scores there optimistic: choose on val.")
    comparison = compare_decoders(loaded, locations, split=name, device=device)
    emit(comparison.to_dict(), decoders_text(comparison), json)


def _require_for_choices(split: str) -> None:
    if split in _NOT_FOR_CHOICES:
        raise ValueError(f"a calibration is learned on validation locations, got the split {split}: pass --split val.")
