"""What answers like a head, from its folder or repository: a head, several combined, a zero-shot classifier."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from geocell.heads.combination import Combination, load_combination
from geocell.heads.ensemble import load_ensemble
from geocell.heads.folder import ENSEMBLE_FILE
from geocell.heads.hashes import COMBINATION_FILE
from geocell.heads.head import Head, load_head
from geocell.heads.source import HeadSource, find_head
from geocell.heads.zero_shot import ZeroShot
from geocell.heads.zero_shot_folder import is_zero_shot, load_zero_shot

if TYPE_CHECKING:
    from geocell.encoders.info import EncoderInfo
    from geocell.partitioners.kinds import Kind


def load_head_like(
    path: str | Path | HeadSource, partitioner: str | type[Kind] | None = None
) -> Head | Combination | ZeroShot:
    """Load a head, a combination of several (an ensemble of an earlier version too), or a zero-shot classifier.

    Args:
        path: folder, `user/repo@revision` on the Hub, or what `find_head` returned.
        partitioner: class or `module:attribute` of the partitioner, for cells of a custom kind.

    Raises:
        FileNotFoundError: when there is none, or a file is missing.
        PermissionError: when its repository is gated.
        ConnectionError: when the Hub cannot be reached, or fails.
        ValueError: when a file is of another format, or damaged.
    """
    source = path if isinstance(path, HeadSource) else find_head(path)
    if source.remark and not isinstance(path, HeadSource):
        warnings.warn(source.remark, stacklevel=2)
    if is_ensemble(source):
        return load_ensemble(source.folder, partitioner).as_combination()
    if (source.folder / COMBINATION_FILE).is_file():
        return load_combination(source, partitioner)
    if is_zero_shot(source.folder):
        return load_zero_shot(source.folder)
    return load_head(source, partitioner)


def is_ensemble(source: HeadSource) -> bool:
    """Return whether an earlier version wrote an ensemble there, which has no place for scores or a calibration."""
    return (source.folder / ENSEMBLE_FILE).is_file()


def with_encoder(head: Head | Combination, encoder: EncoderInfo) -> Head | Combination:
    """Return what answers like a head with its encoder, or that of its members, described by this."""
    if isinstance(head, Head):
        return replace(head, encoder=encoder)
    return replace(head, members=tuple(replace(member, encoder=encoder) for member in head.members))
