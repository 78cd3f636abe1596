"""The atomic writer: whole or nothing, modes, links, kills, names of any kind."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError

from geocell.files import atomic_path, read_json, write_bytes, write_json, write_text

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name not in {".", ".."} and len(name.encode()) <= 255
)


def test_json_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"format": 1, "x": 0.1 + 0.2, "name": "Łódź"})
    assert read_json(path, "a thing") == {"format": 1, "x": 0.30000000000000004, "name": "Łódź"}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_nan_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(name=NAMES, content=st.binary(max_size=64))
def test_any_name_and_content_is_written_whole(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / "folder" / name
    write_bytes(path, [content[:3], memoryview(content)[3:]])
    assert path.read_bytes() == content
    assert os.listdir(tmp_path / "folder") == [name]  # noqa: PTH208
    path.unlink()


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_the_temporary_file_has_the_suffix_and_is_unseen_until_the_end(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "map.png") as temporary:
        temporary.write_bytes(b"1")
        assert temporary.name == "map.png"
        assert not (tmp_path / "map.png").exists()
    assert (tmp_path / "map.png").read_bytes() == b"1"


def test_a_file_is_on_the_disk_before_it_takes_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, bool]] = []
    path = tmp_path / "a.txt"
    monkeypatch.setattr("os.fsync", lambda descriptor: seen.append((os.fstat(descriptor).st_size, path.exists())))
    write_text(path, "12345")
    assert seen == [(5, False)]
    assert path.read_text() == "12345"


def test_a_full_disk_is_said_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="is full: make room and run the same command again"):
        write_text(tmp_path / "a.txt", "x")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_where_safetensors_writes(tmp_path: Path) -> None:
    def save(text: str) -> None:
        with atomic_path(tmp_path / "a.safetensors"):
            raise SafetensorError(text)

    with pytest.raises(OSError, match="is full: make room and run the same command again"):
        save("Error while serializing: I/O error: No space left on device (os error 28)")
    with pytest.raises(SafetensorError, match="header"):
        save("Error while serializing: header")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="name a file in it"):
        write_text(tmp_path, "x")


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_modes_follow_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == mode


def test_links_are_replaced_and_never_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "a.txt").symlink_to(victim)
    for name in (f".a.txt.{os.getpid()}", ".a.txt.00000000.geocell-tmp"):  # names that somebody may guess
        (tmp_path / name).symlink_to(victim)
    write_text(tmp_path / "a.txt", "x")
    assert victim.read_text() == "precious"
    assert not (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "a.txt").read_text() == "x"


def test_the_temporary_file_is_in_a_private_folder(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.txt") as temporary:
        assert temporary.parent.stat().st_mode & 0o777 == 0o700
        assert temporary.parent.parent == tmp_path
        temporary.write_text("x")


WRITER = """
import sys
from pathlib import Path
from geocell.files import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print("there", flush=True)
    sys.stdin.read()
"""


def test_the_next_write_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        write_text(tmp_path / "b.txt", "another file")
        write_text(path, "meanwhile")  # the living process keeps its own
        assert len(list(tmp_path.iterdir())) == 3
        process.send_signal(signal.SIGKILL)
    assert path.read_text() == "meanwhile"
    write_text(path, "new")
    assert path.read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "b.txt"]
