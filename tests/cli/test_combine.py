"""`geocell combine`, and the other commands on what it makes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geocell.cli import main
from geocell.features import FeatureCache
from geocell.heads.combination import load_combination
from geocell.heads.ensemble import Ensemble
from geocell.heads.head import load_head
from geocell.heads.zero_shot_folder import save_zero_shot
from geocell.imagetext.projection import Projection
from geocell.splits.splits import Splits
from tests.heads.test_ensemble import write_earlier_ensemble
from tests.worlds import fit_by_command
from tests.zeroshot.worlds import DIM, made

N = 240


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cache, splits, and two heads of different cells that were fitted by the command."""
    folder = fit_by_command(tmp_path_factory.mktemp("fitted"), N, 12, "0.5 0.3 0.2", "--epochs 5 --batch-size 32")
    source = f"--cache {folder}/cache --splits {folder}/splits.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("geocell.cli.app._quiet_third_parties", lambda: None)
        assert main(f"partition kmeans --k 20 {source} --out {folder}/more".split()) == 0
        fit = f"fit-head {source} --partition {folder}/more --out {folder}/other --device cpu --epochs 5"
        assert main(fit.split()) == 0
    return folder


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocell.cli.app._quiet_third_parties", lambda: None)


@pytest.fixture
def source(fitted: Path) -> str:
    return f"--cache {fitted}/cache --splits {fitted}/splits.json --device cpu"


def run(command: str, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert main(f"{command} --json".split()) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_a_combination_goes_through_all_commands(
    fitted: Path, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both, out = f"{fitted}/head {fitted}/other", tmp_path / "both"
    made = run(f"combine {both} {source} --knn --out {out}", capsys)
    assert made["n_candidates"] == 120
    assert made["record"]["split"] == "val"  # type: ignore[index]
    assert made["calibration"]["decoder"] == "balscore"  # type: ignore[index]
    scores = run(f"score {out} {source}", capsys)
    assert (scores["decoder"], scores["split"], scores["n_cells"]) == ("balscore", "test", 120)
    assert scores["head_sha256"] == load_combination(out).sha256
    assert json.loads((out / "scores.json").read_text())["balscore"] == scores["balscore"]
    card = (out / "README.md").read_text()
    assert "2 linear classifiers over different cells" in card
    assert "12 kmeans cells (k 12" in card
    assert "20 kmeans cells (k 20" in card
    assert card.count(", fitted on 120 locations") == 2
    assert "| fitted on | 120 locations |" in card
    assert "were chosen on 72 locations of the split val" in card
    assert set(run(f"decode {out} {source}", capsys)["decoders"]) >= {"balscore", "centroid"}  # type: ignore[call-overload]
    compared = run(f"compare {out} {fitted}/head {source.removesuffix(' --device cpu')} --decode medoid", capsys)
    assert compared["n_locations"] == 48
    assert run(f"calibrate {out} {source}", capsys)["decoder"] == "balscore"  # as `combine` had it
    learned = run(f"calibrate {out} {source} --decode within:200", capsys)
    assert learned["decoder"] == "within:200"
    assert load_combination(out).calibration is not None
    assert run(f"score {out} {source}", capsys)["decoder"] == "within:200"
    assert run(f"score {out} {source} --split val", capsys)["split"] == "val"
    sent = run(f"push {out} me/both --dry-run --with-neighbours", capsys)
    assert {"0/model.safetensors", "1/config.json", "pool.safetensors", "neighbours.safetensors"} <= set(sent["files"])  # type: ignore[call-overload]
    assert run(f"leaks {fitted}/cache --splits {fitted}/splits.json --head {out} --device cpu", capsys)["splits"]


def test_what_it_says(fitted: Path, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = f"{fitted}/head {fitted}/other"
    assert main(f"combine {both} {source} --pool linear --candidates pieces --out {tmp_path}/a".split()) == 0
    out = capsys.readouterr().out
    assert "2 heads on " in out
    assert "(pieces)" in out
    assert "linear pool, weights 0." in out
    assert "chosen on 72 locations of the split val, answers by balscore" in out
    assert main(f"combine {both} --out {tmp_path}/b".split()) == 0
    out = capsys.readouterr().out
    centroids = [load_head(fitted / name).partition.centroids for name in ("head", "other")]
    assert f"{len(np.unique(np.concatenate(centroids), axis=0))} candidates (centroids)" in out
    assert "linear pool, weights 0.50, 0.50" in out
    assert "not calibrated" in out
    assert main(f"combine {both} --out {tmp_path}/b --overwrite".split()) == 0


def test_splits_without_validation_locations(
    fitted: Path, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value = json.loads((fitted / "splits.json").read_text())
    del value["splits"]["val"]
    (tmp_path / "splits.json").write_text(json.dumps(value))
    flags = f"--cache {fitted}/cache --splits {tmp_path}/splits.json --device cpu"
    assert main(f"combine {fitted}/head {fitted}/other {flags} --out {tmp_path}/a".split()) == 0
    captured = capsys.readouterr()
    assert "has no validation locations: weights are equal, and nothing is calibrated" in captured.err
    assert "120 candidates (places)" in captured.out
    assert main(f"combine {fitted}/head {fitted}/other {flags} --decode mean --out {tmp_path}/b".split()) == 2
    assert "--decode mean is calibrated for on validation locations" in capsys.readouterr().err


def test_features_of_training_locations_are_read_for_their_vote_alone(
    fitted: Path, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, splits = FeatureCache.open(fitted / "cache"), Splits.load(fitted / "splits.json")
    expected = {name: splits.select(cache.locations(), name).rows.tolist() for name in ("train", "val")}
    read: set[int] = set()
    take = FeatureCache.take

    def noted(cache: FeatureCache, rows: np.ndarray) -> np.ndarray:
        read.update(rows.tolist())
        return take(cache, rows)

    monkeypatch.setattr(FeatureCache, "take", noted)
    monkeypatch.setattr(FeatureCache, "features", None)
    assert main(f"combine {fitted}/head {fitted}/other {source} --out {tmp_path}/a".split()) == 0
    assert read == set(expected["val"])


def test_an_ensemble_of_an_earlier_version_is_scored_and_made_a_combination(
    fitted: Path, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = load_head(fitted / "head")
    write_earlier_ensemble(tmp_path / "ensemble", (first, first))
    before = sorted(path.name for path in (tmp_path / "ensemble").iterdir())
    assert run(f"score {tmp_path}/ensemble {source}", capsys)["n_locations"] == 48
    assert sorted(path.name for path in (tmp_path / "ensemble").iterdir()) == before
    assert main(f"calibrate {tmp_path}/ensemble {source}".split()) == 1
    assert "make it a combination with `geocell combine`" in capsys.readouterr().err
    assert main(f"push {tmp_path}/ensemble me/it --dry-run".split()) == 1
    assert "make it a combination with `geocell combine" in capsys.readouterr().err
    parts = f"{tmp_path}/ensemble/0 {tmp_path}/ensemble/1"
    assert run(f"combine {parts} {source} --out {tmp_path}/made", capsys)["n_candidates"] == 12
    assert run(f"score {tmp_path}/made {source}", capsys)["top1"] is not None  # one partition keeps its rule


def test_an_ensemble_is_calibrated_scored_and_pushed(
    fitted: Path, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = load_head(fitted / "head")
    Ensemble((first, first)).save(tmp_path / "ensemble")
    learned = run(f"calibrate {tmp_path}/ensemble {source} --decode centroid", capsys)
    assert learned["temperature"] > 0
    scores = run(f"score {tmp_path}/ensemble {source}", capsys)
    assert scores["head_sha256"] == load_combination(tmp_path / "ensemble").sha256
    pushed = run(f"push {tmp_path}/ensemble me/it --dry-run", capsys)
    assert {"combination.json", "calibration.json", "scores.json", "0/config.json"} <= set(pushed["files"])


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        ("combine {head} {source} --out {out}", 2, "expected two heads or more, got 1"),
        ("combine {head} {head} {source} --out {out}", 2, "is named twice"),
        ("combine {head} {other} {source} --out {head}", 2, "--out must be another folder than the heads"),
        ("combine {head} {other} {source} --out {cache}", 1, "exists: name another --out"),
        ("combine {head} {other} {source} --out {cache} --overwrite", 1, "replaces only a result of the same command"),
        ("combine {head} {other} {source} --split test --out {out}", 2, "got the split test"),
        ("combine {head} {other} {source} --split nosuch --out {out}", 2, "split must be one of"),
        ("combine {head} {other} {source} --pool best --out {out}", 2, "pool"),
        ("combine {head} {other} {source} --candidates cells --out {out}", 1, "need heads on one partition"),
        ("combine {head} {other} {source} --decode offset --out {out}", 1, "decode offset needs offsets"),
        ("combine {head} {other} --knn --out {out}", 2, "--knn needs --cache and --splits"),
        ("combine {head} {other} --cache {cache} --out {out}", 2, "--cache and --splits go together"),
        ("combine {head} {other} --candidates places --out {out}", 2, "--candidates places needs --cache and --splits"),
        ("combine {head} {other} --decode mean --out {out}", 2, "--decode needs --cache and --splits"),
        ("combine {head} {out}/nothing --out {out}", 1, "there is no folder"),
        ("combine {head} {strange} {source} --out {out}", 1, "the heads are of 2 encoders, another + tiny"),
        ("average {made} {head} --out {out}", 1, "expected one head, got the combination"),
        ("calibrate {made} {source} --knn", 2, "--knn is for a head"),
        ("calibrate {made} {source} --false-alarms 0.1", 2, "--false-alarms is of the region of a head"),
        ("push {made} me/both --dry-run", 1, "the candidates of this combination are the training places"),
    ],
)
def test_bad_input_is_one_sentence(
    fitted: Path, source: str, tmp_path: Path, command: str, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "{strange}" in command:
        other = load_head(fitted / "other")
        replace(other, encoder=replace(other.encoder, name="another")).save(tmp_path / "strange")
    if "{made}" in command:
        assert main(f"combine {fitted}/head {fitted}/other {source} --out {tmp_path}/made".split()) == 0
    capsys.readouterr()
    names = {"head": fitted / "head", "other": fitted / "other", "cache": fitted / "cache", "source": source}
    names |= {"out": tmp_path / "out", "strange": tmp_path / "strange", "made": tmp_path / "made"}
    assert main(command.format(**names).split()) == status
    captured = capsys.readouterr()
    assert words in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert captured.out == ""
    assert not (tmp_path / "out").exists()


def test_a_zero_shot_classifier_is_a_member(fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = f"--cache {fitted}/cache --splits {fitted}/splits.json"
    head = load_head(fitted / "head")
    matrix = np.random.default_rng(0).normal(size=(DIM, head.encoder.dim)).astype(np.float32)
    save_zero_shot(replace(made(), encoder=head.encoder, projection=Projection(matrix, 12.0)), tmp_path / "zs")
    done = run(f"combine {fitted}/head {tmp_path}/zs {source} --out {tmp_path}/both", capsys)
    pooling = done["pooling"]
    assert isinstance(pooling, dict)
    assert sum(pooling["weights"]) == pytest.approx(1)
    assert run(f"score {tmp_path}/both {source}", capsys)["n_trained_on"] == 0
    assert run(f"compare {tmp_path}/both {tmp_path}/zs {source}", capsys)["n_locations"] > 0
    for words, message in {
        f"combine {fitted}/head 1-nn {source} --out {tmp_path}/x": "--knn lets the nearest training features vote",
        f"combine {fitted}/head zero-shot --out {tmp_path}/x": "pass --cache and --splits",
        f"combine {fitted}/head {tmp_path}/both --out {tmp_path}/x": "expected one head, got the combination",
    }.items():
        assert main(words.split()) in {1, 2}
        assert message in capsys.readouterr().err
