"""Commands that set heads side by side, as a person uses them."""

import json
from pathlib import Path

import numpy as np
import pytest

from geocell.cli import main
from geocell.encoding import import_features
from geocell.views import read_views
from tests.worlds import INFO

N_LOCATIONS = 120


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cache whose features tell roughly where they are, and splits."""
    folder = tmp_path_factory.mktemp("road")
    rng = np.random.default_rng(0)
    latlon = np.stack((rng.uniform(40, 60, N_LOCATIONS), rng.uniform(0, 20, N_LOCATIONS)), axis=1)
    features = np.concatenate((latlon / 5, rng.normal(size=(N_LOCATIONS, INFO.dim - 2))), axis=1).astype(np.float32)
    rows = [f"v{i},{lat:.5f},{lon:.5f},loc{i:03d}" for i, (lat, lon) in enumerate(latlon)]
    (folder / "photos.csv").write_text("\n".join(["file_name,latitude,longitude,location", *rows]) + "\n")
    table = read_views(folder / "photos.csv", images_optional=True)
    np.save(folder / "features.npy", features)
    import_features(folder / "features.npy", folder / "cache", table=table, encoder=INFO)
    assert main(f"split {folder}/cache --out {folder}/splits.json --fractions 0.5 0.2 0.3".split()) == 0
    return folder


def base(road: Path) -> str:
    return f"--cache {road}/cache --splits {road}/splits.json"


@pytest.fixture(scope="module")
def heads(road: Path) -> Path:
    """Two heads, one of a single epoch."""
    assert main(f"partition kmeans --k 8 {base(road)} --out {road}/cells".split()) == 0
    for name, epochs in (("short", 1), ("long", 20)):
        fit = f"fit-head {base(road)} --partition {road}/cells --out {road}/{name} --device cpu --epochs {epochs}"
        assert main(fit.split()) == 0
    return road


def test_compare_prints_a_table_and_a_sentence(heads: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    command = f"compare {heads}/long {heads}/short {base(heads)} --split val --decode mean"
    assert main(command.split()) == 0
    text = capsys.readouterr().out
    assert "A − B" in text
    assert main([*command.split(), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["decoder"], value["split"], value["n_locations"]) == ("mean", "val", 24)
    assert value["sentence"] == text.splitlines()[-1]
    assert value["differences"]["mean_km"] == pytest.approx(value["a"]["mean_km"] - value["b"]["mean_km"])


def test_compare_refuses_what_is_no_head(heads: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(f"compare {heads}/long {heads}/cells {base(heads)}".split()) == 1
    assert "config.json" in capsys.readouterr().err
    assert main(f"compare {heads}/long {heads}/short {base(heads)} --split dev".split()) == 2
    assert "split must be one of train, val, test, got 'dev'" in capsys.readouterr().err
    assert main(f"compare {heads}/long {base(heads)}".split()) == 2
    assert main(f"compare {heads}/long {heads}/short {base(heads)} --decode best".split()) == 2


def test_sweep_refuses_a_split_that_is_not_there(road: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (road / "one.toml").write_text('[sweep]\npartitions = ["one"]\n')
    assert main(f"sweep {road}/one.toml {base(road)} --out {road}/none --split dev".split()) == 2
    assert "got 'dev': name one" in capsys.readouterr().err
    assert not (road / "none").exists()


def test_sweep_prints_a_table_and_reports_what_failed(road: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, k in (("eight", 8), ("many", 800)):
        (road / "partitions" / name).mkdir(parents=True)
        (road / "partitions" / name / "recipe.toml").write_text(f'[partition]\nkind = "kmeans"\nk = {k}\n')
    recipe = road / "sweep.toml"
    recipe.write_text('[sweep]\npartitions = ["eight"]\n[fit]\nepochs = 2\n')
    command = f"sweep {recipe} {base(road)} --out {road}/sweep --seeds 0 3 --jobs 1 --device cpu"
    assert main(command.split()) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[2].split()[:4] == ["eight", "eight", "8", "2"]
    assert captured.err == ""
    assert main([*command.split(), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert [line["seed"] for line in value["results"]] == [0, 3]
    recipe.write_text('[sweep]\npartitions = ["eight", "many"]\n[fit]\nepochs = 2\n')
    assert main(command.split()) == 1
    captured = capsys.readouterr()
    assert "many was not fitted: KMeansPartitioner: k must be at most" in captured.out
    assert captured.err.startswith(
        "geocell: 1 of 2 rows were not fitted, many, the first for this reason: KMeansPartitioner: k"
    )
    assert captured.err.count("\n") == 1
    assert main(command.replace("--jobs 1", "--jobs=-1").split()) == 2
    assert "jobs must be a whole number of at least 0" in capsys.readouterr().err
    assert main(f"sweep {road}/nowhere.toml {base(road)} --out {road}/other".split()) == 1
    assert "there is none at" in capsys.readouterr().err
