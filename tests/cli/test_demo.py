"""The commands `demo` and `push-demo` as they are typed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from geocell.cli import main
from tests.demo.test_space import ENCODER
from tests.worlds import fit_by_command


def refused(capsys: pytest.CaptureFixture[str], command: str, status: int = 2) -> str:
    assert main(command.split()) == status
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_flags_that_do_not_make_a_demo(capsys: pytest.CaptureFixture[str]) -> None:
    assert "a quiz needs --quiz CACHE and --splits FILE" in refused(capsys, "demo head --quiz cache")
    assert "--images says where the images of a quiz are" in refused(capsys, "demo head --images photos.csv")
    assert "--port must be from 1 to 65535, got 0" in refused(capsys, "demo head --port 0")
    assert "written user/repo" in refused(capsys, "push-demo head where")


def test_a_missing_extra_is_one_sentence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocell.demo.server.find_spec", lambda _name: None)
    for command in ("demo head", "push-demo head me/where"):
        said = refused(capsys, command, 1)
        assert 'the demo needs gradio, which is not installed: run pip install "geocell-heads[demo]"' in said


def test_no_head_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gradio")
    assert "there is no folder nowhere" in refused(capsys, "demo nowhere", 1)
    assert "there is no folder nowhere" in refused(capsys, "push-demo nowhere me/where --dry-run", 1)


def test_help_does_not_load_gradio() -> None:
    code = "import sys; from geocell.cli import main; main(['--help']); sys.exit('gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def test_a_space_is_shown_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gradio")
    head = fit_by_command(tmp_path, 40, 4, "0.6 0.2 0.2", "--epochs 1") / "head"
    config = json.loads((head / "config.json").read_text())
    config["encoder"] |= {"name": ENCODER.name, "source": ENCODER.source}
    (head / "config.json").write_text(json.dumps(config))
    (head / "hashes.json").unlink()
    capsys.readouterr()
    assert main(["push-demo", str(head), "me/where", "--dry-run", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["address"] is shown["folder"] is None
    assert "sdk: gradio" in shown["readme"]
    assert "run_demo" in shown["app"]
    assert main(["push-demo", str(head), "me/where", "--dry-run"]) == 0
    assert "me/where would get" in capsys.readouterr().out
    assert main(["push-demo", str(head), "me/where", "--out", str(tmp_path / "space")]) == 0
    assert (tmp_path / "space/app.py").read_text() == shown["app"]
    assert shown["files"] == {
        p.relative_to(tmp_path / "space").as_posix(): p.stat().st_size
        for p in (tmp_path / "space").rglob("*")
        if p.is_file()
    }
    assert "exists" in refused(capsys, f"push-demo {head} me/where --out {tmp_path}/space", 1)
