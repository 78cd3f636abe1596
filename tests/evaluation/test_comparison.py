"""Comparisons: a head with itself, with a better one, on other cells, and what the sentence says."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocell.decoders.table import AnyDecoder
from geocell.evaluation.baselines import baselines
from geocell.evaluation.comparison import Comparison, compare, paired_intervals
from geocell.evaluation.decoders import compare_decoders
from geocell.evaluation.score import score
from geocell.features.locations import Locations
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.metrics.outcomes import Outcomes
from geocell.partitioners import KMeansPartitioner
from geocell.training.fit import fit_head
from tests.worlds import make_locations


@pytest.fixture(scope="module")
def locations() -> Locations:
    """400 places whose features tell roughly where they are."""
    rng = np.random.default_rng(0)
    latlon = np.stack((rng.uniform(40, 60, 400), rng.uniform(0, 20, 400)), axis=1)
    features = np.concatenate((latlon / 5, rng.normal(size=(400, 6))), axis=1).astype(np.float32)
    return make_locations(latlon, features)


def head_on(locations: Locations, k: int, epochs: int) -> Head:
    train, partition = locations.take(np.arange(200)), KMeansPartitioner(k=k).fit(locations.latlon[:200])
    return fit_head(train, None, partition, FitConfig(epochs=epochs, device="cpu", warmup_epochs=0, lr=0.01))


@pytest.fixture(scope="module")
def heads(locations: Locations) -> tuple[Head, Head, Head]:
    return head_on(locations, 12, 1), head_on(locations, 12, 30), head_on(locations, 20, 30)


def test_differences_are_those_of_the_scores(locations: Locations, heads: tuple[Head, Head, Head]) -> None:
    test, (short, long, _) = locations.take(np.arange(200, 400)), heads
    comparison = compare(long, short, test, "mean", "test")
    a, b = score(long, test, "mean"), score(short, test, "mean")
    assert comparison.differences["balscore"] == pytest.approx(a.balscore - b.balscore)
    assert comparison.differences["within_200"] == pytest.approx(a.within[200] - b.within[200])
    assert comparison.differences["mean_km"] == pytest.approx(a.mean_km - b.mean_km)
    assert (comparison.a["top1"], comparison.b["top5"]) == (a.top1, b.top5)
    paired = {name for name in a.intervals if not name.startswith("macro_")}
    assert set(comparison.intervals) == set(comparison.differences) == paired
    assert comparison.differences["geoscore"] == pytest.approx(a.geoscore - b.geoscore)
    assert comparison.differences["country_accuracy"] == a.country_accuracy - b.country_accuracy
    low, high = comparison.intervals["mean_km"]
    assert low < comparison.differences["mean_km"] < high < 0
    alone = (
        a.intervals["mean_km"][1] - a.intervals["mean_km"][0] + b.intervals["mean_km"][1] - b.intervals["mean_km"][0]
    )
    assert high - low < alone
    assert json.loads(json.dumps(comparison.to_dict()))["decoder"] == "mean"


def test_swapping_the_heads_swaps_the_signs(locations: Locations, heads: tuple[Head, Head, Head]) -> None:
    test = locations.take(np.arange(200, 400))
    one, other = compare(heads[1], heads[0], test), compare(heads[0], heads[1], test)
    for name, (low, high) in one.intervals.items():
        assert one.differences[name] == -other.differences[name]
        width = max(high - low, 1e-9)
        assert (-high, -low) == pytest.approx(other.intervals[name], abs=0.15 * width), name


def test_a_head_and_itself(locations: Locations, heads: tuple[Head, Head, Head]) -> None:
    comparison = compare(heads[0], heads[0], locations.take(np.arange(200, 400)))
    assert set(comparison.differences.values()) == {0.0}
    assert comparison.sentence("x", "y") == "x and y answer equally well at every one of 200 locations."


def test_hits_among_other_cells_are_not_compared(locations: Locations, heads: tuple[Head, Head, Head]) -> None:
    comparison = compare(heads[1], heads[2], locations.take(np.arange(200, 400)))
    assert "top1" not in comparison.differences
    assert comparison.intervals["balscore"][0] <= comparison.differences["balscore"]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(*[st.sampled_from([0.1, 10.0, 100.0, 500.0, 3000.0])] * 2), min_size=2, max_size=30))
def test_an_interval_has_the_observed_difference_in_it(pairs: list[tuple[float, float]]) -> None:
    """Six locations that the one head always finds and the other never does, say."""
    a, b = (Outcomes(np.array(distances)) for distances in zip(*pairs, strict=True))
    intervals = paired_intervals(a, b)
    for name, value in a.values().items():
        low, high = intervals[name]
        assert low <= value - b.values()[name] <= high, name


def comparison_with(difference: float, low: float, high: float) -> Comparison:
    return Comparison(
        decoder="centroid", split="test", n_locations=1234, a={"balscore": 0.5, "mean_km": 90.0},
        b={"balscore": 0.5 - difference, "mean_km": 80.0}, differences={"balscore": difference, "mean_km": 10.0},
        intervals={"balscore": (low, high), "mean_km": (-5.0, 25.0)}, n_same=3,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ((0.02, 0.01, 0.03), "A has a higher balscore than B on 1,234 locations of split test (difference A − B +2.0"),
        (
            (-0.02, -0.03, -0.01),
            "B has a higher balscore than A on 1,234 locations of split test (difference A − B −2.0",
        ),
        ((0.02, -0.01, 0.05), "1,234 locations of split test cannot tell whether A or B has the higher balscore"),
    ],
)
def test_one_plain_sentence(numbers: tuple[float, float, float], says: str) -> None:
    assert comparison_with(*numbers).sentence().startswith(says)


def test_it_shows_itself(locations: Locations, heads: tuple[Head, Head, Head]) -> None:
    found = compare(heads[0], heads[1], locations.take(np.arange(200, 400)), split="test")
    assert repr(found) == f"<Comparison, decoder centroid: {found.sentence()}>"
    page = found._repr_html_()
    low, high = found.intervals["median_km"]
    assert f">{found.a['median_km']:,.1f} km</td>" in page
    assert f"{low:+,.1f} km to {high:+,.1f} km".replace("-", "−") in page
    assert f"{100 * found.differences['balscore']:+.1f}</td>".replace("-", "−") in page


def test_training_locations_are_warned_of_as_by_score(locations: Locations, heads: tuple[Head, Head, Head]) -> None:
    half, message = locations.take(np.arange(150, 250)), "50 of the 100 locations are training locations of the head"
    calls: list[Callable[[bool], object]] = [
        lambda allowed: score(heads[0], half, allow_training=allowed),
        lambda allowed: compare(heads[0], heads[1], half, allow_training=allowed),
        lambda allowed: baselines(heads[0], half, allow_training=allowed),
        lambda allowed: compare_decoders(heads[0], half, ("mean",), allow_training=allowed),
    ]
    for call in calls:
        with pytest.warns(UserWarning, match=f"{message}: score other locations") as caught:
            call(False)
        assert [warning.filename for warning in caught] == [__file__]  # one, where it was called
        call(True)


def test_the_device_stands_where_it_does_in_score(
    locations: Locations, heads: tuple[Head, Head, Head], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    answer_chunks = Head.answer_chunks

    def spied(head: Head, asked_for: Locations, decode: AnyDecoder, device: str) -> object:
        asked.append(device)
        return answer_chunks(head, asked_for, decode, device)

    monkeypatch.setattr(Head, "answer_chunks", spied)
    test = locations.take(np.arange(200, 400))
    one, other = (compare(heads[0], heads[1], test, "centroid", "test", "cpu", seed=seed) for seed in (0, 1))
    assert asked == ["cpu"] * 4
    assert one.intervals["balscore"] != other.intervals["balscore"]
    assert one.differences == other.differences


def test_the_name_of_a_head_is_no_head(locations: Locations, heads: tuple[Head, Head, Head]) -> None:
    with pytest.raises(TypeError, match=r"expected a head, got the text '1-nn': .*named_baseline\('1-nn'"):
        compare(heads[0], "1-nn", locations)  # type: ignore[arg-type]
