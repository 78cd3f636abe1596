"""What happens to commands beside random kills: signals, full and read-only disks, other users, another command."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.kill_cases import Case, Variant, Words
from benchmarks.kill_lab import Interruption, Lab, Outcome, Reference, last_line
from benchmarks.kill_server import Ended
from benchmarks.kill_snapshots import unit, units_of

_MEGABYTE = 1 << 20
_PAGE = 4096
_PATIENCE = 3.0
"""Seconds that the second of two commands has before the first goes on."""
_NOBODY = 65534


def plan(lab: Lab, case: Case, number: int, seed: int, what: str) -> tuple[Variant, Interruption]:
    """Return the variant and the moment of an interruption, drawn by seed, scenario, command and number."""
    rng = np.random.default_rng([seed, zlib.crc32(f"{what} {case.name}".encode()), number])
    variant = case.variants[number % len(case.variants)]
    reference = lab.reference(case, variant)
    at, after = int(rng.integers(1, reference.operations + 1)), float(rng.uniform(0, reference.seconds))
    by_time = what.startswith("SIG") and bool(number // len(case.variants) % 2)
    group = bool(rng.integers(2)) if what == "SIGKILL" else True
    kind = getattr(signal, what) if what.startswith("SIG") else signal.SIGSTOP
    return variant, Interruption(kind, 0 if by_time else at, after if by_time else 0.0, group)


def kill(lab: Lab, case: Case, number: int, seed: int) -> Outcome:
    """Kill a command."""
    return lab.interrupt(case, *plan(lab, case, number, seed, "SIGKILL"))


def ending_signal(name: str) -> Callable[[Lab, Case, int, int], Outcome]:
    """Return the scenario of a signal that lets a command end: SIGINT or SIGTERM."""

    def scenario(lab: Lab, case: Case, number: int, seed: int) -> Outcome:
        variant, how = plan(lab, case, number, seed, name)
        outcome = lab.interrupt(case, variant, how, kept=case.name != "fit-head")  # which saves the best head so far
        ended = outcome.ended
        if ended.status == -how.number and ended.stdout:  # it had printed its result, and was about to leave
            return outcome
        if ended.status not in (0, 128 + how.number):
            outcome.check("sentence", [f"status {ended.status}, {last_line(ended.stderr)}"])
        outcome.check("sentence", _sentence(ended) if ended.status else [])
        return outcome

    return scenario


def _sentence(ended: Ended) -> list[str]:
    """Return what is wrong with how a command said that it failed."""
    said = [line for line in ended.stderr.splitlines() if line.startswith("geocell: ")]
    bad = [word for word in ("Traceback", "Exception ignored", "Fatal") if word in ended.stderr]
    return [f"it said {word}: {ended.stderr[-300:]!r}" for word in bad] + (
        [] if len(said) == 1 else [f"{len(said)} sentences: {ended.stderr[-300:]!r}"]
    )


@contextmanager
def _volume(lab: Lab, size: int) -> Iterator[Callable[..., None]]:
    """Mount a small disk in memory at the work folder until the block ends; yield what mounts it with other options."""

    def mount(*options: str) -> None:
        subprocess.run(["mount", *options, str(lab.work)], check=True, capture_output=True)  # noqa: S607

    lab.work.mkdir(exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs")
    try:
        yield mount
    finally:
        subprocess.run(["umount", "--lazy", str(lab.work)], check=True, capture_output=True)  # noqa: S607


def can_mount() -> bool:
    """Return whether this process may mount a disk in memory."""
    return os.geteuid() == 0 and shutil.which("mount") is not None


def full_disk(lab: Lab, case: Case, number: int, seed: int) -> Outcome | None:
    """Run a command on a disk with room for so many more pages; None when it was enough.

    Every 4 KB are a try for the first 16, then every eighth more.
    """
    del seed
    variant = case.variants[number % len(case.variants)]
    step = number // len(case.variants)
    pages = step if step < 16 else int(16 * 1.3 ** (step - 15))
    reference = lab.reference(case, variant)
    with _volume(lab, 64 * _MEGABYTE) as mount:
        lab.reset(case, variant)
        used = _PAGE * int(os.statvfs(lab.work).f_blocks - os.statvfs(lab.work).f_bfree)
        mount("-o", f"remount,size={used + _PAGE * pages}")
        ended = lab.commands.run(lab.words(variant.words), lab.work, environment=lab.environment())
        if ended.status == 0:
            return None
        outcome = Outcome(ended)
        said = _sentence(ended)
        if ended.status != 1 or "full" not in ended.stderr:
            said.append(f"status {ended.status}: {last_line(ended.stderr)}")
        outcome.check("sentence", said)
        outcome.check("old result", lab.damages(case, variant, reference))
        mount("-o", f"remount,size={64 * _MEGABYTE}")
        lab.finish(case, variant, outcome)
        return outcome


def read_only(lab: Lab, case: Case, number: int, seed: int) -> Outcome:
    """Run a command where nothing can be written: a read-only disk."""
    del seed
    variant = case.variants[number % len(case.variants)]
    reference = lab.reference(case, variant)
    with _volume(lab, 64 * _MEGABYTE) as mount:
        lab.reset(case, variant)
        mount("-o", "remount,ro")
        ended = lab.commands.run(lab.words(variant.words), lab.work, environment=lab.environment())
        outcome = _refused(lab, case, reference, ended, "read-only")
        mount("-o", "remount,rw")
        lab.finish(case, variant, outcome)
        return outcome


def other_user(lab: Lab, case: Case, number: int, seed: int) -> Outcome:
    """Run a command as a user who may read and not write."""
    del seed
    variant = case.variants[number % len(case.variants)]
    reference = lab.reference(case, variant)
    lab.reset(case, variant)
    ended = lab.commands.run(lab.words(variant.words), lab.work, environment=lab.environment(), user=_NOBODY)
    outcome = _refused(lab, case, reference, ended, "permission")
    lab.finish(case, variant, outcome)
    return outcome


def _refused(lab: Lab, case: Case, reference: Reference, ended: Ended, word: str) -> Outcome:
    outcome = Outcome(ended)
    pushes = case.name == "push" and ended.status == 0  # which writes nothing here
    said = [] if pushes else _sentence(ended)
    if not pushes and (ended.status != 1 or word not in ended.stderr.lower()):
        said.append(f"status {ended.status}: {last_line(ended.stderr)}")
    outcome.check("sentence", said)
    now = lab.seen(case)
    changed = [] if pushes else sorted(n for n in {*now, *reference.before} if now.get(n) != reference.before.get(n))
    outcome.check("old result", [f"{name} changed" for name in changed])
    return outcome


def two_at_once(lab: Lab, case: Case, number: int, seed: int) -> Outcome:
    """Stop a command before one of its operations on files, start it a second time, and let the first go on."""
    variant, how = plan(lab, case, number, seed, "two at once")
    reference = lab.reference(case, variant)
    lab.reset(case, variant)
    first, second = _pair(lab, variant.words, how.at, variant.words)
    outcome = Outcome(first)
    said = []
    for ended in (first, second):
        if ended.status != 0:
            said += _sentence(ended)
            refused = [
                *("another process", "exists", "A commit has happened since", "was replaced", "is locked"),
                "--resume needs the state",  # the other was through, and removed it
            ]
            if ended.status != 1 or not any(text in ended.stderr for text in refused):
                said.append(f"status {ended.status}: {last_line(ended.stderr)}")
    if first.status and second.status:
        said.append("none of the two got through")
    outcome.check("sentence", said)
    now = lab.seen(case)
    for name in units_of(case.units, now, reference.after):
        if unit(now, name) != unit(reference.after, name):
            outcome.check("old result", [f"{name} is not whole"])
    lab.finish(case, variant, outcome)
    return outcome


def _pair(lab: Lab, words: Words, at: int, other: Words, read: Path | None = None) -> tuple[Ended, Ended]:
    """Run two commands, the second while the first is stopped before an operation."""
    first = lab.commands.start(
        lab.words(words), lab.work, at=at, number=signal.SIGSTOP, read=read, environment=lab.environment()
    )
    _wait_for_stop(first)
    second = lab.commands.start(lab.words(other), lab.work, environment=lab.environment())
    began, ended_second = time.monotonic(), None
    while ended_second is None and time.monotonic() - began < _PATIENCE:
        ended_second = lab.commands.ended(second)
        time.sleep(0.01)
    os.kill(first, signal.SIGCONT)
    ended_first = lab.end(first)
    return ended_first, ended_second or lab.end(second)


def _wait_for_stop(pid: int) -> None:
    """Wait until a process has stopped or ended."""
    while True:
        state = (Path("/proc") / str(pid) / "stat").read_text(encoding="utf-8").rpartition(") ")[2][0]
        if state in "TZ":
            return
        time.sleep(0.002)


def replaced_while_read(lab: Lab, case: Case, number: int, seed: int) -> Outcome | None:
    """Stop a command before it opens one of the files that it reads, replace all of them, and let it go on.

    It must end with what it makes of the old ones or of the new ones, or with one sentence and no result.
    """
    pair = case.replacement
    if pair is None:
        return None
    results = []
    for steps in ((pair.words,), (pair.other, pair.words), (pair.other,)):
        lab.lay_out(pair.copies)
        for words in steps:
            ended = lab.commands.run(lab.words(words), lab.work, read=lab.work / pair.read, count=lab.count)
            if ended.status != 0:
                raise RuntimeError(f"{' '.join(words)} ended with {ended.status}: {ended.stderr}")
        results.append(lab.seen(case))
        if len(results) == 1:
            opened = int(lab.count.read_text(encoding="utf-8"))
    at = int(np.random.default_rng([seed, zlib.crc32(case.name.encode()), number]).integers(1, opened + 1))
    lab.lay_out(pair.copies)
    first, second = _pair(lab, pair.words, at, pair.other, lab.work / pair.read)
    outcome = Outcome(first)
    outcome.check("next run", [f"the other: {last_line(second.stderr)}"] if second.status else [])
    now, (old, new, without) = lab.seen(case), results
    if first.status:
        outcome.check("sentence", _sentence(first) + ([] if first.status == 1 else [f"status {first.status}"]))
        outcome.check("leftovers", sorted(now.keys() - without.keys()))
    else:
        made = [name for name in units_of(case.units, now, new) if name != pair.read]
        same = [all(unit(now, name) == unit(files, name) for name in made) for files in (old, new)]
        if case.name in ("score", "calibrate"):  # which write into what was replaced, after that or just before it
            same = [unit(now, pair.read) == unit(files, pair.read) for files in (new, without)]
        outcome.check("same bytes", [] if any(same) else ["neither of the old nor of the new"])
        outcome.check("leftovers", sorted(now.keys() - new.keys()))
    return outcome


SCENARIOS: Mapping[str, Callable[[Lab, Case, int, int], Outcome | None]] = {
    "SIGKILL": kill,
    "SIGINT": ending_signal("SIGINT"),
    "SIGTERM": ending_signal("SIGTERM"),
    "disk full": full_disk,
    "read-only disk": read_only,
    "other user": other_user,
    "two at once": two_at_once,
    "replaced while read": replaced_while_read,
}
"""Name -> runs a command once; None where it did not meet what it should."""
