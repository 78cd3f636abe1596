"""The report of a head: measured once, the same as its parts say, and bounded."""

import json
from pathlib import Path

import numpy as np
import pytest

from geocell.evaluation.leaks import scores_by_distance
from geocell.evaluation.score import score
from geocell.features import FeatureCache
from geocell.heads.ensemble import Ensemble
from geocell.heads.head import Head, load_head
from geocell.metrics.outcomes import Outcomes
from geocell.reporting.report import Report, report, require_page_name
from geocell.splits.leaks import nearest_km
from geocell.splits.splits import Splits


def test_its_numbers_are_those_of_the_parts(made: Report, world: Path, head: Head) -> None:
    value = json.loads(json.dumps(made.to_dict(), allow_nan=False))
    splits = Splits.load(world / "splits.json")
    locations = FeatureCache.open(world / "cache").locations()
    test, train = (splits.select(locations, name) for name in ("test", "train"))
    scores = score(head, test, "within:200", "test").to_dict()
    assert value["scores"] | {"n_at_training_coordinates": 0} == json.loads(json.dumps(scores)) | {
        "n_at_training_coordinates": 0
    }
    km = made.distances_km
    assert value["worst"][0]["distance_km"] == km.max()
    assert [row["distance_km"] for row in value["worst"]] == sorted(km, reverse=True)[:20]
    assert len(value["random"]) == 20
    for name, points in value["error_cdf"].items():
        last_km, share = points[-1]
        assert share == 1.0, name
        assert last_km == pytest.approx(km.max(), abs=1e-4) if name == "mine" else last_km > 0
    assert list(value["error_cdf"])[-1] == "oracle (true cell)"
    by_distance = scores_by_distance(Outcomes(km), nearest_km(test.latlon, train.latlon))
    assert {k: v["n_locations"] for k, v in value["by_distance"].items()} == {
        k: v["n_locations"] for k, v in by_distance.items()
    }
    assert sum(row["n_locations"] for row in value["by_country"]) == 45
    assert value["leaks"]["splits"]["test"]["n_locations"] == 45
    assert list(value["leaks"]["splits"]) == ["test"]
    assert value["reliability"]["after"]["accuracy"] == pytest.approx(scores["top1"])
    assert str(world) not in json.dumps(value)


def test_it_takes_whatever_answers_like_a_head(world: Path, head: Head) -> None:
    plain = load_head(world / "head")
    both = Ensemble((plain, plain)).as_combination()
    found = report(both, world / "cache", world / "splits.json", "val", baselines=False, leaks=False, thumbnails=False)
    assert found.value["head"]["kind"] == "combination of 2 heads"
    assert len(found.value["rows"]) == 1
    assert (found.value["leaks"], found.thumbnails) == (None, {})
    assert "after" not in found.value["reliability"]


def test_training_locations_are_refused(world: Path, head: Head) -> None:
    with pytest.raises(ValueError, match="are training locations"):
        report(head, world / "cache")
    found = report(head, world / "cache", allow_training=True, leaks=False)
    assert found.value["split"] == {"name": "all", "protocol": None, "n": {}}
    assert found.value["by_distance"] is None
    assert found.value["scores"]["n_trained_on"] == 75
    assert {row["name"] for row in found.value["rows"]} == {"head", "majority cell"}


@pytest.mark.parametrize("name", ["head", "1-NN", "majority cell", "oracle (true cell)"])
def test_no_two_curves_have_one_name(world: Path, head: Head, name: str) -> None:
    with pytest.raises(ValueError, match=r"must have different names, got .* twice"):
        report(head, world / "cache", world / "splits.json", against={name: load_head(world / "head")})


def test_refusals(made: Report, world: Path, head: Head, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a report is written to a \.html file, got 'a\.pdf'"):
        require_page_name(Path("a.pdf"))
    with pytest.raises(ValueError, match="split must be one of"):
        report(head, world / "cache", world / "splits.json", "nothing")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(FileExistsError):
        made.save(tmp_path / "a.html")
    assert not (tmp_path / "a.html").exists()
    made.save(tmp_path / "a.html", overwrite=True)
    assert json.loads((tmp_path / "a.json").read_text()) == json.loads(json.dumps(made.to_dict()))
    assert np.isfinite(made.points).all()
