"""A slice of the kill harness: a few kills of each command, before operations on files that are always the same."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.kill_cases import CASES, Case, Variant
from benchmarks.kill_lab import Interruption, Lab, laboratory
from benchmarks.kill_scenarios import kill, two_at_once
from benchmarks.kill_server import Trap
from benchmarks.kill_snapshots import snapshot, unit, units_of

linux = pytest.mark.skipif(sys.platform != "linux", reason="forks, and looks at processes below /proc")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with laboratory(tmp_path_factory.mktemp("lab")) as running:
        yield running


def last(case: Case) -> Variant:
    return case.variants[-1]


@linux
@pytest.mark.slow
@pytest.mark.loopback
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_killed_command_leaves_nothing_and_loses_nothing(lab: Lab, case: Case) -> None:
    """In the middle, and at the last operation on files, when the result is in its place."""
    variant = last(case)
    n = lab.reference(case, variant).operations
    for at in sorted({n // 2, n}):
        outcome = lab.interrupt(case, variant, Interruption(signal.SIGKILL, at=at))
        late = at == n and outcome.ended.status == 0  # a library did one operation less than before
        assert outcome.ended.status == -signal.SIGKILL or late
        assert outcome.findings == [], at


@linux
@pytest.mark.slow
@pytest.mark.loopback
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_one_sentence_and_loses_nothing(lab: Lab, number: signal.Signals) -> None:
    for case in CASES:
        if case.name in {"partition", "fit-head", "calibrate"}:
            variant = case.variants[0]
            n = lab.reference(case, variant).operations
            outcome = lab.interrupt(case, variant, Interruption(number, at=n // 2), kept=False)
            assert outcome.ended.status == 128 + number
            assert outcome.ended.stderr.startswith("geocell: interrupted")
            assert outcome.ended.stderr.count("\n") == 1
            assert outcome.findings == []


@linux
@pytest.mark.slow
@pytest.mark.loopback
@pytest.mark.parametrize("name", ["encode", "fit-head", "partition", "split", "score"])
def test_two_commands_at_once(lab: Lab, name: str) -> None:
    case = next(case for case in CASES if case.name == name)
    outcome = two_at_once(lab, case, 0, 0)
    assert outcome is not None
    assert outcome.findings == []


@linux
@pytest.mark.slow
@pytest.mark.loopback
def test_the_harness_finds_what_is_wrong(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A next run that does nothing finds what the killed one left, and that its result is not there."""
    case = next(case for case in CASES if case.name == "partition")
    monkeypatch.setattr(Case, "again", lambda *_: ["cache", "info", str(lab.world / "caches" / "photos")])
    n = lab.reference(case, case.variants[0]).operations
    outcome = lab.interrupt(case, case.variants[0], Interruption(signal.SIGKILL, at=n // 2))
    assert [name for name, passed in outcome.checks.items() if not passed] == ["leftovers", "same bytes"]
    assert any(".cells." in text for text in outcome.findings)
    monkeypatch.setattr(Case, "again", lambda *_: ["cache", "info", "none"])
    outcome = lab.interrupt(case, case.variants[0], Interruption(signal.SIGKILL, at=1))
    assert "next run" in [name for name, passed in outcome.checks.items() if not passed]


@linux
@pytest.mark.slow
@pytest.mark.loopback
def test_the_same_seed_is_the_same_kill(lab: Lab) -> None:
    case = next(case for case in CASES if case.name == "split")
    for number in range(2):  # by operation
        assert kill(lab, case, number, 3).ended.status == kill(lab, case, number, 3).ended.status == -signal.SIGKILL


def test_a_trap_counts_what_changes_files_below_a_folder(tmp_path: Path) -> None:
    trap = Trap(str(tmp_path), 0, signal.SIGKILL, group=False)
    inside, outside = str(tmp_path / "a"), "/elsewhere/a"
    counted = [
        ("open", (inside, "w", os.O_WRONLY | os.O_CREAT)),
        ("open", (inside, None, os.O_RDWR)),
        ("os.rename", (inside, outside, -1, -1)),
        ("os.rmdir", ("relative", 5)),
        ("ctypes.dlsym", (None, "renameat2")),
    ]
    ignored = [
        ("open", (inside, "r", os.O_RDONLY)),
        ("open", (outside, "w", os.O_WRONLY)),
        ("open", (3, "w", os.O_WRONLY)),
        ("os.listdir", (inside,)),
        ("ctypes.dlsym", (None, "flock")),
    ]
    for event, arguments in [*counted, *ignored]:
        trap(event, arguments)
    assert trap.count == len(counted)


def test_snapshots_have_hidden_files_links_and_empty_folders(tmp_path: Path) -> None:
    (tmp_path / "out" / ".x").mkdir(parents=True)
    (tmp_path / "out" / "a").write_text("date 1; text")
    (tmp_path / "link").symlink_to("out")
    found = snapshot(tmp_path, {"out/a": "date [0-9]+"})
    assert list(found) == ["link", "out", "out/.x", "out/a"]
    assert (found["link"], found["out"], found["out/.x"]) == ("link to out", "folder", "folder")
    (tmp_path / "out" / "a").write_text("date 22; text")
    assert snapshot(tmp_path, {"out/a": "date [0-9]+"}) == found
    assert snapshot(tmp_path) != found
    assert set(unit(found, "out")) == {"out", "out/a"}


def test_units_fit_part_by_part() -> None:
    names = {"out/head": "", "out/head/x": "", "out/.head": "", "out/scores-val.json": ""}
    assert units_of(["out/*"], names) == ["out/head", "out/scores-val.json"]
    assert units_of(["out/scores*.json", "*/*/x"], names) == ["out/head/x", "out/scores-val.json"]
