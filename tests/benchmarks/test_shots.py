"""Few photographs per cell: how shots are drawn, how words are mixed in, and the lines that come of it."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmarks import shots as module
from benchmarks.protocol import Protocol
from benchmarks.shots import (
    AS_IS,
    BESIDE,
    CASES,
    CENTRED,
    MAJORITY,
    SCALED,
    SHARES,
    WISE,
    WORDS,
    ZEROS,
    best_share,
    chosen_mix,
    line,
    measure,
    mixed,
    rows_of,
    shots_of,
)
from benchmarks.shots_chart import draw_shots
from geocell.geo.geodesy import distance_km
from geocell.heads.fit_config import FitConfig
from geocell.heads.words_head import head_from_words
from geocell.metrics.outcomes import balscore_of
from geocell.training.fit import fit_head
from tests.heads.test_words_head import PARTITION, TOWNS
from tests.zeroshot.worlds import Words, places

pytestmark = pytest.mark.usefixtures("one_thread")


def test_every_cell_gives_up_to_so_many_shots_and_fewer_are_among_more() -> None:
    rng = np.random.default_rng(0)
    cells, order = rng.integers(0, 9, 100), rng.permutation(100)
    before: set[int] = set()
    for n in (1, 2, 4, 8):
        taken = shots_of(cells, order, n)
        assert (
            np.bincount(cells[taken], minlength=9).tolist() == np.minimum(np.bincount(cells, minlength=9), n).tolist()
        )
        assert before <= set(taken.tolist())
        before = set(taken.tolist())
    assert shots_of(cells, order, 0).tolist() == list(range(100))
    first = {cells[i]: i for i in order[::-1]}
    assert set(shots_of(cells, order, 1).tolist()) == set(first.values())


def test_of_equal_shares_of_words_the_smallest_is_taken() -> None:
    assert best_share([0.2, 0.4, 0.4], (0.0, 0.1, 0.2)) == 0.1
    assert best_share([0.4] * len(SHARES)) == 0.0


def test_the_share_of_words_is_chosen_on_validation_locations() -> None:
    locations = places(80)
    train, val = locations.take(np.arange(60)), locations.take(np.arange(60, 80))
    words = head_from_words(Words(), PARTITION, train, gazetteer=TOWNS)
    head = fit_head(train, None, PARTITION, FitConfig(epochs=2, device="cpu"))
    found, share = chosen_mix(head, words, val)

    def score(share: float) -> float:
        answers = PARTITION.centroids[mixed(head, words, share).posterior(val, "cpu").argmax(axis=1)]
        return balscore_of(distance_km(answers, val.latlon))

    assert share == max(SHARES, key=score)
    assert (found.posterior(val, "cpu") == mixed(head, words, share).posterior(val, "cpu")).all()
    assert mixed(head, words, 0.0) is head


@pytest.fixture(scope="module")
def rows() -> list[dict[str, object]]:
    """Lines of a small world in which features say nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "head_from_words", partial(head_from_words, gazetteer=TOWNS))
        patch.setattr(module, "FitConfig", partial(FitConfig, epochs=1))
        patch.setattr(module, "CELLS", 4)
        protocol = Protocol(places(60), by_place=False, repeats=1)
        return rows_of(protocol, [measure(protocol, 0, Words(), (1, 0))])


def test_there_is_a_line_for_every_case_and_number_of_shots(rows: list[dict[str, object]]) -> None:
    keys = [("0", MAJORITY), ("0", WORDS), *((shots, case) for shots in ("1", "all") for case in CASES)]
    assert sorted((row["shots"], row["case"]) for row in rows) == sorted(keys)
    found = {(row["shots"], row["case"]): row for row in rows}
    assert found["1", ZEROS]["locations"] == 4
    assert found["all", ZEROS]["locations"] == 36
    assert found["0", WORDS]["locations"] == 0
    for key, row in found.items():
        assert row["base"] == (MAJORITY if key[0] == "0" else ZEROS)
        assert (row["chosen"] != "") == (key[1] in (SCALED, WISE, BESIDE))
        assert (row["nats"] != "") == (key[1] not in (MAJORITY, "1-NN", CENTRED))
    assert found["1", ZEROS]["nats_difference"] == 0


def test_a_line_has_paired_means_with_their_intervals() -> None:
    protocol = Protocol(places(40), by_place=False, repeats=2)
    rng = np.random.default_rng(0)
    base = rng.uniform(100, 1000, (2, 40))
    km = {("1", ZEROS): base, ("1", AS_IS): base + rng.uniform(90, 110, (2, 40))}
    nats = {("1", ZEROS): np.full((2, 40), 2.0), ("1", AS_IS): np.full((2, 40), 2.5)}
    row = line(protocol, ("1", AS_IS), ZEROS, km, nats)
    assert row["mean_km"] == pytest.approx(km["1", AS_IS].mean(), abs=0.06)
    assert row["km_difference"] == pytest.approx(100, abs=3)
    assert 90 < row["km_difference_low"] < row["km_difference"] < row["km_difference_high"] < 110
    assert row["mean_km_high"] - row["mean_km_low"] > 100  # places differ by much more than the two cases do
    assert (row["nats"], row["nats_difference"], row["nats_difference_low"]) == (2.5, 0.5, 0.5)


def test_the_picture_is_drawn(rows: list[dict[str, object]], tmp_path: Path) -> None:
    both = [*rows, *({**row, "folds": "place"} for row in rows)]
    assert draw_shots(both, tmp_path / "shots.png").stat().st_size > 10_000
