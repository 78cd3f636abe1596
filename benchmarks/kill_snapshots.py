"""What a folder holds before and after a command of the kill harness, by names and hashes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

Files = Mapping[str, str]
"""Path -> hash of a file, "folder", or where a link leads."""


def snapshot(folder: Path, masks: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what is below a folder, hidden names included.

    Args:
        folder: where to look.
        masks: pattern of a path -> regular expression of the text that does not count.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        elif path.is_dir():
            found[name] = "folder"
        else:
            content = path.read_bytes()
            for pattern, mask in (masks or {}).items():
                if fnmatchcase(name, pattern):
                    content = re.sub(mask.encode(), b"", content)
            found[name] = hashlib.sha256(content).hexdigest()
    return found


def is_probe(name: str, value: str) -> bool:
    """Return whether a file is the one by which Python's tempfile finds out where it may write: not of the commands.

    It is written and removed in one go, so that only a kill in that instant leaves it.
    """
    probes = {hashlib.sha256(content).hexdigest() for content in (b"", b"blat")}  # as tempfile.py writes
    return re.fullmatch(r"tmp/[a-z0-9_]{8}", name) is not None and value in probes


def unit(files: Files, name: str) -> Files:
    """Return what a snapshot says of a file or a folder; hidden names in it do not count."""
    inside = {path: value for path, value in files.items() if path == name or path.startswith(f"{name}/")}
    return {
        path: value
        for path, value in inside.items()
        if not any(part.startswith(".") for part in path.removeprefix(name).split("/"))
    }


def units_of(patterns: Sequence[str], *snapshots: Files) -> list[str]:
    """Return the names in any of some snapshots that one of the patterns fits, part by part."""
    names = sorted({name for files in snapshots for name in files})
    return [
        name
        for name in names
        if any(
            name.count("/") == pattern.count("/")
            and all(fnmatchcase(*pair) for pair in zip(name.split("/"), pattern.split("/"), strict=True))
            and not name.rsplit("/", 1)[-1].startswith(".")
            for pattern in patterns
        )
    ]
