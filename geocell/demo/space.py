"""The demo of a head as a Space on the Hub: an app of a few lines, pinned requirements, and the head."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from geocell._version import __version__
from geocell.demo.opening import TITLE
from geocell.demo.server import require_gradio
from geocell.encoders.joined import split_info
from geocell.encoders.lite0 import LITE0
from geocell.encoders.tower import TIMM, hub_id
from geocell.files import new_folder
from geocell.heads.card import encoder_license
from geocell.heads.card_file import read_card
from geocell.heads.card_metadata import settings_of
from geocell.heads.combination import Combination
from geocell.heads.head import Head
from geocell.heads.loading import load_head_like
from geocell.heads.markdown import code
from geocell.heads.source import HeadSource, find_head
from geocell.heads.zero_shot import ZeroShot
from geocell.hub.client import CARD_FILE, commit, open_repository
from geocell.hub.names import HubName
from geocell.publishing.push import public_files

if TYPE_CHECKING:
    from geocell.encoders.info import EncoderInfo

APP_FILE = "app.py"
REQUIREMENTS_FILE = "requirements.txt"
SPACE_MARKS = (APP_FILE, REQUIREMENTS_FILE, CARD_FILE)
PYTHON = "3.11"
"""The Python of a Space."""
HEAD_FOLDER = "head"
"""Folder of the head in a Space whose head is on no repository of its own."""

_PACKAGE = "geocell-heads"
_MARK = "<!-- made by geocell push-demo -->"
_REQUIREMENT = re.compile(r"([\w.-]+)\s*(?:\[([\w,\s.-]+)\])?")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([\w.-]+)['\"]")


@dataclass(frozen=True)
class Space:
    """A Space, before or after it is pushed.

    Attributes:
        name: repository and branch.
        files: name -> content, or the file here that has it.
        address: of the commit, "" before there is one.
    """

    name: HubName
    files: Mapping[str, Path | bytes] = field(repr=False)
    address: str = ""

    def text(self, file: str) -> str:
        """Return one of its text files."""
        content = self.files[file]
        return (content if isinstance(content, bytes) else content.read_bytes()).decode("utf-8")

    @property
    def sizes(self) -> dict[str, int]:
        """Name -> bytes of every file, by name."""
        sizes = {n: len(v) if isinstance(v, bytes) else v.stat().st_size for n, v in self.files.items()}
        return dict(sorted(sizes.items()))

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write its files into a folder, in which `python app.py` runs the demo here.

        Raises:
            FileExistsError: when the folder exists and `overwrite` is false, or is something else.
        """
        with new_folder(Path(folder), overwrite=overwrite, marks=SPACE_MARKS, parts=(HEAD_FOLDER,)) as made:
            for name, content in self.files.items():
                (made / name).parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, bytes):
                    (made / name).write_bytes(content)
                else:
                    shutil.copyfile(content, made / name)


def make_space(head: str | Path, space: str, *, package: str = "") -> Space:
    """Return the Space of a head: one on the Hub is loaded from there at its commit, a folder goes into the Space.

    Coordinates of training locations (its index of features, its training places) stay here.

    Args:
        head: folder, or `user/repo@revision` on the Hub.
        space: `user/space`, or `user/space@branch`.
        package: what its requirements install this package from, a URL of git say; the installed version when empty.

    Raises:
        ModuleNotFoundError: when the extra `demo` is not installed, whose version the Space gets.
        FileNotFoundError, PermissionError, ConnectionError: when the head is not there; see `find_head`.
        ValueError: for a damaged head, or one whose encoder a Space cannot load.
    """
    require_gradio()
    name = HubName.parse(space)
    source = find_head(head)
    loaded = load_head_like(source)
    if isinstance(loaded, ZeroShot):
        raise ValueError(  # noqa: TRY004 - the name is wrong, not a type
            f"a Space needs a head, got the zero-shot classifier {head}: make a head of words with "
            "`geocell zero-shot-head`."
        )
    public = public_files(source.folder, loaded)  # also refuses what nobody could load
    encoders = _encoders(loaded)
    files: dict[str, Path | bytes] = {}
    if source.snapshot is None:
        files |= {f"{HEAD_FOLDER}/{file}": content for file, content in public.items()}
    files |= {
        APP_FILE: _app(source).encode(),
        REQUIREMENTS_FILE: "\n".join([*requirements(_extras(encoders), package), ""]).encode(),
        CARD_FILE: _readme(source, loaded, encoders).encode(),
    }
    return Space(name, files)


def push_space(space: Space, *, private: bool = False, overwrite: bool = False) -> Space:
    """Put a Space on the Hub in one commit, and return it with its address; the Space is made if need be.

    Files of a head that it had before go; others stay.

    Args:
        space: what `make_space` returned.
        private: make a new Space private, and refuse a public one.
        overwrite: replace the app of a Space that was not made by this.

    Raises:
        PermissionError: without a login or the right to write.
        ConnectionError: when the Hub cannot be reached, or fails.
        ValueError: when the Space has an app of somebody's own.
    """
    remote = open_repository(space.name, private=private, kind="space")
    card = "" if remote.card is None else remote.card.read_text(encoding="utf-8", errors="replace")
    if APP_FILE in remote.files and _MARK not in card and not overwrite:
        raise ValueError(
            f"the Space {space.name.repo} has an app that was not made by `geocell push-demo`: name another Space, or "
            "pass --overwrite to replace it."
        )
    stale = [file for file in remote.files if file.startswith(f"{HEAD_FOLDER}/") and file not in space.files]
    return replace(space, address=commit(remote, space.files, stale, "Demo of a geocell head"))


def _encoders(head: Head | Combination) -> list[EncoderInfo]:
    """Return the encoders of a head, each once.

    Raises:
        ValueError: for one that only this machine has.
    """
    whole = [head.encoder] if isinstance(head, Head) else head.parts.encoders
    found = [part for info in whole for part in split_info(info)]
    for encoder in found:
        where = _load_from(encoder)
        if encoder.revision.startswith("sha256:") or not (where == LITE0 or hub_id(where)):
            raise ValueError(
                f"a Space must load its encoder from the Hub or the package index, and {encoder.name} is on this "
                "machine alone: publish the encoder, and encode with it by its name there."
            )
    return found


def _load_from(encoder: EncoderInfo) -> str:
    """Return what a Space loads an encoder by; a path of this machine means nothing there."""
    return encoder.name if not encoder.source or Path(encoder.source).is_absolute() else encoder.source


def _app(source: HeadSource) -> str:
    if source.snapshot is None:
        head = f'Path(__file__).parent / "{HEAD_FOLDER}"'
        imports = "from pathlib import Path\n\nfrom geocell.demo.opening import run_demo"
    else:
        head = f'"{source.snapshot.name.repo}@{source.snapshot.commit}"'
        imports = "from geocell.demo.opening import run_demo"
    return f'"""The demo of a geocell head."""\n\n{imports}\n\nrun_demo({head})\n'


def _extras(encoders: Iterable[EncoderInfo]) -> list[str]:
    where = [_load_from(encoder) for encoder in encoders]
    found = {"demo": True, "lite0": LITE0 in where, "timm": any(name.startswith(TIMM) for name in where)}
    return [extra for extra, needed in found.items() if needed]


def requirements(extras: Iterable[str], package: str = "") -> list[str]:
    """Return the lines of requirements.txt: this package with extras, and all that it names at the installed versions.

    Args:
        extras: of this package.
        package: what it is installed from; its version on the package index when empty.
    """
    named = f"{_PACKAGE}[{','.join(extras)}]"
    first = f"{named} @ {package}" if package else f"{named}=={__version__}"
    pins = {}
    for name in sorted(_needed(set(extras))):
        try:
            pins[name] = version(name).partition("+")[0]  # torch 2.13.0+cpu is 2.13.0 on the index
        except PackageNotFoundError:  # not needed on this machine, and left to pip
            continue
    return [first, *(f"{name}=={pin}" for name, pin in pins.items())]


def _needed(extras: set[str]) -> set[str]:
    """Return the packages that this one names for itself and for extras, those of extras within extras too."""
    try:
        lines = requires(_PACKAGE) or []
    except PackageNotFoundError:  # a checkout that was never installed
        return set()
    found: set[str] = set()
    for line in lines:
        wanted, named = _EXTRA.search(line), _REQUIREMENT.match(line)
        if named is None or (wanted is not None and wanted[1] not in extras):
            continue
        if named[1] != _PACKAGE:
            found.add(named[1])
        elif more := {extra.strip() for extra in named[2].split(",")} - extras:
            return _needed(extras | more)
    return found


def _readme(source: HeadSource, head: Head | Combination, encoders: Iterable[EncoderInfo]) -> str:
    """Return the README of the Space: its settings, what it shows, and the licences of head and encoder."""
    import yaml

    names = list(dict.fromkeys(encoder.name for encoder in encoders))
    models = [repo for repo in map(hub_id, names) if repo is not None]
    address = f"the folder {code(HEAD_FOLDER)} of this Space"
    if source.snapshot is not None:
        models.insert(0, source.snapshot.name.repo)
        address = f"{code(source.snapshot.name.repo)} at commit {code(source.snapshot.commit[:12])}"
    license_ = settings_of(read_card(source.folder).metadata).license or "mit"
    header = {
        "title": TITLE,
        "emoji": "🌍",
        "colorFrom": "blue",
        "colorTo": "green",
        "sdk": "gradio",
        "sdk_version": version("gradio"),
        "python_version": PYTHON,
        "app_file": APP_FILE,
        "models": models,
        "license": license_,
    }
    lines = [
        _MARK,
        f"# {TITLE}",
        f"One to four photographs of one location, and where a head on {len(head.partition):,} cells believes they "
        f"were taken. The head is {address}, under {code(license_)}. It always answers, also where it knows nothing.",
        " ".join(encoder_license(name) for name in names),
        "Photographs are deleted once they are read, and positions in them are not looked at.",
    ]
    top: str = yaml.safe_dump({k: v for k, v in header.items() if v}, sort_keys=False, allow_unicode=True)
    return "---\n" + top + "---\n\n" + "\n\n".join(lines) + "\n"
