"""What a head learned on validation locations, and its file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocell.heads.additions import write_calibration
from geocell.heads.calibration import Calibration, read_calibration
from geocell.heads.ensemble import Ensemble, average_heads
from geocell.heads.head import load_head
from geocell.heads.protocol import default_decoder
from geocell.uncertainty.temperature import scaled
from tests.heads.test_head import make_head, random_module, world

SETS: dict[Any, dict[int, float]] = {"hpd": {50: 0.4, 90: 0.8}, "lac": {50: 0.5, 90: 0.9}, "aps": {50: 0.4, 90: 1.0}}
LEARNED = Calibration(2.5, {25: 0.1, 200: 0.4, 750: 0.7}, "balscore", {50: 0.8, 90: 3.0}, {"split": "val"})

LATER = ("bias", "set_thresholds", "abstain_below")


def test_repr_is_one_line() -> None:
    assert repr(LEARNED) == "<Calibration: temperature 2.5, decoder balscore>"
    record = {"before": {"ece": 0.308}, "after": {"ece": 0.173}}
    assert repr(replace(LEARNED, record=record)).endswith("decoder balscore, ECE 30.8 % -> 17.3 %>")
    assert repr(replace(LEARNED, record={"before": "?", "after": {"ece": 0.1}})) == repr(LEARNED)


def test_the_temperature_is_part_of_the_posterior_and_no_cell_changes_its_rank() -> None:
    plain = make_head()
    sure = replace(plain, calibration=LEARNED)
    before, after = plain.posterior(world(), "cpu"), sure.posterior(world(), "cpu")
    assert after == pytest.approx(scaled(before, 2.5), abs=1e-5)
    assert np.array_equal(before.argmax(axis=1), after.argmax(axis=1))
    assert sure.sha256 != plain.sha256
    assert replace(plain, calibration=replace(LEARNED, record={})).sha256 == sure.sha256  # answers are the same


def test_decoders_get_the_shares() -> None:
    sure = replace(make_head(), calibration=LEARNED)
    typed = replace(make_head(), calibration=replace(LEARNED, decoder="centroid"))
    posterior = sure.posterior(world(), "cpu")
    assert np.array_equal(sure.prepare("balscore")(posterior), typed.prepare("balscore:0.1,0.4,0.7")(posterior))
    with pytest.raises(ValueError, match="decode balscore needs the shares that a head reaches"):
        make_head().prepare("balscore")
    assert [default_decoder(head) for head in (sure, typed, make_head())] == ["balscore", "centroid", "centroid"]


def test_round_trip(tmp_path: Path) -> None:
    make_head().save(tmp_path / "head")
    before = load_head(tmp_path / "head")
    assert before.calibration is None
    write_calibration(tmp_path / "head", LEARNED)
    found = load_head(tmp_path / "head")
    assert found.calibration == LEARNED
    found.save(tmp_path / "again")
    assert load_head(tmp_path / "again").sha256 == found.sha256 != before.sha256
    write_calibration(tmp_path / "head", replace(LEARNED, temperature=3.0))
    again = load_head(tmp_path / "head").calibration
    assert again is not None
    assert again.temperature == 3.0


def test_what_an_earlier_version_did_not_learn_is_in_no_file_and_no_hash(tmp_path: Path) -> None:
    assert not set(LATER) & set(LEARNED.to_dict())
    full = replace(LEARNED, bias=(0.5, -0.5), set_thresholds=SETS, abstain_below=0.25)
    (tmp_path / "calibration.json").write_text(json.dumps(full.to_dict()))
    assert read_calibration(tmp_path) == full
    each = [replace(LEARNED, **{name: getattr(full, name)}).sha256 for name in LATER]
    assert len({LEARNED.sha256, *each}) == 4


def test_a_bias_is_part_of_the_posterior() -> None:
    plain = make_head()
    bias = np.random.default_rng(0).normal(size=len(plain.partition))
    found = replace(plain, calibration=replace(LEARNED, bias=tuple(bias.tolist()))).posterior(world(), "cpu")
    assert found == pytest.approx(scaled(plain.posterior(world(), "cpu"), 2.5, bias), abs=1e-5)
    with pytest.raises(ValueError, match="must have one bias for each of the"):
        replace(plain, calibration=replace(LEARNED, bias=(0.0,)))


def test_scores_of_before_are_of_another_head(tmp_path: Path) -> None:
    from geocell.evaluation.score import score
    from geocell.publishing.push import push_head

    head = make_head()
    head.save(tmp_path / "head", score(head, world(), split="test"))
    write_calibration(tmp_path / "head", LEARNED)
    with pytest.raises(ValueError, match="score it again"):
        push_head(tmp_path / "head", "me/head", dry_run=True)


def test_joined_heads_have_none_of_their_own() -> None:
    heads = [replace(make_head(), calibration=LEARNED), replace(make_head(), module=random_module(1))]
    ensemble = Ensemble(tuple(heads))
    assert ensemble.calibration is None
    assert average_heads(heads).calibration is None
    mean = (heads[0].posterior(world(), "cpu") + heads[1].posterior(world(), "cpu")) / 2
    assert ensemble.posterior(world(), "cpu") == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"temperature": 0.0}, "temperature must be from 0.05 to 50, got 0"),
        ({"temperature": float("nan")}, "got nan"),
        ({"shares": {25: 0.5, 200: 0.4, 750: 0.7}}, "shares must rise"),
        ({"shares": {25: 0.5}}, "shares must be of 25, 200, 750 km, got 25"),
        ({"radius_factors": {50: 1.0}}, "radius_factors must be of 50 and 90 %"),
        ({"radius_factors": {50: 1.0, 90: -1.0}}, "from 0 on"),
        ({"decoder": "os:system"}, "decode must be one of"),
        ({"bias": (0.0, float("nan"))}, "bias must be one number per cell from -50 to 50"),
        ({"bias": (99.0,)}, "bias must be one number"),
        ({"set_thresholds": {"hpd": {50: 0.4, 90: 0.8}}}, "set_thresholds must be of hpd, lac, aps, for 50 and 90 %"),
        ({"set_thresholds": {**SETS, "aps": {50: 0.4, 90: 1.1}}}, "from 0 to 1"),
        ({"abstain_below": 1.5}, r"abstain_below must be from 0 to 1, got 1\.5"),
    ],
)
def test_numbers_that_cannot_be(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(LEARNED, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": "2"}, {"temperature": None}, {"temperature": 1e9}, {"shares": []}, {"shares": {}},
        {"shares": {"25": "x", "200": 0.4, "750": 0.7}}, {"radius_factors": {"50": 1.0}}, {"decoder": "own:Code"},
        {"decoder": 3}, {"record": 3}, {"format": 2}, {"radius_factors": {"50": 1.0, "90": True}},
        {"bias": "0"}, {"bias": [0.0, "x"]}, {"bias": [1e9]}, {"set_thresholds": []}, {"set_thresholds": {}},
        {"set_thresholds": {"hpd": 1, "lac": 1, "aps": 1}}, {"abstain_below": None}, {"abstain_below": 2.0},
        {"set_thresholds": {"hpd": {"50": 0.1, "90": "x"}, "lac": {}, "aps": {}}},
    ],
)  # fmt: skip
def test_damaged_files(tmp_path: Path, change: dict[str, Any]) -> None:
    (tmp_path / "calibration.json").write_text(json.dumps({**LEARNED.to_dict(), **change}))
    with pytest.raises(ValueError, match=r"calibration\.json") as error:
        read_calibration(tmp_path)
    assert "\n" not in str(error.value)


KEYS = st.sampled_from(["25", "50", "90", "200", "750", "x"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda value: st.lists(value, max_size=3) | st.dictionaries(KEYS, value, max_size=4),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(value=ANYTHING, key=st.sampled_from(["temperature", "shares", "decoder", "radius_factors", "record", *LATER]))
def test_nothing_but_a_value_error_comes_of_a_file(tmp_path: Path, value: object, key: str) -> None:
    (tmp_path / "calibration.json").write_text(json.dumps({**LEARNED.to_dict(), key: value}))
    try:
        read_calibration(tmp_path)
    except ValueError as error:
        assert "calibration.json" in str(error)


def test_a_folder_without_one_has_none(tmp_path: Path) -> None:
    assert read_calibration(tmp_path) is None


def test_the_card_says_whether_it_is_calibrated(tmp_path: Path) -> None:
    record = {"n_locations": 1200, "before": {"ece": 0.218}, "after": {"ece": 0.043}}
    replace(make_head(), calibration=replace(LEARNED, record=record)).save(tmp_path / "head")
    card = (tmp_path / "head" / "README.md").read_text(encoding="utf-8")
    assert (
        "| probabilities | temperature 2.50 on 1,200 locations, calibration error 21.8 % before and 4.3 % after; "
        "decoder balscore |"
    ) in card
    make_head().save(tmp_path / "plain")
    assert "| probabilities | not calibrated |" in (tmp_path / "plain" / "README.md").read_text(encoding="utf-8")
    strange = replace(LEARNED, record={"n_locations": "many", "before": [], "after": {"ece": "x"}})
    replace(make_head(), calibration=strange).save(tmp_path / "strange")
    assert "temperature 2.50; decoder" in (tmp_path / "strange" / "README.md").read_text(encoding="utf-8")


def test_a_calibration_can_be_undone() -> None:
    rng = np.random.default_rng(0)
    posterior = rng.dirichlet(np.ones(6), 20).astype(np.float32)
    for known in (LEARNED, replace(LEARNED, bias=tuple(rng.normal(size=6).tolist()))):
        q = known.applied(posterior)
        logits = np.log(posterior) / known.temperature + (0.0 if known.bias is None else np.asarray(known.bias))
        assert q == pytest.approx(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), abs=1e-6)
        assert known.undone(q) == pytest.approx(posterior, abs=1e-5)
    assert replace(LEARNED, temperature=1.0).applied(posterior) is posterior
