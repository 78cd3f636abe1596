from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from geocell.pretraining.accumulation import accumulate
from geocell.pretraining.losses import contrastive_loss, true_captions

N = 12
TRUE = true_captions(torch.arange(N)[:, None] % 5, torch.ones((N, 1), dtype=torch.bool))


class Towers(nn.Module):
    """Two small towers with dropout and a scale, in float64."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.image = nn.Sequential(nn.Linear(7, 9), nn.Tanh(), nn.Dropout(dropout), nn.Linear(9, 4)).double()
        self.text = nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Dropout(dropout), nn.Linear(9, 4)).double()
        self.logit_scale = nn.Parameter(torch.tensor(1.5, dtype=torch.float64))
        for parameter in self.parameters():
            if parameter.ndim:
                nn.init.normal_(parameter, generator=generator)

    def embed(self, piece: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        images, texts = self.image(piece[0]), self.text(piece[1])
        return nn.functional.normalize(images, dim=1), nn.functional.normalize(texts, dim=1)

    def loss(self, images: Tensor, texts: Tensor) -> Tensor:
        return contrastive_loss(images, texts, self.logit_scale.exp(), TRUE)


def batch(sizes: list[int]) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(8)
    pixels = torch.randn((N, 7), generator=generator, dtype=torch.float64)
    tokens = torch.randn((N, 5), generator=generator, dtype=torch.float64)
    return list(zip(pixels.split(sizes), tokens.split(sizes), strict=True))


def gradients(towers: Towers, run: Callable[[], Tensor]) -> tuple[float, list[Tensor]]:
    towers.zero_grad()
    value = run()
    return float(value.detach()), [p.grad.clone() for p in towers.parameters() if p.grad is not None]


@pytest.mark.parametrize("sizes", [[N], [6, 6], [5, 5, 2], [1] * N])
def test_pieces_give_the_gradient_of_the_whole_batch(sizes: list[int]) -> None:
    towers = Towers()

    def whole() -> Tensor:
        value = towers.loss(*towers.embed(batch([N])[0]))
        value.backward()
        return value

    expected, slopes = gradients(towers, whole)
    value, found = gradients(towers, lambda: accumulate(batch(sizes), towers.embed, towers.loss))
    assert value == pytest.approx(expected, rel=1e-12)
    assert len(found) == len(slopes) == len(list(towers.parameters()))
    for a, b in zip(found, slopes, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_the_mean_over_pieces_is_another_gradient() -> None:
    """What accumulation means elsewhere is not the gradient of the batch: this test could not tell otherwise."""
    towers = Towers()
    _, slopes = gradients(towers, lambda: accumulate(batch([6, 6]), towers.embed, towers.loss))

    def naive() -> Tensor:
        total = torch.zeros(())
        for rows, piece in zip((slice(0, 6), slice(6, 12)), batch([6, 6]), strict=True):
            value = contrastive_loss(*towers.embed(piece), towers.logit_scale.exp(), TRUE[rows, rows]) / 2
            value.backward()
            total = total + value.detach()
        return total

    _, other = gradients(towers, naive)
    assert any(not torch.allclose(a, b, rtol=0.05) for a, b in zip(slopes, other, strict=True))


def test_dropout_is_the_same_in_both_passes() -> None:
    towers = Towers(dropout=0.5)
    made: list[tuple[Tensor, Tensor]] = []

    def embed(piece: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        made.append(towers.embed(piece))
        return made[-1]

    torch.manual_seed(1)
    accumulate(batch([4, 4, 4]), embed, towers.loss)
    first, second = made[:3], made[3:]
    assert len(second) == 3
    for (a, b), (c, d) in zip(first, second, strict=True):
        assert torch.equal(a, c)
        assert torch.equal(b, d)
    assert not torch.equal(first[0][0], towers.embed(batch([4, 4, 4])[0])[0])


def test_the_random_numbers_go_on() -> None:
    """After a step in pieces the generator stands where one pass has left it."""
    towers = Towers(dropout=0.5)
    torch.manual_seed(2)
    accumulate(batch([6, 6]), towers.embed, towers.loss)
    after = torch.rand(3)
    torch.manual_seed(2)
    for piece in batch([6, 6]):
        towers.embed(piece)
    assert torch.equal(after, torch.rand(3))


def test_no_piece() -> None:
    towers = Towers()
    with pytest.raises(ValueError, match="at least one piece"):
        accumulate([], towers.embed, towers.loss)
