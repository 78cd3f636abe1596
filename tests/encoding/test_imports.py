from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from geocell.encoders.info import EncoderInfo
from geocell.encoding import import_features
from geocell.views import read_views, table_from_frame
from tests.worlds import make_image

IMPORTED = EncoderInfo("theirs", "1", "cls", 0, 224, "?")


def test_importing_features(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(10, 6)).astype(np.float32)
    np.save(tmp_path / "f.npy", features)
    table = table_from_frame(pd.DataFrame({"image": list("abcdefghij"), "lat": range(10), "lon": 0}))
    cache = import_features(tmp_path / "f.npy", tmp_path / "c", table=table, encoder=IMPORTED, shard_rows=4)
    np.testing.assert_array_equal(cache.features, features.astype(np.float16))
    assert cache.encoder.dim == 6
    with pytest.raises(ValueError, match="10 feature rows and 3 table rows"):
        import_features(
            tmp_path / "f.npy",
            tmp_path / "d",
            table=table_from_frame(table.frame.iloc[:3].drop(columns="problem")),
            encoder=IMPORTED,
        )
    with pytest.raises(ValueError, match="needs a table"):
        import_features(tmp_path / "f.npy", tmp_path / "d", encoder=IMPORTED)
    with pytest.raises(FileNotFoundError, match="no such file"):
        import_features(tmp_path / "g.npy", tmp_path / "d", table=table, encoder=IMPORTED)
    wide = EncoderInfo(**{**IMPORTED.to_dict(), "dim": 1024})
    with pytest.raises(ValueError, match="must give 1024 features, got 6"):
        import_features(tmp_path / "f.npy", tmp_path / "d", table=table, encoder=wide)


def test_importing_what_clip_retrieval_writes(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(23, 4)).astype(np.float16)
    (tmp_path / "img_emb").mkdir()
    (tmp_path / "metadata").mkdir()
    for i in range(12):  # part 10 must come after part 9, not after part 1
        rows = slice(2 * i, 2 * i + 2)
        np.save(tmp_path / "img_emb" / f"img_emb_{i}.npy", features[rows])
        part = pd.DataFrame({"image_path": [f"{r}.jpg" for r in range(23)[rows]]})
        part["lat"], part["lon"] = range(23)[rows], 5.0
        part.to_parquet(tmp_path / "metadata" / f"metadata_{i}.parquet")
    cache = import_features(tmp_path, tmp_path / "c", encoder=IMPORTED, shard_rows=7)
    np.testing.assert_array_equal(cache.features, features)
    assert cache.views["lat"].tolist() == [float(i) for i in range(23)]
    with pytest.raises(ValueError, match="img_emb_0"):
        import_features(tmp_path / "metadata", tmp_path / "d", encoder=IMPORTED)


def test_arrays_that_are_no_features(tmp_path: Path) -> None:
    table = table_from_frame(pd.DataFrame({"image": ["a"], "lat": [1], "lon": [2]}))
    np.save(tmp_path / "flat.npy", np.zeros(4))
    with pytest.raises(ValueError, match=r"floats of shape \(N, D\)"):
        import_features(tmp_path / "flat.npy", tmp_path / "c", table=table, encoder=IMPORTED)
    (tmp_path / "empty.npy").write_bytes(b"")
    with pytest.raises(ValueError, match=r"empty.npy must be a plain .npy array, got: No data left"):
        import_features(tmp_path / "empty.npy", tmp_path / "c", table=table, encoder=IMPORTED)
    np.save(tmp_path / "object.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"plain \.npy"):
        import_features(tmp_path / "object.npy", tmp_path / "c", table=table, encoder=IMPORTED)


def test_importing_again_never_keeps_the_old_features(tmp_path: Path) -> None:
    table = table_from_frame(pd.DataFrame({"image": ["a", "b"], "lat": [1.0, 2], "lon": 0.0}))
    for value in (0, 1):
        np.save(tmp_path / f"{value}.npy", np.full((2, 3), value, np.float32))
    import_features(tmp_path / "0.npy", tmp_path / "c", table=table, encoder=IMPORTED)
    with pytest.raises(FileExistsError, match="--overwrite"):
        import_features(tmp_path / "1.npy", tmp_path / "c", table=table, encoder=IMPORTED)
    cache = import_features(tmp_path / "1.npy", tmp_path / "c", table=table, encoder=IMPORTED, overwrite=True)
    assert cache.features.tolist() == [[1, 1, 1], [1, 1, 1]]


def test_views_without_a_position_stay_bad_when_features_are_imported(tmp_path: Path) -> None:
    make_image(tmp_path / "in" / "a.jpg", position=(1.0, 2.0))
    make_image(tmp_path / "in" / "b.jpg")
    np.save(tmp_path / "f.npy", np.ones((2, 3), np.float32))
    cache = import_features(tmp_path / "f.npy", tmp_path / "c", table=read_views(tmp_path / "in"), encoder=IMPORTED)
    assert cache.views["status"].tolist() == ["ok", "no EXIF GPS position"]
    assert np.isnan(cache.features[1]).all()
    assert cache.locations().latlon.tolist() == [[1.0, 2.0]]
