"""The decoders of this package, and how a name becomes one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from inspect import isabstract

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.decoders.base import Decoder, LocationData, Need, PartitionData, PreparedDecoder
from geocell.files import import_attribute

DECODERS: Mapping[str, str] = {
    "centroid": "centroid.Centroid",
    "knn": "knn.KNN",
    "mean": "mean.Mean",
    "medoid": "medoid.Medoid",
    "geoscore": "geoscore.GeoScore",
    "balscore": "balscore.BalScore",
    "offset": "offset.Offset",
    "within": "within.Within",
}
"""Name -> the decoder: the module of this package, and the class in it."""

AnyDecoder = str | Decoder | PreparedDecoder
"""What functions take as a decoder: `within:200`, `my_module:MyDecoder`, an object, or one that is prepared."""


@cache
def decoder_type(name: str) -> type[Decoder]:
    """Return the class of a decoder of `DECODERS`."""
    module, attribute = DECODERS[name].split(".")
    found: type[Decoder] = getattr(import_module(f"geocell.decoders.{module}"), attribute)
    return found


def decoder_usage() -> str:
    """Return how every decoder is written, with its line of help."""
    return "; ".join(f"{kind.usage()} ({kind.summary})" for kind in decoders())


def parse_decoder(text: str, *, own_code: bool = False) -> Decoder:
    """Return the decoder that a text names: `centroid`, `within:200`, or `module:attribute`.

    Args:
        text: its name, and its parameters after a colon.
        own_code: whether `module:attribute` is imported: for what a user typed, never for what a file says.

    Raises:
        ValueError: for an unknown decoder, with the known ones, or bad parameters.
        ImportError: when there is no such module or attribute.
    """
    name, colon, parameters = text.partition(":") if isinstance(text, str) else ("", "", "")
    if name in DECODERS:
        if colon and not parameters:
            raise ValueError(f"decode {name} must be written {decoder_type(name).usage()}, got {text!r}.")
        return decoder_type(name).parse(parameters)
    if own_code and colon and parameters:
        return _imported(text)
    known = ", ".join(kind.usage() for kind in decoders())
    own = ", or module:attribute of your own code" if own_code else ""
    raise ValueError(f"decode must be one of {known}{own}; got {text!r}.")


def as_decoder(decode: AnyDecoder) -> Decoder:
    """Return the decoder of what functions take as one.

    Raises:
        ValueError: for an unknown decoder or bad parameters.
        TypeError: for another object, or a decoder whose class is no dataclass of its own.
    """
    if isinstance(decode, PreparedDecoder):
        return decode.decoder
    if isinstance(decode, str):
        return parse_decoder(decode, own_code=True)
    if not isinstance(decode, Decoder):
        raise TypeError(f"decode must be the name of a decoder or a Decoder, got {type(decode).__name__}.")
    if decode.name in DECODERS and type(decode) is not decoder_type(decode.name):
        raise ValueError(f"a decoder of your own needs a name of its own, got {decode.name!r}: rename it.")
    _require_comparable(type(decode))
    return decode


def _require_comparable(kind: type[Decoder]) -> None:
    """Refuse a class whose objects are equal whatever their parameters: they would get each other's answers."""
    if not {"__dataclass_params__", "__eq__"} <= vars(kind).keys():
        raise TypeError(
            f"the decoder {kind.__name__} must be decorated with @dataclass(frozen=True), and have its parameters as "
            "fields, by which decoders are told apart."
        )


def _imported(text: str) -> Decoder:
    found = import_attribute(text, "a decoder")
    is_class = isinstance(found, type) and issubclass(found, Decoder) and not isabstract(found)
    if not is_class and not isinstance(found, Decoder):
        raise ValueError(f"decode {text} must be a geocell.decoders.base.Decoder, got {type(found).__name__}.")
    try:
        _require_comparable(found if is_class else type(found))
    except TypeError as error:  # the name is wrong, not the type of an argument
        raise ValueError(f"decode {text} can't be used: {error}") from error
    return as_decoder(found.parse("") if is_class else found)


_PREPARED: frozenset[Need] = frozenset(("train", "neighbours", "shares", "places"))
"""What a decoder that is prepared does not need any more."""


class DecoderCache:
    """Decoders prepared for one partition, each once.

    Args:
        data: what they are prepared with.
        provided: what is known of locations when they are decoded.
    """

    def __init__(self, data: PartitionData, provided: frozenset[Need] = frozenset()) -> None:
        """Start empty."""
        self._data = data
        self._provided = provided | data.provided
        self._prepared: dict[Decoder, PreparedDecoder] = {}

    def __call__(self, decode: AnyDecoder) -> PreparedDecoder:
        """Return a decoder that is prepared.

        Raises:
            ValueError: for an unknown decoder, or one that lacks what it needs, or was prepared for other cells.
        """
        if isinstance(decode, PreparedDecoder):
            decode.require_cells(self._data.centroids)
            decode.decoder.require(self._provided | _PREPARED)
            return decode
        decoder = as_decoder(decode)
        decoder.require(self._provided)
        if decoder not in self._prepared:
            self._prepared[decoder] = decoder.prepare(self._data)
        return self._prepared[decoder]


def decode(
    name: AnyDecoder, posterior: ArrayLike, centroids: ArrayLike, offsets_km: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return one point per location.

    Args:
        name: the decoder: `centroid`, `within:200`, any other of `DECODERS`, `module:attribute`, or an object.
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
    p, c = np.asarray(posterior), np.asarray(centroids, dtype=np.float64)
    if p.ndim != 2 or c.ndim != 2 or c.shape != (p.shape[1], 2) or len(c) == 0:
        raise ValueError(
            f"decode needs a posterior (P, C) and centroids (C, 2) of one partition, got {p.shape} and {c.shape}."
        )
    offsets = None if offsets_km is None else np.asarray(offsets_km, dtype=np.float64)
    locations = LocationData() if offsets is None else LocationData(lambda _: offsets)
    if isinstance(name, PreparedDecoder):
        name.require_cells(c)
        return name(p, locations)
    return as_decoder(name).prepare(PartitionData(c))(p, locations)


def decoders() -> Iterator[type[Decoder]]:
    """Yield the class of every decoder of this package."""
    yield from map(decoder_type, DECODERS)
