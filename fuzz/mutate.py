"""Mutation of files: a changed value inside JSON, a header or a table where the format has such, and changed bytes."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import struct
import zipfile
from collections.abc import Callable
from typing import Any

HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 15, 16, 64, 255, 0.5, -0.0, 1e-320, 1e308, -1e308, 3e6, 90.0000001, 180.0,
    -180.0, 180.0000001, 2**31, -(2**31), 2**32, 2**53, 2**63, -(2**63), 2**64, 10**30, 10**400, float("nan"),
    float("inf"), float("-inf"), "", "0", "x", "-1", "1e999", "nan", "h3", "..", "../..", "/etc/passwd", "~", "a/b",
    "\ud800", "\x00", "\x1b[31m", "\u202e", "a\nb", "\N{SNOWMAN}", "x" * 300, "x" * 5000, "<!-- end -->", "C:\\a",
    "http://127.0.0.1:9/", "hf://a/b", "%s%n", "{0}", [], [[]], [[], []], [[[]]], [None], [0], [0.5, 0.5], [[0, 0]],
    [0] * 2000, ["x"] * 300, {}, {"": 0}, {"0": None}, {"x" * 2000: 0}, {"type": "Polygon", "coordinates": []},
    {"type": "MultiPolygon", "coordinates": [[], [[]]]}, {str(i): i for i in range(200)},
)  # fmt: skip
"""Values that are put into the place of others."""

_TOKENS = (
    b"", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\r", b"\n", b"\n\n", b'"', b"'", b",", b";", b"\t", b"{",
    b"}",
    b"[", b"]", b":", b"=", b"-", b"- ", b"#", b"|", b"&a [*a]", b"!!python/object:os.system x", b"nan", b"inf",
    b"-inf", b"1e999", b"-0", b"0x", b"1_0", b"9" * 400, b"1" * 5000, b"null", b"true", b"NaN", b"\xed\xa0\x80",
    b"<!-- end -->", b"<!-- generated: a -->", b"..", b"/", b"\\", b"\\ud800", b"2020-99-99", b"a" * 5000, b"[" * 3000,
    b'{"a":' * 3000, b",x" * 500, b"\xe2\x80\xae", b"\x1b[31m", b"image", b"lat", b"lon", b"id", b"-180.0", b"180.5",
)  # fmt: skip
"""Pieces of text that are put into text."""

_NUMBERS = (
    0,
    1,
    2,
    7,
    8,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    2**40,
    2**63 - 1,
    2**64 - 1,
)
_TAR_FIELDS = ((0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (156, 1), (157, 100), (257, 8), (345, 155))
"""Offset and length of the fields of a header of tar but its checksum."""


def mutated(content: bytes, name: str, rng: random.Random) -> bytes:
    """Return the content of a file, changed at one place or at a few.

    Args:
        content: a valid file.
        name: its name, whose suffix says which structure it has.
        rng: decides what is changed.
    """
    kind = name.rsplit(".", 1)[-1].lower() if "." in name else "safetensors"
    structured = _STRUCTURED.get(kind)
    for _ in range(1 if rng.random() < 0.75 else rng.randint(2, 4)):
        use = structured is not None and rng.random() < 0.7
        try:
            content = structured(content, rng) if use and structured is not None else changed_bytes(content, rng)
        except Exception:  # it is no longer what its name says
            content = changed_bytes(content, rng)
    return content


def changed_bytes(content: bytes, rng: random.Random) -> bytes:
    """Return bytes of which some are replaced, removed, inserted, repeated or cut off."""
    how, n = rng.randrange(9), len(content)
    if not n or how == 0:
        return content + rng.choice(_TOKENS) if n else bytes([rng.randrange(256)])
    at = rng.randrange(n)
    if how == 1:
        return content[:at]
    if how == 2:
        size = rng.choice((1, 2, 4, 8))
        number = rng.choice(_NUMBERS) % (1 << 8 * size)
        return content[:at] + number.to_bytes(size, rng.choice(("little", "big"))) + content[at + size :]
    if how == 3:
        end = min(n, at + rng.randint(1, 40))
        return content[:at] + content[end:]
    if how == 4:
        return content[:at] + rng.choice(_TOKENS) + content[at:]
    if how == 5:
        end = min(n, at + rng.randint(1, 200))
        to = rng.randrange(n)
        return content[:to] + content[at:end] + content[to:]
    if how == 6:
        return content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(n)] = rng.randrange(256)
    return bytes(changed)


def changed_text(content: bytes, rng: random.Random) -> bytes:
    """Return a text in which a word or a sign is replaced by another one, or a line is moved."""
    pieces = re.findall(rb"[\w.+-]+|\s|[^\w\s]", content)
    if not pieces:
        return changed_bytes(content, rng)
    at = rng.randrange(len(pieces))
    how = rng.randrange(5)
    if how == 0:
        pieces[at] = rng.choice(pieces)
    elif how == 1:
        pieces.insert(at, rng.choice(_TOKENS))
    elif how == 2:
        lines = content.splitlines(keepends=True)
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
        return b"".join(lines)
    elif how == 3:
        del pieces[at]
    else:
        pieces[at] = rng.choice(_TOKENS)
    return b"".join(pieces)


def changed_json(content: bytes, rng: random.Random) -> bytes:
    """Return JSON of which one value is replaced, removed, repeated, moved or nested."""
    return json.dumps(changed_value(json.loads(content), rng)).encode()


def changed_value(value: Any, rng: random.Random) -> Any:  # noqa: ANN401 - any JSON
    """Return a JSON value, changed in place at one place inside."""
    parent: Any = None
    key: Any = None
    here = value
    while isinstance(here, dict | list) and here and (parent is None or rng.random() < 0.85):
        parent = here
        key = rng.choice(list(here)) if isinstance(here, dict) else rng.randrange(len(here))
        here = parent[key]
    if parent is None:
        return rng.choice(HOSTILE)
    how = rng.randrange(10)
    if how == 0:
        del parent[key]
    elif how == 1 and isinstance(parent, list):
        parent.insert(rng.randrange(len(parent) + 1), here)
    elif how == 1:
        parent[rng.choice(("", "x", "0", "\ud800", "x" * 1500, str(rng.randrange(9)), f"{key}2"))] = here
    elif how == 2 and isinstance(parent, list):
        parent.reverse()
    elif how == 2:
        parent[rng.choice(list(parent))] = here
    elif how == 3:
        parent[key] = [here]
    elif how == 4 and isinstance(here, int | float):
        parent[key] = _moved(here, rng)
    elif how == 5 and isinstance(here, str):
        inner = changed_text(here.encode("utf-8", "surrogatepass"), rng) if here else b"x"
        parent[key] = inner.decode("utf-8", "replace")
    elif how == 6 and rng.random() < 0.02:
        for _ in range(rng.choice((30, 70, 2000))):  # nested deeper than a reader may go
            here = [here]
        return _deep(parent, key, here, value)
    else:
        parent[key] = rng.choice(HOSTILE)
    return value


def _deep(parent: Any, key: Any, nested: Any, value: Any) -> Any:  # noqa: ANN401 - any JSON
    parent[key] = nested
    json.dumps(value)  # a RecursionError here means bytes are changed instead
    return value


def _moved(number: float, rng: random.Random) -> float:
    step = rng.choice((1, -1, 0.5, 90, 360, 1e-9, 2**40))
    return -number if step == 1e-9 else number + step


def changed_safetensors(content: bytes, rng: random.Random) -> bytes:
    """Return a safetensors file with another header, other text in its metadata, or other numbers."""
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    how = rng.random()
    if how < 0.25 and data:
        return content[: 8 + length] + _changed_numbers(header, data, rng)
    metadata = header.get("__metadata__")
    texts = [key for key, text in metadata.items() if text[:1] in "{["] if isinstance(metadata, dict) else []
    if how < 0.6 and texts:
        key = rng.choice(texts)
        header["__metadata__"][key] = changed_json(header["__metadata__"][key].encode(), rng).decode()
    elif how < 0.75:
        name = rng.choice([key for key in header if key != "__metadata__"])
        shape = header[name]["shape"]
        if shape and rng.random() < 0.5:
            rng.shuffle(shape)
        else:  # bytes of the same number under another type
            header[name]["dtype"] = rng.choice(
                ("F16", "BF16", "F32", "F64", "I64", "I32", "U8", "BOOL", "F8_E4M3", "C64")
            )
    else:
        header = changed_value(header, rng)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def _changed_numbers(header: dict[str, Any], data: bytes, rng: random.Random) -> bytes:
    """Return the bytes of tensors with one number of one tensor that is infinite, NaN, huge or far out of range."""
    name = rng.choice([key for key in header if key != "__metadata__"])
    first, last = header[name]["data_offsets"]
    code, values = _VALUES.get(header[name]["dtype"], ("<B", (0, 255)))
    size = struct.calcsize(code)
    count = (last - first) // size
    if not count:
        return data
    packed = struct.pack(code, rng.choice(values))
    if rng.random() < 0.2:
        return data[:first] + packed * int(count) + data[last:]
    at = int(first) + size * rng.randrange(count)
    return data[:at] + packed + data[at + size :]


_FLOATS = (0.0, -0.0, 1.0, -1.0, float("nan"), float("inf"), float("-inf"), 91.0, -181.0)
_WHOLES = (0, 1, -1, 2, 100, 2**31 - 1, -(2**31))
_VALUES: dict[str, tuple[str, tuple[float, ...]]] = {
    "F16": ("<e", (*_FLOATS, 65504.0, 6e-8)),
    "F32": ("<f", (*_FLOATS, 3e38, -3e38, 1e-45)),
    "F64": ("<d", (*_FLOATS, 1e308, -1e308, 5e-324)),
    "I32": ("<i", _WHOLES),
    "I64": ("<q", (*_WHOLES, 2**40, 2**63 - 1, -(2**63))),
}


def changed_npy(content: bytes, rng: random.Random) -> bytes:
    """Return an .npy file with another word in its header, whose length agrees, or with other numbers."""
    (length,) = struct.unpack("<H", content[8:10])
    header, data = content[10 : 10 + length], content[10 + length :]
    if rng.random() < 0.3:
        return content[: 10 + length] + changed_bytes(data, rng)
    if rng.random() < 0.5:
        old = rng.choice((b"(4, 6)", b"'<f2'", b"False"))
        new = (b"(2, 12)", b"(0, 6)", b"(4, 0)", b"(-1, 6)", b"(10000000000, 6)", b"(24,)", b"()", b"'<f4'", b"'|O'",
               b"'<c8'", b"'>f2'", b"'<U1'", b"True", b"(4, 6, 1)", b"'|V2'", b"[('a', '<f2')]")  # fmt: skip
        header = header.replace(old, rng.choice(new))
    else:
        header = changed_text(header, rng)
    return content[:8] + struct.pack("<H", len(header)) + header + data


def changed_tar(content: bytes, rng: random.Random) -> bytes:
    """Return a tar file with another field in one header, whose checksum agrees."""
    headers = [at for at in range(0, len(content) - 511, 512) if content[at + 257 : at + 262] == b"ustar"]
    at = rng.choice(headers)
    header = bytearray(content[at : at + 512])
    first, length = rng.choice(_TAR_FIELDS)
    values = (b"", b"7" * length, b"-1", b"0", b"\x80" + b"\xff" * 11, b"\xff" * length, b"\x80" + b"\x00" * 11, b"x",
              b"L", b"K", b"g", b"S", b"5", b"2", b"../../a.png", b"/a.png", b"a.json", b"\xff\xfe.png",
              b"00000000010")  # fmt: skip
    header[first : first + length] = rng.choice(values)[:length].ljust(length, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    content = content[:at] + bytes(header) + content[at + 512 :]
    if rng.random() < 0.3:  # what a member holds
        body = rng.randrange(len(content))
        content = content[:body] + rng.choice(_TOKENS) + content[body:]
    return content


def changed_zip(content: bytes, rng: random.Random) -> bytes:
    """Return an archive with another content of one member, all checksums being right."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(entry, archive.read(entry)) for entry in archive.infolist()]
    at = rng.randrange(len(members))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", members[0][0].compress_type) as archive:
        for number, (entry, inside) in enumerate(members):
            changed = inside
            if number == at:
                changed = changed_text(inside, rng) if rng.random() < 0.6 else changed_bytes(inside, rng)
            if number != at or rng.random() < 0.95:
                archive.writestr(zipfile.ZipInfo(entry.filename), changed, members[0][0].compress_type)
    return made.getvalue()


def changed_gzip(content: bytes, rng: random.Random) -> bytes:
    """Return a packed text that was changed before it was packed."""
    return gzip.compress(changed_text(gzip.decompress(content), rng), 1, mtime=0)


def changed_lines(content: bytes, rng: random.Random) -> bytes:
    """Return lines of JSON of which one is changed."""
    lines = content.splitlines()
    at = rng.randrange(len(lines))
    lines[at] = changed_json(lines[at], rng)
    return b"\n".join(lines) + b"\n"


_STRUCTURED: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "json": changed_json,
    "geojson": changed_json,
    "jsonl": changed_lines,
    "safetensors": changed_safetensors,
    "fit": changed_safetensors,
    "npy": changed_npy,
    "tar": changed_tar,
    "xlsx": changed_zip,
    "pt": changed_zip,
    "gz": changed_gzip,
    "csv": changed_text,
    "tsv": changed_text,
    "txt": changed_text,
    "toml": changed_text,
    "md": changed_text,
}
"""Suffix -> the mutation that knows the structure of such files."""
