"""What a command scores or compares: a head, what answers like one, or a baseline by its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from geocell.cli.answerers import open_answerer
from geocell.cli.head_scores import training_locations
from geocell.cli.output import UsageError, note

if TYPE_CHECKING:
    from geocell.decoders.table import AnyDecoder
    from geocell.heads.combination import Combination
    from geocell.heads.head import Head
    from geocell.heads.protocol import HeadLike
    from geocell.heads.source import HeadSource
    from geocell.heads.zero_shot import ZeroShot


@dataclass(frozen=True)
class Asked:
    """What a command asks heads about, which a baseline is made of.

    Attributes:
        cache: feature cache.
        splits: splits.json, None where every location is asked about.
        split: the split that is asked about.
        device: where heads compute and texts are embedded.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
    """

    cache: Path
    splits: Path | None
    split: str
    device: str = "auto"
    partitioner: str | None = None


def open_scorer(name: str, asked: Asked, head: HeadLike | None = None) -> HeadLike:
    """Return what answers like a head by its folder, its repository, or the name of a baseline.

    Args:
        name: see `geocell.evaluation.named_baselines.named_baseline`; a folder of that name comes first.
        asked: what it will be asked about.
        head: beside which it stands: `majority` is its fullest cell, and `1-nn` searches what it was trained on.
    """
    from geocell.evaluation.named_baselines import (
        MAJORITY,
        NEAREST,
        ZERO_SHOT,
        baseline_name,
        is_named_baseline,
        named_baseline,
    )
    from geocell.features.manifest import Manifest
    from geocell.files import as_place
    from geocell.imagetext.text_cache import text_cache_folder

    if not is_named_baseline(name):
        require_head_or_baseline(name)
        return open_answerer(name, asked.partitioner)[0]
    kind = baseline_name(name)
    if kind == NEAREST and (asked.splits is None or asked.split == "train"):
        raise UsageError(f"{NEAREST} searches the training locations: pass --splits, and a split that is not train.")
    if kind == MAJORITY and head is None:
        raise UsageError(f"{MAJORITY} is the fullest cell of a head: compare a head with it.")
    encoder = Manifest.read(as_place(asked.cache)).encoder
    if kind.startswith(ZERO_SHOT):
        note(f"loading the texts' model of {encoder.name}")
    return named_baseline(
        name,
        encoder,
        head=head,
        train=lambda: training_locations(head, asked.cache, asked.splits, asked.split),
        device=asked.device,
        texts=text_cache_folder(),
    )


def require_head_or_baseline(name: str) -> None:
    """Refuse what is no folder, cannot be a repository and names no baseline, and say which may be meant.

    Raises:
        FileNotFoundError: then.
    """
    from difflib import get_close_matches

    from geocell.evaluation.named_baselines import BASELINES_USAGE, MAJORITY, NEAREST, ZERO_SHOT

    if "/" in name or Path(name).exists():
        return
    near = get_close_matches(name.lower(), [ZERO_SHOT, NEAREST, MAJORITY], n=1, cutoff=0.7)
    step = f"did you mean {near[0]}?" if near else "check the path."
    raise FileNotFoundError(
        f"expected the folder of a head, user/repo@revision on the Hub, or one of the baselines {BASELINES_USAGE}, got "
        f"{name}, which is none of them: {step}"
    )


def open_scored(name: str, asked: Asked) -> tuple[Head | Combination | ZeroShot, HeadSource | None]:
    """Return what is scored and its source: a head, what answers like one, or zero-shot by its name, without a source.

    Raises:
        UsageError: for another baseline, which stands beside every head that is scored.
    """
    from geocell.evaluation.named_baselines import is_named_baseline
    from geocell.heads.zero_shot import ZeroShot

    if not is_named_baseline(name):
        return open_answerer(name, asked.partitioner)
    if ":" not in name and "-shot" not in name.lower():
        raise UsageError(f"{name} stands in the table of every head that is scored: score a head.")
    found = open_scorer(name, asked)
    if not isinstance(found, ZeroShot):
        raise TypeError(f"{name} must be zero-shot, got {type(found).__name__}.")
    return found, None


def open_zero_shot(name: str, asked: Asked) -> ZeroShot:
    """Return zero-shot by its name, or its folder.

    Raises:
        UsageError: for something else.
    """
    from geocell.heads.zero_shot import ZeroShot

    found, _ = open_scored(name, asked)
    if not isinstance(found, ZeroShot):
        raise UsageError(
            f"--against must be zero-shot, zero-shot:CANDIDATES.csv or the folder of a zero-shot classifier, got "
            f"{name}: two heads are compared by `geocell compare`."
        )
    return found


def open_pair(name_a: str, name_b: str, asked: Asked) -> tuple[HeadLike, HeadLike]:
    """Return two that are compared; a baseline is one beside the other. See `open_scorer`."""
    from geocell.evaluation.named_baselines import is_named_baseline

    if is_named_baseline(name_a) and not is_named_baseline(name_b):
        b = open_scorer(name_b, asked)
        return open_scorer(name_a, asked, b), b
    a = open_scorer(name_a, asked)
    return a, open_scorer(name_b, asked, None if is_named_baseline(name_a) else a)


def decoders_of(typed: AnyDecoder | None, a: HeadLike, b: HeadLike) -> tuple[AnyDecoder, AnyDecoder]:
    """Return what two that are compared decode with: what was typed, else what each decodes with by default.

    Zero-shot has a decoder of its own, the published one, and other baselines have none; two heads must have the same.

    Raises:
        UsageError: when two heads decode differently by default.
    """
    from geocell.evaluation.named_baselines import PointBaseline
    from geocell.heads.protocol import default_decoder
    from geocell.heads.zero_shot import ZeroShot

    if typed is not None:
        return typed, typed
    usual = [default_decoder(one) for one in (a, b)]
    if isinstance(a, PointBaseline):
        return usual[1], usual[1]
    if isinstance(b, PointBaseline):
        return usual[0], usual[0]
    if usual[0] != usual[1] and not isinstance(a, ZeroShot) and not isinstance(b, ZeroShot):
        raise UsageError(f"the heads decode differently by default, {' and '.join(sorted(usual))}: pass --decode.")
    return usual[0], usual[1]
