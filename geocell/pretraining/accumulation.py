"""Gradients of a contrastive batch that does not fit into memory, exactly as if it did (GradCache, Gao et al. 2021).

The loss of a contrastive batch depends on all of its embeddings, so that the mean of the losses of its pieces is
another loss. Here a first pass without gradients makes all embeddings, the loss gives the gradient of each, and a
second pass sends these through the model piece by piece, with the random numbers of the first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

Piece = TypeVar("Piece")


class RandomState:
    """The state of the random generators of torch, so that dropout is the same again."""

    def __init__(self) -> None:
        """Note the state now."""
        self._cpu = torch.get_rng_state()
        self._cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None

    def restore(self) -> None:
        """Go back to the noted state."""
        torch.set_rng_state(self._cpu)
        if self._cuda is not None:
            torch.cuda.set_rng_state(self._cuda)


def accumulate(
    pieces: Sequence[Piece],
    embed: Callable[[Piece], tuple[Tensor, Tensor]],
    loss: Callable[[Tensor, Tensor], Tensor],
    gather: Callable[[Tensor], tuple[Tensor, slice]] | None = None,
    nothing: Tensor | None = None,
) -> Tensor:
    """Add to every parameter the gradient of the loss of one batch, computed piece by piece.

    Args:
        pieces: the batch in pieces, at least one; of a process among several there may be none.
        embed: piece -> (b, d) embeddings of its images and (b, d) of its captions; it is called twice per piece.
        loss: (B, d) embeddings of all images and of all captions -> the loss. Parameters that it uses itself, such as
            the scale, get their gradient too.
        gather: the embeddings of this process -> those of all, and which rows are its own; None for one process. The
            gradients then have to be summed over the processes, but for those of parameters that `loss` uses.
        nothing: (0, d) embeddings of a process that has no piece.

    Returns:
        The loss, without gradient.

    Raises:
        ValueError: for no piece.
    """
    if not pieces and (gather is None or nothing is None):
        raise ValueError("a batch must have at least one piece, got none.")
    if len(pieces) == 1 and gather is None:
        value = loss(*embed(pieces[0]))
        value.backward()  # type: ignore[no-untyped-call]
        return value.detach()
    states: list[RandomState] = []
    made: list[tuple[Tensor, Tensor]] = []
    with torch.no_grad():
        for piece in pieces:
            states.append(RandomState())
            made.append(embed(piece))
    if not made and nothing is not None:
        made.append((nothing, nothing))
    images, texts = (torch.cat([pair[side] for pair in made]) for side in (0, 1))
    own = slice(0, len(images))
    if gather is not None:
        images, own = gather(images)
        texts, _ = gather(texts)
    images, texts = images.requires_grad_(), texts.requires_grad_()
    value = loss(images, texts)
    value.backward()  # type: ignore[no-untyped-call]
    after = RandomState()
    sizes = [len(pair[0]) for pair in made]
    slopes = zip(*(torch.split(torch.as_tensor(all_.grad)[own], sizes) for all_ in (images, texts)), strict=True)
    for piece, state, (of_images, of_texts) in zip(pieces, states, slopes, strict=False):
        state.restore()
        again_images, again_texts = embed(piece)
        torch.autograd.backward([again_images, again_texts], [of_images, of_texts])
    after.restore()
    return value.detach()
