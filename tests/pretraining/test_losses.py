import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from geocell.pretraining.losses import contrastive_loss, true_captions


def embeddings(n: int, dim: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    both = torch.randn((2, n, dim), generator=generator, dtype=torch.float64)
    return tuple(torch.nn.functional.normalize(both, dim=-1))  # type: ignore[return-value]


def slow_loss(images: Tensor, texts: Tensor, scale: float, true: Tensor) -> float:
    """The definition, one pair at a time."""
    n, total = len(images), 0.0
    z = [[scale * float(images[i] @ texts[j]) for j in range(n)] for i in range(n)]
    for i in range(n):
        row = sum(math.exp(z[i][j]) for j in range(n))
        column = sum(math.exp(z[j][i]) for j in range(n))
        captions = [j for j in range(n) if true[i, j]]
        photographs = [j for j in range(n) if true[j, i]]
        total -= sum(math.log(math.exp(z[i][j]) / row) for j in captions) / len(captions)
        total -= sum(math.log(math.exp(z[j][i]) / column) for j in photographs) / len(photographs)
    return total / (2 * n)


codes = st.lists(st.tuples(*[st.integers(-1, 2)] * 3), min_size=2, max_size=7)


@given(codes, st.data())
def test_the_loss_is_its_definition(fields: list[tuple[int, ...]], data: st.DataObject) -> None:
    named = data.draw(st.lists(st.tuples(*[st.booleans()] * 3), min_size=len(fields), max_size=len(fields)))
    true = true_captions(torch.tensor(fields), torch.tensor(named))
    images, texts = embeddings(len(fields))
    value = contrastive_loss(images, texts, torch.tensor(3.0), true)
    assert float(value) == pytest.approx(slow_loss(images, texts, 3.0, true), rel=1e-9)


def test_what_is_true_of_what() -> None:
    # city, country: Rome, Turin and Rome again; the second caption names the country alone
    fields = torch.tensor([[0, 0], [1, 0], [0, 0], [-1, 1]])
    named = torch.tensor([[True, True], [False, True], [True, True], [False, True]])
    expected = [[1, 1, 1, 0], [0, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 1]]
    assert true_captions(fields, named).int().tolist() == expected


def test_an_unknown_field_is_no_match() -> None:
    fields, named = torch.tensor([[-1], [-1]]), torch.tensor([[True], [True]])
    assert true_captions(fields, named).int().tolist() == [[1, 0], [0, 1]]


def test_own_positives_are_the_loss_of_clip() -> None:
    from transformers.models.clip.modeling_clip import image_text_contrastive_loss

    images, texts = embeddings(6)
    value = contrastive_loss(images, texts, torch.tensor(2.0), torch.ones((6, 6), dtype=torch.bool), "own")
    assert float(value) == pytest.approx(float(image_text_contrastive_loss(2.0 * texts @ images.T)), rel=1e-12)


def test_repeated_captions_hold_the_plain_loss_up() -> None:
    """Two photographs of each of four places, told apart perfectly: only the plain loss stays at log 2."""
    places = torch.eye(4, dtype=torch.float64).repeat_interleave(2, dim=0)
    true = true_captions(torch.arange(4).repeat_interleave(2)[:, None], torch.ones((8, 1), dtype=torch.bool))
    scale = torch.tensor(100.0)
    assert float(contrastive_loss(places, places, scale, true, "own")) == pytest.approx(math.log(2))
    weights = true.double() / true.sum(dim=1, keepdim=True)
    entropy = -(weights * weights.clamp_min(1e-300).log()).sum(dim=1).mean()
    assert float(contrastive_loss(places, places, scale, true)) == pytest.approx(float(entropy))


def test_unknown_positives() -> None:
    images, texts = embeddings(2)
    with pytest.raises(ValueError, match="positives must be one of true, own, got 'all'"):
        contrastive_loss(images, texts, torch.tensor(1.0), torch.eye(2).bool(), "all")  # type: ignore[arg-type]
