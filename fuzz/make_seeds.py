"""Write `fuzz/seeds`: a small valid file of every kind that `tests/released/format1` has none of.

Run: python -m fuzz.make_seeds
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tarfile
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from geocell.encoders.info import EncoderInfo
from geocell.encoders.manifest import Manifest
from geocell.evaluation.calibrate import calibrate
from geocell.evaluation.combine import combine
from geocell.evaluation.score import score
from geocell.features.locations import Locations
from geocell.features.neighbours import NeighbourIndex
from geocell.features.training_places import TrainingPlaces
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.heads.module import GeoHead
from geocell.heads.pooling import Pooling, Vote
from geocell.heads.region import fit_region
from geocell.heads.trained_on import TrainedOn, location_keys
from geocell.heads.zero_shot import ZeroShot
from geocell.heads.zero_shot_folder import save_zero_shot
from geocell.images.transforms import Normalisation, PillowTransform
from geocell.imagetext.projection import Projection
from geocell.partitioners import KMeansPartitioner
from geocell.pretraining.checkpoint import Progress, write_state
from geocell.pretraining.config import PretrainConfig
from geocell.zeroshot.candidates import Candidate, Candidates
from geocell.zeroshot.levels import levels_of
from geocell.zeroshot.settings import ZeroShotSettings

SEEDS = Path(__file__).parent / "seeds"
DIM, PLACES = 6, 24
INFO = EncoderInfo("tiny", "1", "pooler_output", DIM, 32, "none", "float32", "tiny")
HISTORY = tuple({"epoch": n, "lr": 1e-3, "train_loss": 2.5, "val_balscore": 0.5, "val_median_km": 9.0} for n in (1, 2))


def world(seed: int = 0) -> Locations:
    """Return 24 locations with one view each."""
    rng = np.random.default_rng(seed)
    latlon = np.round(np.stack((rng.uniform(40, 60, PLACES), rng.uniform(0, 20, PLACES)), axis=1), 3).astype(np.float64)
    ids = np.array([f"{seed}-{i}" for i in range(PLACES)], dtype=object)
    features = rng.normal(size=(PLACES, DIM)).astype(np.float16)
    return Locations(ids, latlon, features, np.arange(PLACES), np.arange(PLACES + 1), INFO, {})


def plain_head(k: int) -> Head:
    """Return a head of random weights on k cells."""
    partition = KMeansPartitioner(k=k, seed=k).fit(world().latlon, "seeds")
    module = GeoHead(DIM, len(partition))
    generator = torch.Generator().manual_seed(k)
    module.load_state_dict({n: torch.randn(v.shape, generator=generator) for n, v in module.state_dict().items()})
    return Head(module, partition, INFO, FitConfig())


def write_heads(folder: Path) -> None:
    """Write a head with every file that one may have, a combination and a zero-shot classifier."""
    val, head = world(1), plain_head(4)
    head = replace(
        head, history=HISTORY, training={"n_train": PLACES, "n_val": PLACES, "best_epoch": 1, "epochs_run": 2}
    )
    head = replace(head, trained_on=TrainedOn(location_keys(world())), region=fit_region(head, world(), val))
    head = replace(head, neighbours=NeighbourIndex.from_locations(head, world(), 4))
    head = replace(head, places=TrainingPlaces.from_locations(head, world()))
    learned = calibrate(head, val, split="val", device="cpu", scaling="vector")
    head = replace(head, calibration=replace(learned, abstain_below=0.25))
    head.save(folder / "head", scores=score(head, world(2), split="test", device="cpu"), overwrite=True)

    (folder / "head" / "README.md").unlink()  # the released heads have cards

    members: list[Head | ZeroShot] = [plain_head(3), classifier()]
    joined = combine(members, world(), val, split="val", pool="log", device="cpu")
    weights = joined.pooling.weights
    voting = combine(members, world(), pooling=Pooling("log", weights, vote=Vote()), device="cpu")
    voting = replace(voting, calibration=joined.calibration, record=joined.record)
    voting.save(folder / "combination", overwrite=True)
    (folder / "combination" / "README.md").unlink()
    save_zero_shot(classifier(), folder / "zero-shot")


def classifier() -> ZeroShot:
    """Return a zero-shot classifier over five cities."""
    cities = [("Oslo", "Norway", 59.9, 10.7), ("Lyon", "France", 45.8, 4.8), ("Nice", "France", 43.7, 7.3)]
    cities += [("Bonn", "Germany", 50.7, 7.1), ("Bern", "Switzerland", 46.9, 7.4)]
    candidates = Candidates(tuple(Candidate(country, city, lat, lon) for city, country, lat, lon in cities))
    settings = ZeroShotSettings(keep=0)
    rng = np.random.default_rng(0)
    levels = levels_of(candidates, list(settings.templates))
    texts = tuple(rng.normal(size=(len(level), 4)).astype(np.float32) for level in levels)
    texts = tuple(text / np.linalg.norm(text, axis=1, keepdims=True) for text in texts)
    matrix = rng.normal(size=(4, DIM)).astype(np.float32)
    return ZeroShot(candidates, settings, INFO, Projection(matrix, 12.0), texts, "seeds")


def write_models(folder: Path) -> None:
    """Write an exported model without a graph, and the record and the state of a training."""
    graph = b"a graph"
    norm = Normalisation(1 / 255, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    transform = PillowTransform(32, (28, 24), 3, "round", "round")
    cells = ({"name": "a", "label": "A", "place": "Oslo"}, {"name": "b", "label": "b"})
    spec = {"spec": "within:200", "summary": "s", "parameters": {"radius_km": 200.0}, "shares": {}}
    manifest = Manifest(
        "onnx", hashlib.sha256(graph).hexdigest(), len(graph), INFO, "mit", transform, norm, cells,
        np.array([[59.9, 10.75], [-1.5, 179.9]]), spec, 1.25, True, "feature", "h", "p", "0.1.0",
    )  # fmt: skip
    (folder / "exported").mkdir()
    (folder / "exported" / "manifest.json").write_text(json.dumps(manifest.to_dict()))
    (folder / "exported" / "model.onnx").write_bytes(graph)

    history = [{"epoch": 1, "lr": 1e-6, "train_loss": 0.5, "val_country": 0.25}]
    record = {
        "format": 1, "geocell": "0.1.0", "start": {"name": "openai/clip", "revision": "c0ffee"},
        "settings": PretrainConfig().to_dict(), "n_images": 9, "n_captions": 12, "captions_sha256": "ab" * 32,
        "n_problems": 0, "history": history, "saved": {"country": 0.25}, "held_out": ["FR"],
    }  # fmt: skip
    (folder / "trained").mkdir()
    (folder / "trained" / "pretraining.json").write_text(json.dumps(record, indent=1))
    (folder / "training").mkdir()
    progress = Progress(2, 5, 3.5, 40, {"a.jpg": "no such file"}, history)
    write_state(folder / "training" / "state", progress, {"weight.a": torch.arange(3.0)}, {"captions": "abc"})


def photograph(kind: str, **options: object) -> bytes:
    """Return an image file of 24 x 16 pixels."""
    rng = np.random.default_rng(0)
    pixels = np.asarray(Image.fromarray(rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)).resize((24, 16)))
    exif = Image.Exif()
    exif[0x0112] = 6  # upright after a quarter turn
    exif[0x8825] = {1: "N", 2: (48.0, 30.0, 0.0), 3: "E", 4: (2.0, 15.0, 0.0), 17: 90.0}
    file = io.BytesIO()
    with_exif = {"exif": exif} if kind in {"JPEG", "PNG", "WEBP", "AVIF"} else {}
    Image.fromarray(pixels).save(file, kind, **with_exif, **options)
    return file.getvalue()


def write_images(folder: Path) -> None:
    """Write an image of every format that is decoded."""
    folder.mkdir()
    for name, kind, options in (
        ("a.jpg", "JPEG", {"quality": 60}), ("progressive.jpg", "JPEG", {"progressive": True, "quality": 60}),
        ("a.png", "PNG", {}), ("a.webp", "WEBP", {"quality": 50}), ("lossless.webp", "WEBP", {"lossless": True}),
        ("a.gif", "GIF", {}), ("a.bmp", "BMP", {}), ("a.tif", "TIFF", {}),
        ("packed.tif", "TIFF", {"compression": "tiff_lzw"}),
        ("a.avif", "AVIF", {"quality": 50}), ("a.ppm", "PPM", {}),
    ):  # fmt: skip
        (folder / name).write_bytes(photograph(kind, **options))


def write_tables(folder: Path) -> None:
    """Write a table of views of every kind, shards, predictions and their truth, candidates and labels."""
    folder.mkdir()
    frame = pd.DataFrame(
        {
            "image": [f"{i}.jpg" for i in range(4)],
            "lat": [48.25, -33.5, 60.0, 60.0],
            "lon": [2.5, 151.25, -179.5, -179.5],
            "location": ["a", "b", "c", "c"],
            "heading": [0.0, 90.0, None, 270.0],
            "country": ["FR", "AU", "NO", ""],
            "n": [1, 2, 3, 4],
        }
    )
    frame.to_csv(folder / "views.csv", index=False)
    frame.to_csv(folder / "views.tsv", index=False, sep="\t")
    (folder / "views.csv.gz").write_bytes(gzip.compress((folder / "views.csv").read_bytes(), mtime=0))
    frame.to_json(folder / "views.jsonl", orient="records", lines=True)
    frame.to_parquet(folder / "views.parquet", index=False)
    frame.to_excel(folder / "views.xlsx", index=False)
    thumb = photograph("PNG")
    packed = [{"bytes": thumb, "path": f"{i}.png"} for i in range(2)]
    pd.DataFrame({"image": packed, "lat": [1.0, 2], "lon": [4.0, 5]}).to_parquet(folder / "packed.parquet")
    records = [
        {"thumb_2048_url": f"https://host/{i}.jpg", "computed_geometry": {"type": "Point", "coordinates": [2.5, 48.25]},
         "computed_compass_angle": 12.5, "id": str(i)}
        for i in range(3)
    ]  # fmt: skip
    (folder / "mapillary.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n")
    (folder / "mp16.csv").write_text("IMG_ID,LAT,LON\ne8_3b_3351949394.jpg,48.25,2.5\na0_00_1.jpg,-33.5,151.25\n")
    row = ["0"] * 25
    row[12], row[13], row[16] = "2.5", "48.25", "http://host/a.jpg"
    (folder / "yfcc.tsv").write_text(("\t".join(row) + "\n") * 2)
    shard(folder / "views.tar", thumb)
    truth = frame[["image", "lat", "lon"]].assign(id=["a", "b", "c", "d"])[["id", "lat", "lon"]]
    truth.to_csv(folder / "truth.csv", index=False)
    answers = truth.rename(columns={"lat": "predicted_lat", "lon": "predicted_lon"})
    answers = answers.assign(
        confidence=[0.5, 0.25, 0.75, 1.0], radius_50_km=[1.0, 2, 3, 4], radius_90_km=[9.0, 9, 9, 9]
    )
    answers.to_csv(folder / "answers.csv", index=False)
    answers.to_parquet(folder / "answers.parquet", index=False)
    captions = frame.assign(caption="A photo in Lyon, France.", fields="city country", city="Lyon", region="")
    captions.assign(country="France").to_csv(folder / "captions.csv", index=False)
    (folder / "cities.csv").write_text("country,city,lat,lon\nFrance,Lyon,45.8,4.8\nNorway,Oslo,59.9,10.7\n")
    by_country = {"countries": ["France", "Norway"], "cities": {"France": ["Lyon", "Nice"], "Norway": ["Oslo"]}}
    (folder / "cities.json").write_text(json.dumps(by_country))
    located = [{"country": "France", "city": "Lyon", "lat": 45.8, "lon": 4.8, "population": 500000}]
    (folder / "located.json").write_text(json.dumps({"locations": located}))
    (folder / "labels.txt").write_text("a street\na field\n")


def shard(path: Path, image: bytes) -> None:
    """Write a WebDataset shard of two samples."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for i in range(2):
            facts = json.dumps({"lat": 48.25 + i, "lon": 2.5, "location": f"l{i}"}).encode()
            for name, content in ((f"{i}.png", image), (f"{i}.json", facts)):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    path.write_bytes(path.read_bytes().rstrip(b"\0").ljust(6144, b"\0"))  # without the rest of its last record


def write_features(folder: Path) -> None:
    """Write features of others: an array with its table, and a folder of clip-retrieval."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4, DIM)).astype(np.float16)
    folder.mkdir()
    np.save(folder / "features.npy", features)
    shutil.copyfile(SEEDS / "tables" / "views.csv", folder / "views.csv")
    (folder / "img_emb").mkdir()
    (folder / "metadata").mkdir()
    np.save(folder / "img_emb" / "img_emb_0.npy", features)
    frame = pd.DataFrame({"image_path": list("abcd"), "lat": [1.0, 2, 3, 4], "lon": [5.0, 6, 7, 8]})
    frame.to_parquet(folder / "metadata" / "metadata_0.parquet", index=False)


def write_saved_dataset(folder: Path) -> None:
    """Write a folder as the library `datasets` saves one."""
    from datasets import Dataset, Features, Image, Value

    features = Features(
        {"image": Image(), "lat": Value("float64"), "lon": Value("float64"), "location": Value("string")}
    )
    image = {"bytes": photograph("JPEG", quality=60), "path": None}
    rows = {"image": [image, image], "lat": [1.0, 2.0], "lon": [4.0, 5.0], "location": ["a", "b"]}
    Dataset.from_dict(rows, features=features).save_to_disk(folder)


def main() -> None:
    """Write all seeds anew."""
    warnings.simplefilter("ignore")
    shutil.rmtree(SEEDS, ignore_errors=True)
    SEEDS.mkdir()
    write_heads(SEEDS)
    write_models(SEEDS)
    write_images(SEEDS / "images")
    write_tables(SEEDS / "tables")
    write_features(SEEDS / "features")
    write_saved_dataset(SEEDS / "saved-dataset")


if __name__ == "__main__":
    main()
