"""What `score` shows beside the scores of a head: baselines, countries, and what leaves them out."""

import json
from pathlib import Path

import pytest

from geocell.cli import main
from tests.worlds import fit_by_command


def test_baselines_and_countries_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = fit_by_command(tmp_path, 120, 6, "0.6 0.2 0.2", "--epochs 2")
    capsys.readouterr()
    command = ["score", str(folder / "head"), "--cache", str(folder / "cache"), "--out", str(folder / "s.json")]
    splits = ["--splits", str(folder / "splits.json")]
    assert main([*command, *splits, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert set(scores["baselines"]) == {"majority cell", "1-NN"}
    assert scores["baselines"]["1-NN"]["n_train"] == 72
    assert scores["macro"]["n_countries"] == len(scores["countries"]) > 1
    assert json.loads((folder / "s.json").read_text()) == scores
    assert main([*command, *splits, "--overwrite", "--by-country"]) == 0
    text = capsys.readouterr().out
    assert "1-NN: the nearest of 72 training locations" in text
    assert f"mean over {len(scores['countries'])} countries" in text
    table = text.split("\n\n")[-1].splitlines()
    assert [line.split()[0] for line in table[2:]] == sorted(
        scores["countries"], key=lambda name: (-scores["countries"][name]["n_locations"], name)
    )
    assert main([*command, *splits, "--overwrite", "--no-baselines", "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert "baselines" not in plain
    assert plain["balscore"] == scores["balscore"]
    assert main([*command, "--overwrite", "--allow-training", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["baselines"]) == {"majority cell"}
