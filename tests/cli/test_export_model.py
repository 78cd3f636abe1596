"""The command that exports heads."""

import json
from pathlib import Path

import pytest

from geocell.cli import main
from tests.exporting.exports import random_head


@pytest.fixture
def head(tmp_path: Path) -> Path:
    random_head().save(tmp_path / "head")
    return tmp_path / "head"


def test_it_says_what_it_wrote(head: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export-model", str(head), "--to", "pt2", "--out", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "features (batch × 8) → probabilities of 7 cells" in text
    assert "parity with the library on 256 rows (random features), torch" in text
    flags = ["--overwrite", "--json"]
    assert main(["export-model", str(head), "--to", "pt2", "--out", str(tmp_path / "out"), *flags]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["parity"] == json.loads((tmp_path / "out/parity.json").read_text())
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert value["manifest"]["n_cells"] == len(manifest["cells"]) == 7
    assert "cells" not in value["manifest"]


@pytest.mark.parametrize(
    ("flags", "status", "sentence"),
    [
        ("--photos p --cache c", 2, "parity is measured on --photos or on --cache, got both: leave one out."),
        ("--with-encoder --cache c", 2, "a graph with its encoder reads pixels, and a cache has features"),
        ("--decode nonsense", 2, "decode must be one of"),
        ("--to tflite", 2, "tflite"),
        ("--cache nowhere", 1, "nowhere"),
    ],
)
def test_bad_flags_are_one_sentence(
    head: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: str, status: int, sentence: str
) -> None:
    words = flags.split() if "--to" in flags else ["--to", "pt2", *flags.split()]
    assert main(["export-model", str(head), "--out", str(tmp_path / "out"), *words]) == status
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
