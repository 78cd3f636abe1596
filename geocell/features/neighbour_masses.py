"""How probable the nearest training features are, inside the most probable cells."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.features.neighbours import Ints, Singles
from geocell.geo.geodesy import Floats


def most_probable(posterior: NDArray[np.floating[Any]], n_cells: int) -> NDArray[np.bool_]:
    """Return (P, C) whether a cell is among the most probable ones of a location; the first of equal ones."""
    order = np.argsort(-posterior, axis=1, kind="stable")[:, :n_cells]
    mask = np.zeros(posterior.shape, dtype=np.bool_)
    np.put_along_axis(mask, order, True, axis=1)
    return mask


def neighbour_masses(
    posterior: NDArray[np.floating[Any]],
    cells: Ints,
    cosines: Singles,
    temperature: float,
    share: float,
) -> Floats:
    """Return the probabilities of neighbours: a mixture of the head's and the neighbours' own.

    A neighbour n in cell c has ``(1 - s) p_c exp(cos_n / T) / Z + s p_c / (Z' N_c)``, where N_c of the neighbours are
    in c: the second term spreads the mass of a cell evenly over its nearest training locations.

    Args:
        posterior: (P, C) probabilities.
        cells: (P, k) cell of each neighbour.
        cosines: (P, k), -inf for none.
        temperature: T, above 0.
        share: s, from 0 to 1.

    Returns:
        (P, k) float64 with rows of sum 1.

    Raises:
        ValueError: for a temperature or a share out of range.
    """
    if not (math.isfinite(temperature) and temperature > 0 and 0 <= share <= 1):
        raise ValueError(
            f"neighbours need a temperature above 0 and a share from 0 to 1, got {temperature:g} and {share:g}."
        )
    there = np.isfinite(cosines)
    mass = np.take_along_axis(np.asarray(posterior, dtype=np.float64), cells, axis=1) * there
    mass = np.where(mass.sum(axis=1, keepdims=True) > 0, mass, there)  # every cell underflowed: all alike
    counts = ((cells[:, :, None] == cells[:, None, :]) & there[:, None, :]).sum(axis=2)
    spread = mass / np.maximum(counts, 1)
    top = np.max(cosines, axis=1, keepdims=True)
    near = mass * np.exp((cosines.astype(np.float64) - top) / temperature)
    near = np.where(near.sum(axis=1, keepdims=True) > 0, near, mass)
    shares = ((1 - share, near), (share, spread))
    return np.asarray(sum(s * part / part.sum(axis=1, keepdims=True) for s, part in shares))
