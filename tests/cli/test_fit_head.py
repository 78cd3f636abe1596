"""`fit-head`: interrupts, the lock of its folder, and splits that share coordinates."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from geocell.cli import main
from geocell.files import folder_lock
from geocell.splits.splits import Splits
from geocell.training.validation import Validation
from tests.sweeps.sweep_worlds import make_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cache, splits and a partition."""
    folder = make_world(tmp_path_factory.mktemp("world"))
    command = f"partition kmeans --k 4 --cache {folder}/cache --splits {folder}/splits.json --out {folder}/cells"
    assert main(command.split()) == 0
    return folder


def fit(world: Path, out: Path, rest: str = "", splits: Path | None = None) -> int:
    where = f"--cache {world}/cache --splits {splits or world / 'splits.json'} --partition {world}/cells"
    return main(f"fit-head {where} --out {out} --device cpu --epochs 3 {rest}".split())


def interrupt_at(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    """Press Ctrl-C, as it were, while an epoch is scored."""
    validate, calls = Validation.score, list[int]()

    def score(*args: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) == epoch:
            raise KeyboardInterrupt
        return validate(*args)

    monkeypatch.setattr(Validation, "score", score)


def test_an_interrupted_fit_ends_with_130_and_says_what_is_kept(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capsys.readouterr()
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3)
        assert fit(world, tmp_path / "h", "--json") == 130
    captured = capsys.readouterr()
    assert json.loads(captured.out)["training"]["interrupted"] is True
    message = captured.err.splitlines()[-1]
    assert message.startswith(f"geocell: interrupted after epoch 2: {tmp_path}/h holds ")
    assert "--resume" in message
    assert (tmp_path / "h" / "model.safetensors").is_file()
    assert fit(world, tmp_path / "h") == 1  # neither the head nor the state is thrown away unasked
    assert "--resume" in capsys.readouterr().err
    assert fit(world, tmp_path / "h", "--resume") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["h"]


def test_an_interrupt_before_the_first_epoch_keeps_nothing(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(monkeypatch, 1)
    assert fit(world, tmp_path / "h") == 130
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("geocell: interrupted in the first epoch: nothing is kept")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_before_another_epoch_keeps_the_state(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        interrupt_at(patch, 2)
        assert fit(world, tmp_path / "h") == 130
    state = (tmp_path / "h.fit").read_bytes()
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr("geocell.training.fit.fit_head", interrupted)  # as it reads the state
        assert fit(world, tmp_path / "h", "--resume") == 130
    message = capsys.readouterr().err.splitlines()[-1]
    assert f"{tmp_path}/h.fit" in message
    assert "--resume" in message
    assert (tmp_path / "h.fit").read_bytes() == state


def test_two_fits_do_not_share_a_folder(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with folder_lock(tmp_path / "h"):
        assert fit(world, tmp_path / "h") == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"geocell: another process is writing {tmp_path}/h: ")
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


HOLD = """
import sys, threading
from pathlib import Path
from geocell.files import folder_lock

with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    threading.Event().wait()
"""


def test_the_lock_of_a_killed_fit_does_not_block(world: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "h"], stdout=subprocess.PIPE, text=True, env=environment
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert fit(world, tmp_path / "h") == 1
        other.send_signal(signal.SIGKILL)
    assert [path.name for path in tmp_path.iterdir()] == [".h.lock"]
    assert fit(world, tmp_path / "h") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["h"]


WRITE = """
import sys, threading
from contextlib import ExitStack
from pathlib import Path
from geocell.files import atomic_path

with ExitStack() as stack:
    for path in map(Path, sys.argv[1:]):
        stack.enter_context(atomic_path(path)).write_text("half")
    print("half", flush=True)
    threading.Event().wait()
"""


def test_scoring_removes_what_a_killed_one_left(world: Path, tmp_path: Path) -> None:
    assert fit(world, tmp_path / "h") == 0
    targets = [tmp_path / "h" / name for name in ("scores.json", "README.md")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", WRITE, *targets], stdout=subprocess.PIPE, text=True, env=environment
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "half\n"
        other.send_signal(signal.SIGKILL)
    assert len(list((tmp_path / "h").glob(".*"))) == 2
    assert main(f"score {tmp_path}/h --cache {world}/cache --splits {world}/splits.json".split()) == 0
    assert list((tmp_path / "h").glob(".*")) == []


def test_a_fit_that_was_killed_after_its_last_state_leaves_nothing(world: Path, tmp_path: Path) -> None:
    """No epoch is left to be done, so that no state is written again, which would clean up after the last one."""
    with pytest.MonkeyPatch.context() as patch:
        unlink = Path.unlink
        patch.setattr(Path, "unlink", lambda path, **kw: None if path.suffix == ".fit" else unlink(path, **kw))
        assert fit(world, tmp_path / "h") == 0
    whole = {path.name: path.read_bytes() for path in (tmp_path / "h").iterdir()}
    (tmp_path / ".h.fit.abcdefgh.geocell-tmp").mkdir()
    assert fit(world, tmp_path / "h", "--resume") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["h"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "h").iterdir()} == whole


@pytest.fixture
def shared(world: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A world in which two validation locations and one test location have coordinates of training locations."""
    folder = make_world(tmp_path / "shared", same_place={"loc050": "loc000", "loc051": "loc001", "loc070": "loc002"})
    (folder / "cells").symlink_to(world / "cells")
    return folder, folder / "splits.json"


def test_shared_coordinates_are_said_and_recorded(
    shared: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, splits = shared
    capsys.readouterr()
    assert fit(folder, tmp_path / "h", splits=splits) == 0
    captured = capsys.readouterr()
    assert "2 of 15 val locations have the coordinates of a training location" in captured.err
    assert "2 validation locations have the coordinates of a training location" in captured.out
    assert json.loads((tmp_path / "h" / "config.json").read_text())["training"]["n_val_at_training_coordinates"] == 2
    base = f"score {tmp_path}/h --cache {folder}/cache --splits {splits}"
    assert main(base.split()) == 0
    assert "1 of 25 test locations has the coordinates of a training location" in capsys.readouterr().err
    assert json.loads((tmp_path / "h" / "scores.json").read_text())["n_at_training_coordinates"] == 1
    card = (tmp_path / "h" / "README.md").read_text()
    said = "1 of the 25 scored locations (4 %) has the coordinates of a training location"
    assert said in card
    assert "2 validation locations at coordinates of training locations" in card
    assert main([*base.split(), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["remark"].startswith(said)
    assert main(base.split()) == 0
    assert said in capsys.readouterr().out
    assert main([*base.split(), "--split", "val", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["remark"].startswith("2 of the 15 scored locations (13 %) have")


def test_splits_that_share_nothing_are_not_remarked(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert fit(world, tmp_path / "h") == 0
    captured = capsys.readouterr()
    assert "coordinates" not in captured.err + captured.out
    assert main(f"score {tmp_path}/h --cache {world}/cache --splits {world}/splits.json --json".split()) == 0
    assert "remark" not in json.loads(capsys.readouterr().out)
    assert "coordinates of a training location" not in (tmp_path / "h" / "README.md").read_text()
    assert json.loads((tmp_path / "h" / "config.json").read_text())["training"]["n_val_at_training_coordinates"] == 0


def test_wrong_usage_is_found_before_anything_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = f"fit-head --cache none --splits none --partition none --out {tmp_path}/h"
    for flags, words in {
        "--device cuda:7": "device must be auto or one of",
        f"--seed {2**64}": "seed must be",
        f"--seed {10**30}": "seed must be",
        "--seed -1": "seed must be",
    }.items():
        assert main([*nothing.split(), *flags.split()]) == 2, flags
        captured = capsys.readouterr()
        assert words in captured.err
        assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_splits_is_said(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(world, tmp_path / "h", splits=world) == 1
    assert f"geocell: splits must be a file, got the folder {world}: name splits.json in it." in capsys.readouterr().err


def test_the_largest_seed_fits(world: Path, tmp_path: Path) -> None:
    assert fit(world, tmp_path / "h", f"--seed {2**63 - 1}") == 0
    assert Splits.load(world / "splits.json").seed is None


def test_leaks_with_a_head_and_a_picture(
    shared: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, splits = shared
    assert fit(folder, tmp_path / "h", splits=splits) == 0
    command = f"leaks {folder}/cache --splits {splits} --head {tmp_path}/h"
    capsys.readouterr()
    assert main([*command.split(), "--json", "--plot", f"{tmp_path}/leaks.png"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["verdict"].startswith("leaks: 13 % of the val locations and 4 % of the test locations share coord")
    assert result["splits"]["test"]["n_trained_on"] == 0
    by_bin = result["splits"]["test"]["scores"]
    assert sum(values["n_locations"] for values in by_bin.values()) == 25
    assert (tmp_path / "leaks.png").stat().st_size > 1000
    assert main(command.split()) == 0
    assert "decoder centroid" in capsys.readouterr().out
    for flags in ("--cosine 0", f"--plot {tmp_path}/x.jpg", "--decode nothing"):
        assert main([*command.split(), *flags.split()]) == 2, flags
        assert capsys.readouterr().err.count("\n") == 1
