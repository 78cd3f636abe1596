"""From cached features to logits of texts: one matrix product, a norm, and the product with the texts' embeddings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

_TINY = 1e-12  # below this a vector has no direction


@dataclass(frozen=True, eq=False)
class Projection:
    """How the features of an encoder become embeddings beside those of texts, and how alike the two are.

    Attributes:
        matrix: (d, D) float32, CLIP's `visual_projection`; None where the features are embeddings already (SigLIP).
        scale: factor of the cosines, exp(logit_scale).
        bias: added to the logits; 0 but for SigLIP.
        independent: whether each logit is of a yes or no of its own (SigLIP's sigmoids), and not one of several that
            exclude each other (softmax).
    """

    matrix: Float32 | None
    scale: float
    bias: float = 0.0
    independent: bool = False

    def __post_init__(self) -> None:
        """Check that the numbers can be computed with, and make the matrix read-only."""
        if not (np.isfinite(self.scale) and self.scale > 0 and np.isfinite(self.bias)):
            raise ValueError(
                f"a projection needs a scale above 0 and a finite bias, got {self.scale:g} and {self.bias:g}."
            )
        if self.matrix is None:
            return
        matrix = np.array(self.matrix, dtype=np.float32)
        if matrix.ndim != 2 or 0 in matrix.shape or not np.isfinite(matrix).all():
            raise ValueError(f"a projection needs a finite (d, D) matrix, got the shape {matrix.shape} or NaN in it.")
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    def __call__(self, pooled: NDArray[np.floating]) -> Float32:
        """Return the (N, d) embeddings of norm 1 of (N, D) features.

        Raises:
            ValueError: for features of another size, or that are not finite or 0.
        """
        features = np.asarray(pooled, dtype=np.float32)
        if features.ndim != 2 or (self.matrix is not None and features.shape[1] != self.matrix.shape[1]):
            size = "D" if self.matrix is None else f"{self.matrix.shape[1]:,}"
            raise ValueError(f"features to project must be (N, {size}), got the shape {features.shape}.")
        return unit_rows(features if self.matrix is None else features @ self.matrix.T, "features to project")

    def logits(self, embeddings: Float32, texts: Float32) -> Float32:
        """Return the (N, n) logits of (N, d) embeddings of images and (n, d) of texts."""
        return np.asarray(np.float32(self.scale) * (embeddings @ texts.T) + np.float32(self.bias), dtype=np.float32)

    def probabilities(self, embeddings: Float32, texts: Float32) -> Float32:
        """Return (N, n) probabilities: a softmax over the texts, or for `independent` the sigmoid of each."""
        logits = self.logits(embeddings, texts).astype(np.float64)
        if self.independent:
            return np.asarray(np.exp(-np.logaddexp(0.0, -logits)), dtype=np.float32)
        logits -= logits.max(axis=1, keepdims=True)
        raised = np.exp(logits)
        return np.asarray(raised / raised.sum(axis=1, keepdims=True), dtype=np.float32)


def unit_rows(vectors: NDArray[np.floating], what: str) -> Float32:
    """Return (N, d) vectors divided by their norms.

    Raises:
        ValueError: for a row that is 0, NaN or infinite.
    """
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    bad = ~((norms[:, 0] > _TINY) & np.isfinite(norms[:, 0]))
    if bad.any():
        raise ValueError(
            f"{what} must be finite and not 0, got NaN, infinity or 0 in row {int(np.flatnonzero(bad)[0])}."
        )
    return np.asarray(vectors / norms, dtype=np.float32)
