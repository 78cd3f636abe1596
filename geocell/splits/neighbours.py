"""Groups of places that are connected by short steps, found without listing all pairs of places."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.geo.geodesy import Floats, as_latlon, chord_from_km, unit_vectors

Ints = NDArray[np.int64]

_NEAREST = 8  # neighbours that are searched for, including the place itself


def connected_places(latlon: ArrayLike, km: float) -> Ints:
    """Return the groups of places that are connected by steps of at most `km`, directly or through other places.

    The number of pairs in reach grows with the square of the places in a dense town. Each place is therefore linked to
    its nearest neighbours only, which is complete where it has no more of them in reach. For the other places,
    connected components are linked to components in reach, repeatedly, as in Borůvka's algorithm for minimum spanning
    trees (1926), until no component has another one in reach.

    Args:
        latlon: (P, 2) degrees, P >= 1.
        km: the longest step, above 0.

    Returns:
        (P,) group of each place, numbered from 0 in any order.
    """
    # Coinciding places would use up the nearest neighbours of each other. Complex numbers sort fast.
    places, of = np.unique(as_latlon(latlon).view(np.complex128)[:, 0], return_inverse=True)
    vectors = unit_vectors(places.view(np.float64).reshape(-1, 2))
    reach = float(np.nextafter(chord_from_km(km), np.inf))
    links, crowded = _nearest_links(vectors, reach)
    while True:
        groups = _components(len(vectors), links)
        found = _links_across(vectors[crowded], groups[crowded], reach)
        if not len(found):
            return np.asarray(groups[of], dtype=np.int64)
        links = np.concatenate((links, crowded[found]))


def _nearest_links(vectors: Floats, reach: float) -> tuple[Ints, Ints]:
    """Return (E, 2) links of places to their nearest neighbours in reach, and the places that may have further ones."""
    from scipy.spatial import cKDTree

    ranks = np.arange(1, min(_NEAREST, len(vectors)) + 1)
    distance, near = cKDTree(vectors).query(vectors, k=ranks, distance_upper_bound=reach)
    row, rank = np.nonzero(np.isfinite(distance))
    return np.stack((row, np.asarray(near)[row, rank]), axis=1), np.flatnonzero(np.isfinite(distance).all(axis=1))


def _components(n: int, links: Ints) -> Ints:
    """Return the (n,) connected component of every node of a graph."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(links), dtype=np.int8), (links[:, 0], links[:, 1])), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _links_across(vectors: Floats, groups: Ints, reach: float) -> Ints:
    """Return (E, 2) links between groups, at least one from every group with a place of another group in reach.

    The numbers of two groups differ in at least one bit: for each bit, places of groups with the bit set search the
    nearest place of groups without, and the other way round.
    """
    from scipy.spatial import cKDTree

    _, numbers = np.unique(groups, return_inverse=True)
    found = [np.empty((0, 2), dtype=np.int64)]
    for bit in range(int(numbers.max(initial=0)).bit_length()):
        has = (numbers >> bit & 1).astype(np.bool_)
        for here, there in ((np.flatnonzero(has), np.flatnonzero(~has)), (np.flatnonzero(~has), np.flatnonzero(has))):
            distance, nearest = cKDTree(vectors[there]).query(vectors[here], distance_upper_bound=reach)
            near = np.isfinite(distance)
            found.append(np.stack((here[near], there[np.asarray(nearest)[near]]), axis=1))
    return np.concatenate(found)
