"""Decoders: from cell probabilities to one point on the sphere, by name.

A score depends on the decoder as much as on the head, so every score says which one it used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.geo.geodesy import latlon_from_unit, moved, unit_vectors

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
"""Every decoder of a posterior alone, by the name that scores, recipes and flags use."""

OFFSET = "offset"
"""The decoder that moves the centroid of the most probable cell by the offset that a head regresses in that cell."""


def require_decoder(name: str, has_offsets: bool = True) -> None:
    """Refuse a decoder that is unknown, or that what is to be decoded lacks the numbers for.

    Args:
        name: of the decoder.
        has_offsets: whether there are offsets.

    Raises:
        ValueError: for an unknown name, with the known ones, or for `offset` without offsets.
    """
    if not isinstance(name, str) or name not in {*DECODERS, OFFSET}:
        raise ValueError(f"decode must be one of {', '.join((*DECODERS, OFFSET))}, got {name!r}.")
    if name == OFFSET and not has_offsets:
        raise ValueError(
            "decode offset needs one head that was fitted with offsets above 0, got none: fit such a head, or decode "
            f"by {' or '.join(DECODERS)}."
        )


def decode(
    name: str, posterior: ArrayLike, centroids: ArrayLike, offsets_km: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return one point per location.

    Args:
        name: a key of `DECODERS`, or `offset`.
        posterior: (P, C) probabilities.
        centroids: (C, 2) degrees.
        offsets_km: (P, 2) east and north of the centroid of the most probable cell, for `offset` alone.

    Returns:
        (P, 2) float64 degrees.

    Raises:
        ValueError: for an unknown decoder, `offset` without offsets, shapes that do not belong together, or a posterior
            that is not finite.

    >>> decode("centroid", [[0.1, 0.9]], [[0.0, 0.0], [48.1, 11.5]]).tolist()
    [[48.1, 11.5]]
    """
    require_decoder(name, offsets_km is not None)
    p, c = np.asarray(posterior), np.asarray(centroids, dtype=np.float64)
    if p.ndim != 2 or c.ndim != 2 or c.shape != (p.shape[1], 2) or len(c) == 0:
        raise ValueError(
            f"decode needs a posterior (P, C) and centroids (C, 2) of one partition, got {p.shape} and {c.shape}."
        )
    broken = ~np.isfinite(p).all(axis=1)
    if broken.any():
        raise ValueError(
            f"decode needs finite probabilities, got NaN or infinity for {int(broken.sum())} of {len(p)} locations: "
            "the features of these, or the weights of the head, are too large for float32."
        )
    if name != OFFSET:
        return DECODERS[name](p, c)
    offsets = np.asarray(offsets_km, dtype=np.float64)
    if offsets.shape != (len(p), 2):
        raise ValueError(
            f"decode offset needs offsets (P, 2), one per location, got {offsets.shape} for {len(p)} locations."
        )
    return moved(centroid(p, c), offsets)
