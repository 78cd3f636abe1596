import errno
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from geocell.cli import main
from geocell.encoders import TowerEncoder, load_encoder
from geocell.encoders.info import EncoderInfo
from geocell.encoding import encode, encode_images
from geocell.features import FeatureCache
from geocell.images import opening
from geocell.images.sources import FileImages
from geocell.views import read_views, table_from_frame
from tests.encoding.tiny import TinyEncoder, noise
from tests.worlds import make_clip, make_image, make_photos

IMPORTED = EncoderInfo("theirs", "1", "cls", 0, 224, "?")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> TowerEncoder:
    return TowerEncoder(str(make_clip(tmp_path_factory.mktemp("clip"))), device="cpu")


def folder_bytes(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if not p.name.startswith(".")}


def test_batches_workers_and_shards_change_nothing(tmp_path: Path, clip: TowerEncoder) -> None:
    table = make_photos(tmp_path, 7, 3)
    one = encode(table, clip, tmp_path / "one", batch_size=1, workers=1)
    many = encode(table, clip, tmp_path / "many", batch_size=8, workers=4, shard_rows=5)
    np.testing.assert_allclose(one.features.astype(np.float32), many.features.astype(np.float32), rtol=2e-3, atol=2e-3)
    assert one.views.equals(many.views)
    assert one.views["image"].tolist()[4] == "img/001_1.jpg"


def test_broken_images_are_rows_with_reasons(
    tmp_path: Path, clip: TowerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = make_image(tmp_path / "good.jpg", 1)
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[: good.stat().st_size * 2 // 3])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("not an image")
    make_image(tmp_path / "huge.jpg", size=300)
    monkeypatch.setattr(opening, "MAX_MEGAPIXELS", 0.01)
    names = ["cut.jpg", "good.jpg", "empty.jpg", "gone.jpg", "text.jpg", "huge.jpg", "good.jpg"]
    frame = pd.DataFrame({"image": names, "lat": range(7), "lon": 0})
    cache = encode(table_from_frame(frame, tmp_path), clip, tmp_path / "c", batch_size=4)
    status = cache.views["status"].tolist()
    assert [s == "ok" for s in status] == [False, True, False, False, False, False, True]
    assert "truncated" in status[0]
    assert status[3] == "no such file"
    assert status[5] == "too large: 316 x 300 pixels, more than 0.01 megapixels"
    assert len(cache.locations()) == 2
    np.testing.assert_array_equal(cache.features[1], cache.features[6])


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "I;16", "1"])
def test_every_colour_mode_is_encoded(tmp_path: Path, clip: TowerEncoder, mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50), dtype=np.uint8)
    image = Image.fromarray(pixels.astype(np.uint16) * 256) if mode == "I;16" else Image.fromarray(pixels).convert(mode)
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    image.save(path)
    features = encode_images([path], clip)
    assert np.isfinite(features).all()


def test_exif_rotation_is_applied(tmp_path: Path, clip: TowerEncoder) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8))
    image.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    upright, turned = encode_images([tmp_path / "upright.png", tmp_path / "turned.png"], clip)
    np.testing.assert_allclose(upright, turned, atol=1e-6)
    with Image.open(tmp_path / "turned.png") as mine:
        np.testing.assert_allclose(encode_images([mine], clip)[0], turned, atol=1e-6)  # alone it is another batch
        assert mine.size == (60, 90)  # what is somebody's is not turned itself


@pytest.mark.parametrize("workers", [0, 1])
def test_what_pillow_warns_of_is_no_problem(tmp_path: Path, workers: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    noise().save(tmp_path / "0.jpg", exif=exif)
    data = bytearray((tmp_path / "0.jpg").read_bytes())
    offset = data.find(b"Exif\0\0") + 10  # of the first directory
    data[offset : offset + 12] = b"\xff" * 12
    (tmp_path / "0.jpg").write_bytes(data)
    with pytest.warns(UserWarning, match="Corrupt EXIF"), Image.open(tmp_path / "0.jpg") as image:
        image.getexif()
    frame = pd.DataFrame({"image": ["0.jpg"], "lat": [1.0], "lon": [2.0]})
    assert encode(table_from_frame(frame, tmp_path), TinyEncoder(), tmp_path / "c", workers=workers).good.all()


def test_a_folder_with_exif_keeps_images_without_position_as_rows(tmp_path: Path, clip: TowerEncoder) -> None:
    make_image(tmp_path / "in" / "a.jpg", position=(1.0, 2.0))
    make_image(tmp_path / "in" / "b.jpg")
    cache = encode(tmp_path / "in", clip, tmp_path / "c")
    assert cache.views["status"].tolist() == ["ok", "no EXIF GPS position"]


def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(
    tmp_path: Path, clip: TowerEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = read_views(make_photos(tmp_path, 8, 2))
    encode(table, clip, tmp_path / "whole", shard_rows=4)
    calls: list[int] = []
    real = TowerEncoder.__call__

    def dies(self: TowerEncoder, pixels: np.ndarray) -> np.ndarray:
        calls.append(len(pixels))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, pixels)

    monkeypatch.setattr(TowerEncoder, "__call__", dies)
    with pytest.raises(KeyboardInterrupt):
        encode(table, clip, tmp_path / "cut", shard_rows=4)
    kept = (tmp_path / "cut" / "features-00000.safetensors").stat().st_mtime_ns
    assert not (tmp_path / "cut" / "features-00002.safetensors").exists()
    monkeypatch.setattr(TowerEncoder, "__call__", real)
    encode(table, clip, tmp_path / "cut", shard_rows=4)
    assert (tmp_path / "cut" / "features-00000.safetensors").stat().st_mtime_ns == kept
    assert folder_bytes(tmp_path / "cut") == folder_bytes(tmp_path / "whole")


def test_a_run_out_of_open_files_goes_on_and_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = read_views(make_photos(tmp_path, 8, 2))
    encode(table, TinyEncoder(), tmp_path / "whole", shard_rows=4)
    read = FileImages.read

    def refused(self: FileImages, reference: str) -> bytes:
        if "005_0" in reference:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return read(self, reference)

    command = ["encode", str(tmp_path / "photos.csv"), "--encoder", "tests.encoding.tiny:TinyEncoder"]
    command += ["--out", str(tmp_path / "cut"), "--shard-rows", "4", "--workers", "0"]
    with monkeypatch.context() as patch:
        patch.setattr(FileImages, "read", refused)
        assert main(command) == 1
    assert "geocell: img/005_0.jpg must be opened, and too many files are open already" in capsys.readouterr().err
    assert (tmp_path / "cut" / "features-00000.safetensors").exists()
    assert main(command) == 0
    assert folder_bytes(tmp_path / "cut") == folder_bytes(tmp_path / "whole")


@pytest.mark.slow
def test_a_killed_process_leaves_a_cache_that_goes_on(tmp_path: Path, clip: TowerEncoder) -> None:
    table = make_photos(tmp_path, 40, 2)
    encoder = clip.info.source
    command = [
        sys.executable, "-m", "geocell", "encode", str(table), "--encoder", encoder, "--out", str(tmp_path / "c"),
        "--batch-size", "1", "--shard-rows", "4", "--json",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not list((tmp_path / "c").glob("features-*")) and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert list((tmp_path / "c").glob("features-*"))
    cache = encode(table, clip, tmp_path / "c", batch_size=1)
    encode(table, clip, tmp_path / "whole", batch_size=1, shard_rows=4)
    assert len(cache) == 80
    assert folder_bytes(tmp_path / "c") == folder_bytes(tmp_path / "whole")


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch_size", 0), ("shard_rows", 0), ("workers", -1), ("image_timeout", 0), ("image_timeout", math.nan)],
)
def test_bad_sizes(tmp_path: Path, clip: TowerEncoder, name: str, value: int) -> None:
    with pytest.raises(ValueError, match=rf"{name} .*{value}"):
        encode(make_photos(tmp_path, 2, 1), clip, tmp_path / "c", **{name: value})


def test_a_few_images_without_a_cache(tmp_path: Path, clip: TowerEncoder) -> None:
    path = make_image(tmp_path / "a.jpg", 1)
    features = encode_images([path, Image.open(path)], clip, batch_size=1)
    np.testing.assert_allclose(features[0], features[1], atol=1e-6)
    (tmp_path / "b.jpg").write_text("x")
    with pytest.raises(ValueError, match=r"b\.jpg must be a readable image"):
        encode_images([tmp_path / "b.jpg"], clip)


def test_real_photographs_equal_the_plain_call(tmp_path: Path, shared_data: Path, clip: TowerEncoder) -> None:
    import torch
    from transformers import AutoImageProcessor, CLIPVisionModel
    from transformers.image_utils import load_image

    cache = encode(shared_data / "photos" / "photos.csv", clip, tmp_path / "c")
    assert cache.good.all()
    model = CLIPVisionModel.from_pretrained(clip.info.source).eval()
    processor = AutoImageProcessor.from_pretrained(clip.info.source, backend="pil")
    for row, name in enumerate(cache.views["image"]):
        image = load_image(str(shared_data / "photos" / name))
        with torch.no_grad():
            plain = model(**processor(images=image, return_tensors="pt")).pooler_output[0].double().numpy()
        ours = cache.features[row].astype(np.float64)
        assert plain @ ours / np.linalg.norm(plain) / np.linalg.norm(ours) > 0.99999


@pytest.mark.slow
def test_real_photographs_with_the_pretrained_encoder(tmp_path: Path, shared_data: Path) -> None:
    import torch

    encoder = load_encoder("efficientnet-lite0", device="cpu")
    cache = encode(shared_data / "photos" / "photos.csv", encoder, tmp_path / "c")
    assert cache.good.all()
    assert cache.features.shape == (57, 1280)
    for row in range(0, 57, 8):
        image = Image.open(shared_data / "photos" / cache.views["image"].iloc[row]).convert("RGB")
        scale = 256 / min(image.size)
        small = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
        left, top = (small.width - 224) // 2, (small.height - 224) // 2
        pixels = (np.asarray(small.crop((left, top, left + 224, top + 224)), np.float32) - 127) / 128
        with torch.no_grad():
            plain = encoder.model.extract_features(torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy())).mean(
                (2, 3)
            )
        a, b = plain[0].double().numpy(), cache.features[row].astype(np.float64)
        assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.99999


def test_repaired_images_are_encoded_on_retry(tmp_path: Path, clip: TowerEncoder) -> None:
    table = make_photos(tmp_path, 6, 1)
    image = tmp_path / "img" / "002_0.jpg"
    kept = image.read_bytes()
    image.write_bytes(b"")
    encode(table, clip, tmp_path / "c", shard_rows=2)
    image.write_bytes(kept)
    assert not encode(table, clip, tmp_path / "c").good.all()
    assert encode(table, clip, tmp_path / "c", retry=True).good.all()
    encode(table, clip, tmp_path / "whole", shard_rows=2)
    assert folder_bytes(tmp_path / "c") == folder_bytes(tmp_path / "whole")


def test_ribbons_and_deep_pixels(tmp_path: Path, clip: TowerEncoder) -> None:
    Image.new("RGB", (900, 10)).save(tmp_path / "ribbon.png")
    grey = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    Image.fromarray(grey).save(tmp_path / "flat.png")
    Image.fromarray(grey.astype(np.float32)).save(tmp_path / "float.tiff")
    names = ["ribbon.png", "deep.png", "flat.png", "float.tiff"]
    frame = pd.DataFrame({"image": names, "lat": [1.0, 2, 3, 4], "lon": 0.0})
    cache = encode(table_from_frame(frame, tmp_path), clip, tmp_path / "c")
    status = cache.views["status"].tolist()
    assert status[0] == "too narrow: 900 x 10 pixels"
    assert status[1:3] == ["ok", "ok"]
    assert "mode F" in status[3]
    np.testing.assert_array_equal(cache.features[1], cache.features[2])


def test_a_place_that_is_no_cache_is_left_as_it_was(tmp_path: Path, clip: TowerEncoder) -> None:
    table = make_photos(tmp_path, 2, 1)
    before = sorted(tmp_path.rglob("*"))
    for out in (tmp_path, table, table / "below"):
        with pytest.raises(FileExistsError, match="not a feature cache"):
            encode(table, clip, out)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_killed_as_it_began_goes_on(tmp_path: Path, clip: TowerEncoder) -> None:
    table = make_photos(tmp_path, 2, 1)
    encode(table, clip, tmp_path / "c")
    (tmp_path / "c" / "views.parquet").unlink()  # which is written after cache.json
    next((tmp_path / "c").glob("features-*")).unlink()
    assert encode(table, clip, tmp_path / "c").good.all()


def test_a_wrong_root_leaves_nothing_and_the_right_one_works_afterwards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = make_photos(tmp_path / "photos", 3, 1)
    (tmp_path / "else").mkdir()
    (tmp_path / "mine.py").write_text("from tests.encoding.tiny import TinyEncoder as Tiny\n")
    monkeypatch.syspath_prepend(tmp_path)
    command = f"encode {table} --encoder mine:Tiny --device cpu --out {tmp_path / 'c'}"
    for root, words in (("none", "--root must be a folder that exists"), ("else", "none of the 3 image files")):
        assert main([*command.split(), "--root", str(tmp_path / root)]) == 1
        said = capsys.readouterr().err
        assert words in said
        assert "loading the encoder" not in said
        assert not (tmp_path / "c").exists()
    assert main([*command.split(), "--root", str(tmp_path / "photos")]) == 0
    assert FeatureCache.open(tmp_path / "c").good.all()


def test_a_finished_cache_needs_its_images_no_more(tmp_path: Path) -> None:
    table, out = make_photos(tmp_path, 3, 1), tmp_path / "c"
    line = ["encode", str(table), "--encoder", "tests.encoding.tiny:TinyEncoder", "--out", str(out)]
    assert main([*line, "--shard-rows", "2"]) == 0
    done = folder_bytes(out)
    for path in (tmp_path / "img").iterdir():
        path.unlink()
    assert main(line) == 0
    assert len(encode(table, TinyEncoder(), out)) == 3
    assert folder_bytes(out) == done
    with pytest.raises(FileNotFoundError, match="none of the 3 image files"):
        encode(table, TinyEncoder(), out, retry=True)
    assert main([*line, "--retry"]) == 1
    (out / "features-00001.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="none of the 3 image files"):
        encode(table, TinyEncoder(), out)
    assert main(line) == 1
