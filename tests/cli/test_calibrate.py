"""`geocell calibrate` and `geocell decode`."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from geocell.cli import main
from geocell.heads.head import load_head
from tests.worlds import fit_by_command

N = 240


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cache, splits and a head that was fitted by the command."""
    return fit_by_command(tmp_path_factory.mktemp("fitted"), N, 12, "0.5 0.3 0.2", "--epochs 5 --batch-size 32")


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocell.cli.app._quiet_third_parties", lambda: None)


@pytest.fixture
def road(fitted: Path, tmp_path: Path) -> str:
    """Flags of the cache and the splits, for a copy of the head in `tmp_path`."""
    load_head(fitted / "head").save(tmp_path / "head")
    return f"{tmp_path}/head --cache {fitted}/cache --splits {fitted}/splits.json"


def test_calibrate_then_score_by_its_decoder(road: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = load_head(tmp_path / "head").sha256
    assert main(f"calibrate {road} --decode balscore --device cpu".split()) == 0
    out = capsys.readouterr().out
    assert "temperature" in out
    assert "radii around the answers of balscore contain the true position" in out
    learned = json.loads((tmp_path / "head" / "calibration.json").read_text())
    assert learned["record"]["split"] == "val"
    assert load_head(tmp_path / "head").sha256 != before
    assert main(f"score {road} --device cpu --json".split()) == 0
    scores = json.loads(capsys.readouterr().out)
    assert (scores["decoder"], scores["split"]) == ("balscore", "test")
    assert main(f"score {road} --device cpu --decode mean --json".split()) == 0
    assert json.loads(capsys.readouterr().out)["decoder"] == "mean"
    assert main(f"calibrate {road} --device cpu --json".split()) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["decoder"] == "centroid"
    assert again["temperature"] == pytest.approx(learned["temperature"], rel=1e-3)


@pytest.mark.parametrize("flags", ["", "--knn", "--places"])
def test_calibrated_again_a_head_has_the_same_bytes(road: str, tmp_path: Path, flags: str) -> None:
    found = []
    for _ in range(2):
        assert main(f"calibrate {road} --device cpu {flags}".split()) == 0
        found.append({path.name: path.read_bytes() for path in (tmp_path / "head").iterdir()})
    assert found[0].keys() == found[1].keys()
    assert [name for name in found[0] if found[0][name] != found[1][name]] == []


def test_the_region_is_learned_from_the_training_locations(
    road: str, fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = tmp_path / "head"
    assert main(f"calibrate {road} --device cpu --false-alarms 0.1".split()) == 0
    captured = capsys.readouterr()
    assert "outside the region: flagged above" in captured.out
    assert "10 % false alarms, by 72 validation locations" in captured.out
    assert captured.err == ""
    region = load_head(head).region
    assert region is not None
    assert (region.n_train, region.n_val, region.false_alarms) == (120, 72, 0.1)
    assert main(f"score {road} --device cpu --json --split val".split()) == 0
    assert 0 < json.loads(capsys.readouterr().out)["outside_region"] <= 0.1
    assert main(f"score {road} --device cpu".split()) == 0
    assert "flagged as outside the region in %" in capsys.readouterr().out
    assert "flagged (`outside_region`)" in (head / "README.md").read_text()
    assert main(f"push {head} me/head --dry-run".split()) == 0
    assert "region.safetensors" in capsys.readouterr().out

    splits = json.loads((fitted / "splits.json").read_text())
    few = {**splits, "splits": {**splits["splits"], "train": splits["splits"]["train"][:7]}}
    none = {**splits, "splits": {"val": splits["splits"]["val"]}}
    for number, (value, n) in enumerate(((few, 7), (none, 0))):
        (tmp_path / f"{number}.json").write_text(json.dumps(value))
        command = f"calibrate {head} --cache {fitted}/cache --splits {tmp_path}/{number}.json --device cpu --json"
        assert main(command.split()) == 0
        captured = capsys.readouterr()
        assert f"has {n} of the locations of split train" in captured.err
        assert "it stays as it was" in captured.err
        assert json.loads(captured.out)["region"] is None
    assert main(f"calibrate {road} --device cpu --json".split()) == 0
    learned = json.loads(capsys.readouterr().out)["region"]
    assert (learned["false_alarms"], learned["n_train"]) == (0.05, 120)
    assert main(f"calibrate {road} --device cpu --without-region".split()) == 0
    assert "outside the region" not in capsys.readouterr().out
    assert load_head(head).region is None


def test_decode_compares_on_validation_locations(road: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(f"decode {road} --device cpu --json".split()) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["split"], found["n_locations"], found["calibrated"]) == ("val", 72, False)
    assert set(found["left_out"]) == {
        "balscore", "offset", "geoscore:places=8", "balscore:places=8", "within:25,places=8",
    }  # fmt: skip
    assert main(f"decode {road} --device cpu --split test".split()) == 0
    captured = capsys.readouterr()
    assert "choose on val" in captured.err
    assert "within:200" in captured.out
    assert "geocell calibrate" in captured.out


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        ("calibrate {} --split test", 2, "learned on validation locations, got the split test"),
        ("calibrate {} --split nosuch", 2, "split must be one of train, val, test"),
        ("calibrate {} --false-alarms 5", 2, "false_alarms must be a share between 0 and 1, got 5"),
        ("calibrate {} --false-alarms 0.01", 1, "1 % false alarms needs at least 99 validation locations, got 72"),
        ("calibrate {} --false-alarms 0.1 --without-region", 2, "--false-alarms is of the region that"),
        ("calibrate {} --decode best", 2, "decode must be one of"),
        ("calibrate {} --decode json:loads", 2, "decode must be one of"),
        ("calibrate {} --decode offset", 1, "decode offset needs offsets"),
        ("calibrate {} --decode medoid:places=5", 1, "needs training places: `geocell calibrate … --places`"),
        ("calibrate {} --decode medoid:5", 2, "decode medoid must be written medoid:[places=N], got 1 parameters"),
        ("calibrate {} --knn --decode centroid", 2, "--knn is a decoder of its own, got --decode centroid too"),
        ("calibrate {} --knn --places", 2, "--knn has training places in its index already"),
        ("decode {} --split train", 2, "are training locations of the head"),
        ("compare {} {head} --decode balscore", 1, "decode balscore needs the shares"),
    ],
)
def test_bad_input_is_one_sentence(
    road: str, tmp_path: Path, command: str, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    head, _, flags = road.partition(" ")
    text = f"compare {head} {head} {flags} --decode balscore" if "{head}" in command else command.format(road)
    assert main(text.split()) == status
    message = capsys.readouterr().err.splitlines()[-1]
    assert words in message
    assert not (tmp_path / "head" / "calibration.json").exists()


def test_scores_on_splits_that_were_drawn_in_another_way_say_so(
    road: str, fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(f"calibrate {road} --device cpu --json".split()) == 0
    assert json.loads(capsys.readouterr().out)["record"]["protocol"] == "by location"
    assert main(f"score {road} --device cpu".split()) == 0
    assert "splits drawn" not in capsys.readouterr().err
    other = json.loads((fitted / "splits.json").read_text())
    (tmp_path / "other.json").write_text(json.dumps({**other, "protocol": "by cell:3"}))
    head, _, _ = road.partition(" ")
    command = f"score {head} --cache {fitted}/cache --splits {tmp_path}/other.json --device cpu"
    assert main(command.split()) == 0
    assert "calibrated on splits drawn by location, and these are drawn by cell:3" in capsys.readouterr().err


def test_knn_answers_from_an_index_in_the_folder(
    road: str, fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = tmp_path / "head"
    assert main(f"calibrate {road} --knn --device cpu --json".split()) == 0
    learned = json.loads(capsys.readouterr().out)
    assert learned["decoder"].startswith("knn:")
    index = load_head(head).neighbours
    assert index is not None
    train = json.loads((fitted / "splits.json").read_text())["splits"]["train"]
    assert len(index.latlon) == len(train)
    other = replace(index, features=index.features[::-1].copy())
    assert replace(load_head(head), neighbours=other).sha256 != load_head(head).sha256
    assert main(f"score {road} --device cpu --json".split()) == 0
    assert json.loads(capsys.readouterr().out)["decoder"] == learned["decoder"]
    assert main(f"decode {road} --device cpu --json".split()) == 0
    assert learned["decoder"] in json.loads(capsys.readouterr().out)["decoders"]
    assert main(f"push {head} me/head --dry-run".split()) == 1
    assert "pass --with-neighbours" in capsys.readouterr().err
    assert main(f"push {head} me/head --dry-run --with-neighbours".split()) == 0
    assert "neighbours.safetensors" in capsys.readouterr().out
    assert main(f"calibrate {road} --device cpu".split()) == 0  # the centroid again
    assert main(f"push {head} me/head --dry-run".split()) == 1  # of scores by the calibration before
    assert "score it again" in capsys.readouterr().err
    assert not (head / "neighbours.safetensors").exists()  # whom nobody asks any more, and who discloses places


def test_places_are_candidates_from_a_file_in_the_folder(
    road: str, fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = tmp_path / "head"
    assert main(f"calibrate {road} --places --device cpu --json".split()) == 0
    learned = json.loads(capsys.readouterr().out)
    assert re.fullmatch(r"balscore:0\.\d+,0\.\d+,0\.\d+,places=\d+", learned["decoder"])
    places = load_head(head).places
    assert places is not None
    train = json.loads((fitted / "splits.json").read_text())["splits"]["train"]
    assert places.counts.sum() == len(train)
    other = replace(places, counts=places.counts + 1)
    assert replace(load_head(head), places=other).sha256 != load_head(head).sha256
    assert main(f"score {road} --device cpu --json".split()) == 0
    assert json.loads(capsys.readouterr().out)["decoder"] == learned["decoder"]
    assert main(f"decode {road} --device cpu --json".split()) == 0
    assert {learned["decoder"], "within:25,places=8"} <= json.loads(capsys.readouterr().out)["decoders"].keys()
    assert main(f"push {head} me/head --dry-run".split()) == 1
    assert "decode by balscore, which needs its training places: pass --with-places" in capsys.readouterr().err
    assert main(f"push {head} me/head --dry-run --with-places".split()) == 0
    assert "places.safetensors" in capsys.readouterr().out
    assert main(f"calibrate {road} --decode within:25,places=3 --device cpu --json".split()) == 0  # of the file
    assert json.loads(capsys.readouterr().out)["decoder"] == "within:25,places=3"
    (head / "places.safetensors").unlink()
    assert main(f"score {road} --device cpu".split()) == 1
    assert "within:25,places=3 needs training places" in capsys.readouterr().err


def test_an_index_has_places_too(road: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(f"calibrate {road} --knn --device cpu".split()) == 0
    assert main(f"calibrate {road} --decode balscore:places=3 --device cpu".split()) == 0
    assert "removed" not in capsys.readouterr().err
    assert main(f"push {tmp_path}/head me/head --dry-run".split()) == 1
    assert "needs its training places, those of its index of features: pass --with-neighbours" in (
        capsys.readouterr().err
    )
    assert main(f"push {tmp_path}/head me/head --dry-run --with-neighbours".split()) == 0
    assert main(f"calibrate {road} --places --decode centroid --device cpu".split()) == 0
    assert "neighbours.safetensors is removed: centroid answers without it" in capsys.readouterr().err
    assert load_head(tmp_path / "head").places is not None  # asked for
    assert main(f"calibrate {road} --decode mean --device cpu".split()) == 0
    assert "places.safetensors is removed: mean answers without it" in capsys.readouterr().err
    assert load_head(tmp_path / "head").places is None
