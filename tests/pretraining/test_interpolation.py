import pytest
import torch

from geocell.pretraining.interpolation import interpolated


def test_weights_between_two_models() -> None:
    start = {"w": torch.tensor([0.0, 2.0]), "ids": torch.tensor([1, 2])}
    end = {"w": torch.tensor([4.0, 2.0]), "ids": torch.tensor([1, 2])}
    assert interpolated(start, end, 0.25)["w"].tolist() == [1.0, 2.0]
    assert interpolated(start, end, 0.0)["w"].tolist() == [0.0, 2.0]
    assert interpolated(start, end, 1.0)["w"].tolist() == [4.0, 2.0]
    assert interpolated(start, end, 0.25)["ids"].tolist() == [1, 2]


def test_weights_of_another_model() -> None:
    with pytest.raises(ValueError, match="must be of one model"):
        interpolated({"a": torch.ones(1)}, {"b": torch.ones(1)}, 0.5)
