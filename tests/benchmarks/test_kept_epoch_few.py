"""Rules for the kept epoch: which they choose, and from what."""

import numpy as np

from benchmarks.kept_epoch_few import BEST, LAST, RULES, kept_by

SCORES = np.array([0.1, 0.9, 0.1, 0.6, 0.7, 0.6, 0.1, 0.1])
KM = np.array([9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 3.5])


def test_each_rule_keeps_its_epoch() -> None:
    assert {name: rule(SCORES, KM) for name, rule in RULES.items()} == {
        LAST: 7,
        BEST: 1,
        "best, smoothed over 5": 3,
        "least mean distance": 6,
    }


def test_draws_of_all_locations_choose_the_best_of_all() -> None:
    rng = np.random.default_rng(0)
    pool = np.exp(rng.normal(5, 2, (8, 40)))
    hits = np.stack([(pool <= radius).mean(axis=1) for radius in (25, 200, 750)])
    scores = np.cbrt(hits.prod(axis=0))
    assert set(kept_by(RULES[BEST], pool, 40)) == {int(scores.argmax())}
    assert len(set(kept_by(RULES[BEST], pool, 5))) > 1
