"""Folders that appear whole: refusals, kills at every bad moment, readers during an overwrite, the lock."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from geocell.files import (
    changed_folder,
    discard_folder,
    folder_lock,
    held_folder,
    new_folder,
    read_folder,
    require_new,
    write_text,
)
from geocell.files import folders as folders_module

MARKS = ("mark.json",)


def make(out: Path, text: str, *, overwrite: bool = False) -> None:
    with new_folder(out, overwrite=overwrite, marks=MARKS, parts=("x",)) as folder:
        (folder / "mark.json").write_text("{}")
        (folder / "x").write_text(text)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(RuntimeError), new_folder(out, marks=MARKS) as folder:
        (folder / "x").write_text("half")
        raise RuntimeError
    assert names(tmp_path) == []
    with new_folder(out, marks=MARKS) as folder:
        (folder / "x").write_text("1")
        assert not out.exists()
    assert (out / "x").read_text() == "1"


@pytest.mark.parametrize("exchange", [True, False])
def test_an_existing_folder_is_replaced_only_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(folders_module, "_exchange", lambda *_: False)
    out = tmp_path / "out"
    out.mkdir()
    make(out, "1")  # an empty folder is no output
    with pytest.raises(FileExistsError, match="--overwrite"):
        make(out, "2")
    assert (out / "x").read_text() == "1"
    make(out, "2", overwrite=True)
    assert (out / "x").read_text() == "2"
    assert names(tmp_path) == ["out"]


def test_a_failed_replacement_keeps_the_old(tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(out, "1")
    with pytest.raises(RuntimeError), new_folder(out, overwrite=True, marks=MARKS):
        raise RuntimeError
    assert (out / "x").read_text() == "1"
    require_new(tmp_path / "other", overwrite=False)


def test_only_an_artefact_of_the_same_kind_is_replaced(tmp_path: Path) -> None:
    photos = tmp_path / "Photos"
    photos.mkdir()
    (photos / "me.jpg").write_text("only copy")
    with pytest.raises(FileExistsError, match=r"lacks mark\.json.*Nothing was changed"):
        make(photos, "1", overwrite=True)
    (photos / "mark.json").write_text("{}")
    with pytest.raises(FileExistsError, match=r"would delete me\.jpg"):
        make(photos, "1", overwrite=True)
    assert names(photos) == ["mark.json", "me.jpg"]
    assert (photos / "me.jpg").read_text() == "only copy"
    file = tmp_path / "file"
    file.write_text("text")
    with pytest.raises(FileExistsError, match="got a file"):
        make(file, "1", overwrite=True)
    assert file.read_text() == "text"
    assert names(tmp_path) == ["Photos", "file"]


def test_a_folder_without_marks_is_known_by_its_parts(tmp_path: Path) -> None:
    (tmp_path / "a.json").touch()
    require_new(tmp_path, True, (), ("*.json",))
    (tmp_path / "mine.txt").touch()
    with pytest.raises(FileExistsError, match=r"would delete mine\.txt"):
        require_new(tmp_path, True, (), ("*.json",))


@pytest.mark.parametrize("place", [".", "..", "../here", "/"])
def test_the_working_directory_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    here = tmp_path / "here"
    make(here, "1")
    monkeypatch.chdir(here)
    with pytest.raises(ValueError, match="name a new folder in it"):
        make(Path(place), "2", overwrite=True)
    assert names(tmp_path) == ["here"]
    assert names(here) == ["mark.json", "x"]


def test_a_link_stays_and_the_folder_it_leads_to_is_replaced(tmp_path: Path) -> None:
    make(tmp_path / "real", "1")
    (tmp_path / "link").symlink_to("real")
    make(tmp_path / "link", "2", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "x").read_text() == "2"
    assert names(tmp_path) == ["link", "real"]


def test_two_writers_of_one_new_folder_do_not_mix(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(FileExistsError), new_folder(out, marks=MARKS) as folder:
        (folder / "x").write_text("slow")
        make(out, "fast")
    assert (out / "x").read_text() == "fast"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o755), (0o027, 0o750), (0o077, 0o700)])
def test_modes_follow_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        make(tmp_path / "out", "1")
    finally:
        os.umask(before)
    assert (tmp_path / "out").stat().st_mode & 0o777 == mode
    assert (tmp_path / "out" / "x").stat().st_mode & 0o777 == mode & 0o666


WRITER = """
import os, sys
from pathlib import Path
from geocell.files import folders, new_folder
out, moment = Path(sys.argv[1]), sys.argv[2]

def stop():
    print("there", flush=True)
    sys.stdin.read()

if moment == "between":
    folders._exchange = lambda *_: False
    rename = Path.rename
    def renamed(self, target):
        result = rename(self, target)
        stop()
        return result
    Path.rename = renamed
with new_folder(out, overwrite=True, marks=("mark.json",), parts=("x",)) as folder:
    (folder / "mark.json").write_text("{}")
    (folder / "x").write_text("killed")
    if moment == "inside":
        stop()
"""


def killed_at(moment: str, out: Path) -> None:
    """Run a process that replaces `out`, and kill it as it says that it has come to a moment."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(out), moment], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("existing", [True, False])
def test_the_next_run_removes_what_a_killed_one_left(tmp_path: Path, existing: bool) -> None:
    out = tmp_path / "out"
    if existing:
        make(out, "1")
    killed_at("inside", out)
    assert len(names(tmp_path)) == 1 + existing
    make(out, "2", overwrite=True)
    assert (out / "x").read_text() == "2"
    assert names(tmp_path) == ["out"]


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(out, "1")
    killed_at("between", out)
    assert not out.exists()
    with pytest.raises(FileExistsError, match="--overwrite"):
        require_new(out, overwrite=False)
    assert (out / "x").read_text() == "1"
    assert names(tmp_path) == ["out"]


def test_a_living_process_keeps_its_temporary_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(out), "inside"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        make(out, "1")
        assert len(names(tmp_path)) == 2
        process.communicate("")
        assert process.returncode == 0
    assert (out / "x").read_text() == "killed"
    assert names(tmp_path) == ["out"]


def test_leftovers_of_other_targets_and_links_stay(tmp_path: Path) -> None:
    (tmp_path / ".other.12345678.geocell-tmp").mkdir()
    (tmp_path / "away").mkdir()
    (tmp_path / ".out.12345678.geocell-tmp").symlink_to("away")
    make(tmp_path / "out", "1")
    assert names(tmp_path) == [".other.12345678.geocell-tmp", ".out.12345678.geocell-tmp", "away", "out"]


@pytest.mark.skipif(sys.platform != "linux", reason="two names are exchanged in one step on Linux")
def test_readers_find_a_whole_folder_while_it_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def write(text: str) -> None:
        with new_folder(out, overwrite=True, marks=("a",)) as folder:
            (folder / "a").write_text(text)
            (folder / "b").write_text(text)

    write("0")
    done = threading.Event()
    found: list[tuple[str, str]] = []
    failed: list[Exception] = []

    def read() -> None:
        try:
            while not done.is_set() or not found:
                found.append(read_folder(out, lambda at: ((at / "a").read_text(), (at / "b").read_text())))
        except Exception as error:
            failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 200):
        write(str(number))
    done.set()
    reader.join()
    assert failed == []
    assert all(a == b for a, b in found)


def test_a_folder_that_was_replaced_meanwhile_is_read_again(tmp_path: Path) -> None:
    make(tmp_path / "out", "1")
    calls = []

    def read(folder: Path) -> str:
        calls.append(1)
        if len(calls) == 1:
            make(folder, "2", overwrite=True)
            raise FileNotFoundError
        return (folder / "x").read_text()

    assert read_folder(tmp_path / "out", read) == "2"
    with pytest.raises(FileNotFoundError):
        read_folder(tmp_path / "none", lambda folder: (folder / "x").read_text())


def test_a_folder_that_is_replaced_faster_than_read_is_not_mixed(tmp_path: Path) -> None:
    make(tmp_path / "out", "0")

    def read(folder: Path) -> str:
        text = (folder / "x").read_text()
        make(folder, f"{text}1", overwrite=True)
        return text

    with pytest.raises(OSError, match=r"out was replaced 100 times while it was read: try again when nothing writes"):
        read_folder(tmp_path / "out", read)


LOCKER = """
import sys
from pathlib import Path
from geocell.files import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("there", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("killed", [True, False])
def test_one_process_at_a_time_works_on_an_output(tmp_path: Path, killed: bool) -> None:
    out = tmp_path / "runs" / "out"
    with subprocess.Popen(
        [sys.executable, "-c", LOCKER, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        with pytest.raises(FileExistsError, match="another process is writing"), folder_lock(out):
            pass
        if killed:
            process.send_signal(signal.SIGKILL)
        else:
            process.communicate("")
        process.wait()
    with folder_lock(out):
        pass
    assert names(tmp_path / "runs") == []


def contents(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def artefact(folder: Path) -> Path:
    (folder / "out" / "0").mkdir(parents=True)
    for name in ("a", "b", "0/c", ".hidden"):
        (folder / "out" / name).write_text(f"old {name}")
    (folder / "out" / "link").symlink_to("a")
    (folder / "out" / ".a.abcdefgh.geocell-tmp").mkdir()  # left by a killed process
    return folder / "out"


OLD_FILES = {"a": "old a", "b": "old b", "0/c": "old 0/c", ".hidden": "old .hidden", "link": "old a"}


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_changed_at_once_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(folders_module, "_exchange", lambda *_: False)
    if not links:
        monkeypatch.setattr(folders_module.os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError("no links")))
    out = artefact(tmp_path)
    out.chmod(0o750)
    with pytest.raises(KeyError), changed_folder(out) as changed:
        write_text(changed / "a", "new")
        (changed / "b").unlink()
        raise KeyError
    assert contents(out) == OLD_FILES
    with changed_folder(out) as changed:
        write_text(changed / "a", "new")
        write_text(changed / "0" / "c", "new")
        (changed / "b").unlink()
        assert contents(out) == OLD_FILES
    assert contents(out) == {"a": "new", "0/c": "new", ".hidden": "old .hidden", "link": "new"}
    assert (out / "link").is_symlink()
    assert out.stat().st_mode & 0o777 == 0o750
    assert names(tmp_path) == ["out"]
    assert names(out) == [".hidden", "0", "a", "link"]


def test_the_working_directory_is_changed_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = artefact(tmp_path)
    monkeypatch.chdir(out)
    with changed_folder(Path()) as changed:
        assert changed == out
        write_text(changed / "a", "new")
    assert contents(out)["a"] == "new"
    assert not (out / ".a.abcdefgh.geocell-tmp").exists()


def test_a_link_to_a_changed_folder_stays(tmp_path: Path) -> None:
    out = artefact(tmp_path / "store")
    (tmp_path / "link").symlink_to(out)
    with changed_folder(tmp_path / "link") as changed:
        write_text(changed / "a", "new")
    assert (tmp_path / "link").is_symlink()
    assert contents(out)["a"] == "new"


def test_what_several_change_at_once_is_all_there(tmp_path: Path) -> None:
    out = artefact(tmp_path)
    start = threading.Barrier(4)

    def change(number: int) -> None:
        start.wait()
        for step in range(5):
            if number % 2:
                with changed_folder(out) as changed:
                    write_text(changed / f"{number}-{step}", "x")
            else:
                with held_folder(out):
                    write_text(out / f"{number}-{step}", "x")

    threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {f"{number}-{step}" for number in range(4) for step in range(5)} <= set(names(out))
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_appears_in_the_last_instant_is_another_writers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    out = tmp_path / "out"
    rename = Path.rename

    def late(path: Path, target: Path) -> Path:
        if path.name == "new" and not target.exists():
            target.mkdir()
            (target / "mark.json").write_text("theirs")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", late)
    if overwrite:
        make(out, "mine", overwrite=True)
        assert (out / "x").read_text() == "mine"
    else:
        with pytest.raises(FileExistsError, match=r"exists: name another --out, or pass --overwrite"):
            make(out, "mine")
        assert contents(out) == {"mark.json": "theirs"}
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("fixed", [False, True])
def test_a_folder_is_discarded_at_once_or_its_mark_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fixed: bool
) -> None:
    out, seen = artefact(tmp_path), []
    if fixed:
        monkeypatch.chdir(out)
    unlink = os.unlink

    def noted(path: str, *args: object, **kwargs: object) -> None:
        seen.append((out.exists() and "a" in names(out), out.exists() and len(names(out)) > 1))
        unlink(path, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "unlink", noted)
    discard_folder(out, "a")
    if fixed:
        assert names(out) == []
        assert all(there for there, _ in seen)
        assert seen[-1] == (True, False)
    else:
        assert names(tmp_path) == []
        assert set(seen) == {(False, False)}


def test_what_a_killed_process_left_in_a_folder_does_not_keep_it_from_being_replaced(tmp_path: Path) -> None:
    make(tmp_path / "out", "1")
    (tmp_path / "out" / ".x.abcdefgh.geocell-tmp").mkdir()
    make(tmp_path / "out", "2", overwrite=True)
    assert names(tmp_path / "out") == ["mark.json", "x"]
    assert names(tmp_path) == ["out"]
