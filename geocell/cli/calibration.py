"""Commands about how posteriors are turned into answers, and how far these can be trusted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from geocell.cli.output import Decode, cache_locations, emit, note, open_head, split_name, usage_errors

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
    places: bool = False,
    device: str = "auto",
    partitioner: str | None = None,
    json: bool = False,
) -> None:
    """Learn on validation locations how sure a head may be, and write calibration.json into its folder.

    Learned are the temperature of its probabilities, the shares that the decoder balscore needs, and radii that hold
    50 and 90 % of the true positions. `score`, `predict` and `compare` use them, and decode with `--decode` of this
    command unless another decoder is typed. Scores that were written before are of another head afterwards: score it
    again.

    Args:
        head: folder of the head.
        cache: feature cache.
        splits: splits.json.
        split: which split of it; not one that is reported.
        decode: the decoder that radii are learned for, and that answers by default afterwards.
        knn: answer by the nearest training features inside the most probable cells: their index goes into the head's
            folder, and the parameters are chosen on the validation locations. It needs the split train.
        places: write the training places of the split train into the head's folder, which decoders such as
            `balscore:places=8` answer with. Without `--decode` that decoder answers, in as many cells as is best on
            the validation locations.
        device: where the head computes: auto, cpu, cuda or mps.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object.
    """
    from geocell.compute.devices import choose_device
    from geocell.decoders.table import parse_decoder
    from geocell.evaluation.calibrate import calibrate as learn
    from geocell.features.neighbours import NeighbourIndex
    from geocell.features.training_places import TrainingPlaces
    from geocell.heads.additions import write_calibration, write_neighbours, write_places
    from geocell.heads.neighbours import fit_neighbours
    from geocell.heads.places import fit_places
    from geocell.reports.calibrations import calibration_text
    from geocell.splits.splits import Splits

    with usage_errors():
        parse_decoder(decode)  # a file names it, so it is one of the package
        choose_device(device)
        _require_for_choices(split)
        if knn and decode != "centroid":
            raise ValueError(f"--knn is a decoder of its own, got --decode {decode} too: leave one of them out.")
        if knn and places:
            raise ValueError("--knn has training places in its index already, got --places too: leave one of them out.")
    loaded, place = open_head(head, partitioner)
    if place.snapshot is not None:
        raise ValueError(f"{head} is on the Hub: pull it into a folder with `geocell pull`, and calibrate that.")
    locations = cache_locations(cache, splits, split)
    loaded.encoder.require_same(locations.encoder, "the head", "the locations")
    protocol = Splits.load(splits).protocol
    found = None
    if places:
        found = TrainingPlaces.from_locations(loaded, cache_locations(cache, splits, "train"))
        loaded = replace(loaded, places=found)
    calibration = learn(loaded, locations, decode, split, device, protocol=protocol)
    if found is not None and decode == "centroid":
        over_places, _ = fit_places(replace(loaded, calibration=calibration), found, locations, device=device)
        calibration = learn(loaded, locations, over_places, split, device, protocol=protocol)
    if found is not None:
        write_places(place.folder, found)
    if knn:
        index = NeighbourIndex.from_locations(loaded, cache_locations(cache, splits, "train"))
        near = replace(loaded, neighbours=index)
        decoder, _ = fit_neighbours(replace(near, calibration=calibration), index, locations, device=device)
        calibration = learn(near, locations, decoder, split, device, protocol=protocol)
        write_neighbours(place.folder, index)
    write_calibration(place.folder, calibration)
    emit(calibration.to_dict(), f"{head}: {calibration_text(calibration)}", json)


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
