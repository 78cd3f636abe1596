"""Discovery of inputs: the files that a path, a folder, a pattern or a URL names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from glob import has_magic
from itertools import product
from pathlib import Path
from typing import Any

from geocell.images.opening import IMAGE_SUFFIXES
from geocell.images.references import is_http, is_url, require_openable, scheme_of
from geocell.views.parquet import is_saved_dataset

_MOST_NAMES = 1_000_000
METADATA_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def find_files(text: str) -> tuple[str, list[str]]:
    """Return a folder or URL and the files below it that make one input, all of one kind.

    A folder that the library `datasets` saved has none: it is read as a whole.
    """
    if is_url(text):
        return _remote_files(text)
    path = Path(text)
    if path.is_dir():
        return text, _folder_files(path)
    if path.is_file():
        return str(path.parent), [path.name]
    several = expand_braces(text)
    found = [name for one in several for name in _matches(one)] if several != [text] or has_magic(text) else []
    if not found:
        raise FileNotFoundError(f"expected a table or a folder of images, got {text}, which does not exist.")
    if len({Path(name).suffix.lower() for name in found}) > 1 or Path(found[0]).suffix.lower() not in {
        ".tar",
        ".parquet",
    }:
        raise ValueError(f"a pattern must mean shards (.tar) or Parquet files, got {text}: name one table.")
    return "", found


def _matches(pattern: str) -> list[str]:
    path = Path(pattern)
    if not has_magic(pattern):
        if not path.exists():
            raise FileNotFoundError(f"expected the file {pattern}, which does not exist: check the pattern.")
        return [pattern]
    anchor = Path(path.anchor or ".")
    return sorted(str(p) for p in anchor.glob(str(path.relative_to(path.anchor) if path.anchor else path)))


def expand_braces(pattern: str) -> list[str]:
    """Return every name that braces mean, as a shell and WebDataset expand them.

    >>> expand_braces("train-{008..010}.tar")
    ['train-008.tar', 'train-009.tar', 'train-010.tar']
    >>> expand_braces("{train,val}/0.tar")
    ['train/0.tar', 'val/0.tar']
    """
    parts: list[Sequence[str]] = []
    count = 1
    for piece in re.split(r"(\{[^{}]*\})", pattern):
        numbers = re.fullmatch(r"\{(\d+)\.\.(\d+)\}", piece)
        if numbers:
            first, last = numbers.groups()
            if max(len(first), len(last)) > 9 or int(last) - int(first) >= _MOST_NAMES:
                raise ValueError(f"a pattern must mean at most {_MOST_NAMES:,} files, got {piece}: name fewer.")
            parts.append([f"{n:0{len(first)}d}" for n in range(int(first), int(last) + 1)])
        elif piece.startswith("{") and "," in piece:
            parts.append(piece[1:-1].split(","))
        else:
            parts.append([piece])
        count *= max(1, len(parts[-1]))
        if count > _MOST_NAMES:
            raise ValueError(f"a pattern must mean at most {_MOST_NAMES:,} files, got {pattern[:80]}: name fewer.")
    return ["".join(choice) for choice in product(*parts)]


def _folder_files(folder: Path) -> list[str]:
    named = [name for name in METADATA_NAMES if (folder / name).is_file()]
    if named:
        return named[:1]
    if is_saved_dataset(folder):
        return []
    by_kind: dict[str, list[str]] = {".tar": [], ".parquet": [], "image": []}
    for path in sorted(folder.rglob("*")):
        suffix = path.suffix.lower()
        kind = "image" if suffix in IMAGE_SUFFIXES else suffix
        if kind in by_kind and path.is_file():
            by_kind[kind].append(path.relative_to(folder).as_posix())
    there = [names for names in by_kind.values() if names]
    if not there:
        raise ValueError(
            f"{folder} must hold images ({', '.join(sorted(IMAGE_SUFFIXES))}), shards (.tar) or Parquet files, got "
            "none."
        )
    if len(there) > 1:
        kinds = ", ".join(kind for kind, names in by_kind.items() if names)
        raise ValueError(f"{folder} must hold files of one kind, got {kinds}: name a pattern (`{folder}/*.tar`, say).")
    return there[0]


def _remote_files(url: str) -> tuple[str, list[str]]:
    """Return the Parquet files or shards at a URL; a branch of a Hub data set is resolved to its commit."""
    require_openable(url)
    if is_http(url):
        raise ValueError(f"expected a table that is here, got {url}: download it first; its images may be URLs.")
    if url.startswith("hf://"):
        url = _at_commit(url)
    import fsspec

    try:
        files, path = fsspec.core.url_to_fs(url)
        found = files.glob(path) if has_magic(path) else [path] if files.isfile(path) else files.find(path)
    except ImportError as error:
        raise ImportError(f"{url} needs a package that is not installed: {error}") from error
    scheme = scheme_of(url)
    slash = "/" if scheme == "file" else ""
    for suffix in (".tar", ".parquet"):
        names = sorted(f"{scheme}://{slash}{name.lstrip('/')}" for name in found if name.endswith(suffix))
        if names:
            base = names[0].rsplit("/", 1)[0] if len(names) == 1 else url.split("*")[0].rstrip("/")
            return base, [name.removeprefix(f"{base}/") for name in names]
    raise FileNotFoundError(
        f"expected Parquet files or shards (.tar) at {url}, got none: download and unpack it first."
    )


def _at_commit(url: str) -> str:
    """Return a Hub URL with the commit of its branch, so that the data cannot change while it is read."""
    from huggingface_hub import HfApi, HfFileSystem

    if not url.startswith("hf://datasets/"):
        raise ValueError(f"expected a data set on the Hub (hf://datasets/user/name), got {url}.")
    try:
        resolved: Any = HfFileSystem().resolve_path(url)
        commit = HfApi().dataset_info(resolved.repo_id, revision=resolved.revision).sha
    except FileNotFoundError:
        raise FileNotFoundError(f"expected a data set at {url}, and the Hub has none: check name and login.") from None
    except Exception as error:  # the Hub's client raises what the network raised
        first = str(error).split("\n", maxsplit=1)[0]
        raise ConnectionError(f"{url} could not be looked up on the Hub: {first}: check the network.") from error
    return f"hf://datasets/{resolved.repo_id}@{commit}/{resolved.path_in_repo}".rstrip("/")
