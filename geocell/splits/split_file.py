"""The bytes of `splits.json`, written and read piece by piece: as Python strings its ids would not fit into memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from geocell.features.ids import Ids, joined_ids
from geocell.files import FORMAT, json_text, read_json

_PIECE = 1 << 16  # ids that are written at a time
_BYTES = 1 << 22  # of ids that are read at a time
_PARSED = 1 << 24  # bytes of JSON that are parsed at once at most
_MOST_BYTES = 4 << 30  # of a file: 100 million ids of 22 characters take 3 GB
_REST = 1 << 16  # bytes beside the ids at most; a file with more is read whole
_START, _END = b": [\n   ", b"\n  ]"  # of a list of ids: strings of JSON have no line breaks, so these are its layout
_BETWEEN = b",\n"


def split_parts(record: Mapping[str, Any], ids: Mapping[str, Sequence[str]]) -> Iterator[bytes]:
    """Yield the bytes of the JSON object of a record and `splits`, as `write_json` would write it.

    Args:
        record: all keys before `splits`.
        ids: split name -> location ids.
    """
    whole = json_text({**record, "splits": {name: [0] if len(members) else [] for name, members in ids.items()}})
    rest = whole.encode()
    for members in ids.values():
        if len(members):
            before, rest = rest.split(_START + b"0" + _END, 1)
            yield before + _START
            for first in range(0, len(members), _PIECE):
                texts = json.dumps(list(members[first : first + _PIECE]), ensure_ascii=False, separators=(",\n   ", ""))
                yield (texts[1:-1] if first == 0 else f",\n   {texts[1:-1]}").encode()
            yield _END
    yield rest


def read_splits(path: Path) -> dict[str, Any]:
    """Read `splits.json`: as its JSON object, lists of ids being `Ids` where they have the layout of `split_parts`.

    Raises:
        FileNotFoundError: when there is no such file.
        DamagedFileError: when it is not a JSON object of this format; see `read_json`.
    """
    found = _pieces(path) if path.is_file() else None  # a pipe would be waited for
    return read_json(path, "splits") if found is None else found


def _pieces(path: Path) -> dict[str, Any] | None:
    """Return what a file of the usual layout holds, None for every other one, whatever is wrong with it."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > _MOST_BYTES:
                return None
            content = file.read(size)  # to ask for the most would take so much memory for every file
        rest: list[bytes] = []
        lists: list[Ids] = []
        there = 0
        while (start := content.find(_START, there)) >= 0 and sum(map(len, rest)) < _REST:
            first = start + len(_START)
            end = content.find(_END, first)
            rest.append(content[there:first] + str(len(lists)).encode())
            lists.append(_ids(content, first, end))
            there = end
        if len(content) - there > _REST:
            return None
        value = json.loads(b"".join([*rest, content[there:]]).decode())
    except (OSError, ValueError, RecursionError, TypeError):
        return None
    if not isinstance(value, dict) or value.get("format") != FORMAT or not isinstance(value.get("splits"), dict):
        return None
    numbers = [item for item in value["splits"].values() if item]
    if numbers != [[number] for number in range(len(lists))] or not all(
        isinstance(item, list) for item in value["splits"].values()
    ):
        return None
    splits = {name: lists[item[0]] if item else [] for name, item in value["splits"].items()}
    return {**value, "splits": splits}


def _ids(content: bytes, first: int, end: int) -> Ids:
    """Return the strings of a JSON list without its brackets.

    Raises:
        ValueError, TypeError: when it holds something else.
    """
    parts = []
    if end < first:
        raise ValueError("a list of ids must end.")
    while first < end:
        last = content.find(_BETWEEN, min(first + _BYTES, end), end)
        last = end if last < 0 else last
        if last - first > _PARSED:  # it may hold anything, which takes 20 times the memory as objects of Python
            raise ValueError("ids must be in lines of their own.")
        texts = json.loads(f"[{content[first:last].decode()}]")
        if not all(type(text) is str for text in texts):
            raise TypeError("a location id must be text.")
        parts.append(Ids(texts))
        first = last + len(_BETWEEN)
    return joined_ids(parts)
