"""What answers in commands: heads and what is like them, and how they decode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from geocell.cli.output import note
from geocell.decoders.table import decoder_usage

if TYPE_CHECKING:
    from geocell.heads.combination import Combination
    from geocell.heads.head import Head
    from geocell.heads.source import HeadSource
    from geocell.heads.zero_shot import ZeroShot

Decode = Annotated[str, Parameter(help=f"How a posterior becomes a point: {decoder_usage()}; or module:attribute.")]
"""The flag `--decode`, whose help is made from the decoders."""


def open_head(name: str, partitioner: str | None = None) -> tuple[Head, HeadSource]:
    """Return a head by folder or `user/repo@revision`, and its source; remarks on it go to standard error."""
    from geocell.heads.hashes import why_not_hashed
    from geocell.heads.head import load_head
    from geocell.heads.source import find_head
    from geocell.heads.zero_shot_folder import is_zero_shot

    source = find_head(name)
    if source.remark:
        note(source.remark)
    if is_zero_shot(source.folder):
        raise ValueError(
            f"{name} must be a head, got a zero-shot classifier: make a head of words with `geocell zero-shot-head`."
        )
    head = load_head(source, partitioner)
    if remark := why_not_hashed(source.folder):
        note(remark)
    return head, source


def open_answerer(name: str, partitioner: str | None = None) -> tuple[Head | Combination | ZeroShot, HeadSource]:
    """Return what answers like a head, by its folder or `user/repo@revision`, and its source; see `open_head`."""
    from geocell.heads.hashes import why_not_hashed
    from geocell.heads.loading import is_ensemble, load_head_like
    from geocell.heads.source import find_head
    from geocell.heads.zero_shot_folder import is_zero_shot

    source = find_head(name)
    if source.remark:
        note(source.remark)
    head = load_head_like(source, partitioner)
    if not is_ensemble(source) and not is_zero_shot(source.folder) and (remark := why_not_hashed(source.folder)):
        note(remark)
    return head, source
