from pathlib import Path

import numpy as np
import pytest

from geocell.images.sources import FileImages
from geocell.pretraining.image_embeddings import BATCH_SIZE, embedded_images
from tests.pretraining.captioned_photos import World


def test_rows_are_those_of_their_images(world: World, tmp_path: Path) -> None:
    transform = world.clip().processor.transform
    names = [f"{number % 18}.jpg" for number in range(BATCH_SIZE + 4)]
    for name in set(names) - {"5.jpg"}:
        (tmp_path / name).write_bytes((world.folder / name).read_bytes())
    rows, found, problems = embedded_images(
        names, FileImages(str(tmp_path)), transform, lambda pixels: pixels.mean(axis=(1, 2), dtype=np.float32)
    )
    assert problems == {"5.jpg": "no such file"}
    assert rows.tolist() == [row for row, name in enumerate(names) if name != "5.jpg"]
    for row, mean in zip(rows.tolist(), found, strict=True):
        first = rows.tolist().index(row % 18)
        np.testing.assert_array_equal(mean, found[first])
    assert len(np.unique(found, axis=0)) == 17


def test_no_image(world: World, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"got none \(the first: a.jpg: no such file\)"):
        embedded_images(["a.jpg"], FileImages(str(tmp_path)), world.clip().processor.transform, np.asarray)
