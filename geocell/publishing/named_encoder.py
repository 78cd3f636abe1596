"""The encoder of an imported head, recorded by its name: no weights are loaded, and the network is not needed."""

from __future__ import annotations

import re
from pathlib import Path

from geocell.encoders.info import NOT_PINNED, EncoderInfo
from geocell.encoders.loading import load_encoder
from geocell.encoders.tower import STREETCLIP, hub_id
from geocell.hub.client import download, is_offline
from geocell.hub.names import MAIN, HubName

_DIMS = {STREETCLIP: 1024}


def named_encoder(name: str, revision: str | None, dim: int) -> EncoderInfo:
    """Return what is known of an encoder without its weights.

    The Hub is asked for its commit; where it does not answer, the revision is `not pinned`. What only the loaded
    encoder shows (pooling, image size, processor) is `not pinned` too. `geocell.heads.additions.pin_encoder` records
    all of it when the head is used for the first time.

    Args:
        name: Hub id or folder; an encoder of this package or of the user's own is loaded, which needs no download.
        revision: branch, tag or commit on the Hub.
        dim: D of the features that the head reads.

    Raises:
        FileNotFoundError: when the Hub has no such repository or revision, or `name` is neither Hub id nor folder.
        ValueError: when the encoder is known to have another D, or a branch cannot be resolved to a commit.
    """
    expected = _DIMS.get(name, dim)
    if dim != expected:
        raise ValueError(
            f"the checkpoint reads features of {dim} numbers, and {name} has {expected}: name its encoder by --encoder."
        )
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _unpinned(folder.resolve().name, NOT_PINNED, dim, str(folder.resolve()))
    repo = hub_id(name)
    if repo is None:
        return load_encoder(name, revision, "cpu").info
    return _unpinned(repo, _commit(HubName(repo, revision or MAIN)), dim, repo)


def _unpinned(name: str, revision: str, dim: int, source: str) -> EncoderInfo:
    return EncoderInfo(name, revision, NOT_PINNED, dim, 0, NOT_PINNED, NOT_PINNED, source)


def _commit(name: HubName) -> str:
    """Return the commit that a revision means, `not pinned` where that cannot be found out."""
    if re.fullmatch(r"[0-9a-f]{40}", name.revision):
        return name.revision
    try:
        return download(name, ["config.json"]).commit
    except (ConnectionError, PermissionError):
        pass
    except FileNotFoundError:
        if not is_offline():
            raise
    if name.revision != MAIN:
        raise ValueError(
            f"the Hub does not say which commit {name} is: give the commit, or leave the revision of the encoder out."
        )
    return NOT_PINNED
