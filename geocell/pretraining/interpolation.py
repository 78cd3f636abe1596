"""Weights between those of two models (WiSE-FT)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def interpolated(start: Mapping[str, Tensor], end: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Return weights on the way from those of the start to those of the end (WiSE-FT, Wortsman et al. 2022).

    Args:
        start: name -> weights before the training.
        end: name -> weights after it.
        share: of the end; 1 is the end, 0 the start.

    Raises:
        ValueError: when they are not of the same model.
    """
    if start.keys() != end.keys():
        raise ValueError("weights to interpolate must be of one model, got other names of weights.")
    return {
        name: torch.lerp(start[name], value, share) if value.is_floating_point() else value
        for name, value in end.items()
    }
