"""What commands print: a hostile name reaches the terminal as text, and JSON as the same name."""

import json
import math
from pathlib import Path

import pytest

from geocell.cli import main
from geocell.cli.output import Interrupted, emit, note

HOSTILE = "a\x1b[2J\x9b31m\x7f\u202eb\u2028c"


def is_harmless(text: str) -> bool:
    return not set(text) & set("\x1b\x9b\x7f\u202e\u2028")


def test_text_keeps_its_lines_and_loses_its_controls(capsys: pytest.CaptureFixture[str]) -> None:
    emit({}, f"{HOSTILE}\nsecond", as_json=False)
    out = capsys.readouterr().out
    assert is_harmless(out)
    assert out.splitlines()[1] == "second"
    assert out.startswith("a\ufffd[2J\ufffd31m\ufffd\ufffdb c")


def test_json_keeps_every_name(capsys: pytest.CaptureFixture[str]) -> None:
    result = {HOSTILE: [HOSTILE, "Łódź 𝔸 \n\t"], "half": "\ud800"}
    emit(result, "", as_json=True)
    out = capsys.readouterr().out
    assert is_harmless(out)
    assert "Łódź 𝔸" in out
    assert json.loads(out) == result


def test_json_is_strict() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        emit({"x": math.nan}, "", as_json=True)


def test_tables_are_folded_to_a_terminal_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.csv").write_text("id,lat,lon\na,1,2\nb,30,40\nc,50,60\n")
    table = str(tmp_path / "t.csv")
    command = ["score", "--predictions", table, "--truth", table]
    assert main(command) == 0
    wide = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "80")
    assert main(command) == 0
    assert capsys.readouterr().out == wide
    assert max(map(len, wide.splitlines())) > 100
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(command) == 0
    narrow = capsys.readouterr().out
    assert max(map(len, narrow.splitlines())) <= 80
    wide_words, narrow_words = ({word for word in text.split() if "─" not in word} for text in (wide, narrow))
    assert narrow_words == wide_words
    monkeypatch.setenv("COLUMNS", "300")
    assert main(command) == 0
    assert capsys.readouterr().out == wide
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_locations"] == 3


def test_a_note_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    note(f"{HOSTILE}\nsecond")
    err = capsys.readouterr().err
    assert is_harmless(err)
    assert err.count("\n") == 1


@pytest.mark.parametrize("flags", [[], ["--verbose"]])
def test_errors_about_a_hostile_path(flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "info", str(tmp_path / HOSTILE), *flags]) == 1
    err = capsys.readouterr().err
    assert is_harmless(err)
    assert "a\ufffd[2J" in err


def test_the_message_of_an_interrupt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise Interrupted(f"interrupted: {HOSTILE} keeps it.")

    monkeypatch.setattr("geocell.features.FeatureCache.open", interrupted)
    assert main(["cache", "info", str(tmp_path)]) == 130
    err = capsys.readouterr().err
    assert err.startswith("geocell: interrupted: a\ufffd[2J")
    assert is_harmless(err)
