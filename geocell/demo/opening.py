"""The parts of a demo by their names: a head or a zero-shot classifier, what answers beside it, a quiz."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from geocell.demo.answering import Answerer
from geocell.demo.app import Demo
from geocell.demo.quiz import Quiz
from geocell.demo.server import require_gradio, serving, wait
from geocell.encoders import encoder_for
from geocell.geo.gazetteer import Gazetteer
from geocell.heads.loading import load_head_like
from geocell.heads.protocol import HeadLike, default_decoder
from geocell.heads.zero_shot import ZeroShot
from geocell.prediction.geolocator import Geolocator
from geocell.prediction.predictions import Names, town_names

if TYPE_CHECKING:
    from geocell.encoders.info import EncoderInfo

TITLE = "Where was this photo taken?"


def place_names() -> Names | None:
    """Return what names places, None without the extra `gazetteer`."""
    return town_names if Gazetteer.installed() else None


def open_answerer(head: Geolocator, zero_shot: str | Path | None = None) -> Answerer:
    """Return a head with a zero-shot classifier beside it, which shares its encoder where that is the same.

    Args:
        head: the head and its encoder.
        zero_shot: folder of a zero-shot classifier, or `user/repo@revision` on the Hub.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: when it is something else.
    """
    if zero_shot is None:
        return Answerer(head)
    beside = load_head_like(zero_shot)
    if not isinstance(beside, ZeroShot):
        raise ValueError(  # noqa: TRY004 - the name is wrong, not a type
            f"--zero-shot must be a zero-shot classifier, got the head {zero_shot}: make one with "
            "`geocell zero-shot --out`."
        )
    if _same(head.encoder.info, beside.encoder):
        return Answerer(head, Geolocator(beside, head.encoder, head.device, head.names))
    return Answerer(head, Geolocator(beside, encoder_for(beside.encoder, head.device), head.device, head.names))


def _same(one: EncoderInfo, other: EncoderInfo) -> bool:
    try:
        one.require_same(other, "the head", "the zero-shot classifier")
    except ValueError:
        return False
    return True


def open_quiz(
    head: HeadLike,
    cache: str | Path,
    splits: str | Path,
    split: str = "test",
    *,
    source: str | Path | None = None,
    device: str = "auto",
) -> Quiz:
    """Return the quiz over a split of a cache; see `Quiz.open`.

    Args:
        head: the head.
        cache: folder of the cache.
        splits: splits.json.
        split: whose locations are asked about.
        source: what the cache was made of.
        device: where the head computes.
    """
    from geocell.features import FeatureCache
    from geocell.splits.splits import Splits

    return Quiz.open(
        head,
        FeatureCache.open(cache),
        Splits.load(splits),
        split,
        decode=default_decoder(head),
        source=source,
        names=place_names(),
        device=device,
    )


def about(head: HeadLike) -> str:
    """Return a line about a head: its cells and its encoder."""
    return (
        f"{len(head.partition):,} cells on features of {head.encoder.name}. A head always answers, also where it knows "
        "nothing."
    )


def run_demo(head: str | Path, *, host: str | None = None, device: str = "auto") -> None:
    """Load a head and run its demo until the process ends: all that a Space does.

    Args:
        head: folder, or `user/repo@revision` on the Hub.
        host: address to listen on; that of Gradio's environment when left out.
        device: where encoder and head compute.

    Raises:
        ModuleNotFoundError: when the extra `demo` is not installed.
        FileNotFoundError, ConnectionError, ValueError: see `Geolocator.load`.
    """
    require_gradio()
    locator = Geolocator.load(head, device=device, names=place_names())
    with serving(Demo(Answerer(locator)), TITLE, about(locator.head), host=host):
        wait()
