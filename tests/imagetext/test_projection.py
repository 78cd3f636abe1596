"""Features to embeddings to probabilities, against the formulas written out."""

import numpy as np
import pytest

from geocell.imagetext.projection import Projection, unit_rows

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(5, 8)).astype(np.float32)
FEATURES = RNG.normal(size=(7, 8)).astype(np.float32)
TEXTS = unit_rows(RNG.normal(size=(3, 5)), "texts")


def test_an_embedding_is_the_product_divided_by_its_norm() -> None:
    embeddings = Projection(MATRIX, 10.0)(FEATURES)
    for row, feature in zip(embeddings, FEATURES.astype(np.float64), strict=True):
        expected = MATRIX.astype(np.float64) @ feature
        assert row == pytest.approx(expected / np.sqrt((expected**2).sum()), abs=1e-6)


def test_without_a_matrix_features_are_embeddings_already() -> None:
    assert Projection(None, 1.0)(FEATURES) == pytest.approx(
        FEATURES / np.linalg.norm(FEATURES, axis=1, keepdims=True), abs=1e-7
    )


def test_probabilities_exclude_each_other_or_not() -> None:
    embeddings = Projection(MATRIX, 10.0)(FEATURES)
    cosines = embeddings.astype(np.float64) @ TEXTS.astype(np.float64).T
    softmax = Projection(MATRIX, 10.0).probabilities(embeddings, TEXTS)
    raised = np.exp(10 * cosines)
    assert softmax == pytest.approx(raised / raised.sum(axis=1, keepdims=True), abs=1e-5)
    sigmoid = Projection(MATRIX, 10.0, -2.0, independent=True).probabilities(embeddings, TEXTS)
    assert sigmoid == pytest.approx(1 / (1 + np.exp(2 - 10 * cosines)), abs=1e-5)


def test_large_scales_do_not_overflow() -> None:
    embeddings = Projection(MATRIX, 1.0)(FEATURES)
    for independent in (False, True):
        found = Projection(MATRIX, 1e6, -5e5, independent).probabilities(embeddings, TEXTS)
        assert np.isfinite(found).all()


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_bad_numbers_are_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="needs a scale above 0"):
        Projection(MATRIX, scale)
    with pytest.raises(ValueError, match=r"needs a finite \(d, D\) matrix"):
        Projection(np.full((2, 2), np.nan, dtype=np.float32), 1.0)


def test_bad_features_are_refused() -> None:
    projection = Projection(MATRIX, 1.0)
    with pytest.raises(ValueError, match=r"must be \(N, 8\), got the shape \(7, 5\)"):
        projection(FEATURES[:, :5])
    with pytest.raises(ValueError, match="got NaN, infinity or 0 in row 2"):
        projection(np.where(np.arange(7)[:, None] == 2, np.nan, FEATURES))
    with pytest.raises(ValueError, match="got NaN, infinity or 0 in row 3"):
        projection(np.where(np.arange(7)[:, None] == 3, 0.0, FEATURES))


def test_the_matrix_cannot_be_changed() -> None:
    matrix = Projection(MATRIX, 1.0).matrix
    assert matrix is not None
    with pytest.raises(ValueError, match="read-only"):
        matrix[0, 0] = 1.0
