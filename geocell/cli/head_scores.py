"""What `score` does around the scores of a head: baselines, text, remarks, and the files in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocell.cli.output import note
from geocell.cli.sources import load_splits

if TYPE_CHECKING:
    from geocell.encoders.info import EncoderInfo
    from geocell.evaluation.baselines import Baseline
    from geocell.features.locations import Locations
    from geocell.heads.combination import Combination
    from geocell.heads.head import Head
    from geocell.heads.protocol import HeadLike
    from geocell.heads.zero_shot import ZeroShot
    from geocell.metrics.scores import Scores


def write_beside(head: Head | Combination | ZeroShot, folder: Path, scores: Scores, encoder: EncoderInfo) -> None:
    """Write scores into the folder of a head, and which encoder it was used with where that was not recorded."""
    from geocell.files import held_folder, remove_leftovers_in, write_json
    from geocell.heads.additions import pin_encoder
    from geocell.heads.loading import with_encoder
    from geocell.heads.zero_shot import ZeroShot
    from geocell.heads.zero_shot_folder import write_zero_shot_scores

    with held_folder(folder):
        remove_leftovers_in(folder)  # of a process that was killed while it wrote other files than this one will
    if isinstance(head, ZeroShot):
        write_zero_shot_scores(folder, scores.to_dict(), scores.split)
        return
    if pin_encoder(folder, encoder):
        head = with_encoder(head, encoder)
    if scores.split == "test":
        head.write_scores(folder, scores)
    else:
        with held_folder(folder):
            write_json(folder / f"scores-{scores.split}.json", scores.to_dict())


def scores_text(row: Mapping[str, Any], found: Mapping[str, Baseline], by_country: bool) -> str:
    """Return the table with the baselines, the scores that have no column, and on request every country."""
    from geocell.metrics.trust import trust_sentences
    from geocell.reports.baselines import baseline_rows, baselines_text
    from geocell.reports.score_details import countries_text, details_text
    from geocell.reports.tables import folded
    from geocell.reports.text import score_table

    below = [details_text(row), baselines_text(found), *trust_sentences(row.get("trust"))]
    parts = [score_table([row], beside=baseline_rows(found, row)), *map(folded, below)]
    countries = f"\n{countries_text(row)}" if by_country else ""
    return "\n".join(filter(None, [*parts, countries]))


def training_locations(head: HeadLike | None, cache: Path, splits: Path | None, scored: str) -> Locations | None:
    """Return what a head was trained on by its splits, with features on the disk; None where these say nothing.

    Without a head it is the split train.
    """
    from geocell.evaluation.known import known_locations
    from geocell.features import FeatureCache

    return None if splits is None else known_locations(head, FeatureCache.open(cache), load_splits(splits), scored)


def say_other_protocol(head: HeadLike, splits: Path | None) -> None:
    """Say when a head was calibrated on splits that were drawn in another way than these."""
    from geocell.splits.splits import UNKNOWN_PROTOCOL

    known = None if head.calibration is None else head.calibration.record.get("protocol")
    if splits is None or known in {None, UNKNOWN_PROTOCOL}:
        return
    drawn = load_splits(splits).protocol
    if drawn not in {known, UNKNOWN_PROTOCOL}:
        note(f"the head was calibrated on splits drawn {known}, and these are drawn {drawn}: its radii may not hold.")
