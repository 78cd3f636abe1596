"""Interrupted runs keep the rows of an unfinished shard, and end with the bytes of an uninterrupted run."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from geocell.cli.app import main
from geocell.encoding import encode, journal
from geocell.encoding.journal import Journal
from geocell.features import FeatureCache, verify_cache
from geocell.features.partials import partial_path, read_partial, write_partial
from tests.encoding.tiny import TinyEncoder
from tests.worlds import make_photos


@dataclass(frozen=True)
class Interrupted(TinyEncoder):
    """Stops with Ctrl-C, or another error, at one batch."""

    at: int = 3
    error: type[BaseException] = KeyboardInterrupt
    calls: list[int] = field(default_factory=list)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        self.calls.append(len(pixels))
        if len(self.calls) == self.at:
            raise self.error
        return super().__call__(pixels)


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@pytest.mark.parametrize("at", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("workers", [0, 1])
def test_an_interrupted_run_keeps_what_was_encoded_and_ends_with_the_same_bytes(
    tmp_path: Path, at: int, workers: int
) -> None:
    table, out = make_photos(tmp_path, 11, 2), tmp_path / "c"
    (tmp_path / "img" / "001_1.jpg").unlink()
    said = rf"^interrupted; {4 * (at - 1)} of 22 rows are kept in .*: run the same command again"
    with pytest.raises(KeyboardInterrupt, match=said):
        encode(table, Interrupted(at=at), out, batch_size=4, workers=workers)
    assert not list(out.glob("features-*"))
    later = Interrupted(at=99)
    encode(table, later, out, batch_size=4, workers=workers)
    assert sum(later.calls) == 22 - 4 * (at - 1) - (at == 1)  # row 3 has no image
    encode(table, TinyEncoder(), tmp_path / "whole", batch_size=4)
    assert files(out) == files(tmp_path / "whole")


def test_failures_keep_what_was_encoded_too(tmp_path: Path) -> None:
    table, out = make_photos(tmp_path, 6, 2), tmp_path / "c"
    with pytest.raises(RuntimeError):
        encode(table, Interrupted(at=3, error=RuntimeError), out, batch_size=4)
    assert read_partial(out, 0, 8)[0].shape == (8, 8)  # type: ignore[index]


def test_interrupted_again_and_again_a_run_comes_to_its_end(tmp_path: Path) -> None:
    table, out = make_photos(tmp_path, 11, 2), tmp_path / "c"
    runs = 0
    while not (list(out.glob("features-*")) if out.exists() else []):
        runs += 1
        try:
            encode(table, Interrupted(at=2), out, batch_size=4)
        except KeyboardInterrupt:
            continue
    assert runs == 6  # one batch each
    encode(table, TinyEncoder(), tmp_path / "whole", batch_size=4)
    assert files(out) == files(tmp_path / "whole")


def test_a_killed_run_loses_what_was_encoded_since_the_last_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(journal.time, "monotonic", lambda: now[0])
    kept = Journal(tmp_path, 8)
    features = np.arange(64, dtype=np.float32).reshape(8, 8)
    kept.keep(0, features[:4], {})
    assert read_partial(tmp_path, 0, 8) is None
    now[0] = journal.JOURNAL_SECONDS
    kept.keep(0, features[:6], {})
    now[0] += journal.JOURNAL_SECONDS - 1
    kept.keep(0, features, {})
    np.testing.assert_array_equal(read_partial(tmp_path, 0, 8)[0], features[:6])  # type: ignore[index]


def test_a_killed_process_goes_on_from_its_journal(tmp_path: Path) -> None:
    table, out = make_photos(tmp_path, 40, 1), tmp_path / "c"
    script = (
        "import os, signal, sys\n"
        "from geocell.encoding import encode, journal\n"
        "from tests.encoding.tiny import TinyEncoder\n"
        "journal.JOURNAL_SECONDS = 0\n"
        "class Killed(TinyEncoder):\n"
        "    calls = []\n"
        "    def __call__(self, pixels):\n"
        "        self.calls.append(1)\n"
        "        if len(self.calls) == 6: os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return super().__call__(pixels)\n"
        "encode(sys.argv[1], Killed(), sys.argv[2], batch_size=4, workers=0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(table), str(out)], check=False, env=environment, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL
    assert len(read_partial(out, 0, 8)[0]) == 16  # type: ignore[index] # the fifth batch was not asked for yet
    later = Interrupted(at=99)
    encode(table, later, out, batch_size=4)
    assert sum(later.calls) == 24
    assert verify_cache(out) == []
    assert not list(out.glob(".*"))


def test_damaged_and_foreign_journals_are_encoded_again(tmp_path: Path) -> None:
    table = make_photos(tmp_path, 11, 2)
    encode(table, TinyEncoder(), tmp_path / "whole", batch_size=4)
    for name, spoil in (
        ("cut", lambda path: path.write_bytes(path.read_bytes()[:-1])),
        ("flipped", lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\x7b")),
        ("none", lambda path: path.write_bytes(b"")),
        ("wide", lambda path: write_partial(path.parent, 0, np.zeros((4, 9)), {})),
        (
            "long",
            lambda path: write_partial(
                path.parent, 0, FeatureCache.open(tmp_path / "whole").features[[*range(22)] * 2], {}
            ),
        ),
    ):
        out = tmp_path / name
        with pytest.raises(KeyboardInterrupt):
            encode(table, Interrupted(at=3), out, batch_size=4)
        spoil(partial_path(out, 0))
        encode(table, TinyEncoder(), out, batch_size=4)
        assert files(out) == files(tmp_path / "whole"), name


def test_a_retry_encodes_rows_with_problems_of_a_journal_again(tmp_path: Path) -> None:
    table, out = make_photos(tmp_path, 11, 2), tmp_path / "c"
    image = tmp_path / "img" / "002_1.jpg"  # row 5
    content = image.read_bytes()
    image.write_bytes(b"")
    encode(table, TinyEncoder(), out, batch_size=4)
    with pytest.raises(KeyboardInterrupt):
        encode(table, Interrupted(at=4), out, batch_size=4, retry=True)
    assert len(read_partial(out, 0, 8)[0]) == 12  # type: ignore[index]
    image.write_bytes(content)
    later = Interrupted(at=99)
    encode(table, later, out, batch_size=4, retry=True)
    assert sum(later.calls) == 18  # from the batch of the repaired image on
    encode(table, TinyEncoder(), tmp_path / "whole", batch_size=4)
    assert files(out) == files(tmp_path / "whole")


def test_a_new_cache_never_takes_rows_of_an_old_one(tmp_path: Path) -> None:
    table, out = make_photos(tmp_path, 11, 2), tmp_path / "c"
    with pytest.raises(KeyboardInterrupt):
        encode(table, Interrupted(at=3), out, batch_size=4)
    for path in out.iterdir():
        if not path.name.startswith("."):
            path.unlink()  # as `rm c/*` does
    table.write_text("\n".join([table.read_text().splitlines()[i] for i in (0, *range(22, 0, -1))]) + "\n")
    encode(table, TinyEncoder(), out, batch_size=4)
    encode(table, TinyEncoder(), tmp_path / "whole", batch_size=4)
    assert files(out) == files(tmp_path / "whole")


def test_ctrl_c_in_the_command_says_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = make_photos(tmp_path, 11, 2)
    mine = ModuleType("mine")
    mine.make = lambda: Interrupted(at=3)  # type: ignore[attr-defined]
    monkeypatch.setattr("geocell.cli.app._quiet_third_parties", lambda: None)  # for all of the process
    monkeypatch.setitem(sys.modules, "mine", mine)
    command = f"encode {table} --encoder mine:make --batch-size 4 --device cpu --out {tmp_path / 'c'}"
    assert main(command.split()) == 130
    said = capsys.readouterr().err
    assert "8 of 22 rows are kept" in said
    assert "run the same command again" in said
    assert "Traceback" not in said
