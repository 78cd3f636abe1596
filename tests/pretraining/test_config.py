from itertools import pairwise
from typing import Any

import pytest

from geocell.pretraining.config import PretrainConfig, learning_rate


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"batch": 2.0}, "batch must be a whole number of at least 1, got 2.0"),
        ({"batch": 1, "accumulate": 1}, "needs two images"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"lr": float("nan")}, "lr must be above 0"),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0"),
        ({"warmup": 1.5}, "warmup must be between 0 and 1"),
        ({"interpolate": -0.1}, "interpolate must be between 0 and 1"),
        ({"positives": "all"}, "positives must be one of true, own"),
        ({"precision": "float16"}, "precision must be one of auto, float32, bfloat16"),
        ({"seed": 2**63}, "seed must be at most"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PretrainConfig(**settings)


def test_the_learning_rate_rises_and_falls() -> None:
    config = PretrainConfig(lr=2.0, warmup=0.25)
    rates = [learning_rate(config, step, 40) for step in range(40)]
    assert rates[:10] == [pytest.approx(2.0 * (step + 1) / 10) for step in range(10)]
    assert rates[10] == 2.0
    assert rates[25] == pytest.approx(1.0)
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert 0 < rates[-1] < 0.01


def test_no_warm_up_starts_at_the_top() -> None:
    assert learning_rate(PretrainConfig(lr=3.0, warmup=0.0), 0, 5) == 3.0
