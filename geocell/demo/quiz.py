"""A quiz over the test locations of a cache: where was this taken? The head answers too, and both get points."""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.evaluation.score import require_unseen
from geocell.features.images import cache_images
from geocell.geo.geodesy import distance_km
from geocell.images.loading import load_pixels
from geocell.images.sources import ImageSource
from geocell.metrics.geoscore import geoscore_points
from geocell.prediction.predictions import Names, predict_locations
from geocell.prediction.records import Prediction

if TYPE_CHECKING:
    from pathlib import Path

    from geocell.features import FeatureCache
    from geocell.features.locations import Locations
    from geocell.heads.protocol import HeadLike
    from geocell.splits.splits import Splits

MOST_ROUNDS = 1000
"""Rounds of one game, after which it ends."""
MOST_VIEWS = 4
"""Photographs of one round."""
_SIDE_PX = 1024
_GUESS = re.compile(r"\s*([+-]?[\d.]+)\s*°?\s*([NSns]?)[\s,;]+([+-]?[\d.]+)\s*°?\s*([EWew]?)\s*")
_TRIES = 20  # rounds that are skipped when their images cannot be read


@dataclass(frozen=True, eq=False)
class Round:
    """One question and its answers.

    Attributes:
        pictures: JPEG files of the photographs, without metadata.
        truth: latitude and longitude in degrees.
        head: what the head answers.
    """

    pictures: tuple[bytes, ...] = field(repr=False)
    truth: tuple[float, float]
    head: Prediction


@dataclass(frozen=True)
class Points:
    """What a guess is worth.

    Attributes:
        km: from the truth.
        points: GeoScore, as the game rounds it.
    """

    km: float
    points: int

    @classmethod
    def of(cls, guess: tuple[float, float], truth: tuple[float, float]) -> Points:
        """Return those of a guess, both in degrees."""
        km = float(distance_km(guess, truth))
        return cls(km, int(geoscore_points(km, rounded=True)))


@dataclass(frozen=True)
class Game:
    """How far a player is.

    Attributes:
        order: the locations that are asked about, one after the other.
        at: which of them is asked now; -1 before the first.
        guess: of the player in this round, degrees; None until there is one.
        played: rounds with a guess.
        you: points of the player so far.
        head: points of the head so far.
    """

    order: tuple[int, ...] = field(repr=False)
    at: int = -1
    guess: tuple[float, float] | None = None
    played: int = 0
    you: int = 0
    head: int = 0


@dataclass(frozen=True, eq=False)
class Quiz:
    """Locations with their images, and the head that answers too.

    Attributes:
        answers_by: the head.
        locations: P locations that it was not trained on, with features of its encoder.
        references: of the image of each row of the cache.
        images: what reads them.
        decode: the decoder.
        names: what names places.
        device: where the head computes.
    """

    answers_by: HeadLike
    locations: Locations
    references: NDArray[np.object_]
    images: ImageSource
    decode: str
    names: Names | None = None
    device: str = "auto"

    @classmethod
    def open(
        cls,
        head: HeadLike,
        cache: FeatureCache,
        splits: Splits,
        split: str = "test",
        *,
        decode: str,
        source: str | Path | None = None,
        **settings: Any,  # noqa: ANN401 - `names` and `device`
    ) -> Quiz:
        """Return the quiz of one split of a cache.

        Args:
            head: the head.
            cache: features of its encoder.
            splits: the splits.
            split: whose locations are asked about.
            decode: the decoder that the head answers by.
            source: what the cache was made of, see `cache_images`.
            settings: `names` and `device`.

        Raises:
            FileNotFoundError: when the images are not here.
            ValueError: for features of another encoder, training locations of the head, or images that cannot be read.
        """
        locations = splits.select(cache.locations(in_memory=False), split)
        head.encoder.require_same(locations.encoder, "the head", "the locations of the quiz")
        require_unseen([head], locations)
        references = cache.views["image"].to_numpy(object)
        quiz = cls(head, locations, references, cache_images(cache, source), decode, **settings)
        quiz.next_round(quiz.new_game(0))
        return quiz

    def new_game(self, seed: int) -> Game:
        """Return a game that has not begun; the seed decides which locations come in which order."""
        n = len(self.locations)
        order = np.random.default_rng(seed).choice(n, min(n, MOST_ROUNDS), replace=False)
        return Game(tuple(order.tolist()))

    def next_round(self, game: Game) -> tuple[Game, Round | None]:
        """Return the game at its next location whose images can be read, and the round; None after the last.

        Raises:
            ValueError: when the images of many locations in a row cannot be read.
        """
        problem = ""
        for at in range(game.at + 1, min(len(game.order), game.at + 1 + _TRIES)):
            pictures, problem = self._pictures(game.order[at])
            if pictures:
                return replace(game, at=at, guess=None), self._round(game.order[at], pictures)
        if problem and game.played == 0:
            raise ValueError(
                f"a quiz needs the images of the cache, and those of its first {_TRIES} locations cannot be read "
                f"({problem}): name the table, folder or shards that was encoded with --images."
            )
        return replace(game, at=len(game.order), guess=None), None

    def current(self, game: Game) -> Round:
        """Return the round that is on again, without its pictures."""
        return self._round(game.order[game.at], ())

    def play(self, game: Game, guess: tuple[float, float]) -> tuple[Game, Round, Points, Points]:
        """Return the game after a guess, the round, and what the guess and the answer of the head are worth.

        A second guess in a round changes no score.
        """
        asked = self.current(game)
        guess = guess if game.guess is None else game.guess
        you, head = Points.of(guess, asked.truth), Points.of((asked.head.lat, asked.head.lon), asked.truth)
        if game.guess is None:
            game = replace(
                game, guess=guess, played=game.played + 1, you=game.you + you.points, head=game.head + head.points
            )
        return game, asked, you, head

    def _round(self, index: int, pictures: tuple[bytes, ...]) -> Round:
        one = self.locations.take(np.array([index]))
        (answer,) = predict_locations(
            self.answers_by, one, top_k=1, decode=self.decode, device=self.device, names=self.names
        )
        lat, lon = one.latlon[0].tolist()
        return Round(pictures, (lat, lon), answer)

    def _pictures(self, index: int) -> tuple[tuple[bytes, ...], str]:
        one = self.locations.take(np.array([index]))
        pictures, problem = [], ""
        for row in one.rows[:MOST_VIEWS].tolist():
            reference = str(self.references[row])
            try:
                data = self.images.read(reference)
            except (OSError, ValueError) as error:
                problem = "no such file" if isinstance(error, FileNotFoundError) else type(error).__name__
                continue
            jpeg, said = show_copy(data)
            pictures += [jpeg] if jpeg else []
            problem = said or problem
        return tuple(pictures), problem

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """South, west, north, east of the map before a guess: around all cells of the head."""
        from geocell.plots.paths import extent

        return extent(self.answers_by.partition.centroids, margin=0.15)


def show_copy(data: bytes) -> tuple[bytes, str]:
    """Return a copy of an image file for the screen, a JPEG without metadata; b"" and the reason where it is none."""
    from PIL import Image

    pixels, problem = load_pixels(io.BytesIO(data), _Shrink())
    if pixels is None:
        return b"", problem
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=82, optimize=True)
    return file.getvalue(), ""


class _Shrink:
    """The transform that fits an image into a square."""

    draft_side = _SIDE_PX

    def __call__(self, image: Any) -> NDArray[np.uint8]:  # noqa: ANN401 - a Pillow image
        small = image.copy()
        small.thumbnail((_SIDE_PX, _SIDE_PX))
        return np.asarray(small)


def parse_guess(text: str) -> tuple[float, float]:
    """Return latitude and longitude of what a player typed, degrees.

    Raises:
        ValueError: when it is no position on the earth.

    >>> parse_guess("48.137, 11.575"), parse_guess("33.9S 18.4 E")
    ((48.137, 11.575), (-33.9, 18.4))
    """
    found = _GUESS.fullmatch(text[:80])
    try:
        lat, lon = (float(value) for value in (found[1], found[3])) if found else (math.nan, math.nan)
    except ValueError:  # 4.8.1
        lat = lon = math.nan
    twice = found is not None and any(found[i + 1] and found[i][0] == "-" for i in (1, 3))  # 33.9 south as -33.9 S
    if found is None or math.isnan(lat) or twice:
        raise ValueError(
            "a guess must be a latitude and a longitude such as 48.137, 11.575, or a click on the map: try again."
        )
    lat, lon = (-lat if found[2] in {"S", "s"} else lat), (-lon if found[4] in {"W", "w"} else lon)
    if not (abs(lat) <= 90 and abs(lon) <= 180):
        raise ValueError(f"a latitude is from -90 to 90 and a longitude from -180 to 180, got {lat:g}, {lon:g}.")
    return lat, lon
