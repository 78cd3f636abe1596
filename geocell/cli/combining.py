"""The command that makes several heads one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from geocell.cli.answerers import Decode, open_answerer
from geocell.cli.calibration import require_for_choices
from geocell.cli.output import UsageError, emit, note, usage_errors
from geocell.cli.scorers import Asked, open_zero_shot
from geocell.cli.sources import cache_locations
from geocell.heads.candidates import CandidateRule
from geocell.heads.pooling import Rule
from geocell.splits.splits import UNKNOWN_PROTOCOL

if TYPE_CHECKING:
    from geocell.heads.combination_folder import Member


def combine(
    *heads: str,
    out: Path,
    cache: Path | None = None,
    splits: Path | None = None,
    split: str | None = None,
    pool: Rule | None = None,
    candidates: CandidateRule = "auto",
    knn: bool = False,
    decode: Decode | None = None,
    device: str = "auto",
    overwrite: bool = False,
    partitioner: str | None = None,
    json: bool = False,
) -> None:
    """Combine heads of several partitions or seeds into one that is scored, predicted with and pushed like a head.

    Their probabilities are pooled on candidate points that all share. Weights, the rule and the vote of the nearest
    training features are chosen on validation locations, and the combination is calibrated there. Without --cache and
    --splits weights are equal, and nothing is calibrated.

    Args:
        heads: two or more heads, folders or user/repo@revision on the Hub, or zero-shot classifiers: folders, zero-shot
            (as published, with the cities of the gazetteer) or zero-shot:CANDIDATES.csv.
        out: folder of the combination, with copies of the heads in it.
        cache: feature cache; its split train has the training places, and features for --knn. For heads of different
            encoders it is one that `geocell cache join` made.
        splits: splits.json.
        split: which split of it weights are chosen on; val when left out.
        pool: linear or log(-linear); chosen on the validation locations when left out, linear without these.
        candidates: cells (of the one partition that all share), places (training places), pieces (of the intersection
            of the partitions), or centroids (of all heads); auto takes the first that there is, up to 5,000 places.
        knn: let the nearest training features vote; their index goes into the folder.
        decode: the decoder that is calibrated for, and answers by default afterwards; balscore when left out.
        device: where the heads compute: auto, cpu, cuda or mps.
        overwrite: replace an existing combination.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object.
    """
    from geocell.compute.devices import choose_device
    from geocell.decoders.table import parse_decoder
    from geocell.evaluation.combine import combine as join
    from geocell.files import require_new
    from geocell.heads.combination_file import COMBINATION_MARKS, COMBINATION_PARTS
    from geocell.reports.calibrations import combination_text
    from geocell.splits.splits import Splits

    with usage_errors():
        if decode is not None:
            parse_decoder(decode)  # a file names it, so it is one of the package
        choose_device(device)
        _require_several(heads, out)
        if (cache is None) != (splits is None):
            raise ValueError("--cache and --splits go together: pass both, or neither for equal weights.")
        if splits is None:
            _require_no_choices(split, decode, knn, candidates)
        require_for_choices(split or "val")
    require_new(out, overwrite, COMBINATION_MARKS, COMBINATION_PARTS)
    protocol, name = UNKNOWN_PROTOCOL, split or "val"
    asked = None if cache is None else Asked(cache, splits, name, device, partitioner)
    members = [_member(head, asked, partitioner) for head in heads]
    train = val = None
    if cache is not None and splits is not None:
        loaded = Splits.load(splits)
        protocol = loaded.protocol
        train = cache_locations(cache, splits, "train", in_memory=knn)  # else their coordinates are enough
        if split is not None or loaded.ids.get(name):
            val = cache_locations(cache, splits, name, in_memory=False).loaded()
        elif decode is not None:
            raise UsageError(
                f"--decode {decode} is calibrated for on validation locations, and {splits} has none: leave it out."
            )
        else:
            note(f"{splits} has no validation locations: weights are equal, and nothing is calibrated")
    made = join(
        members,
        train,
        val,
        pool=pool,
        candidates=candidates,
        knn=knn,
        decode=decode or "balscore",
        split=name,
        protocol=protocol,
        device=device,
    )
    made.save(out, overwrite=overwrite)
    result = {"out": str(out), "heads": list(heads), **made.parts.combination_json()}
    known = None if made.calibration is None else made.calibration.to_dict()
    emit({**result, "calibration": known}, f"{out}: {combination_text(made)}", json)


def _member(name: str, asked: Asked | None, partitioner: str | None) -> Member:
    """Return a head, or a zero-shot classifier by its folder or as the baseline of that name."""
    from geocell.evaluation.named_baselines import is_named_baseline
    from geocell.heads.combination import Combination

    if not is_named_baseline(name):
        found = open_answerer(name, partitioner)[0]
    elif "shot" not in name.lower():
        raise UsageError(f"{name} is no head that can be combined: --knn lets the nearest training features vote.")
    elif asked is None:
        raise UsageError(f"{name} is made for the encoder of a cache: pass --cache and --splits.")
    else:
        found = open_zero_shot(name, asked)
    if isinstance(found, Combination):
        raise ValueError(  # noqa: TRY004 - a folder of another kind
            f"expected one head, got the combination {name}: name its members, {name}/0 say."
        )
    return found


def _require_no_choices(split: str | None, decode: str | None, knn: bool, candidates: CandidateRule) -> None:
    """Refuse what needs locations where there are none."""
    needing = {
        "--knn": knn,
        "--split": split is not None,
        "--decode": decode is not None,
        f"--candidates {candidates}": candidates in {"places", "pieces"},
    }
    if given := [flag for flag, is_given in needing.items() if is_given]:
        raise ValueError(f"{given[0]} needs --cache and --splits, and they are not there: pass both, or leave it out.")


def _require_several(heads: Sequence[str], out: Path) -> None:
    """Refuse fewer than two heads, one that is named twice, and an output that is one of them."""
    if len(heads) < 2:
        raise ValueError(f"expected two heads or more, got {len(heads)}: name all that are combined.")
    names = [str(Path(name).resolve()) if Path(name).exists() else name for name in heads]
    twice = [name for name, given in zip(heads, names, strict=True) if names.count(given) > 1]
    if twice:
        raise ValueError(f"every head counts once, and {twice[0]} is named twice: leave one out.")
    if str(out.resolve()) in names:
        raise ValueError(f"--out must be another folder than the heads, got {out}: name a new one.")
