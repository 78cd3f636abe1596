"""Opening files of unknown origin: formats, and memory that is measured in processes of their own."""

import io
import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from geocell.images import opening
from geocell.images.loading import load_pixels
from geocell.images.opening import FORMATS, IMAGE_SUFFIXES, MAX_MEGAPIXELS, open_image
from geocell.images.transforms import PillowTransform
from geocell.views.exif import read_exif_position
from tests.encoding.tiny import noise

SMALL = PillowTransform((8, 8), None, Image.Resampling.BILINEAR)
LOADING = """
import io, json, resource, sys
from PIL import Image
Image.init()
from geocell.images.loading import load_pixels
from geocell.images.transforms import PillowTransform
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) * 1024
small = PillowTransform((8, 8), None, Image.Resampling.BILINEAR)
before = peak()
room = int(sys.argv[2])
if room:
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + room, used + room))
pixels, problem = load_pixels(sys.argv[1], small)
print(json.dumps([pixels is not None, problem, peak() - before]))
"""
needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="peak memory is read from /proc")


def load_apart(path: Path, room: int = 0) -> tuple[bool, str, int]:
    """Load an image in a process that may take `room` more bytes; return whether, the reason, and its peak."""
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
    command = [sys.executable, "-c", LOADING, str(path), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    good, problem, peak = json.loads(done.stdout)
    return good, problem, peak


def webp_of_one_colour(path: Path, side: int) -> Path:
    """Write a lossless WebP whose file has a few kilobytes whatever its side."""
    Image.new("RGB", (side, side), (9, 9, 9)).save(path, "WEBP", lossless=True, method=0)
    return path


@needs_proc
def test_a_tiny_file_of_an_enormous_webp_takes_no_memory(tmp_path: Path) -> None:
    path = webp_of_one_colour(tmp_path / "a.webp", 4096)
    data = bytearray(path.read_bytes())
    bits = 16383 | 16383 << 14
    data[21:25] = bits.to_bytes(4, "little")  # the largest that the format knows
    path.write_bytes(data)
    good, problem, peak = load_apart(path, room=200_000_000)
    assert (good, problem) == (False, "too large: 16384 x 16384 pixels, more than 72 megapixels of a WEBP")
    assert peak < 50_000_000


@needs_proc
@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {}), ("JPEG", {"progressive": True, "subsampling": 0}), ("PNG", {}), ("WEBP", {"lossless": True}),
     ("WEBP", {}), ("AVIF", {"speed": 10}), ("TIFF", {"compression": "tiff_lzw"}), ("BMP", {}), ("GIF", {})],
)  # fmt: skip
def test_decoding_takes_no_more_memory_than_the_limit_assumes(
    tmp_path: Path, kind: str, options: dict[str, object]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "image"
    side = 2000
    Image.new("P" if kind == "GIF" else "RGB", (side, side)).save(path, kind, exif=exif, **options)
    good, problem, peak = load_apart(path)
    assert (good, problem) == (True, "")
    progressive = options.get("progressive")
    cost = opening._PROGRESSIVE_JPEG_BYTES if progressive else opening._MORE_BYTES.get(kind, opening._BYTES)
    assert peak < side * side * cost + 20_000_000


def test_the_limit_is_in_megapixels_and_lower_where_a_format_needs_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_MEGAPIXELS", 0.01)
    for kind, options, allowed in (
        ("PNG", {}, 100),
        ("JPEG", {}, 100),
        ("JPEG", {"progressive": True}, 81),
        ("WEBP", {}, 70),
        ("TIFF", {}, 100),
    ):
        for side, fits in ((allowed, True), (allowed + 2, False)):
            file = io.BytesIO()
            noise(side, side).save(file, kind, **options)
            _, problem = load_pixels(io.BytesIO(file.getvalue()), SMALL)
            assert problem.startswith(f"too large: {side} x {side} pixels, more than ") is not fits, (kind, side)
    _, problem = load_pixels(noise(200, 200), SMALL)
    assert problem == "too large: 200 x 200 pixels, more than 0.01 megapixels"


def test_a_tiff_cannot_ask_for_larger_tiles_than_images_may_be(tmp_path: Path) -> None:
    tags = {256: 32, 257: 32, 258: 8, 259: 5, 262: 1, 277: 1, 322: 1 << 17, 323: 1 << 17, 324: 8, 325: 100}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(200))
    assert load_pixels(path, SMALL)[1] == f"too large: 131072 x 131072 pixels, more than {MAX_MEGAPIXELS} megapixels"


def test_a_file_beyond_pillows_own_limit_has_the_same_reason(tmp_path: Path) -> None:
    with Image.open(webp_of_one_colour(tmp_path / "a.webp", 64)) as image:
        image.save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    _, problem = load_pixels(io.BytesIO(data), SMALL)
    assert problem == f"too large: more than {MAX_MEGAPIXELS} megapixels"


def test_an_eps_starts_no_program_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "ran"
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "gs"
    program.write_text(f"#!/bin/sh\ntouch {marker}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None, raising=False)
    assert shutil.which("gs") == str(program)
    path = tmp_path / "photo.jpg"
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\nshowpage\n%%EOF\n")
    assert load_pixels(path, SMALL) == (None, "cannot identify image file")
    assert read_exif_position(path)[3] == "cannot identify image file"
    assert not marker.exists()


def test_suffixes_are_those_that_pillow_knows_of_the_formats() -> None:
    formats = {*FORMATS, "MPO"}
    of_pillow = {suffix for suffix, kind in Image.registered_extensions().items() if kind in formats}
    never_decoded = {".apng", ".avifs", ".pfm"}  # animations, and floats of no known range
    assert of_pillow - never_decoded == IMAGE_SUFFIXES


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_a_file_of_every_suffix_is_decoded(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    (noise().convert("1") if suffix == ".pbm" else noise()).save(path)
    assert load_pixels(path, SMALL)[1] == ""


@pytest.mark.parametrize("kind", ["EPS", "ICO", "TGA", "SGI", "JPEG2000", "DDS"])
def test_no_other_format_is_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.jpg"
    noise().save(path, kind)
    with pytest.raises(OSError, match="cannot identify"):
        open_image(path)


@given(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"]), st.data())
def test_mutated_files_give_pixels_or_a_reason(kind: str, data: st.DataObject) -> None:
    file = io.BytesIO()
    noise(20, 15).save(file, kind)
    content = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    for mutated in (bytes(content), bytes(content[:cut])):
        pixels, problem = load_pixels(io.BytesIO(mutated), SMALL)
        assert (pixels is None) == bool(problem)
        assert "\n" not in problem
