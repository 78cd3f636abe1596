"""WebDataset shards as img2dataset and others write them."""

import io
import json
import tarfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocell.views import ColumnNames, read_views

JPEG = b"\xff\xd8 not decoded here"


def write_shard(path: Path, members: dict[str, bytes | dict[str, object]], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, value in members.items():
            data = json.dumps(value).encode() if isinstance(value, dict) else value
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def sample(key: str, lat: float, **more: object) -> dict[str, bytes | dict[str, object]]:
    return {f"{key}.jpg": JPEG + key.encode(errors="surrogateescape"), f"{key}.json": {"lat": lat, "lon": 5.0, **more}}


def test_one_shard(tmp_path: Path) -> None:
    members = sample("000", 1.0, country="NA", exif={"a": 1}) | sample("001", 2.0) | {"001.cls": b"7\n"}
    table = read_views(write_shard(tmp_path / "a.tar", {"__meta__.txt": b"x"} | members))
    frame = table.frame[table.frame["problem"] == ""]
    assert frame["lat"].tolist() == [1.0, 2.0]
    assert frame["key"].tolist() == ["000", "001"]
    assert frame["country"].tolist()[0] == "NA"
    assert frame["exif"].tolist()[0] == '{"a": 1}'
    assert frame["cls"].tolist()[1] == "7"
    assert [table.images.read(image) for image in frame["image"].tolist()] == [JPEG + b"000", JPEG + b"001"]
    assert frame["image"].tolist()[0].startswith("a.tar::000.jpg@")


@pytest.mark.parametrize(
    "what", ["{folder}", "{folder}/*.tar", "{folder}/s-{{00..02}}.tar", "{folder}/s-0{{0,1,2}}.tar"]
)
def test_many_shards_are_one_table(tmp_path: Path, what: str) -> None:
    for i in range(3):
        write_shard(tmp_path / f"s-{i:02d}.tar", sample(f"{i}/x", float(i)))
    table = read_views(what.format(folder=tmp_path))
    assert table.frame["lat"].tolist() == [0.0, 1.0, 2.0]
    assert table.source == f"{what.format(folder=tmp_path)}: 3 files"
    assert [table.images.read(image) for image in table.frame["image"].tolist()] == [
        JPEG + f"{i}/x".encode() for i in range(3)
    ]


def test_samples_that_lack_something_are_rows(tmp_path: Path) -> None:
    members: dict[str, bytes | dict[str, object]] = {
        "a.jpg": JPEG, "a.json": b"{broken", "b.json": {"lat": 3, "lon": 4}, "c.png": b"png",
        **sample("d", 1.0), "e.json": {"lat": 1}, "e.webp": b"w",
    }  # fmt: skip
    frame = read_views(write_shard(tmp_path / "a.tar", members)).frame
    assert frame["problem"].tolist() == ["no position", "no image", "no position", "", "no position"]
    assert frame["image"].tolist()[1] == "b"


def test_names_of_coordinates(tmp_path: Path) -> None:
    members = {"a.jpg": JPEG, "a.json": {"y": 1.5, "x": 2.5}}
    path = write_shard(tmp_path / "a.tar", members)
    assert read_views(path, ColumnNames(lat_column="y", lon_column="x")).frame["lon"].tolist() == [2.5]
    with pytest.raises(ValueError, match=r"column for lat .*--lat-column"):
        read_views(path)


def test_what_is_no_shard(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be a plain tar file"):
        read_views(write_shard(tmp_path / "packed.tar", sample("a", 1.0), "w:gz"))
    with pytest.raises(ValueError, match="must hold images"):
        read_views(write_shard(tmp_path / "text.tar", {"a.txt": b"x"}))
    with pytest.raises(FileNotFoundError, match=r"s-01\.tar, which does not exist: check the pattern"):
        write_shard(tmp_path / "s-00.tar", sample("a", 1.0))
        read_views(f"{tmp_path}/s-{{00..01}}.tar")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_views(tmp_path / "*.nothing")


def test_a_shard_that_is_damaged_in_the_middle_loses_no_sample_silently(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "a.tar", sample("000", 1.0) | sample("001", 2.0))
    data = bytearray(path.read_bytes())
    header = data.find(b"001.jpg")
    data[header + 148 : header + 156] = b"xxxxxxxx"  # its checksum
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"must be a whole tar file, got no member's header at byte {header}"):
        read_views(path)


def joined(path: Path, *parts: Path, between: bytes = b"") -> Path:
    path.write_bytes(between.join(part.read_bytes() for part in parts))
    return path


def test_concatenated_shards_are_read_to_the_end(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    parts = [write_shard(tmp_path / "parts" / f"{i}.tar", sample(f"00{i}", float(i))) for i in range(3)]
    table = read_views(joined(tmp_path / "all.tar", *parts, between=bytes(70_000 // 512 * 512)))
    assert table.frame["lat"].tolist() == [0.0, 1.0, 2.0]
    assert [table.images.read(image) for image in table.frame["image"].tolist()] == [
        JPEG + f"00{i}".encode() for i in range(3)
    ]


def test_samples_of_one_name_in_concatenated_shards_stay_two(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    parts = [write_shard(tmp_path / "parts" / f"{i}.tar", sample("000", float(i))) for i in range(2)]
    table = read_views(joined(tmp_path / "all.tar", *parts))
    assert table.frame["lat"].tolist() == [0.0, 1.0]
    assert table.frame["image"].nunique() == 2


def test_concatenated_shards_that_are_damaged_are_refused(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    one = write_shard(tmp_path / "parts" / "one.tar", sample("000", 1.0))
    whole = joined(tmp_path / "all.tar", one, one).read_bytes()
    second = one.stat().st_size
    damaged = bytearray(whole)
    damaged[second + 148 : second + 156] = b"xxxxxxxx"  # the checksum of its first header
    faults = {
        bytes(damaged): rf"no member's header at byte {second}:",
        whole[: second + 700]: "must be a whole tar file, got: unexpected end of data: fetch it again",
        whole[: second + 100]: rf"no member's header at byte {second}:",
        one.read_bytes() + b"\0" * 100 + whole: rf"no member's header at byte {second}:",  # not in blocks of 512 bytes
    }
    for data, fault in faults.items():
        (tmp_path / "all.tar").write_bytes(data)
        with pytest.raises(ValueError, match=fault):
            read_views(tmp_path / "all.tar")


def patched(path: Path, name: bytes, size: int) -> Path:
    """Write a size, in base 256 where it is negative, into the header of a member, with its checksum."""
    data = bytearray(path.read_bytes())
    start = data.find(name)
    data[start + 124 : start + 136] = (size % (1 << 96)).to_bytes(12, "big") if size < 0 else b"%011o\0" % size
    data[start + 148 : start + 156] = b" " * 8
    data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("size", [-512, -1024, -1, -(1 << 60)])
@pytest.mark.parametrize("name", [b"000.jpg", b"001.jpg"])
def test_a_negative_size_is_refused_and_never_hangs(tmp_path: Path, size: int, name: bytes) -> None:
    path = patched(write_shard(tmp_path / "a.tar", sample("000", 1.0) | sample("001", 2.0)), name, size)
    with pytest.raises(ValueError, match=r"must be a (whole|plain) tar file, got"):
        read_views(path)


def test_pax_headers_of_negative_and_huge_sizes_are_refused(tmp_path: Path) -> None:
    for number, (size, words) in enumerate((("-512", "whole tar"), ("9" * 40, "tar file"), ("x", "tar file"))):
        path = tmp_path / f"{number}.tar"
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
            info = tarfile.TarInfo("000.jpg")
            info.pax_headers = {"size": size}
            info.size = 3
            archive.addfile(info, io.BytesIO(b"abc"))
            for name, value in sample("001", 1.0).items():
                data = json.dumps(value).encode() if isinstance(value, dict) else value
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        with pytest.raises(ValueError, match=words):
            read_views(path)


def test_a_member_whose_name_is_not_utf_8_is_read_all_the_same(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "a.tar", sample("caf\udce9", 1.0) | sample("001", 2.0))
    table = read_views(path)
    assert table.frame["lat"].tolist() == [1.0, 2.0]
    assert table.frame["key"].tolist() == ["caf\\udce9", "001"]
    assert [table.images.read(image) for image in table.frame["image"].tolist()] == [
        JPEG + "caf\udce9".encode(errors="surrogateescape"),
        JPEG + b"001",
    ]


def test_metadata_of_absurd_size_and_depth_is_none(tmp_path: Path) -> None:
    members = sample("000", 1.0) | {
        "001.jpg": JPEG, "001.json": b'{"lat": 1, "lon": 2, "x": "' + b"y" * 2_000_000 + b'"}',
        "002.jpg": JPEG, "002.json": b"[" * 100_000,
    }  # fmt: skip
    assert read_views(write_shard(tmp_path / "a.tar", members)).frame["problem"].tolist() == [
        "",
        "no position",
        "no position",
    ]


@settings(max_examples=150)
@given(st.data())
def test_mutated_shards_raise_clean_errors(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = write_shard(Path(folder) / "a.tar", sample("000", 1.0) | sample("a" * 120, 2.0))
        content = bytearray(path.read_bytes())
        header = data.draw(
            st.sampled_from([i for i in range(0, len(content), 512) if content[i : i + 512].strip(b"\0")])
        )
        for _ in range(data.draw(st.integers(1, 6))):
            content[header + data.draw(st.integers(0, 511))] = data.draw(st.integers(0, 255))
        if data.draw(st.booleans()):  # a checksum that fits
            content[header + 148 : header + 156] = b" " * 8
            content[header + 148 : header + 156] = b"%06o\0 " % sum(content[header : header + 512])
        path.write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) // 2]))])
        with suppress(ValueError):
            table = read_views(path)
            for image in table.frame["image"].tolist():
                with suppress(OSError):
                    table.images.read(image)
