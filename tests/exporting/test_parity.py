"""Parity: differences are measured as they are, and rows are what they are said to be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geocell.encoders import load_encoder
from geocell.exporting.parity import MOST_ROWS, feature_rows, measure, photo_rows, random_features
from tests.encoders.test_manifest import make_manifest
from tests.exporting.exports import by_hand, random_head
from tests.worlds import make_clip, make_image


def test_the_head_itself_has_full_parity() -> None:
    head, rows = random_head(), random_features(8)
    found = measure(head, rows, lambda batch: by_hand(head, batch).astype(np.float32), head.prepare("centroid"), "pt2")
    assert (found.source, found.rows, found.skipped, found.decoder) == ("random features", 256, 0, "centroid")
    assert 0 < found.largest_difference < 1e-5
    assert (found.top1, found.decoded_within_1_km, found.decoded_max_km) == (1.0, 1.0, 0.0)
    assert found.top5 == 1.0
    assert found.runtime.startswith("torch ")
    assert found.to_dict()["format"] == 1


def test_differences_are_counted() -> None:
    head = random_head()
    features = np.random.default_rng(1).normal(size=(40, 8))

    def half_wrong(batch: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        good = by_hand(head, batch)
        wrong = good.copy()
        rows = np.arange(len(good))[::2]
        best, worst = good.argmax(1)[rows], good.argmin(1)[rows]
        wrong[rows, best], wrong[rows, worst] = good[rows, worst], good[rows, best]  # the sets of five differ too
        return wrong.astype(np.float32)

    rows = feature_rows(features, "x")
    right = by_hand(head, rows.features)
    found = measure(head, rows, half_wrong, head.prepare("centroid"), "pt2")
    assert (found.top1, found.top5, found.decoded_within_1_km) == (0.5, 0.5, 0.5)
    assert found.decoded_max_km > 100
    # batches have 32 and 8 rows, so that every other row of all is wrong
    assert found.largest_difference == pytest.approx(np.ptp(right, axis=1)[::2].max(), abs=1e-5)


def test_rows_are_rounded_like_a_cache_and_bounded() -> None:
    rows = feature_rows(np.full((MOST_ROWS + 5, 2), 1.0001), "x")
    assert rows.features.shape == (MOST_ROWS, 2)
    assert (rows.features == 1.0).all()
    assert sum(len(batch) for batch in rows.inputs) == MOST_ROWS


def test_photographs_are_read_and_broken_ones_counted(tmp_path: Path) -> None:
    encoder = load_encoder(str(make_clip(tmp_path / "clip")), device="cpu")
    for i in range(3):
        make_image(tmp_path / f"photos/{i}.jpg", seed=i)
    (tmp_path / "photos/3.jpg").write_bytes(b"no image")
    manifest = make_manifest(with_encoder=False)
    rows = photo_rows(tmp_path / "photos", encoder, manifest)
    assert (rows.source, rows.skipped, rows.features.shape) == ("photographs of photos", 1, (3, 32))
    np.testing.assert_array_equal(rows.inputs[0], rows.features.astype(np.float16).astype(np.float32))
    (tmp_path / "broken").mkdir()
    (tmp_path / "photos/3.jpg").rename(tmp_path / "broken/3.jpg")
    with pytest.raises(ValueError, match="at least one readable image, got none of 1"):
        photo_rows(tmp_path / "broken", encoder, manifest)
    assert photo_rows(None, encoder, manifest).source == "random pixels"
