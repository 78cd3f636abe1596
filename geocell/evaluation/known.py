"""The locations that a head knows by the splits it was fitted on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from geocell.features import FeatureCache
    from geocell.features.locations import Locations
    from geocell.heads.protocol import HeadLike
    from geocell.splits.splits import Splits


def known_locations(head: HeadLike | None, cache: FeatureCache, splits: Splits, scored: str) -> Locations | None:
    """Return what a head was trained on by its splits, with features on the disk; None where there is nothing.

    Args:
        head: a head that was fitted again on train and val knows both, unless the validation locations are scored;
            without a head it is the split train.
        cache: features of its encoder.
        splits: those that it was fitted with.
        scored: name of the split that is scored; nothing is known beside the training locations themselves.
    """
    if scored == "train":
        return None
    refitted = bool(getattr(head, "training", {}).get("refit")) and scored != "val"
    names = ["train", "val"] if refitted else ["train"]
    locations = cache.locations(in_memory=False)
    index = np.flatnonzero(splits.members(locations.ids, *names))
    return locations.take(index) if len(index) else None
