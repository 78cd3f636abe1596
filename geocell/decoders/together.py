"""Several decoders on the same posterior, which a head computes once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.base import Decoder, LocationData, LocationFunction, Need, PartitionData, PreparedDecoder
from geocell.geo.geodesy import Floats


@dataclass(frozen=True)
class Together(Decoder):
    """Decoders that are called one after the other, the first of which answers.

    Attributes:
        decoders: one or more.
    """

    decoders: tuple[Decoder, ...]

    name = "together"
    summary = "several decoders on one posterior"

    @property
    def needed(self) -> frozenset[Need]:
        """What any of them needs."""
        return frozenset().union(*(decoder.needed for decoder in self.decoders))

    @property
    def spec(self) -> str:
        """Their names, for messages."""
        return " and ".join(decoder.spec for decoder in self.decoders)

    def points(self, data: PartitionData) -> LocationFunction:
        """Return the answers of the first; `prepared_together` has those of all."""
        return self.decoders[0].points(data)


def prepared_together(prepared: Sequence[PreparedDecoder], taken: list[Sequence[Floats]]) -> PreparedDecoder:
    """Return a decoder that answers by the first of several, and appends the (P, 2) points of each to a list.

    Args:
        prepared: one or more, for the same cells.
        taken: gets one item per call, with the points of every decoder, in their order.
    """

    def function(posterior: NDArray[np.float32], locations: LocationData) -> Floats:
        points = [decoder(posterior, locations) for decoder in prepared]
        taken.append(points)
        return points[0]

    decoders = tuple(decoder.decoder for decoder in prepared)
    return PreparedDecoder(Together(decoders), prepared[0].centroids, function)
