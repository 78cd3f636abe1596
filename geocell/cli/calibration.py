"""Commands about how posteriors are turned into answers, and how far these can be trusted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocell.cli.answerers import Decode, open_answerer
from geocell.cli.output import UsageError, emit, note, usage_errors
from geocell.cli.sources import cache_locations, drawn_clusters, load_splits, split_name
from geocell.uncertainty.vector import Scaling

if TYPE_CHECKING:
    from geocell.decoders.base import Need
    from geocell.decoders.table import AnyDecoder
    from geocell.features.locations import Locations
    from geocell.heads.head import Head
    from geocell.heads.protocol import HeadLike
    from geocell.heads.source import HeadSource
    from geocell.uncertainty.region_model import RegionModel

_NOT_FOR_CHOICES = ("test", "train")


def calibrate(  # noqa: PLR0915 - one step after the other
    head: str,
    /,
    *,
    cache: Path,
    splits: Path,
    split: str = "val",
    decode: Decode | None = None,
    knn: bool = False,
    places: bool = False,
    scaling: Scaling = "temperature",
    max_error: float | None = None,
    plot: Path | None = None,
    without_region: bool = False,
    false_alarms: float | None = None,
    device: str = "auto",
    partitioner: str | None = None,
    json: bool = False,
) -> None:
    """Learn on validation locations how sure a head may be, and write calibration.json into its folder.

    Learned are the temperature of its probabilities, the shares that the decoder balscore needs, radii and sets of
    cells that hold 50 and 90 % of the true positions, with `max_error` the confidence from which on it answers; and, by
    the features of the split train, which locations are unlike those of the head's region (region.safetensors).
    `score`, `predict` and `compare` use them, and decode with `--decode` of this command unless another decoder is
    typed. Scores that were written before are of another head afterwards: score it again.

    Args:
        head: folder of the head, or of a combination of several.
        cache: feature cache.
        splits: splits.json.
        split: which split of it; not one that is reported.
        decode: the decoder that radii are learned for, and that answers by default afterwards; when left out, centroid
            of a head, balscore of a combination.
        knn: answer by the nearest training features inside the most probable cells: their index goes into the head's
            folder, and the parameters are chosen on the validation locations. It needs the split train.
        places: write the training places of the split train into the head's folder, which decoders such as
            `balscore:places=8` answer with. Without `--decode` that decoder answers, in as many cells as is best on
            the validation locations.
        scaling: temperature; vector for a bias per cell too; or auto, what is more likely at places left out.
        max_error: the wanted largest share of answers that are wrong by more than 200 km; from then on answers of too
            little confidence are marked as withheld.
        plot: .png or .svg picture of the reliability before and after, and of risk against coverage; an existing file
            is replaced.
        without_region: do not learn from the split train which locations are outside the head's region; its folder
            has no region.safetensors afterwards.
        false_alarms: share of locations like the validation locations that may be flagged as outside the region;
            0.05 when left out.
        device: where the head computes: auto, cpu, cuda or mps.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object.
    """
    from geocell.compute.devices import choose_device
    from geocell.decoders.table import parse_decoder
    from geocell.evaluation.calibrate import calibrate as learn
    from geocell.features.training_places import TrainingPlaces
    from geocell.heads.additions import write_calibration
    from geocell.heads.combination import Combination
    from geocell.heads.head import Head
    from geocell.heads.zero_shot import ZeroShot
    from geocell.heads.zero_shot_folder import write_zero_shot_calibration
    from geocell.plots.calibration_chart import draw_calibration
    from geocell.plots.style import require_picture_name
    from geocell.reports.calibrations import calibration_text, region_text
    from geocell.uncertainty.selective import require_error

    with usage_errors():
        if decode is not None:
            parse_decoder(decode)  # a file names it, so it is one of the package
        choose_device(device)
        require_for_choices(split)
        require_error(max_error)
        if plot is not None:
            require_picture_name(plot)
        _require_one_decoder(decode, knn, places)
        _require_false_alarms(false_alarms, without_region)
    loaded, place = open_answerer(head, partitioner)
    _require_place_for_one(head, place)
    if not isinstance(loaded, Head):
        _require_no_additions(loaded, knn, places, false_alarms)
    locations = cache_locations(cache, splits, split)
    loaded.encoder.require_same(locations.encoder, "the head", "the locations")
    wanted: dict[str, Any] = {"protocol": load_splits(splits).protocol, "scaling": scaling}
    train = cache_locations(cache, splits, "train") if knn or places else None
    before = loaded
    if places and isinstance(loaded, Head) and train is not None:
        loaded = replace(loaded, places=TrainingPlaces.from_locations(loaded, train))
    first_error = max_error if train is None else None  # else that of the answers of the other decoder
    by_default = "balscore" if isinstance(loaded, Combination) else "centroid"
    calibration = learn(loaded, locations, decode or by_default, split, device, **wanted, max_error=first_error)
    found = None if without_region else _fit_region(loaded, locations, cache, splits, false_alarms or 0.05, device)
    if isinstance(loaded, Head) and train is not None:
        known = replace(loaded, calibration=calibration)
        loaded, below = _below_the_cell(known, train if knn else None, locations, decode, device)
        calibration = learn(loaded, locations, below, split, device, **wanted, max_error=max_error)
    if isinstance(before, Head) and isinstance(loaded, Head):
        region = before.region if found is None and not without_region else found
        kept = _without_unused(loaded, parse_decoder(calibration.decoder).needed, knn, places)
        _write_learned(place.folder, replace(kept, calibration=calibration, region=region), before)
    else:
        write = write_zero_shot_calibration if isinstance(loaded, ZeroShot) else write_calibration
        write(place.folder, calibration)
    facts = None if found is None else {**found.facts, "threshold": found.threshold}
    text = "\n".join([calibration_text(calibration), *([] if found is None else [region_text(found)])])
    try:
        emit({**calibration.to_dict(), "region": facts}, f"{head}: {text}", json)
    finally:
        if plot is not None:
            note(f"wrote {draw_calibration(plot, calibration.record)}")


def _require_place_for_one(head: str, place: HeadSource) -> None:
    """Refuse what no calibration can be written to."""
    from geocell.heads.loading import is_ensemble

    if place.snapshot is not None:
        raise ValueError(f"{head} is on the Hub: pull it into a folder with `geocell pull`, and calibrate that.")
    if is_ensemble(place):
        raise ValueError(
            f"{head} is an ensemble of an earlier version, which has no place for a calibration: make it a combination "
            "with `geocell combine`, and calibrate that."
        )


def _write_learned(folder: Path, after: Head, before: Head) -> None:
    """Write what was learned of a head, and say which files are not there any more."""
    from geocell.heads.additions import write_learned
    from geocell.heads.protocol import default_decoder
    from geocell.uncertainty.region_model import REGION_FILE

    for name in write_learned(folder, after, before):
        if name != REGION_FILE:
            note(f"{folder / name} is removed: {default_decoder(after)} answers without it")


def _without_unused(head: Head, needed: frozenset[Need], knn: bool, places: bool) -> Head:
    """Return a head without the index and the places that nobody asked for and its decoder does not need."""
    from_places = "places" in needed
    keeps_places = places or from_places
    keeps_index = knn or "neighbours" in needed or (from_places and head.places is None)
    return replace(
        head,
        places=head.places if keeps_places else None,
        neighbours=head.neighbours if keeps_index else None,
    )


def _below_the_cell(
    head: Head, train: Locations | None, val: Locations, decode: str | None, device: str
) -> tuple[Head, AnyDecoder]:
    """Return a head with its places, or the index of training locations, and the decoder that answers by them."""
    from geocell.features.neighbours import NeighbourIndex
    from geocell.heads.neighbours import fit_neighbours
    from geocell.heads.places import fit_places

    if train is not None:
        index = NeighbourIndex.from_locations(head, train)
        near = replace(head, neighbours=index)
        knn, _ = fit_neighbours(near, index, val, device=device, report=note)
        return near, knn
    if head.places is None:
        raise TypeError("answers below the cell need training locations or places.")
    return head, fit_places(head, head.places, val, device=device)[0] if decode is None else decode


def _fit_region(
    head: HeadLike, val: Locations, cache: Path, splits: Path, false_alarms: float, device: str
) -> RegionModel | None:
    """Return the region of a head's training locations; None, and say why, where there are too few of them.

    What is no single head has none.
    """
    import numpy as np

    from geocell.features import FeatureCache
    from geocell.heads.head import Head
    from geocell.heads.region import fit_region
    from geocell.heads.trained_on import count_trained_on
    from geocell.uncertainty.region_model import LEAST_TRAINING

    if not isinstance(head, Head):
        return None
    everywhere = FeatureCache.open(cache).locations(in_memory=False)
    train = everywhere.take(np.flatnonzero(load_splits(splits).members(everywhere.ids, "train")))
    if len(train) < LEAST_TRAINING:
        happens = "is not learned" if head.region is None else "stays as it was"
        note(
            f"{cache} has {len(train)} of the locations of split train, and the region of a head needs "
            f"{LEAST_TRAINING}: it {happens}"
        )
        return None
    n_known = count_trained_on(head.trained_on, train)
    if n_known is not None and n_known < len(train):
        note(f"{len(train) - n_known:,} of the {len(train):,} locations of split train did not train the head")
    # Without an earlier calibration, whose temperature is undone up to rounding only: the same bytes again.
    return fit_region(replace(head, calibration=None), train, val, false_alarms=false_alarms, device=device)


def decode(
    head: str,
    /,
    *,
    cache: Path,
    splits: Path | None = None,
    split: str | None = None,
    cluster: str | None = None,
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
        cluster: what was drawn together, for the intervals: place (coordinates to 0.01°), location, country, cell:R, or
            a column, of sequences or users say; when left out, what the splits kept
            together, else place.
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
    loaded, _ = open_answerer(head, partitioner)
    locations = cache_locations(cache, splits, name)
    loaded.encoder.require_same(locations.encoder, "the head", "the locations")
    with usage_errors():
        require_unseen([loaded], locations, allow_training)
    clusters = drawn_clusters(locations, cluster, splits)
    if name == "test":
        note("a decoder that is chosen on the split test makes its scores there optimistic: choose on val.")
    comparison = compare_decoders(loaded, locations, split=name, device=device, allow_training=True, cluster=clusters)
    emit(comparison.to_dict(), decoders_text(comparison), json)


def _require_false_alarms(value: float | None, without_region: bool) -> None:
    from geocell.uncertainty.region_model import require_false_alarms

    if value is not None:
        require_false_alarms(value)
        if without_region:
            raise ValueError("--false-alarms is of the region that --without-region leaves out: pass one of them.")


def _require_one_decoder(decode: str | None, knn: bool, places: bool) -> None:
    if knn and decode is not None:
        raise ValueError(f"--knn is a decoder of its own, got --decode {decode} too: leave one of them out.")
    if knn and places:
        raise ValueError("--knn has training places in its index already, got --places too: leave one of them out.")


def _require_no_additions(answerer: HeadLike, knn: bool, places: bool, false_alarms: float | None) -> None:
    from geocell.heads.zero_shot import ZeroShot

    if false_alarms is not None:
        raise UsageError(
            "--false-alarms is of the region of a head, and none is learned of a combination or of zero-shot: leave it "
            "out."
        )
    if (knn or places) and isinstance(answerer, ZeroShot):
        flag = "--knn" if knn else "--places"
        raise UsageError(f"{flag} needs training locations, and zero-shot has none: leave it out.")
    if knn:
        raise UsageError("--knn is for a head: in a combination the nearest features vote by `geocell combine --knn`.")
    if places:
        raise UsageError("--places is for a head: a combination has them by `geocell combine --candidates places`.")


def require_for_choices(split: str) -> None:
    """Refuse a split that nothing may be chosen on."""
    if split in _NOT_FOR_CHOICES:
        raise ValueError(f"a calibration is learned on validation locations, got the split {split}: pass --split val.")
