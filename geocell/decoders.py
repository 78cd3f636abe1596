"""Decoders: from cell probabilities to one point on the sphere, by name.

A score depends on the decoder as much as on the head, so every score says which one it used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.geodesy import latlon_from_unit, unit_vectors

Decoder = Callable[[NDArray[np.float32], NDArray[np.float64]], NDArray[np.float64]]

_MIN_MEAN_LENGTH = 1e-6
"""Below this length the mean of float32 probabilities times unit vectors is rounding noise, without a direction."""


def centroid(posterior: NDArray[np.float32], centroids: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the centroid of the most probable cell; the first one of equals.

    Args:
        posterior: (P, C) probabilities.
        centroids: (C, 2) degrees.

    Returns:
        (P, 2) degrees.
    """
    return np.asarray(centroids[posterior.argmax(axis=1)])


def mean(posterior: NDArray[np.float32], centroids: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the direction of the posterior mean ``Σ p_c u_c`` over the unit vectors of all centroids.

    It is the point that the haversine term of the loss trains. Where the mean has no direction (antipodal cells
    of equal probability) the answer is the centroid of the most probable cell.

    Args:
        posterior: (P, C) probabilities.
        centroids: (C, 2) degrees.

    Returns:
        (P, 2) degrees.
    """
    means = posterior @ unit_vectors(centroids)
    points = latlon_from_unit(means)
    directionless = np.linalg.norm(means, axis=1) < _MIN_MEAN_LENGTH
    points[directionless] = centroid(posterior[directionless], centroids)
    return points


DECODERS: Mapping[str, Decoder] = MappingProxyType({"centroid": centroid, "mean": mean})
"""Every decoder by the name that scores, recipes and flags use."""


def require_decoder(name: str) -> Decoder:
    """Return the decoder called `name`.

    Raises:
        ValueError: for an unknown name, with the known ones.
    """
    if not isinstance(name, str) or name not in DECODERS:
        raise ValueError(f"decode must be one of {', '.join(DECODERS)}, got {name!r}.")
    return DECODERS[name]


def decode(name: str, posterior: ArrayLike, centroids: ArrayLike) -> NDArray[np.float64]:
    """Return one point per location.

    Args:
        name: a key of `DECODERS`.
        posterior: (P, C) probabilities.
        centroids: (C, 2) degrees.

    Returns:
        (P, 2) float64 degrees.

    Raises:
        ValueError: for an unknown decoder, or shapes that do not belong together.

    >>> decode("centroid", [[0.1, 0.9]], [[0.0, 0.0], [48.1, 11.5]]).tolist()
    [[48.1, 11.5]]
    """
    decoder = require_decoder(name)
    p, c = np.asarray(posterior), np.asarray(centroids, dtype=np.float64)
    if p.ndim != 2 or c.ndim != 2 or c.shape != (p.shape[1], 2) or len(c) == 0:
        raise ValueError(
            f"decode needs a posterior (P, C) and centroids (C, 2) of one partition, got {p.shape} and {c.shape}."
        )
    return decoder(p, c)
