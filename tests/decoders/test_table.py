"""From a text to a decoder, and `gc.decode`."""

from dataclasses import dataclass

import numpy as np
import pytest

import geocell
from geocell.decoders.balscore import BalScore
from geocell.decoders.base import Decoder, LocationFunction, PartitionData
from geocell.decoders.centroid import Centroid
from geocell.decoders.table import DECODERS, DecoderCache, as_decoder, decode, decoder_usage, decoders, parse_decoder
from geocell.decoders.within import Within
from tests.decoders.test_contract import CENTROIDS, posteriors
from tests.decoders.top_mean import TopMean

OWN = "tests.decoders.top_mean:TopMean"


@pytest.mark.parametrize(
    ("text", "decoder"),
    [
        ("centroid", Centroid()),
        ("within:200", Within(200.0)),
        ("within:2.5", Within(2.5)),
        ("within:1e3", Within(1000)),
        ("within:25,places=8", Within(25, places=8)),
        ("balscore:places=3", BalScore(places=3)),
        ("balscore:0.3,0.5,0.8,places=3", BalScore(0.3, 0.5, 0.8, places=3)),
    ],
)
def test_a_text_is_a_decoder(text: str, decoder: Decoder) -> None:
    assert parse_decoder(text) == decoder
    assert as_decoder(text) == decoder
    assert parse_decoder(decoder.spec) == decoder


def test_specs_are_written_one_way() -> None:
    assert [parse_decoder(text).spec for text in ("within:200.0", "within:2e2", "within:123.4567", "mean")] == [
        "within:200", "within:200", "within:123.4567", "mean",
    ]  # fmt: skip
    assert Within(np.float64(200)).spec == "within:200"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "best",
            r"mean, medoid:\[places=N\], .* balscore:\[WITHIN_25\],.*, offset, within:RADIUS_KM,\[places=N\]",
        ),
        ("", "centroid"),
        ("within", r"written within:RADIUS_KM,\[places=N\], got 0 parameters"),
        ("within:", "written within:RADIUS_KM"),
        ("within:places=3", "got 0 parameters"),
        ("within:places=3,200", "must be written within"),
        ("within:200,places=3,places=4", "got places,places="),
        ("within:200,cells=3", "got cells="),
        ("within:200,places=x", "with numbers, got 'x' as places"),
        ("medoid:places=1.5", "with numbers, got '1.5' as places"),
        ("medoid:places=-1", "from 0 .centroids. to 1000 cells, got -1"),
        ("balscore:places=1001", "from 0 .centroids. to 1000 cells, got 1001"),
        ("medoid:8", "got 1 parameters"),
        ("within:x", "with numbers, got 'x' as radius_km"),
        ("within:1,2", "got 2 parameters"),
        ("within:0", "above 0"),
        ("within:-1", "above 0"),
        ("within:nan", "above 0"),
        ("within:1e9", "half the circumference"),
        ("centroid:3", "written centroid, got 1 parameters"),
        ("mean:", "written mean"),
        (OWN, "must be one of"),
    ],
)
def test_what_a_file_says_is_a_decoder_of_the_table_or_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_decoder(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tests.decoders.top_mean:np", r"must be a geocell\.decoders\.base\.Decoder, got module"),
        ("geocell.decoders.base:Decoder", r"must be a geocell\.decoders\.base\.Decoder, got ABCMeta"),
        ("best", "or module:attribute of your own code"),
    ],
)
def test_own_code_that_is_none(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_decoder(text, own_code=True)


@pytest.mark.parametrize("name", ["no_such_module:X", "tests.decoders.top_mean:Nothing", ":X", ".top_mean:TopMean"])
def test_own_code_that_cannot_be_imported(name: str) -> None:
    with pytest.raises(ImportError, match=f"expected a decoder at {name} "):
        parse_decoder(name, own_code=True)


def test_own_code_by_name_or_as_an_object() -> None:
    posterior = posteriors(0)
    by_name = decode(OWN, posterior, CENTROIDS)
    assert np.array_equal(by_name, decode(TopMean(3), posterior, CENTROIDS))
    assert not np.array_equal(by_name, decode(TopMean(1), posterior, CENTROIDS))
    assert np.allclose(decode(TopMean(1), posterior, CENTROIDS), decode("centroid", posterior, CENTROIDS))
    with pytest.raises(TypeError, match="a Decoder, got int"):
        as_decoder(3)  # type: ignore[arg-type]


class Plain(Decoder):
    """No dataclass: those of all parameters would be equal."""

    name = "plain"
    summary = "the first centroid, moved north"

    def __init__(self, north: float) -> None:
        object.__setattr__(self, "north", north)

    def points(self, data: PartitionData) -> LocationFunction:
        return lambda posterior, _: np.tile(np.add(data.centroids[:1], [self.north, 0]), (len(posterior), 1))


@dataclass(frozen=True, eq=False)
class Unequal(Decoder):
    """Compared by the base class, which sees no field."""

    north: float = 0.0

    name = "unequal"
    summary = "no answer"

    def points(self, data: PartitionData) -> LocationFunction:
        raise NotImplementedError


class Wider(Within):
    """Another rule with the parameters of `within`."""

    name = "wider"


def test_a_decoder_that_its_parameters_do_not_tell_apart_is_refused() -> None:
    for own in (Plain(1.0), Unequal(1.0), Wider(200.0)):
        with pytest.raises(TypeError, match=rf"{type(own).__name__} must be decorated with @dataclass\(frozen=True\)"):
            DecoderCache(PartitionData(CENTROIDS))(own)
    with pytest.raises(ValueError, match="Plain must be decorated"):
        parse_decoder(f"{__name__}:Plain", own_code=True)
    for kind in decoders():
        decoder = kind.parse("200" if kind is Within else "")
        assert as_decoder(decoder) is decoder


def test_own_code_does_not_take_a_name_of_the_table() -> None:
    @dataclass(frozen=True)
    class Impostor(Decoder):
        name = "centroid"
        summary = "another rule"

        def points(self, data: PartitionData) -> LocationFunction:
            raise NotImplementedError

    with pytest.raises(ValueError, match="needs a name of its own, got 'centroid'"):
        as_decoder(Impostor())


def test_help_has_a_line_for_each() -> None:
    text = decoder_usage()
    assert [kind.name for kind in decoders()] == list(DECODERS)
    assert all(f"{kind.usage()} ({kind.summary})" in text for kind in decoders())


def test_a_decoder_is_prepared_once() -> None:
    cache = DecoderCache(PartitionData(CENTROIDS))
    first = cache("within:200")
    assert cache(Within(200)) is first
    assert cache(first) is first
    assert cache("within:300") is not first
    with pytest.raises(ValueError, match="offset needs offsets above 0"):
        cache("offset")
    other = DecoderCache(PartitionData(CENTROIDS[:2]))
    with pytest.raises(ValueError, match="within:200 was prepared for 6 cells, got 2"):
        other(first)


def test_a_decoder_prepared_for_other_cells_is_refused_though_they_are_as_many() -> None:
    moved = CENTROIDS + 0.5
    prepared = Within(200).prepare(PartitionData(moved))
    with pytest.raises(ValueError, match="within:200 was prepared for other cells"):
        DecoderCache(PartitionData(CENTROIDS))(prepared)
    with pytest.raises(ValueError, match="within:200 was prepared for other cells"):
        decode(prepared, posteriors(0), CENTROIDS)
    assert DecoderCache(PartitionData(moved.copy()))(prepared) is prepared
    assert np.array_equal(decode(prepared, posteriors(0), moved), decode("within:200", posteriors(0), moved))


def test_decode_is_public_and_takes_offsets() -> None:
    assert geocell.decode is decode
    north = np.full((7, 2), [0.0, 111.195])
    moved, still = (decode("offset", posteriors(1), CENTROIDS, offsets_km=by) for by in (north, 0 * north))
    assert still == pytest.approx(decode("centroid", posteriors(1), CENTROIDS))
    inner = still[:, 0] < 80
    assert (moved - still)[inner] == pytest.approx(np.full((inner.sum(), 2), [1.0, 0.0]), abs=1e-4)
