"""What scoring, comparing, predicting, publishing and reporting take: a head, or anything with the same interface."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.base import PreparedDecoder
from geocell.decoders.table import AnyDecoder
from geocell.encoders.info import EncoderInfo
from geocell.features.locations import Locations
from geocell.geo.geodesy import Floats
from geocell.heads.calibration import Calibration
from geocell.heads.trained_on import TrainedOn
from geocell.partitioners.base import Partition
from geocell.uncertainty.region_model import RegionModel


class HeadLike(Protocol):
    """A classifier of locations over the C cells of one partition."""

    @property
    def partition(self) -> Partition:
        """The C cells."""
        ...

    @property
    def encoder(self) -> EncoderInfo:
        """Which encoder's features it reads."""
        ...

    @property
    def sha256(self) -> str:
        """Hash of everything that its answers depend on."""
        ...

    @property
    def trained_on(self) -> TrainedOn | None:
        """Hashes of the training locations; see `geocell.heads.trained_on`. None where they are not known."""
        ...

    @property
    def calibration(self) -> Calibration | None:
        """What was learned on validation locations after the fit; None before that."""
        ...

    @property
    def region(self) -> RegionModel | None:
        """What tells locations outside its region apart; None where that was not learned."""
        ...

    def prepare(self, decode: AnyDecoder) -> PreparedDecoder:
        """Return a decoder, prepared for the cells of this head.

        Raises:
            ValueError: when it is unknown, or needs what the head does not have.
        """
        ...

    def answer_chunks(
        self, locations: Locations, decode: AnyDecoder = "centroid", device: str = "auto"
    ) -> Iterator[tuple[slice, NDArray[np.float32], Floats]]:
        """Yield the rows of a piece, its (rows, C) float32 posterior and its (rows, 2) points in degrees.

        Raises:
            ValueError: when the features are of another encoder, or the decoder is unknown or not for this head.
        """
        ...

    def posterior(self, locations: Locations, device: str = "auto") -> NDArray[np.float32]:
        """Return the (P, C) float32 cell probabilities of locations."""
        ...


def default_decoder(head: HeadLike) -> str:
    """Return what a head is decoded with where no decoder is named: that of its calibration, else `centroid`."""
    return "centroid" if head.calibration is None else head.calibration.decoder
