"""The range of seeds."""

import tomllib

import pytest
import torch

from geocell.compute.seeds import MAX_SEED


def test_the_largest_seed_is_taken_by_torch_and_read_from_toml() -> None:
    assert torch.Generator().manual_seed(MAX_SEED).initial_seed() == MAX_SEED
    assert tomllib.loads(f"seed = {MAX_SEED}") == {"seed": MAX_SEED}
    with pytest.raises((RuntimeError, ValueError)):
        torch.Generator().manual_seed(2 * (MAX_SEED + 1))
