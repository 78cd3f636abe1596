"""Command lines that lack something or have too much: what was expected, what came, what to type."""

from pathlib import Path

import pytest

from geocell.cli import main
from geocell.cli.mistyped import is_table_file


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "partition kmeans --cache none --out cells",
            "`geocell partition kmeans` needs --k, got none: add `--k NUMBER`, see `geocell partition kmeans --help`.",
        ),
        (
            "partition kmeans --cache none --out cells --kk 3",
            "`geocell partition kmeans` needs --k, got none: did you mean --k instead of --kk? Else see "
            "`geocell partition kmeans --help`.",
        ),
        ("split c", "`geocell split` needs --out, got none: add `--out PATH`, see `geocell split --help`."),
        ("partition kmeans --cache c --k", "--k needs a value, got none: see `geocell partition kmeans --help`."),
        ("encode --out c", "`geocell encode` needs IMAGES, got none: name it, see `geocell encode --help`."),
        (
            "split a b --out c",
            "`geocell split` takes fewer arguments without a flag, got b beyond them: say by its flag what it is, or "
            "leave it out; see `geocell split --help`.",
        ),
        (
            "score p.csv t.csv",
            "score takes heads without a flag, got the table t.csv beyond them: to score tables of predictions, type "
            "`geocell score --predictions p.csv --truth t.csv`.",
        ),
        (
            "score p.csv",
            "score takes heads without a flag, got the table p.csv: to score tables of predictions, type "
            "`geocell score --predictions p.csv --truth FILE`.",
        ),
        (
            "compare p.csv t.csv --cache c",
            "compare takes heads without a flag, got the table p.csv: to compare tables of predictions, type "
            "`geocell compare --predictions p.csv t.csv --truth FILE`.",
        ),
        (
            "compare p.csv p.csv t.csv",
            "compare takes heads without a flag, got the table t.csv beyond them: to compare tables of predictions, "
            "type `geocell compare --predictions p.csv p.csv --truth t.csv`.",
        ),
        (
            "score head other --cache c",
            "`geocell score` takes fewer arguments without a flag, got other beyond them: say by its flag what it is, "
            "or leave it out; see `geocell score --help`.",
        ),
    ],
)
def test_the_next_step_is_said(
    command: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("p.csv", "t.csv"):
        Path(name).write_text("id,lat,lon\na,1,2\n")
    assert main(command.split()) == 2
    assert capsys.readouterr().err == f"geocell: {message}\n"


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("1nn", "did you mean 1-nn?"),
        ("zeroshot", "did you mean zero-shot?"),
        ("Majorty", "did you mean majority?"),
        ("other", "check the path."),
    ],
)
def test_a_misspelt_baseline_is_one_of_those(
    name: str, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["compare", name, "1-nn", "--cache", "c", "--splits", "s.json"]) == 1
    assert capsys.readouterr().err == (
        "geocell: expected the folder of a head, user/repo@revision on the Hub, or one of the baselines zero-shot, "
        f"zero-shot:CANDIDATES.csv, 1-nn or majority, got {name}, which is none of them: {step}\n"
    )


def test_what_is_a_table(tmp_path: Path) -> None:
    for name in ("a.csv", "a.tsv.gz", "a.jsonl", "a.parquet", "a.jpg"):
        (tmp_path / name).touch()
    assert [is_table_file(str(tmp_path / name)) for name in ("a.csv", "a.tsv.gz", "a.jsonl", "a.parquet")] == [True] * 4
    assert not is_table_file(str(tmp_path / "a.jpg"))
    assert not is_table_file(str(tmp_path / "b.csv"))
    assert not is_table_file(str(tmp_path))
