"""The command that makes a report."""

import json
from pathlib import Path

import pytest

from geocell.cli import main
from tests.worlds import fit_by_command


def test_a_report_beside_another_head(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    folder = fit_by_command(tmp_path, 120, 6, "0.6 0.2 0.2", "--epochs 2")
    capsys.readouterr()
    command = [
        "report",
        str(folder / "head"),
        "--cache",
        str(folder / "cache"),
        "--splits",
        str(folder / "splits.json"),
    ]
    out = folder / "report.html"
    assert main([*command, "--against", str(folder / "head"), "1-NN", "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    value = json.loads((folder / "report.json").read_text())
    assert (told["report"], told["figures"]) == (str(out), [])
    assert told["balscore"] == value["scores"]["balscore"]
    assert [row["name"] for row in value["rows"]] == ["head", "head (2)", "majority cell", "1-NN"]
    assert told["sentences"] == [row["sentence"] for row in value["rows"][1:]]
    assert "Report of head" in out.read_text()
    assert str(tmp_path) not in out.read_text()
    assert main([*command, "--out", str(out)]) == 1
    assert "exists" in capsys.readouterr().err
    assert main([*command, "--out", str(out), "--overwrite", "--no-baselines", "--no-leaks", "--no-images"]) == 0
    assert "24 locations, balscore" in capsys.readouterr().out
    assert len(json.loads((folder / "report.json").read_text())["rows"]) == 1


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--out", "a.pdf"], "a report is written to a .html file, got 'a.pdf'"),
        (["--out", "a.html", "--split", "test"], "pass --splits FILE"),
        (["--out", "a.html", "--images", "x", "--no-images"], "pass one of them"),
        (["--out", "a.html", "--decode", "nonsense"], "nonsense"),
    ],
)
def test_wrong_usage_is_one_sentence(flags: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "head", "--cache", "cache", *flags]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
