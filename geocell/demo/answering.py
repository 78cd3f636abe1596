"""What the demo answers: the page of a head, its nearest training locations, and a zero-shot classifier beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from geocell.decoders.table import as_decoder, decoders
from geocell.geo.geodesy import distance_km
from geocell.heads.head import Head
from geocell.heads.protocol import HeadLike, default_decoder
from geocell.prediction.geolocator import Geolocator, locations_of
from geocell.prediction.page import answers_page
from geocell.prediction.predictions import Names, predict_locations
from geocell.prediction.records import Prediction

if TYPE_CHECKING:
    from geocell.demo.uploads import Photograph
    from geocell.encoders import Encoder
    from geocell.features.locations import Locations

TOP_K = 5
N_NEIGHBOURS = 5
_RADII_KM = (25, 200, 750)


@dataclass(frozen=True)
class Neighbour:
    """A training location that resembles the photographs.

    Attributes:
        lat: latitude in degrees.
        lon: longitude in degrees.
        similarity: cosine of the centred features.
        away_km: from the answer.
        place: it in words, "" without a gazetteer.
    """

    lat: float
    lon: float
    similarity: float
    away_km: float
    place: str = ""


@dataclass(frozen=True)
class Answer:
    """An answer and its page.

    Attributes:
        prediction: the answer.
        page: HTML of its page, which asks for nothing.
        neighbours: nearest training locations, the most similar first; none where the head has no index of them.
    """

    prediction: Prediction
    page: str
    neighbours: tuple[Neighbour, ...] = ()


@dataclass(frozen=True, eq=False)
class Answerer:
    """A head with its encoder, and a zero-shot classifier with its own where there is one.

    Attributes:
        head: what answers.
        zero_shot: what answers beside it.
    """

    head: Geolocator
    zero_shot: Geolocator | None = None

    @cached_property
    def encoders(self) -> tuple[Encoder, ...]:
        """The encoders that photographs go through, each once."""
        if self.zero_shot is None or self.zero_shot.encoder is self.head.encoder:
            return (self.head.encoder,)
        return self.head.encoder, self.zero_shot.encoder

    @cached_property
    def decoders(self) -> tuple[str, ...]:
        """The decoders that the head can answer by; that of its calibration, or `centroid`, is the first."""
        return decoder_choices(self.head.head)

    @property
    def abstain_below(self) -> float | None:
        """The confidence below which the calibration withholds answers; None where it has learned none."""
        known = self.head.head.calibration
        return None if known is None else known.abstain_below

    def answer(self, photographs: Sequence[Photograph], decode: str = "", withhold: bool = True) -> Answer:
        """Return the head's answer for V >= 1 photographs of one location.

        Args:
            photographs: what `read_photographs` returned.
            decode: one of `decoders`; the first when empty.
            withhold: whether answers below `abstain_below` are marked as withheld.

        Raises:
            ValueError: for another decoder, or no photograph.
        """
        decode = decode or self.decoders[0]
        if decode not in self.decoders:
            raise ValueError(f"the decoder must be one of {', '.join(self.decoders)}, got {decode!r}.")
        title = "The head" if self.zero_shot else "Where was it taken?"
        answer, locations = _answer(self.head, photographs, 0, decode, None if withhold else 0.0, title)
        found = neighbours(self.head.head, locations, answer.prediction, self.head.names)
        return replace(answer, neighbours=found)

    def answer_zero_shot(self, photographs: Sequence[Photograph]) -> Answer | None:
        """Return the zero-shot answer for the same photographs, by its usual decoder; None where there is none."""
        if self.zero_shot is None:
            return None
        usual = default_decoder(self.zero_shot.head)
        return _answer(self.zero_shot, photographs, len(self.encoders) - 1, usual, None, "Zero-shot")[0]


def _answer(
    locator: Geolocator,
    photographs: Sequence[Photograph],
    encoder: int,
    decode: str,
    abstain_below: float | None,
    title: str,
) -> tuple[Answer, Locations]:
    if not photographs:
        raise ValueError("an answer needs at least one photograph, got none.")
    features = np.stack([photograph.features[encoder] for photograph in photographs])
    n = len(photographs)
    locations = locations_of(["one photograph" if n == 1 else f"{n} photographs"], [features], locator.encoder.info)
    (prediction,) = predict_locations(
        locator.head,
        locations,
        top_k=TOP_K,
        decode=decode,
        device=locator.device,
        names=locator.names,
        abstain_below=abstain_below,
    )
    shown = replace(prediction, thumbnails=tuple(p.thumbnail for p in photographs if p.thumbnail))
    return Answer(shown, answers_page([shown], locator.head.partition, title)), locations


def decoder_choices(head: HeadLike) -> tuple[str, ...]:
    """Return the decoders that a head has all for, its usual one first; `within` for the radii of balscore."""
    usual = default_decoder(head)
    written = [kind.name for kind in decoders() if kind.name != "within"]
    found = []
    for spec in [*written, *(f"within:{km}" for km in _RADII_KM)]:
        try:
            found.append(head.prepare(spec).decoder.spec)
        except ValueError:  # lacks an index, offsets or shares
            continue
    return tuple(dict.fromkeys([as_decoder(usual).spec, *found]))


def neighbours(
    head: HeadLike, locations: Locations, prediction: Prediction, names: Names | None = None, k: int = N_NEIGHBOURS
) -> tuple[Neighbour, ...]:
    """Return the k training locations whose features are nearest to those of one location.

    Args:
        head: the head; only one with an index of its training features knows them.
        locations: the one location.
        prediction: its answer.
        names: what names places.
        k: how many at most.
    """
    index = head.neighbours if isinstance(head, Head) else None
    if index is None:
        return ()
    rows, cosines = index.nearest(locations.mean_features(), k)
    latlon = index.latlon[rows[0]]
    places = [""] * len(latlon) if names is None else list(names(latlon))
    away = distance_km(latlon, (prediction.lat, prediction.lon))
    return tuple(
        Neighbour(float(lat), float(lon), float(cosine), float(km), place)
        for (lat, lon), cosine, km, place in zip(latlon, cosines[0], np.atleast_1d(away), places, strict=True)
    )
