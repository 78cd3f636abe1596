import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import gpu


def test_without_a_card_one_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="needs a CUDA card, and torch sees none"):
        gpu.main(["--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_a_piece_that_fails_costs_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_piece(name: str, setting: gpu.Setting, limit: float, log: Path) -> tuple[gpu.Found, str]:
        assert limit <= gpu.PIECES[name][1]
        assert setting == gpu.Setting("cpu", False)
        return ({}, "more than 60 s") if name == "fit" else ({"seconds": 200.0, "rows": 13}, "")

    monkeypatch.setattr(gpu, "run_piece", run_piece)
    assert gpu.main(["--out", str(tmp_path), "--device", "cpu", "--only", "fit", "rows"]) == 1
    with (tmp_path / "gpu.csv").open(newline="") as file:
        lines = [
            (row["piece"], row["what"], row["value"], row["reached"], row["problem"]) for row in csv.DictReader(file)
        ]
    assert lines == [
        ("fit", "", "", "no", "more than 60 s"),
        ("rows", "seconds", "200", "no", ""),
        ("rows", "rows", "13", "", ""),
    ]
    assert "reached=no" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("piece", "what", "value", "reached"),
    [
        ("encode", "share_of_gemm", 0.46, True),
        ("encode", "share_of_gemm", 0.44, False),
        ("fit", "seconds", 19.9, True),
        ("rows", "seconds", 181.0, False),
    ],
)
def test_goals(piece: str, what: str, value: float, reached: bool) -> None:
    assert gpu.GOALS[piece, what].reached(value) == reached


def test_all_pieces_together_are_bounded() -> None:
    assert sum(seconds for _, seconds in gpu.PIECES.values()) <= gpu.LIMIT + 100
    assert gpu.LIMIT == 600


def test_a_piece_that_takes_too_long_or_ends_badly_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = gpu.Setting("cpu", True)

    def late(*args: object, **kwargs: object) -> None:
        raise subprocess.TimeoutExpired("x", 7, "out", "err")

    def bad(*args: object, **kwargs: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([sys.executable], 1, "", "Traceback\nValueError: no\n")

    monkeypatch.setattr(subprocess, "run", late)
    assert gpu.run_piece("fit", setting, 7, tmp_path / "log") == ({}, "more than 7 s")
    monkeypatch.setattr(subprocess, "run", bad)
    assert gpu.run_piece("fit", setting, 7, tmp_path / "log") == ({}, "ValueError: no")
    assert "Traceback" in (tmp_path / "log").read_text()


def test_quick_numbers_are_held_against_no_goal() -> None:
    (line,) = gpu.lines_of("fit", {"seconds": 1.0}, "", 1.0, held=False)
    assert (line["value"], line["goal"], line["reached"]) == ("1", "", "")
