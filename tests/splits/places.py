"""Places and ids for the tests of splits."""

import numpy as np


def spread(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack((rng.uniform(36, 60, n), rng.uniform(-9, 30, n)))


def ids_of(n: int) -> list[str]:
    return [f"loc{i}" for i in range(n)]
