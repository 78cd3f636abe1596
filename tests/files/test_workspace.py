"""Temporary folders beside a target, and leftovers of killed processes."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.files.workspace import OLD, remove_leftovers, remove_leftovers_in, scratch_folder, workspace

SCANDIR = os.scandir

HOLDER = """
import sys
from pathlib import Path
from geocell.files.workspace import workspace
with workspace(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("x")
    print(folder, flush=True)
    sys.stdin.read()
"""


def held(target: Path) -> tuple["subprocess.Popen[str]", Path]:
    """Start a process that has a workspace of `target` until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().rstrip("\n"))


def test_a_workspace_is_private_empty_and_gone_at_the_end(tmp_path: Path) -> None:
    with pytest.raises(KeyError), workspace(tmp_path / "out") as folder:
        assert folder.parent == tmp_path
        assert list(folder.iterdir()) == []
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "half").write_text("x")
        raise KeyError
    assert list(tmp_path.iterdir()) == []


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=80))
def test_the_name_of_a_target_may_be_as_long_as_the_file_system_allows(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    target = tmp_path_factory.mktemp("any") / (name * 80).encode()[:255].decode(errors="ignore")
    with workspace(target) as folder:
        assert folder.is_dir()
    assert list(target.parent.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="leftovers are known by locks on folders")
def test_leftovers_of_dead_processes_alone_are_removed(tmp_path: Path) -> None:
    process, folder = held(tmp_path / "out")
    try:
        with workspace(tmp_path / "out"):
            assert (folder / "half").read_text() == "x"
        assert (folder / "half").is_file()
        process.send_signal(signal.SIGKILL)
        process.wait()
        remove_leftovers(tmp_path / "out")
        assert list(tmp_path.iterdir()) == []
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="leftovers are known by locks on folders")
@pytest.mark.parametrize("replaced", [False, True])
def test_a_previous_result_is_put_back_unless_there_is_a_new_one(tmp_path: Path, replaced: bool) -> None:
    leftover = tmp_path / ".out.abcdefgh.geocell-tmp"
    (leftover / OLD).mkdir(parents=True)
    (leftover / OLD / "x").write_text("old")
    if replaced:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "x").write_text("new")
    remove_leftovers(tmp_path / "out")
    assert (tmp_path / "out" / "x").read_text() == ("new" if replaced else "old")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_other_targets_and_links_stay(tmp_path: Path) -> None:
    (tmp_path / ".other.12345678.geocell-tmp").mkdir()
    (tmp_path / "away").mkdir()
    (tmp_path / ".out.12345678.geocell-tmp").symlink_to("away")
    remove_leftovers(tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        ".other.12345678.geocell-tmp",
        ".out.12345678.geocell-tmp",
        "away",
    ]


def test_there_is_nothing_to_remove_where_there_is_no_folder(tmp_path: Path) -> None:
    remove_leftovers(tmp_path / "none" / "out")
    assert not (tmp_path / "none").exists()


def test_a_file_system_without_locks_on_folders_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(_descriptor: int, _how: int) -> None:
        raise OSError(errno.EBADF, "no locks on folders")

    monkeypatch.setattr("geocell.files.workspace.fcntl.flock", no_locks)
    for _ in range(2):
        with workspace(tmp_path / "out") as folder:
            (folder / "half").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_another_user_seems_to_own_is_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on mounts that map users."""
    monkeypatch.setattr("geocell.files.workspace.os.geteuid", lambda: 12345)
    with workspace(tmp_path / "out") as folder:
        (folder / "half").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_longer_name_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".run.v2.abcdefgh.geocell-tmp" / OLD).mkdir(parents=True)
    remove_leftovers(tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == [".run.v2.abcdefgh.geocell-tmp"]
    remove_leftovers(tmp_path / "run.v2")
    assert [path.name for path in tmp_path.iterdir()] == ["run.v2"]


def test_a_file_that_was_being_written_is_no_previous_result(tmp_path: Path) -> None:
    leftover = tmp_path / f".{OLD}.abcdefgh.geocell-tmp"
    leftover.mkdir()
    (leftover / OLD).write_text("half")
    remove_leftovers(tmp_path / OLD)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="leftovers are known by locks on folders")
def test_leftovers_of_all_targets_in_a_folder(tmp_path: Path) -> None:
    process, living = held(tmp_path / "mine")
    try:
        for name in ("a.json", "b", ".c"):
            (tmp_path / f".{name}.abcdefgh.geocell-tmp").mkdir()
        (tmp_path / ".moved.abcdefgh.geocell-tmp" / OLD).mkdir(parents=True)
        (tmp_path / ".other.geocell-tmp").mkdir()  # a name that no workspace has
        remove_leftovers_in(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([living.name, ".other.geocell-tmp", "moved"])
        remove_leftovers_in(tmp_path / "none")
    finally:
        process.kill()
        process.communicate()


def test_a_scratch_folder_is_among_the_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch_folder("push") as folder:
        assert folder.parent == tmp_path
        left = folder.name
        (folder / "x").write_text("1")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / left).mkdir()  # of a process that was killed
    with scratch_folder("push"):
        assert [path.name for path in tmp_path.iterdir()] != [left]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_many_files_is_looked_through_a_bounded_number_of_times_per_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geocell.files.workspace._PER_WRITE", 4)
    looked: list[int] = []

    def scandir(folder: Path) -> Any:
        looked.append(len(os.listdir(folder)))  # noqa: PTH208 - names
        return SCANDIR(folder)

    monkeypatch.setattr("geocell.files.workspace.os.scandir", scandir)
    monkeypatch.setattr("shutil.rmtree", lambda folder, **_: Path(folder).rmdir())
    for number in range(400):
        (tmp_path / f".{number}.abcdefgh.geocell-tmp").mkdir() if number == 0 else None
        with workspace(tmp_path / f"{number}"):
            (tmp_path / f"{number}").touch()
    assert 1_000 < sum(looked) < 400 * 8  # all files for every file would be 80,000
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(map(str, range(400)))


def test_what_was_left_in_a_large_folder_goes_with_the_next_file_of_its_name(tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"{number}").touch()
    (tmp_path / ".b.abcdefgh.geocell-tmp").mkdir()
    for name in ("a", "b"):
        with workspace(tmp_path / name):
            pass
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(map(str, range(200)))
