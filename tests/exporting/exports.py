"""Small heads of random weights to export."""

from typing import Any

import numpy as np
import torch

from geocell.encoders.info import EncoderInfo
from geocell.heads.calibration import Calibration
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.heads.module import new_module
from geocell.partitioners import KMeansPartitioner
from tests.worlds import INFO

CELLS = 7


def random_head(info: EncoderInfo = INFO, *, fusion: str = "feature", calibration: Calibration | None = None) -> Head:
    """Return a head on 7 cells whose posteriors are neither flat nor certain."""
    config = FitConfig(**({"fusion": fusion}))  # type: ignore[arg-type]
    rng = np.random.default_rng(5)
    latlon = np.stack((rng.uniform(40, 60, 80), rng.uniform(0, 20, 80)), axis=1)
    cells = KMeansPartitioner(k=CELLS, seed=0).fit(latlon, "a test")
    module = new_module(info.dim, CELLS, config)
    for value in module.state_dict().values():
        drawn = torch.from_numpy(rng.normal(0.5, 0.6, tuple(value.shape)))
        value.copy_(drawn)
    return Head(module, cells, info, config, calibration=calibration)


def vector_scaling(temperature: float = 1.7) -> Calibration:
    """Return a calibration with a temperature and a bias for each cell."""
    bias = tuple(np.linspace(-1.0, 1.0, CELLS).tolist())
    return Calibration(temperature, {25: 0.2, 200: 0.4, 750: 0.8}, "balscore", {50: 1.0, 90: 1.0}, bias=bias)


def by_hand(head: Head, features: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the (P, C) probabilities of a head in float64, without torch."""
    weights = {name: value.numpy().astype(np.float64) for name, value in head.module.state_dict().items()}
    x = features.astype(np.float64)
    centred = x - x.mean(axis=1, keepdims=True)
    normed = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    logits = normed * weights["head.0.weight"] + weights["head.0.bias"]
    logits = logits @ weights["head.2.weight"].T + weights["head.2.bias"]
    if head.calibration is not None:
        logits = logits / head.calibration.temperature
        logits = logits + (0.0 if head.calibration.bias is None else np.array(head.calibration.bias))
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)
