"""Running a command of the kill harness: what is there before, a whole run, an interrupted one and the next one."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.kill_cases import REPO, Case, Variant, Words, make_world
from benchmarks.kill_server import Commands, Ended, processes_of
from benchmarks.kill_snapshots import Files, is_probe, snapshot, unit, units_of
from tests.local_hub import TOKEN, Hub, Repo, serve

DEADLINE = 120.0
"""Seconds after which a command that should end counts as one that hangs."""
_POLL = 0.002


@dataclass(frozen=True)
class Reference:
    """A command that was not interrupted.

    Attributes:
        before: what was there.
        after: what it left.
        operations: how often it changed files, by the audit events of Python.
        seconds: how long it took.
    """

    before: Files
    after: Files
    operations: int
    seconds: float


@dataclass(frozen=True)
class Interruption:
    """When and how a command is interrupted.

    Attributes:
        number: the signal.
        at: before which operation on files; 0 for by time.
        after: seconds after the start, where by time.
        group: whether SIGKILL takes the processes of the command at once, or only the first of them.
    """

    number: int
    at: int = 0
    after: float = 0.0
    group: bool = True


@dataclass
class Outcome:
    """What an interruption and the run that followed it showed.

    Attributes:
        ended: how the interrupted run ended.
        findings: what was wrong.
        checks: name of a check -> whether it passed.
    """

    ended: Ended
    findings: list[str] = field(default_factory=list)
    checks: dict[str, bool] = field(default_factory=dict)

    def check(self, name: str, problems: Sequence[str]) -> None:
        """Note the result of a check."""
        self.checks[name] = not problems and self.checks.get(name, True)
        self.findings += [f"{name}: {problem}" for problem in problems]


class Lab:
    """A world, and a work folder in which one command after the other is interrupted.

    Attributes:
        commands: runs them.
        world: what they read.
        work: where they run, and what is compared.
        hub: the Hub that they push to.
        count: file that a command writes the number of its operations to, when asked.
    """

    def __init__(self, folder: Path, commands: Commands, hub: Hub) -> None:
        """Make the world in an empty folder."""
        self.commands, self.hub = commands, hub
        self.world, self.work, self._states = folder / "world", folder / "work", folder / "states"
        folder.chmod(0o755)  # other users read there too
        self.count = folder / "count"
        self._references: dict[tuple[str, str], Reference] = {}
        self._repos: dict[tuple[str, str], dict[str, Repo]] = {}
        self.world.mkdir()
        make_world(self.world, lambda words: self._done(words, self.world))

    def words(self, words: Sequence[str]) -> list[str]:
        """Return a command line with the place of the world in it."""
        return [word.format(w=self.world) for word in words]

    def _done(self, words: Words, folder: Path) -> Ended:
        ended = self.commands.run(self.words(words), folder)
        if ended.status != 0:
            raise RuntimeError(f"{' '.join(words)} ended with {ended.status}: {ended.stderr}")
        return ended

    def _empty(self) -> None:
        """Empty the work folder, which itself stays: a disk may be mounted there."""
        self.work.mkdir(exist_ok=True)
        for path in self.work.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def _clear(self) -> None:
        self._empty()
        (self.work / "tmp").mkdir()

    def environment(self) -> dict[str, str]:
        """Return what is set for a command: temporary files are below the work folder, so that they are compared."""
        return {"TMPDIR": str(self.work / "tmp")}

    def _state(self, case: Case, variant: Variant) -> Path:
        """Return the folder that holds what is there before a command, which is made at first."""
        state = self._states / case.name / variant.name
        if not state.exists():
            self._clear()
            self.hub.repos.clear()
            for name, origin in case.copies.items():
                shutil.copytree(self.world / origin, self.work / name)
            for number, words in enumerate(variant.before):
                half = variant.half and number == len(variant.before) - 1
                self._prepare(words, half)
            if variant.pushed:
                self.hub.put(REPO, self.world / "heads" / "1")
            shutil.copytree(self.work, state, symlinks=True)
            self._repos[case.name, variant.name] = deepcopy(self.hub.repos)
        return state

    def _prepare(self, words: Words, half: bool) -> None:
        line, kept = self.words(words), self.work.with_name("kept")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self.work, kept)
        ended = self.commands.run(line, self.work, count=self.count, environment=self.environment())
        if ended.status != 0:
            raise RuntimeError(f"{' '.join(words)} ended with {ended.status}: {ended.stderr}")
        if half:
            shutil.rmtree(self.work)
            kept.rename(self.work)
            at = int(self.count.read_text(encoding="utf-8")) // 2
            ended = self.commands.run(line, self.work, at=at, environment=self.environment())
            if ended.status != -signal.SIGKILL:
                raise RuntimeError(f"{' '.join(words)} was to be killed, and ended with {ended.status}.")

    def reset(self, case: Case, variant: Variant) -> None:
        """Bring the work folder and the Hub to what is there before a command."""
        state = self._state(case, variant)
        self._empty()
        shutil.copytree(state, self.work, symlinks=True, dirs_exist_ok=True)
        self.hub.repos.clear()
        self.hub.repos.update(deepcopy(self._repos[case.name, variant.name]))

    def lay_out(self, copies: Mapping[str, str]) -> None:
        """Fill the work folder with copies of folders of the world alone."""
        self._clear()
        self.hub.repos.clear()
        for name, origin in copies.items():
            shutil.copytree(self.world / origin, self.work / name)

    def seen(self, case: Case) -> dict[str, str]:
        """Return what is in the work folder and on the Hub now."""
        files = {name: value for name, value in snapshot(self.work, case.masks).items() if not is_probe(name, value)}
        pushed = self.hub.files(REPO) if REPO in self.hub.repos else {}
        if pushed:  # an empty repository is what the Hub makes before the first commit
            files["hub"] = "folder"
            files |= {f"hub/{name}": hashlib.sha256(content).hexdigest() for name, content in pushed.items()}
        return files

    def reference(self, case: Case, variant: Variant) -> Reference:
        """Return an uninterrupted run, which is made at first."""
        key = case.name, variant.name
        if key not in self._references:
            self.reset(case, variant)
            before = self.seen(case)
            began = time.monotonic()
            ended = self.commands.run(
                self.words(variant.words), self.work, count=self.count, environment=self.environment()
            )
            seconds = time.monotonic() - began
            if ended.status != 0:
                raise RuntimeError(f"{' '.join(variant.words)} ended with {ended.status}: {ended.stderr}")
            operations = int(self.count.read_text(encoding="utf-8"))
            self._references[key] = Reference(before, self.seen(case), operations, seconds)
        return self._references[key]

    def interrupt(self, case: Case, variant: Variant, how: Interruption, *, kept: bool = True) -> Outcome:
        """Start a command, interrupt it, and look; run it once more, and look again.

        Args:
            case: the command.
            variant: how it is started.
            how: when it is interrupted.
            kept: whether results have to be as before or as after; else that they can be read suffices.
        """
        reference = self.reference(case, variant)
        self.reset(case, variant)
        pid = self.commands.start(
            self.words(variant.words), self.work, at=how.at, number=how.number, group=how.group,
            environment=self.environment(),
        )  # fmt: skip
        outcome = Outcome(self._interrupted(pid, how))
        outcome.check("processes", self._outlived(pid))
        outcome.check("old result", self.damages(case, variant, reference, kept=kept))
        self.finish(case, variant, outcome)
        return outcome

    def _interrupted(self, pid: int, how: Interruption) -> Ended:
        """Send the signal, where it is by time, and wait for the end."""
        if not how.at:
            if how.number != signal.SIGKILL:
                self._wait_for_handlers(pid)
            time.sleep(how.after)
            if (ended := self.commands.ended(pid)) is not None:
                return ended
            if how.group:
                os.killpg(pid, how.number)
            else:
                os.kill(pid, how.number)
        return self.end(pid)

    @staticmethod
    def _wait_for_handlers(pid: int) -> None:
        """Wait until a process handles SIGTERM, or has ended."""
        status = Path("/proc") / str(pid) / "status"
        while True:
            values = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
            if values["State"].strip().startswith("Z") or int(values["SigCgt"], 16) >> (signal.SIGTERM - 1) & 1:
                return
            time.sleep(_POLL)

    def end(self, pid: int) -> Ended:
        """Wait for a command, and kill it when it hangs."""
        began = time.monotonic()
        while (ended := self.commands.ended(pid)) is None:
            if time.monotonic() - began > DEADLINE:
                os.killpg(pid, signal.SIGKILL)
                self.commands.wait(pid)
                return Ended(1, "", "it hung")
            time.sleep(_POLL)
        return ended

    def _outlived(self, session: int) -> list[str]:
        """Return that a process of a killed command does not end."""
        began = time.monotonic()
        while left := processes_of(session):
            if time.monotonic() - began > DEADLINE / 4:
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
                return [f"{len(left)} did not end with the command"]
            time.sleep(_POLL)
        return []

    def damages(self, case: Case, variant: Variant, reference: Reference, *, kept: bool = True) -> list[str]:
        """Return which results are neither as before nor as after, or can't be read."""
        now = self.seen(case)
        damages = []
        for name in units_of(case.units, now, reference.before) if variant.keeps and kept else ():
            found = unit(now, name)
            if found not in (unit(reference.before, name), unit(reference.after, name)):
                damages.append(f"{name} is neither the old nor the new one ({_differences(found, reference, name)})")
        for name in units_of(tuple(case.read), now):
            reader = next(read for pattern, read in case.read.items() if units_of([pattern], {name: ""}))
            try:
                reader(self.work / name)
            except Exception as error:  # whatever it is, it is what a reader would have met
                damages.append(f"{name} can't be read ({type(error).__name__}: {error})")
        return damages

    def finish(self, case: Case, variant: Variant, outcome: Outcome) -> None:
        """Run the command once more, and compare with the reference."""
        reference = self.reference(case, variant)
        words = case.again(self.words(variant.words), self.work)
        pid = self.commands.start(words, self.work, environment=self.environment())
        ended = self.end(pid)
        after = self.seen(case)
        was_done = ended.status == 1 and "exists" in ended.stderr and "--overwrite" in ended.stderr
        bad = ended.status != 0 and not was_done
        locked = "another process" in ended.stderr or "it hung" in ended.stderr
        outcome.check("locks", [last_line(ended.stderr)] if bad and locked else [])
        outcome.check("next run", [f"status {ended.status}: {last_line(ended.stderr)}"] if bad and not locked else [])
        names = {name for name in {*after, *reference.after} if after.get(name) != reference.after.get(name)}
        more = sorted(names - reference.after.keys())
        outcome.check("leftovers", more)
        outcome.check("same bytes", [f"{name} differs" for name in sorted(names - set(more))])


def last_line(text: str) -> str:
    """Return the last line of what a command said."""
    return (text.strip().splitlines() or [""])[-1]


def _differences(found: Files, reference: Reference, name: str) -> str:
    old, new = unit(reference.before, name), unit(reference.after, name)
    texts = []
    for path in sorted({*found, *old, *new}):
        now = found.get(path)
        same = [kind for kind, files in (("old", old), ("new", new)) if files.get(path) == now]
        if len(same) != 2:
            texts.append(f"{path} {same[0] if same else 'other'}{' (none)' if now is None else ''}")
    return ", ".join(texts)


@contextmanager
def laboratory(folder: Path, **environment: str) -> Iterator[Lab]:
    """Run a Hub and a server of commands until the block ends.

    Args:
        folder: an empty folder.
        environment: of the server, beside that of this process.
    """
    caches = folder / "caches"
    caches.mkdir()
    with serve() as hub:
        settings = {
            "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1",
            "HF_HOME": str(caches / "hf"), "GEOCELL_CACHE": str(caches / "geocell"),
            "MPLCONFIGDIR": str(caches / "mpl"), "HF_HUB_DISABLE_PROGRESS_BARS": "1", **environment,
        }  # fmt: skip
        with Commands(folder, settings) as commands:
            yield Lab(folder, commands, hub)
