"""The whole pipeline on a small world, once: what it leaves, what it says, and what it refuses."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from geocell.cli import main
from geocell.features import FeatureCache
from geocell.geo.geodesy import distance_km
from geocell.heads.head import Head, load_head
from geocell.partitioners import Partition
from geocell.prediction.predictions import town_names
from geocell.quickstart import pipeline
from geocell.quickstart.folder import KINDS, require_replaceable
from geocell.quickstart.pipeline import run
from geocell.quickstart.result import QuickstartResult
from geocell.quickstart.streetclip_result import StreetClipResult
from geocell.splits.splits import Splits
from geocell.training.fit import fit_head
from geocell.views import read_views
from tests.quickstart.test_streetclip_result import result as small_result

pytestmark = pytest.mark.slow

N_LOCATIONS = 56


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


class Run:
    """A run, and the lines that it said."""

    def __init__(self, folder: Path) -> None:
        self.lines: list[str] = []
        self.result = run(folder, n_locations=N_LOCATIONS, say=self.lines.append)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("pipeline") / "quickstart")


@pytest.fixture(scope="module")
def result(first: Run) -> QuickstartResult:
    return first.result


def test_one_row_per_head_and_baseline(result: QuickstartResult) -> None:
    heads = [(row["head"], row["fit"], row["partition"]) for row in result.rows[:-2]]
    assert heads == [
        (f"{kind}{suffix}", fit, kind) for kind in KINDS for suffix, fit in (("", "train"), ("-refit", "train + val"))
    ]
    assert [(row["head"], row["fit"]) for row in result.rows[-2:]] == [
        ("majority cell", "train + val"),
        ("1-NN", "train + val"),
    ]
    assert len({row["n_locations"] for row in result.rows}) == 1
    assert {row["split"] for row in result.rows} == {"test"}


def test_a_refit_is_another_head(result: QuickstartResult) -> None:
    for kind in KINDS:
        first, second = (load_head(result.folder / "heads" / name) for name in (kind, f"{kind}-refit"))
        assert first.sha256 != second.sha256
        assert second.partition.sha256 == first.partition.sha256


def test_the_scores_are_written(result: QuickstartResult) -> None:
    with (result.folder / "scores.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [float(row["balscore"]) for row in written] == [row["balscore"] for row in result.rows]
    assert [float(row["within_200"]) for row in written] == [row["within"]["200"] for row in result.rows]
    assert written[-1]["n_cells"] == ""


def test_every_artefact_is_what_the_library_reads(result: QuickstartResult) -> None:
    cache = FeatureCache.open(result.folder / "cache")
    splits = Splits.load(result.folder / "splits.json")
    assert cache.good.all()
    assert len(cache.locations()) == N_LOCATIONS == sum(map(len, splits.ids.values()))
    n_train, n_val = len(splits.ids["train"]), len(splits.ids["val"])
    for row in result.rows[:-2]:
        head = load_head(result.folder / "heads" / row["head"])
        refitted = row["fit"] == "train + val"
        assert len(head.partition) == row["n_cells"]
        assert head.training["n_train"] == n_train
        assert not refitted or head.training["refit"]["n_train"] == n_train + n_val
        assert head.config.refit is refitted
        assert json.loads((result.folder / "heads" / row["head"] / "scores.json").read_text())["split"] == "test"


def test_the_answering_head_was_chosen_on_validation_locations(result: QuickstartResult) -> None:
    on_val = {kind: load_head(result.folder / "heads" / kind).training["val"]["balscore"] for kind in KINDS}
    chosen = result.head.name.removesuffix("-refit")
    assert on_val[chosen] == max(on_val.values())
    assert result.rows[-2]["partition"] == chosen


def test_images_carry_the_positions_of_the_table(result: QuickstartResult) -> None:
    table = read_views(result.folder / "world").frame
    from_exif = read_views(result.folder / "world" / "images").frame
    assert len(table) == len(from_exif)
    assert (from_exif["problem"] == "").all()
    by_name = {Path(name).name: row for name, *row in table[["image", "lat", "lon"]].itertuples(index=False)}
    expected = np.array([by_name[name] for name in from_exif["image"]])
    np.testing.assert_allclose(from_exif[["lat", "lon"]].to_numpy(), expected, atol=2e-6)


def _answers_and_truths(result: QuickstartResult) -> tuple[np.ndarray, np.ndarray]:
    locations = FeatureCache.open(result.folder / "cache").locations()
    test = Splits.load(result.folder / "splits.json").select(locations, "test")
    head = load_head(result.head)
    return np.concatenate([points for _, _, points in head.answer_chunks(test)]), test.latlon


def test_the_prediction_and_the_picture(result: QuickstartResult) -> None:
    assert len(result.prediction.cells) == 5
    errors = distance_km(*_answers_and_truths(result))
    assert result.prediction.distance_km == pytest.approx(np.sort(errors)[len(errors) // 2], rel=1e-6)
    assert result.to_dict()["prediction"]["distance_km"] == result.prediction.distance_km
    assert all(image.is_file() for image in result.images)
    with Image.open(result.picture) as picture:
        assert min(picture.size) > 800
        assert np.asarray(picture.convert("L")).std() > 10


def test_cells_and_truth_are_named_by_their_towns(result: QuickstartResult) -> None:
    value, text = result.to_dict()["prediction"], result.text()
    towns = town_names(np.array([(cell["lat"], cell["lon"]) for cell in [*value["cells"], value, value["truth"]]]))
    assert [*(cell["place"] for cell in value["cells"]), value["place"], value["truth"]["place"]] == towns
    for words in (*towns, *(cell["name"] for cell in value["cells"])):
        assert words in text
    assert json.loads(json.dumps(result.to_dict()))["scores"][-1]["head"] == "1-NN"


def test_it_says_what_is_synthetic_and_how_to_do_it_for_real(result: QuickstartResult) -> None:
    text = result.text()
    for words in (
        "Synthetic:",
        "GeoNames",
        str(result.picture),
        "geocell encode photos.csv",
        "median error",
        "balscore",
    ):
        assert words in text
    assert "--refit" in text
    assert "nuts" not in text.lower()


def test_every_stage_says_when_it_starts(first: Run) -> None:
    stages = [re.fullmatch(r"quickstart \d+:\d\d  (\w+) .*", line) for line in first.lines]
    assert [stage and stage[1] for stage in stages] == ["drawing", "encoding", "fitting", "drawing"]
    assert f"{N_LOCATIONS} locations" in first.lines[0]


def test_running_again_keeps_images_and_features(result: QuickstartResult) -> None:
    kept = sorted([*(result.folder / "cache").glob("features-*"), *(result.folder / "world" / "images").iterdir()])
    before = [path.stat().st_mtime_ns for path in kept]
    again = Run(result.folder)
    assert [path.stat().st_mtime_ns for path in kept] == before
    assert again.result.rows == result.rows
    assert [line.split()[2] for line in again.lines] == ["encoding", "fitting", "drawing"]


def test_a_finished_run_is_continued_by_streetclip(
    result: QuickstartResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def trained(out: Path, world: Path, splits: Splits, cells: Partition, **other: Any) -> StreetClipResult:
        asked.update(out=out, world=world, splits=splits, cells=cells, **other)
        return small_result(tmp_path)

    monkeypatch.setattr("geocell.quickstart.streetclip.run_streetclip", trained)
    again = run(result.folder, n_locations=N_LOCATIONS, streetclip=True)
    assert again.rows == result.rows
    assert (asked["out"], asked["world"]) == (result.folder / "streetclip", result.folder / "world")
    assert asked["splits"].ids == Splits.load(result.folder / "splits.json").ids
    assert asked["cells"].sha256 == load_head(result.folder / "heads" / "kmeans").partition.sha256
    assert small_result(tmp_path).text() in again.text()
    assert again.to_dict()["streetclip"]["n_images"] == 1062
    assert "streetclip" not in result.to_dict()


def test_what_it_refuses(result: QuickstartResult, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="of other settings"):
        run(result.folder, n_locations=N_LOCATIONS, seed=1)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is not a quickstart"):
        run(tmp_path, overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_run_leaves_nothing_that_its_names_do_not_cover(result: QuickstartResult) -> None:
    require_replaceable(result.folder)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--n-locations", "10"], "n_locations must be 50"),
        (["--n-locations", "1000000"], "got 1000000"),
        (["--n-locations", "2.5"], "whole number"),
        (["--seed", "-1"], "seed must be at least 0"),
    ],
)
def test_wrong_usage_is_one_sentence_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    assert main(["quickstart", str(tmp_path / "q"), *flags]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_named_before_anything_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    present = pipeline.find_spec
    monkeypatch.setattr(pipeline, "find_spec", lambda name: None if name in {"matplotlib"} else present(name))
    assert main(["quickstart", str(tmp_path / "q")]) == 1
    error = capsys.readouterr().err
    assert "not installed (matplotlib)" in error
    assert 'pip install "geocell-heads[quickstart]"' in error
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_fit_ends_the_run(result: QuickstartResult, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[str] = []

    def fit(*args: Any, **options: Any) -> Head:
        fitted.append("fit")
        head = fit_head(*args, **options)
        return replace(head, training={**head.training, "interrupted": True})

    monkeypatch.setattr("geocell.training.fit.fit_head", fit)
    with pytest.raises(KeyboardInterrupt):
        run(result.folder, n_locations=N_LOCATIONS)
    assert fitted == ["fit"]


def test_an_interrupted_run_is_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geocell.quickstart.world.make_world", stop)
    assert main(["quickstart", str(tmp_path / "q"), "--n-locations", "50"]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "q").iterdir()] == ["quickstart.json"]
    assert main(["quickstart", str(tmp_path / "q"), "--n-locations", "50"]) == 130  # the same run, not another one
    assert main(["quickstart", str(tmp_path / "q"), "--n-locations", "51"]) == 1
    assert "other settings" in capsys.readouterr().err
