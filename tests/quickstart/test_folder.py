"""The folder of a quickstart: continued, replaced, and never what somebody else put there."""

import json
from pathlib import Path

import pytest

from geocell.files import FORMAT
from geocell.quickstart.folder import KINDS, claim, require_replaceable

SETTINGS = {"format": FORMAT, "n_locations": 50, "seed": 0}


def test_a_run_is_continued_with_its_settings_alone(tmp_path: Path) -> None:
    out = tmp_path / "q"
    claim(out, SETTINGS, overwrite=False)
    (out / "world").mkdir()
    claim(out, SETTINGS, overwrite=False)
    assert (out / "world").is_dir()
    with pytest.raises(FileExistsError, match="a quickstart of other settings: name another folder"):
        claim(out, {**SETTINGS, "seed": 1}, overwrite=False)
    assert json.loads((out / "quickstart.json").read_text()) == SETTINGS


@pytest.mark.parametrize("overwrite", [False, True])
def test_another_folder_or_file_is_refused(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(FileExistsError, match="is not a quickstart"):
            claim(out, SETTINGS, overwrite=overwrite)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "foreign",
    ["notes.txt", "photos/a.jpg", "heads/mine/config.json", "partitions/mine/a.json", "streetclip/mine/a.csv"],
)
def test_overwrite_keeps_files_that_no_run_made(foreign: str, tmp_path: Path) -> None:
    """A folder with a quickstart in it may hold the user's own files too."""
    out = tmp_path / "q"
    claim(out, SETTINGS, overwrite=False)
    mine = out / foreign
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(FileExistsError, match="would delete") as caught:
        claim(out, SETTINGS, overwrite=True)
    assert "notes.txt" in str(caught.value) or foreign.split("/")[-2] in str(caught.value)
    assert mine.read_text() == "mine"
    assert (out / "quickstart.json").is_file()


def test_overwrite_replaces_a_run_of_other_settings(tmp_path: Path) -> None:
    out = tmp_path / "q"
    claim(out, SETTINGS, overwrite=False)
    for name in (
        "world",
        "world.part",
        "cache",
        "streetclip/model",
        "streetclip/.cache.lock",
        *(f"{folder}/{kind}" for folder in ("heads", "partitions") for kind in KINDS),
        "heads/h3-refit",
        "heads/.h3.abcdefgh.geocell-tmp",
    ):
        (out / name).mkdir(parents=True)
    for name in (".map.png.abcdefgh.geocell-tmp", ".world.lock", "splits.json", "countries.geojson", "scores.csv"):
        (out / name).touch()
    require_replaceable(out)
    claim(out, {**SETTINGS, "seed": 1}, overwrite=True)
    assert [path.name for path in out.iterdir()] == ["quickstart.json"]
    assert json.loads((out / "quickstart.json").read_text())["seed"] == 1
    assert list(tmp_path.iterdir()) == [out]


def test_the_working_directory_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    claim(Path(), SETTINGS, overwrite=False)
    with pytest.raises(ValueError, match="a folder of its own"):
        claim(Path(), SETTINGS, overwrite=True)
    assert (tmp_path / "quickstart.json").is_file()
