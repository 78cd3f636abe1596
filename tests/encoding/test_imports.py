import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocell.cli import main
from geocell.encoders import describe_encoder, load_encoder
from geocell.encoders.info import EncoderInfo
from geocell.encoding import encode, encoder_like, import_features
from geocell.views import read_views, table_from_frame
from tests.encoding.tiny import TinyEncoder
from tests.worlds import make_clip, make_image, make_photos

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


def test_files_of_clip_retrieval_belong_together_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "img_emb").mkdir()
    (tmp_path / "metadata").mkdir()
    for i, (n_features, n_rows) in enumerate(((3, 2), (2, 3))):  # five of each in all
        np.save(tmp_path / "img_emb" / f"img_emb_{i}.npy", np.ones((n_features, 4), np.float16))
        frame = pd.DataFrame({"image_path": [f"{i}-{row}.jpg" for row in range(n_rows)], "lat": 1.0 * i, "lon": 1.0})
        frame.to_parquet(tmp_path / "metadata" / f"metadata_{i}.parquet")
    with pytest.raises(ValueError, match=r"metadata_0\.parquet must have one row per feature .*, 3, got 2"):
        import_features(tmp_path, tmp_path / "c", encoder="clip")
    assert not (tmp_path / "c").exists()


def test_arrays_that_are_no_features(tmp_path: Path) -> None:
    table = table_from_frame(pd.DataFrame({"image": ["a"], "lat": [1], "lon": [2]}))
    np.save(tmp_path / "flat.npy", np.zeros(4))
    with pytest.raises(ValueError, match=r"floats of shape \(N, D\)"):
        import_features(tmp_path / "flat.npy", tmp_path / "c", table=table, encoder=IMPORTED)
    np.save(tmp_path / "none.npy", np.zeros((1, 0), np.float16))
    with pytest.raises(ValueError, match=r"none.npy must hold floats of shape \(N, D\), got float16 \(1, 0\)"):
        import_features(tmp_path / "none.npy", tmp_path / "c", table=table, encoder=IMPORTED)
    (tmp_path / "empty.npy").write_bytes(b"")
    with pytest.raises(ValueError, match=r"empty.npy must be an .npy file, got another kind of file"):
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


@pytest.mark.parametrize(("value", "text"), [(np.nan, "nan"), (-np.inf, "-inf"), (70_000.0, "70000")])
def test_features_that_a_cache_cannot_hold_are_named_by_the_row_of_their_file(
    value: float, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = np.ones((7, 3), np.float32)
    features[5, 2] = value
    np.save(tmp_path / "f.npy", features)
    (tmp_path / "t.csv").write_text("image,lat,lon\n" + "".join(f"{i}.jpg,{i},0\n" for i in range(7)))
    command = f"cache import {tmp_path}/f.npy {tmp_path}/t.csv --encoder mine --out {tmp_path}/c"
    assert main(command.split()) == 1
    assert capsys.readouterr().err == (
        f"geocell: {tmp_path}/f.npy: features must be finite and within ±65,504, got {text} in row 5, column 2 "
        f"(counted from 0; row 5 of {tmp_path}/t.csv, '5.jpg'): make them again, or leave this row out of both.\n"
    )
    assert not (tmp_path / "c").exists()
    table = read_views(tmp_path / "t.csv")
    with pytest.raises(ValueError, match=rf"^the array: features must be finite and .*, got {text} in row 5, column 2"):
        import_features(features, tmp_path / "c", table=table, encoder=IMPORTED, shard_rows=2)
    folder = tmp_path / "retrieval" / "img_emb"
    folder.mkdir(parents=True)
    for number, part in enumerate((features[:4], features[4:])):
        np.save(folder / f"img_emb_{number}.npy", part)
    with pytest.raises(ValueError, match=rf"img_emb_1.npy: features .*, got {text} in row 1, column 2 .*; row 5 of"):
        import_features(folder.parent, tmp_path / "c", table=table, encoder=IMPORTED, shard_rows=2)


def test_a_row_with_a_problem_may_have_any_features(tmp_path: Path) -> None:
    table = table_from_frame(pd.DataFrame({"image": ["a", "b"], "lat": [1.0, 2], "lon": 0.0}))
    table = replace(table, frame=table.frame.assign(problem=["", "no image"]))
    cache = import_features(np.array([[1.0], [np.nan]]), tmp_path / "c", table=table, encoder=IMPORTED)
    assert cache.views["status"].tolist() == ["ok", "no image"]


def test_views_without_a_position_stay_bad_when_features_are_imported(tmp_path: Path) -> None:
    make_image(tmp_path / "in" / "a.jpg", position=(1.0, 2.0))
    make_image(tmp_path / "in" / "b.jpg")
    np.save(tmp_path / "f.npy", np.ones((2, 3), np.float32))
    cache = import_features(tmp_path / "f.npy", tmp_path / "c", table=read_views(tmp_path / "in"), encoder=IMPORTED)
    assert cache.views["status"].tolist() == ["ok", "no EXIF GPS position"]
    assert np.isnan(cache.features[1]).all()
    assert cache.locations().latlon.tolist() == [[1.0, 2.0]]


def test_features_like_those_of_a_cache_or_an_encoder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = make_clip(tmp_path / "clip")
    encoder = load_encoder(str(clip), device="cpu")
    table = read_views(make_photos(tmp_path, 3, 1))
    cache = encode(table, encoder, tmp_path / "whole")
    np.save(tmp_path / "f.npy", cache.features)
    for number, like in enumerate((tmp_path / "whole", clip)):
        made = import_features(tmp_path / "f.npy", tmp_path / str(number), table=table, like=like)
        made.encoder.require_same(encoder.info, "the import", "the encoder")
        assert made.encoder.dim == 32
        command = (
            f"cache import {tmp_path}/f.npy {tmp_path}/photos.csv --like {like} --out {tmp_path}/by-{number} --json"
        )
        assert main(command.split()) == 0
        assert json.loads(capsys.readouterr().out)["encoder"] == made.encoder.to_dict()
    assert (
        import_features(tmp_path / "f.npy", tmp_path / "3", table=table, like=tmp_path / "0").encoder.dtype == "float32"
    )
    assert made.encoder.dtype == "unknown"
    wide = tmp_path / "wide.npy"
    np.save(wide, np.zeros((3, 5)))
    with pytest.raises(ValueError, match="must give 32 features, got 5"):
        import_features(wide, tmp_path / "d", table=table, like=tmp_path / "whole")


def test_weights_are_not_needed_to_say_what_an_encoder_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "clip")
    info = load_encoder(str(clip), device="cpu", augment="flip").info
    monkeypatch.setattr("geocell.encoders.tower._tower", None)
    assert replace(describe_encoder(str(clip), augment="flip"), dim=32) == info
    assert describe_encoder(str(clip), pooling="cls").pooling == "cls"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("", "one of --like and --encoder"),
        ("--like a --encoder b", "one of --like and --encoder"),
        ("--like a --processor b", "are those of --like"),
    ],
)
def test_flags_of_an_import(tmp_path: Path, flags: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(f"cache import f.npy t.csv --out {tmp_path}/c {flags}".split()) == 2
    assert words in capsys.readouterr().err


def test_a_cache_has_its_own_pooling(tmp_path: Path) -> None:
    cache = encode(make_photos(tmp_path, 2, 1), TinyEncoder(), tmp_path / "c")
    assert encoder_like(tmp_path / "c") == cache.encoder
    with pytest.raises(ValueError, match="has a revision and a pooling of its own"):
        encoder_like(tmp_path / "c", pooling="cls")
    for arguments in ({}, {"encoder": IMPORTED, "like": tmp_path / "c"}):
        with pytest.raises(ValueError, match="one of encoder and like"):
            import_features(tmp_path / "f.npy", tmp_path / "d", **arguments)


@settings(max_examples=100)
@given(st.data())
def test_mutated_arrays_raise_clean_errors(data: st.DataObject) -> None:
    table = table_from_frame(pd.DataFrame({"image": ["a", "b"], "lat": [1, 2], "lon": [2, 3]}))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "f.npy"
        np.save(path, np.ones((2, 3), np.float32))
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 5))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        if data.draw(st.booleans()):
            shape = data.draw(st.lists(st.integers(-(2**70), 2**70), max_size=3))
            header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {tuple(shape)}, }}".ljust(117) + "\n"
            content[10:128] = header.encode()[:118]
        path.write_bytes(content[: data.draw(st.sampled_from([len(content), 0, 5, 60, 130]))])
        with suppress(ValueError):
            import_features(path, Path(folder) / "c", table=table, encoder=IMPORTED)
