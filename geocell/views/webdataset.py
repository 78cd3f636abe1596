"""WebDataset shards: tar files in which the members of one sample share a key and differ in their extension."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from geocell.files import DamagedFileError, reading
from geocell.images.parquet_rows import open_remote
from geocell.images.references import MEMBER, is_url, join
from geocell.images.sources import TarImages
from geocell.views.columns import ColumnNames, find_columns
from geocell.views.table import ViewTable, make_table
from geocell.views.texts import clean_record, clean_text

if TYPE_CHECKING:
    import pandas as pd

_TEXT = frozenset({".cls", ".txt", ".cls2", ".caption", ".index"})
_CHUNK = 128 * tarfile.BLOCKSIZE
_MAX_TEXT = 1 << 20
"""Bytes of a member with metadata that are read at most; larger members are ignored."""
_MAX_HEADER = 1 << 20  # bytes of a member that only describes the next one (pax, long names)
_DESCRIPTIONS = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


class _Member(tarfile.TarInfo):
    """A header whose size is checked before tarfile acts on it: a negative one makes it read the same header for ever.

    Python's releases before the fix of CVE-2025-8194 have no check of their own.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read a header.

        Raises:
            tarfile.ReadError: when its size is negative, or too large for a description of the next member.
        """
        member = super().frombuf(buf, encoding, errors)
        if member.size < 0:
            raise tarfile.ReadError(f"a member of {member.size} bytes")
        if member.type in _DESCRIPTIONS and member.size > _MAX_HEADER:
            raise tarfile.ReadError(f"a description of a member of {member.size} bytes")
        return member


def read_shards(
    root: str, names: Sequence[str], suffixes: frozenset[str], source: str, columns: ColumnNames
) -> ViewTable:
    """Read the samples of tar files: `key.jpg` is the image; `key.json`, `key.cls` and `key.txt` have its columns.

    Only headers and metadata are read; images are found again by their offset. A sample without an image or without
    a position is a view with a problem. Names that are not UTF-8 are shown with escapes.

    Args:
        root: folder or URL of the shards.
        names: the shards, relative to `root`.
        suffixes: extensions of images.
        source: what was read, for messages and manifests.
        columns: columns of the JSON that are not spelled as usual.

    Raises:
        ValueError: when a shard is not a plain tar file, or no sample has a position.
    """
    frame = shard_samples(root, names, suffixes, source)
    problems = _problems(frame, columns)
    frame["image"] = frame["image"].fillna(frame["key"])
    return make_table(frame, TarImages(root), source, columns, problems=problems)


def shard_samples(root: str, names: Sequence[str], suffixes: frozenset[str], source: str) -> pd.DataFrame:
    """Return one row per sample with its columns; `image` is missing for a sample without one.

    Raises:
        ValueError: when a shard is no plain tar file, or none has an image.
    """
    import pandas as pd
    from tqdm import tqdm

    shards = tqdm(names, desc="index", unit="shard", disable=None)
    samples = [sample for name in shards for sample in _samples(root, name, suffixes)]
    if not any("image" in sample for sample in samples):
        raise ValueError(f"{source} must hold images ({', '.join(sorted(suffixes))}), got none.")
    with reading(source, "shards with one value per column and sample"):
        return pd.DataFrame.from_records(samples)


def _problems(frame: pd.DataFrame, columns: ColumnNames) -> list[str]:
    find_columns(frame, columns, "the JSON of the samples", ("lat", "lon"))
    return ["no image" if bare else "" for bare in frame["image"].isna()]


def _samples(root: str, name: str, suffixes: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Yield the columns of one shard's samples; members of a sample are adjacent, as WebDataset's own reader requires.

    Raises:
        ValueError: when the shard is not a complete tar file.
    """
    path = join(root, name)
    with (
        reading(path, "a whole tar file"),
        open_remote(path) if is_url(path) else Path(path).open("rb") as file,
    ):
        try:
            for archive in _archives(file, path):
                sample: dict[str, Any] = {}
                for member in _members(archive):
                    inner = Path(clean_text(member.name))
                    if not member.isfile() or inner.name.startswith("."):
                        continue
                    stem, dot, extension = inner.name.partition(".")
                    key = str(inner.with_name(stem)) if stem else str(inner)
                    if sample and sample["key"] != key:
                        yield sample
                        sample = {}
                    sample["key"] = key
                    _add(sample, f"{dot}{extension}".lower(), name, member, archive, suffixes)
                if sample:
                    yield sample
        except tarfile.TarError as error:
            raise DamagedFileError(f"{path} must be a whole tar file, got: {error}: fetch it again.") from error


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the members of an archive, each behind the one before.

    Raises:
        tarfile.ReadError: when a header leads back: pax headers can give a size of their own.
    """
    behind = -1
    for member in archive:
        if member.size < 0 or member.offset <= behind or archive.offset <= member.offset:
            raise tarfile.ReadError(f"a member of {member.size} bytes at byte {member.offset}")
        behind = member.offset
        archive.members.clear()  # type: ignore[attr-defined] # an unused list of all members
        yield member


def _archives(file: IO[bytes], path: str) -> Iterator[tarfile.TarFile]:
    """Yield the archive in a file, and those that were appended to it, each after the end mark of the previous one.

    tarfile's `ignore_zeros` reads them too, but skips damaged headers; without it, tarfile takes a damaged header for
    the end.
    """
    start: int | None = 0
    while start is not None:
        file.seek(start)
        try:
            archive = tarfile.open(fileobj=file, mode="r:", tarinfo=_Member)  # noqa: SIM115 - see below
        except tarfile.TarError as error:  # there is no first header
            raise DamagedFileError(
                f"{path} must be a plain tar file, got: {error}: unpack a compressed one first."
            ) from error
        with archive:
            yield archive
            end = archive.offset
        start = _after_zeros(file, end)
        if start is not None and start <= end:
            raise DamagedFileError(
                f"{path} must be a whole tar file, got no member's header at byte {end}: fetch it again."
            )


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
        inner = f"{clean_text(member.name)}@{member.offset_data}+{member.size}"
        sample.setdefault("image", f"{clean_text(shard_name)}{MEMBER}{inner}")
    elif (extension in _TEXT or extension == ".json") and member.size <= _MAX_TEXT:
        file = shard.extractfile(member)
        text = "" if file is None else file.read(_MAX_TEXT).decode("utf-8", errors="replace").strip()
        if extension != ".json":
            sample.setdefault(extension[1:], text)
            return
        try:
            value = clean_record(json.loads(text))
        except (ValueError, RecursionError):
            return  # the sample has no position then, and says so
        if isinstance(value, dict):
            kept = {k: v if isinstance(v, str | int | float | bool | None) else json.dumps(v) for k, v in value.items()}
            sample |= {k: v for k, v in kept.items() if k not in {"key", "image"}}
