"""The whole of inference as one object: images in, places out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.base import PreparedDecoder
from geocell.decoders.table import AnyDecoder
from geocell.encoders import Encoder, encoder_for
from geocell.features.locations import Locations
from geocell.heads.loading import load_head_like
from geocell.heads.protocol import HeadLike, default_decoder
from geocell.prediction.encoding import MOST_THUMBNAILS, encode_asked
from geocell.prediction.inputs import Asked, ImageLike, asked_images, asked_inputs, is_image, items_of
from geocell.prediction.predictions import Names, Predictions, predict_locations, prepare_answer
from geocell.prediction.records import Prediction, unanswered
from geocell.prediction.sets import SetMaker, SetMethod
from geocell.uncertainty.selective import require_threshold
from geocell.views import ColumnNames

if TYPE_CHECKING:
    from geocell.encoders.info import EncoderInfo

OnError: TypeAlias = Literal["raise", "row"]
"""What an image that cannot be read does: end the run, or become a row with its reason."""

_AT_ONCE = 256  # locations that are answered at a time


@dataclass(frozen=True, eq=False, repr=False)
class Geolocator:
    """A head and its encoder.

    Attributes:
        head: a head, an ensemble, or whatever answers like one.
        encoder: the encoder that its features come from; another is refused.
        device: where the head computes.
        names: what names answers and cells, (P, 2) degrees -> P texts; None for coordinates alone.
        sets: how sets of cells are made, whose cells predictions keep; see `predict_locations`.
        abstain_below: the confidence below which answers are withheld; that of the head's calibration when None.
    """

    head: HeadLike
    encoder: Encoder
    device: str = "auto"
    names: Names | None = None
    sets: SetMethod | None = None
    abstain_below: float | None = None

    def __post_init__(self) -> None:
        """Check that head and encoder belong together, and that the head has learned such sets."""
        require_threshold(self.abstain_below)
        SetMaker.of(self.head, self.sets)
        self.head.encoder.require_same(self.encoder.info, "the head", "the encoder")

    def __repr__(self) -> str:
        """Return the head."""
        return f"<Geolocator of {self.head!r}>"

    @classmethod
    def load(
        cls,
        name: str | Path,
        *,
        encoder: str | None = None,
        device: str = "auto",
        partitioner: str | None = None,
        names: Names | None = None,
    ) -> Geolocator:
        """Load a head or a combination of several, and its encoder at the revision that the head records.

        Args:
            name: folder of the head, combination, ensemble or zero-shot classifier, or `user/repo@revision` on the Hub.
            encoder: where to load the encoder from, when not from where the head's features were made.
            device: cpu, cuda, mps, or auto for the fastest there is.
            partitioner: `module:attribute` of the partitioner, for a head on cells of a custom kind.
            names: what names answers and cells, `geocell.prediction.predictions.town_names` say.

        Raises:
            FileNotFoundError: when head or encoder are not there.
            PermissionError: when the head's repository is gated.
            ConnectionError: when the Hub cannot be reached, or fails.
            ValueError: when the head is damaged, or the encoder is another one.
        """
        head = load_head_like(name, partitioner)
        return cls(head, encoder_for(head.encoder, device, encoder), device, names)

    @overload
    def locate(  # type: ignore[overload-overlap]  # a path is text, and text is a sequence of texts
        self, images: ImageLike, *, top_k: int = 5, decode: AnyDecoder | None = None, on_error: OnError = "raise"
    ) -> Prediction: ...
    @overload
    def locate(
        self,
        images: Iterable[ImageLike],
        *,
        one_location: Literal[True],
        top_k: int = 5,
        decode: AnyDecoder | None = None,
        on_error: OnError = "raise",
    ) -> Prediction: ...
    @overload
    def locate(
        self,
        images: Iterable[ImageLike | Iterable[ImageLike]],
        *,
        top_k: int = 5,
        decode: AnyDecoder | None = None,
        on_error: OnError = "raise",
    ) -> Predictions: ...
    def locate(
        self,
        images: ImageLike | Iterable[ImageLike | Iterable[ImageLike]],
        *,
        one_location: bool = False,
        top_k: int = 5,
        decode: AnyDecoder | None = None,
        on_error: OnError = "raise",
    ) -> Prediction | Predictions:
        """Answer where images were taken.

        Features are rounded as a feature cache keeps them, so that an image gets the answer that was scored. Some
        dozens of images are in memory at once, however many a generator yields.

        Args:
            images: one image; or a list with one item per location, an image or a list of its views. A generator or
                any other iterable does for a list.
            one_location: the images of the list are views of one location.
            top_k: K, how many cells to name.
            decode: the decoder: a name such as `within:200`, or an object; that of the head's calibration when omitted,
                `centroid` without one.
            on_error: `raise` at an image that cannot be read; or `row`, which leaves it out of its location and says
                so in `problem`. A location without any readable image has no answer then.

        Returns:
            One prediction for one image or one location, else one per location.

        Raises:
            ValueError: for no image, one that cannot be read, a bad `top_k`, or a decoder that is unknown or not for
                this head.
        """
        prepared = prepare_answer(top_k, default_decoder(self.head) if decode is None else decode, self.head)
        one = one_location or is_image(images)
        asked = asked_images([images] if one else items_of(images))
        answers = self._answer(asked, top_k, prepared, on_error)
        return answers[0] if one else answers

    def locate_inputs(
        self,
        inputs: Sequence[str | Path],
        columns: ColumnNames = ColumnNames(),
        *,
        one_location: bool = False,
        top_k: int = 5,
        decode: AnyDecoder | None = None,
        on_error: OnError = "row",
        truth: bool = True,
        root: str | Path | None = None,
    ) -> Predictions:
        """Answer where images of files, folders, tables, shards and URLs of them were taken.

        The views that share a value of a table's column `location` are one location; every other image is one of its
        own. Where the truth is known, by columns of a table or by EXIF data, predictions have it.

        Args:
            inputs: each an image, or a folder, table or shards as `geocell.read_views` takes them; no position is
                needed.
            columns: columns of tables that are not spelled as usual.
            one_location: all images are views of one location.
            top_k: K, how many cells to name.
            decode: the decoder: a name such as `within:200`, or an object; that of the head's calibration when omitted,
                `centroid` without one.
            on_error: see `locate`.
            truth: whether true positions are read.
            root: folder that image paths of tables are relative to; usually that of the table.

        Raises:
            FileNotFoundError: for a table, shards or a folder that are not there, `root` among them.
            ValueError: for no image, a table that cannot be read, and what `locate` refuses.
        """
        prepared = prepare_answer(top_k, default_decoder(self.head) if decode is None else decode, self.head)
        asked: Iterable[Asked] = asked_inputs(inputs, columns, root)
        if one_location:
            views = [view for one in asked for view in one.views]
            asked = [Asked(", ".join(view.name for view in views), views)] if views else []
        return self._answer(asked, top_k, prepared, on_error, truth)

    def _answer(
        self, asked: Iterable[Asked], top_k: int, decode: PreparedDecoder, on_error: OnError, truth: bool = False
    ) -> Predictions:
        """Encode and answer locations, some hundreds at a time."""
        if on_error not in ("raise", "row"):
            raise ValueError(f"on_error must be 'raise' or 'row', got {on_error!r}.")
        items: list[Prediction] = []
        part: list[tuple[Asked, NDArray[np.float32]]] = []
        for encoded in encode_asked(asked, self.encoder, thumbnails=MOST_THUMBNAILS, exif=truth):
            if on_error == "raise":
                _require_readable(encoded[0])
            part.append(encoded)
            if len(part) == _AT_ONCE:
                items += self._answer_part(part, top_k, decode, truth)
                part = []
        items += self._answer_part(part, top_k, decode, truth)
        if not items:
            raise ValueError("locate needs at least one image, got none.")
        return Predictions(tuple(items), self.head.partition)

    def _answer_part(
        self, part: Sequence[tuple[Asked, NDArray[np.float32]]], top_k: int, decode: PreparedDecoder, truth: bool
    ) -> list[Prediction]:
        readable = [(asked, features) for asked, features in part if len(features)]
        answers = iter(self._predict(readable, top_k, decode) if readable else ())
        items = []
        for asked, features in part:
            known = asked.truth if truth else None
            problem = problem_of(asked)
            if not len(features):
                items.append(unanswered(asked.location, decode.decoder.spec, problem, known))
                continue
            thumbnails = tuple(view.thumbnail for view in asked.views if view.thumbnail)
            items.append(replace(next(answers), problem=problem, truth=known, thumbnails=thumbnails))
        return items

    def _predict(
        self, readable: Sequence[tuple[Asked, NDArray[np.float32]]], top_k: int, decode: PreparedDecoder
    ) -> Predictions:
        return predict_locations(
            self.head,
            locations_of([asked.location for asked, _ in readable], [rows for _, rows in readable], self.encoder.info),
            top_k=top_k,
            decode=decode,
            device=self.device,
            names=self.names,
            sets=self.sets,
            abstain_below=self.abstain_below,
        )


def locations_of(ids: Sequence[str], features: Sequence[NDArray[np.floating[Any]]], encoder: EncoderInfo) -> Locations:
    """Return locations that are asked about, nobody knows where, from the features of their views.

    Args:
        ids: P ids.
        features: P arrays (V, D), V >= 1 of each; they are rounded as a feature cache keeps them.
        encoder: whose features they are.
    """
    views = np.concatenate(list(features)).astype(np.float16)
    offsets = np.cumsum([0, *map(len, features)]).astype(np.int64)
    unknown = np.full((len(ids), 2), np.nan)
    return Locations(np.array(ids, dtype=object), unknown, views, np.arange(len(views)), offsets, encoder, {})


def _require_readable(asked: Asked) -> None:
    for view in asked.views:
        if view.problem:
            raise ValueError(f"{view.name} must be a readable image, got {view.problem}: leave it out or repair it.")


def problem_of(asked: Asked) -> str:
    """Return which views of a location could not be read and why, "" when all could."""
    bad = [view for view in asked.views if view.problem]
    if not bad or len(asked.views) == 1:
        return bad[0].problem if bad else ""
    first = f"{bad[0].name}: {bad[0].problem}"
    return f"{len(bad)} of {len(asked.views)} views could not be read, the first {first}"
