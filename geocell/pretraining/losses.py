"""The contrastive loss between images and captions, with every caption that is true of an image as a positive."""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor

from geocell.pretraining.config import Positives


def true_captions(fields: Tensor, named: Tensor) -> Tensor:
    """Return which captions of a batch are true of which images.

    A caption is true of an image when the image has every field that the caption names: "in Italy" of all photographs
    of Italy, "in Rome, Italy" only of those of Rome. Images of one city whose captions name the city are positives of
    each other; so are all of one country where the captions name the country alone.

    Args:
        fields: (B, F) integer codes of the fields of each image, negative where one is not known.
        named: (B, F) whether the caption of an image names a field.

    Returns:
        (B, B) bool, rows images, columns captions; the diagonal is true.
    """
    true = torch.ones((len(fields), len(fields)), dtype=torch.bool, device=fields.device)
    for codes, names in zip(fields.T, named.T, strict=True):
        same = (codes[:, None] == codes[None, :]) & (codes >= 0)
        true &= same | ~names
    return true.fill_diagonal_(True)


def contrastive_loss(
    images: Tensor, texts: Tensor, scale: Tensor, true: Tensor, positives: Positives = "true"
) -> Tensor:
    """Return the symmetric contrastive loss of B images and their captions.

    ``z = s · I Tᵀ`` and ``L = ½ (CE(z, q) + CE(zᵀ, r))``, where a row of q spreads one over the captions that are true
    of an image, and a row of r over the images of which a caption is true (as UniCL does: Yang et al. 2022). With
    `positives="own"` both are the identity: CLIP's loss (Radford et al. 2021), for which a second photograph of the
    same place is a negative, so that it cannot fall below the mean of ``log n`` over captions that occur n times.

    Args:
        images: (B, d) embeddings of length 1.
        texts: (B, d) embeddings of length 1, row i those of the caption of image i.
        scale: the factor s of the cosines.
        true: (B, B) which captions are true of which images; see `true_captions`.
        positives: `true` for all of them, `own` for each image's own caption alone.

    Raises:
        ValueError: for another `positives`.
    """
    if positives not in get_args(Positives):
        raise ValueError(f"positives must be one of {', '.join(get_args(Positives))}, got {positives!r}.")
    logits = scale * images @ texts.T
    if positives == "own":
        own = torch.arange(len(images), device=images.device)
        cross_entropy = torch.nn.functional.cross_entropy
        return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
    weights = true.to(logits.dtype)
    to_texts = -(logits.log_softmax(dim=1) * (weights / weights.sum(dim=1, keepdim=True))).sum(dim=1)
    to_images = -(logits.log_softmax(dim=0) * (weights / weights.sum(dim=0, keepdim=True))).sum(dim=0)
    return (to_texts.mean() + to_images.mean()) / 2
