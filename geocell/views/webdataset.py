"""WebDataset shards: tar files in which the members of one sample share a key and differ in their extension."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tqdm import tqdm

from geocell.images.parquet_rows import open_remote
from geocell.images.references import MEMBER, is_url, join
from geocell.images.sources import TarImages
from geocell.views.columns import ColumnNames
from geocell.views.table import ViewTable, make_table

if TYPE_CHECKING:
    import pandas as pd

_TEXT = frozenset({".cls", ".txt", ".cls2", ".caption", ".index"})
_CHUNK = 128 * tarfile.BLOCKSIZE


def read_shards(
    root: str, names: Sequence[str], suffixes: frozenset[str], source: str, columns: ColumnNames
) -> ViewTable:
    """Read the samples of tar files: `key.jpg` is the image, `key.json` its columns, `key.cls` and `key.txt` more.

    Only headers and metadata are read; images are found again by their offset. A sample without an image or without
    a position is a view with a problem.

    Args:
        root: folder or URL of the shards.
        names: the shards, relative to `root`.
        suffixes: extensions of images.
        source: what was read, for messages and manifests.
        columns: columns of the JSON that are not spelled as usual.

    Raises:
        ValueError: when a shard is no plain tar file, or no sample has a position.
    """
    import pandas as pd

    shards = tqdm(names, desc="index", unit="shard", disable=None)
    samples = [sample for name in shards for sample in _samples(root, name, suffixes)]
    if not any("image" in sample for sample in samples):
        raise ValueError(f"{source} must hold images ({', '.join(sorted(suffixes))}), got none.")
    frame = pd.DataFrame.from_records(samples)
    problems = _problems(frame, columns)
    frame["image"] = frame["image"].fillna(frame["key"])
    return make_table(frame, TarImages(root), source, columns, problems=problems)


def _problems(frame: pd.DataFrame, columns: ColumnNames) -> list[str]:
    from geocell.views.columns import find_columns

    found = find_columns(frame, columns, "the JSON of the samples", ("lat", "lon"))
    lost = frame[found["lat"]].isna() | frame[found["lon"]].isna()
    return [
        "no image" if bare else "no position" if no else ""
        for bare, no in zip(frame["image"].isna(), lost, strict=True)
    ]


def _samples(root: str, name: str, suffixes: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Yield the columns of one shard's samples; members of a sample stand together, as WebDataset's own reader asks."""
    path = join(root, name)
    try:
        with open_remote(path) if is_url(path) else Path(path).open("rb") as file:
            for archive in _archives(file, path):
                sample: dict[str, Any] = {}
                for member in archive:
                    if not member.isfile() or Path(member.name).name.startswith("."):
                        continue
                    stem, dot, extension = Path(member.name).name.partition(".")
                    key = str(Path(member.name).with_name(stem))
                    if sample and sample["key"] != key:
                        yield sample
                        sample = {}
                    sample["key"] = key
                    _add(sample, f"{dot}{extension}".lower(), name, member, archive, suffixes)
                if sample:
                    yield sample
    except tarfile.TarError as error:
        raise ValueError(f"{path} must be a whole tar file, got: {error}: fetch it again.") from error


def _archives(file: IO[bytes], path: str) -> Iterator[tarfile.TarFile]:
    """Yield the archive in a file, and those that were appended to it, each behind the end mark of the one before.

    tarfile's `ignore_zeros` reads them too, but skips a damaged header like an end mark; and without it, tarfile takes
    a damaged header for the end.
    """
    start: int | None = 0
    while start is not None:
        file.seek(start)
        try:
            archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 - what opening raises means something else
        except tarfile.TarError as error:  # there is no first header
            raise ValueError(
                f"{path} must be a plain tar file, got: {error}: unpack a compressed one first."
            ) from error
        with archive:
            yield archive
            end = archive.offset
        start = _after_zeros(file, end)
        if start == end:
            raise ValueError(f"{path} must be a whole tar file, got no member's header at byte {end}: fetch it again.")


def _after_zeros(file: IO[bytes], offset: int) -> int | None:
    """Return where the first block from `offset` on begins that is not all zeros, None when there is none."""
    file.seek(offset)
    while chunk := file.read(_CHUNK):
        rest = chunk.lstrip(b"\0")
        if rest:
            return offset + (len(chunk) - len(rest)) // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE
        offset += len(chunk)
    return None


def _add(
    sample: dict[str, Any],
    extension: str,
    shard_name: str,
    member: tarfile.TarInfo,
    shard: tarfile.TarFile,
    suffixes: frozenset[str],
) -> None:
    if Path(f"x{extension}").suffix in suffixes:
        sample.setdefault("image", f"{shard_name}{MEMBER}{member.name}@{member.offset_data}+{member.size}")
    elif extension in _TEXT or extension == ".json":
        file = shard.extractfile(member)
        text = "" if file is None else file.read().decode("utf-8", errors="replace").strip()
        if extension != ".json":
            sample.setdefault(extension[1:], text)
            return
        try:
            value = json.loads(text)
        except ValueError:
            return  # the sample has no position then, and says so
        if isinstance(value, dict):
            kept = {k: v if isinstance(v, str | int | float | bool | None) else json.dumps(v) for k, v in value.items()}
            sample |= {k: v for k, v in kept.items() if k not in {"key", "image"}}
