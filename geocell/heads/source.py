"""Where a head is loaded from: a local folder, or a repository on the Hub, which is fetched."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from geocell.files import printable, read_json
from geocell.heads.combination_file import combination_files
from geocell.heads.config_file import CONFIG_FILE
from geocell.heads.folder import HEAD_FILES
from geocell.heads.hashes import COMBINATION_FILE
from geocell.heads.zero_shot_folder import ZERO_SHOT_FILE, ZERO_SHOT_FILES
from geocell.hub.client import Snapshot, download, pickles
from geocell.hub.names import HubName


@dataclass(frozen=True)
class HeadSource:
    """Where a head is loaded from.

    Attributes:
        folder: its files.
        snapshot: what was fetched from the Hub, None for a local folder.
        remark: what a user should hear about it, "" when there is nothing.
    """

    folder: Path
    snapshot: Snapshot | None = None
    remark: str = ""


def find_head(name: str | Path) -> HeadSource:
    """Return where a head is, fetching it when it is a repository on the Hub. Pickles are never fetched.

    Args:
        name: folder, or `user/repo@revision`.

    Raises:
        FileNotFoundError: for neither a folder nor a repository with a head.
        PermissionError: when the repository is gated.
        ConnectionError: when the Hub cannot be reached, or fails.
    """
    if Path(name).is_dir():
        return HeadSource(Path(name))
    try:
        remote = HubName.parse(os.fspath(name))
    except ValueError:
        raise FileNotFoundError(
            f"a head is a folder or user/repo@revision on the Hub, and there is no folder {name}: check the path."
        ) from None
    try:
        return fetch_head(remote)
    except (FileNotFoundError, ConnectionError) as error:
        raise type(error)(f"there is no folder {name} here, and {error}") from error


def fetch_head(name: HubName) -> HeadSource:
    """Fetch a head from the Hub into huggingface_hub's cache; see `find_head`."""
    snapshot = _download_head(name)
    ignored = pickles(snapshot)
    remark = (
        f"{name} also holds {printable(', '.join(ignored))}: pickles, not downloaded and not read." if ignored else ""
    )
    return HeadSource(snapshot.folder, snapshot, remark)


def _download_head(name: HubName) -> Snapshot:
    """Fetch the files of a head or what answers like one, the weights only then: they may be a large model's."""
    first = download(name, [CONFIG_FILE, COMBINATION_FILE, ZERO_SHOT_FILE])
    config, combination = first.folder / CONFIG_FILE, first.folder / COMBINATION_FILE
    if combination.is_file():
        return replace(download(HubName(name.repo, first.commit), combination_files(first.folder)), name=name)
    if (first.folder / ZERO_SHOT_FILE).is_file():
        return replace(download(HubName(name.repo, first.commit), ZERO_SHOT_FILES), name=name)
    if not config.is_file() or read_json(config, "a head", versioned=False).get("library") != "geocell":
        raise FileNotFoundError(
            f"{name} on the Hub is not a head of geocell: `geocell import` reads published checkpoints (best.pt)."
        )
    return replace(download(HubName(name.repo, first.commit), HEAD_FILES), name=name)
