"""Small things that many tests need: a tiny CLIP saved by the real classes, images with EXIF GPS, locations."""

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from geocell.encoders.info import EncoderInfo
from geocell.features.locations import Locations

INFO = EncoderInfo("tiny", "1", "pooler_output", 8, 32, "none", "float32", "tiny")


def make_clip(folder: Path, seed: int = 0) -> Path:
    """Save a small random CLIP vision tower and its processor by transformers' own classes."""
    import torch
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModel

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=56,
            patch_size=14,
        )
        CLIPVisionModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}).save_pretrained(folder)
    return folder


def make_image(path: Path, seed: int = 0, position: tuple[float, float] | None = None, size: int = 64) -> Path:
    """Save a JPEG of noise, with an EXIF position when one is given."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size + 16, 3), dtype=np.uint8)
    exif = Image.Exif()
    if position is not None:
        lat, lon = position
        exif[ExifTags.IFD.GPSInfo] = {
            ExifTags.GPS.GPSLatitudeRef: "N" if lat >= 0 else "S",
            ExifTags.GPS.GPSLatitude: _dms(lat),
            ExifTags.GPS.GPSLongitudeRef: "E" if lon >= 0 else "W",
            ExifTags.GPS.GPSLongitude: _dms(lon),
            ExifTags.GPS.GPSImgDirection: 90.0,
        }
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def _dms(value: float) -> tuple[float, float, float]:
    degrees, rest = divmod(abs(value) * 3600, 3600)
    minutes, seconds = divmod(rest, 60)
    return float(degrees), float(minutes), round(seconds, 6)


def make_photos(folder: Path, n_locations: int = 12, views: int = 2) -> Path:
    """Write images and a photos.csv with `views` views per location; return the table."""
    rng = np.random.default_rng(3)
    lines = ["file_name,latitude,longitude,location,heading,country"]
    for i in range(n_locations):
        lat, lon = 40 + 20 * rng.random(), 20 * rng.random()
        for v in range(views):
            name = f"img/{i:03d}_{v}.jpg"
            make_image(folder / name, seed=100 * i + v)
            lines.append(f"{name},{lat:.5f},{lon:.5f},loc{i:03d},{90 * v},C{i % 3}")
    table = folder / "photos.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def make_locations(
    latlon: np.ndarray, features: np.ndarray, views: np.ndarray | None = None, info: EncoderInfo | None = None
) -> Locations:
    """Return locations over view features, `views[i]` rows for location i (one each when omitted)."""
    counts = np.ones(len(latlon), dtype=np.int64) if views is None else views
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    encoder = info or EncoderInfo("tiny", "1", "pooler_output", features.shape[1], 32, "none")
    ids = np.asarray([f"loc{i}" for i in range(len(latlon))], dtype=object)
    return Locations(ids, np.asarray(latlon, float), features, np.arange(offsets[-1]), offsets, encoder, {})


def write_csv(path: Path, text: str) -> Path:
    """Write a table as text and return its path."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def fit_by_command(folder: Path, n: int, k: int, fractions: str, flags: str) -> Path:
    """Make `cache`, `splits.json`, `cells` and `head` in a folder by the commands; features tell roughly where.

    Args:
        folder: an existing folder.
        n: locations, one view each.
        k: K-Means cells.
        fractions: of the splits, as the command takes them.
        flags: further flags of `fit-head`.
    """
    from geocell.cli import main
    from geocell.encoding import import_features
    from geocell.views import read_views

    rng = np.random.default_rng(0)
    latlon = np.stack((rng.uniform(40, 60, n), rng.uniform(0, 20, n)), axis=1)
    features = np.concatenate((latlon / 5, rng.normal(size=(n, INFO.dim - 2))), axis=1).astype(np.float32)
    rows = [f"v{i},{lat:.5f},{lon:.5f},loc{i:03d}" for i, (lat, lon) in enumerate(latlon)]
    (folder / "photos.csv").write_text("\n".join(["file_name,latitude,longitude,location", *rows]) + "\n")
    np.save(folder / "features.npy", features)
    table = read_views(folder / "photos.csv", images_optional=True)
    import_features(folder / "features.npy", folder / "cache", table=table, encoder=INFO)
    source = f"--cache {folder}/cache --splits {folder}/splits.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("geocell.cli.app._quiet_third_parties", lambda: None)
        assert main(f"split {folder}/cache --out {folder}/splits.json --fractions {fractions}".split()) == 0
        assert main(f"partition kmeans --k {k} {source} --out {folder}/cells".split()) == 0
        fit = f"fit-head {source} --partition {folder}/cells --out {folder}/head --device cpu {flags}"
        assert main(fit.split()) == 0
    return folder
