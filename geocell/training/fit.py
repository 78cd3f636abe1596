"""Fitting a head on pooled features: AdamW, cosine schedule, an epoch chosen, and a refit on request."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from geocell.compute.distributed import processes, rank
from geocell.features.ids import Ids
from geocell.features.locations import Locations, require_locations
from geocell.files import canonical_json
from geocell.geo.geodesy import distance_km
from geocell.heads.fit_config import (
    FEW_TRAINING_LOCATIONS,
    FEW_VALIDATION_LOCATIONS,
    VERY_FEW_VALIDATION_LOCATIONS,
    FitConfig,
)
from geocell.heads.head import Head
from geocell.heads.module import GeoHead
from geocell.heads.trained_on import TrainedOn, count_trained_on, joined_training, location_keys, locations_sha256
from geocell.partitioners.base import Partition
from geocell.training.checkpoint import tensors_sha256
from geocell.training.loggers import Log
from geocell.training.losses import Term
from geocell.training.stages import OwnTerms, Stages
from geocell.training.training_set import TrainingSet, join_locations

_SAME_CENTROID_KM = 0.01  # files of others round their coordinates
_PIECE = 1 << 18  # ids that are hashed at a time
_SAMPLED = 256  # views whose features tell one cache from another


def fit_head(
    train: Locations,
    val: Locations | None,
    partition: Partition,
    config: FitConfig = FitConfig(),
    init: Head | None = None,
    checkpoint: str | Path | None = None,
    log: Log | None = None,
    terms: OwnTerms | None = None,
) -> Head:
    """Fit a head on the features of training locations.

    `config.keep` says which epoch is kept: the one with the highest validation balscore, the mean distance deciding
    between equals, or the last one, in which the learning rate has annealed. Without validation locations it is the
    last one. With `init`, the given weights are scored as epoch 0. Training locations outside every cell are left out
    and counted. Cells without a training location get class weight 0 and are counted. On a CPU the same seed gives the
    same bytes; the global random state is untouched. An interrupt (Ctrl-C) after the first epoch returns the head so
    far, with `training["interrupted"]`. With a `checkpoint` a fit that was killed continues after its last whole epoch,
    to the same bytes as an unbroken one. Under `torchrun` every process takes a share of each batch, and all return
    the same head.

    With `config.refit` the fit is then repeated from the same start on training and validation locations together,
    with as many epochs as the number of the one that was kept; the learning rate anneals over exactly these.
    `training["val"]` stays the score of the first fit, since no validation location is left that the head has not
    seen. An interrupt of the second fit returns the first. A head that was refitted may be the `init` of another fit,
    which then keeps its last epoch: validation locations that it has seen choose nothing, and their scores in
    `training["val"]` say nothing; `training["n_val_trained_on"]` counts them.

    Args:
        train: training locations.
        val: validation locations, with features of the same encoder; None or empty for none.
        partition: the cells; it must be able to assign.
        config: the settings.
        init: a head on the same partition and encoder to start from.
        checkpoint: file that holds the state after the last epoch. If it is there the fit continues from it; the
            caller removes it once the head is safe.
        log: called with each row of the history as it is made; the epochs of a refit are numbered on.
        terms: own terms of the loss beside those of `FitConfig`: name -> weight and function; see
            `geocell.training.losses.Term`. Their names and weights are recorded in `training["terms"]`.

    Returns:
        The head; `training["refit"]` says what the second fit trained on, None where there was none.

    Raises:
        ValueError: when the parts do not belong together, no training location is in a cell, a loss is not finite, the
            best epoch would be chosen by locations that `init` has seen, or the checkpoint is of another fit.
    """
    n_val = 0 if val is None else len(val)
    _require_fitting_parts(train, val, partition, init)
    if config.refit and not n_val:
        raise ValueError(
            "refit needs validation locations to train on too, got none: name their split, or leave it out."
        )
    n_seen = 0 if val is None or init is None else count_trained_on(init.trained_on, val)
    if n_seen and not keeps_last(config, len(train), n_val):
        raise ValueError(
            f"{n_seen:,} of the {n_val:,} validation locations are training locations of the head to start from, and "
            "cannot say which epoch is best: keep the last one (keep = last), or start from a head without refit."
        )
    own = _own_terms(terms or {})
    own_weights = {"terms": {name: weight for name, (weight, _) in own.items()}} if own else {}
    training_set, whole = TrainingSet.from_locations(train, partition, config), None
    with processes(config.device) as device:
        module = _start(train.dim, len(partition), config, init).to(device)
        stages = Stages(
            module, partition, own, config, keeps_last(config, len(train), n_val), log if rank() == 0 else None
        )
        if checkpoint is not None:
            facts = {
                "settings": {**config.to_dict(), **own_weights},
                "cells": partition.sha256,
                "weights at the start": tensors_sha256(module.state_dict()),
                "training locations": _fingerprint(train),
                "validation locations": None if val is None else _fingerprint(val),
            }
            stages.keep_in(Path(checkpoint), facts)
        stages.fit(training_set, val, score_start=init is not None)
        if config.refit and val is not None and stages.progress.best_epoch and not stages.interrupted:
            whole = TrainingSet.from_locations(join_locations(train, val), partition, config)
            stages.fit_again(whole)
            whole = None if stages.interrupted else whole
    module.cpu().load_state_dict(stages.weights, strict=True)
    progress = stages.progress
    training = {
        **training_set.to_dict(),
        "n_val": n_val,
        "n_val_trained_on": n_seen,
        "epochs_run": progress.epochs,
        "best_epoch": progress.best_epoch,
        "val": progress.best_scores(),
        "seed": config.seed,
        "train_sha256": locations_sha256(train),
        "val_sha256": None if val is None else locations_sha256(val),
        "init": None if init is None else {"fit": init.config.to_dict(), "training": dict(init.training)},
        "interrupted": stages.interrupted,
        "refit": None if whole is None else stages.refit_dict(whole),
        **own_weights,
    }
    trained_on = train if whole is None or val is None else join_locations(train, val)
    seen = [TrainedOn(location_keys(trained_on)), *([] if init is None else [init.trained_on])]
    return Head(module, partition, train.encoder, config, training, tuple(progress.history), joined_training(seen))


def keeps_last(config: FitConfig, n_train: int, n_val: int) -> bool:
    """Return whether a fit on so many locations keeps its last epoch, and not the best one."""
    enough = VERY_FEW_VALIDATION_LOCATIONS if n_train >= FEW_TRAINING_LOCATIONS else FEW_VALIDATION_LOCATIONS
    few = n_val < enough
    return config.keep == "last" or (config.keep == "auto" and few) or not n_val


def _require_fitting_parts(train: Locations, val: Locations | None, partition: Partition, init: Head | None) -> None:
    """Raise ValueError, or TypeError, unless locations, partition and init can make one head."""
    require_locations(train, "what a fit trains on")
    if val is not None:
        require_locations(val, "what a fit is validated on")
    if not partition.can_assign:
        raise ValueError(
            "a fit needs a partition that assigns locations to cells, and this one only decodes: use a folder with "
            "partition.json, or fit a partition."
        )
    if len(train) == 0:
        raise ValueError("a fit needs training locations, got none: name another split.")
    if val is not None:
        train.encoder.require_same(val.encoder, "the training locations", "the validation locations")
        _require_apart(train, val)
    if init is not None:
        init.encoder.require_same(train.encoder, "the head to start from", "the training locations")
        if not _same_cells(init.partition, partition):
            raise ValueError(
                f"a warm start needs the same cells in both heads: the head to start from has {init.partition!r}, "
                f"the fit {partition!r}; fit on the partition in the folder of that head."
            )


def _require_apart(train: Locations, val: Locations) -> None:
    """Raise ValueError if a training location, by id and coordinates, is a validation location too."""
    places = Ids(val.ids).find(Ids(train.ids))
    known = np.flatnonzero(places >= 0)
    both = np.sort(places[known[(train.latlon[known] == val.latlon[places[known]]).all(axis=1)]])
    if len(both):
        raise ValueError(
            f"training and validation locations must have none in common, and {len(both)} are in both, "
            f"{str(val.ids[both[0]])!r} among them: take each from a split of its own."
        )


def _own_terms(terms: Mapping[str, tuple[float, Term]]) -> dict[str, tuple[float, Term]]:
    """Return the caller's terms, or raise ValueError for one that has a name of `FitConfig` or no finite weight."""
    for name, (weight, _) in terms.items():
        if name in {field.name for field in fields(FitConfig)}:
            raise ValueError(f"a term of the loss needs a name of its own, and {name!r} is a setting of FitConfig.")
        if not math.isfinite(weight):
            raise ValueError(f"the weight of the term {name!r} must be a finite number, got {weight!r}.")
    return dict(terms)


def _same_cells(start: Partition, cells: Partition) -> bool:
    """Return whether class i is the same cell in both: one partition, or centroids alone, which do not differ."""
    if start.can_assign:
        return start.sha256 == cells.sha256
    same_size = len(start) == len(cells)
    return same_size and bool((distance_km(start.centroids, cells.centroids) < _SAME_CENTROID_KM).all())


def _start(dim: int, n_cells: int, config: FitConfig, init: Head | None) -> GeoHead:
    """Return the module a fit starts from: without attention all views weigh the same, without offsets they are 0."""
    module = GeoHead(dim, n_cells, config.dropout, config.fusion == "attention", config.offsets > 0).eval()
    if init is not None:
        if init.module.attention is not None and module.attention is None:
            raise ValueError(
                f"a warm start from a head with fusion attention needs fusion attention, got {config.fusion!r}."
            )
        if init.has_offsets and not config.offsets:
            raise ValueError("a warm start from a head with offsets needs offsets above 0, got 0.")
        module.load_state_dict({**module.state_dict(), **init.module.state_dict()}, strict=True)
    return module


def _fingerprint(locations: Locations) -> str:
    """Return a hash of the locations, their coordinates, which features are theirs and a sample of these."""
    sample = locations.rows[:: max(1, len(locations.rows) // _SAMPLED)]  # all of them may be many gigabytes
    digest = hashlib.sha256(b"[[")
    for first in range(0, len(locations), _PIECE):
        texts = canonical_json(locations.ids[first : first + _PIECE].tolist())[1:-1]
        digest.update((texts if first == 0 else f",{texts}").encode())
    digest.update(f"],{canonical_json(asdict(locations.encoder))}]".encode())
    for array in (locations.latlon, locations.rows, locations.offsets, locations.features[sample]):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
