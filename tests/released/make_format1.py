"""Writes `format1/`: one small artefact of every kind, by the public names and the command of geocell alone.

It was run with geocell 0.1.0, the version that introduced format 1, and must not be run again for this format: the
files are the evidence that later versions read what that version wrote. A new format gets a program and a folder of its
own. The program refuses to run where the folder exists or the version is another one.

    PYTHONPATH=. python tests/released/make_format1.py
"""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
FORMAT1 = HERE / "format1"
DIM = 16
TOWNS = [(43.3, -1.5), (48.8, 2.3), (45.7, 4.9), (52.4, 9.7), (48.1, 11.6), (45.4, 9.2), (50.1, 14.4), (41.9, 12.5)]


class StoppedError(Exception):
    """Stands for what kills a fit."""


def command(*args: str) -> str:
    """Run the command `geocell` and return what it printed."""
    done = subprocess.run([sys.executable, "-m", "geocell", *args], check=True, capture_output=True, text=True)
    return done.stdout


def write_inputs() -> None:
    """Write the views and their features, a few images with their table, polygon layers, and a tiny encoder."""
    rng = np.random.default_rng(1)
    Path("inputs/images").mkdir(parents=True)
    rows, features = ["image,lat,lon,location,heading,country,captured"], []
    directions = rng.normal(size=(3, DIM))
    for i in range(48):
        town = TOWNS[i % len(TOWNS)]
        lat, lon = (np.asarray(town) + rng.normal(scale=0.12 if i % 4 else 0.6, size=2)).round(5)
        mean = np.array([(lat - 47) / 4, (lon - 7) / 6, np.sin(lat + lon)]) @ directions
        for view in range(1 + i % 3):
            country = "ABC"[int((lon + 4) // 8)]
            rows.append(f"{i:03d}_{view}.jpg,{lat},{lon},place{i:03d},{90.0 * view},{country},{2010 + i % 9}")
            features.append(mean + rng.normal(scale=0.15, size=DIM))
    Path("inputs/views.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    np.save("inputs/features.npy", np.asarray(features, dtype=np.float32))
    write_images(rng)
    write_layers()
    write_encoder()


def write_images(rng: np.random.Generator) -> None:
    """Write four images, one file that is none, and a table that names one more."""
    from PIL import Image

    rows = ["image,lat,lon,location,heading,country"]
    for i in range(6):
        name = f"images/{i}.png"
        if i < 4:
            Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(f"inputs/{name}")
        elif i == 4:
            Path(f"inputs/{name}").write_bytes(b"no image")
        rows.append(f"{name},{45 + i // 2},{7.5 + i // 2},at{i // 2},{180.0 * (i % 2)},C{i // 2}")
    Path("inputs/images.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_layers() -> None:
    """Write regions of 4° by 4°: three countries, six regions each, with the columns of NUTS and with others."""

    def box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        return {"type": "Polygon", "coordinates": [ring]}

    def feature(geometry: dict[str, Any], **properties: Any) -> dict[str, Any]:
        return {"type": "Feature", "properties": properties, "geometry": geometry}

    nuts, regions = [], []
    for number, country in enumerate(("XA", "XB", "XC")):
        west = -4 + 8 * number
        nuts.append(feature(box(west, 40, west + 8, 54), NUTS_ID=country, LEVL_CODE=0, NAME_LATN=f"Land {country}"))
        for row in range(3):
            for column in range(2):
                shape = box(west + 4 * column, 40 + 4 * row, west + 4 * column + 4, 44 + 4 * row)
                code = f"{country}1{row}{column}"
                nuts.append(feature(shape, NUTS_ID=code, LEVL_CODE=3, NAME_LATN=f"Gäu {row}{column} of {country}"))
                regions.append(
                    feature(shape, code=f"R-{country}-{row}{column}", name=f"Region {code}", country=country)
                )
    for name, features in {"nuts": nuts, "regions": regions}.items():
        collection = {"type": "FeatureCollection", "features": features}
        Path(f"inputs/{name}.geojson").write_text(json.dumps(collection, ensure_ascii=False), encoding="utf-8")


def write_encoder() -> None:
    """Write a CLIP vision tower of random weights by the classes of transformers."""
    import torch
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModel

    torch.manual_seed(0)
    sizes = {"hidden_size": DIM, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    CLIPVisionModel(CLIPVisionConfig(**sizes, image_size=16, patch_size=8)).save_pretrained("encoder")
    CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}).save_pretrained("encoder")


class RelativeEncoder:
    """The tiny encoder, which says that it is from `encoder` and not from where that folder lies on this machine."""

    def __init__(self) -> None:
        import geocell

        self._encoder = geocell.load_encoder("encoder", device="cpu")
        self.info = dataclasses.replace(self._encoder.info, source="encoder")
        self.preprocess = self._encoder.preprocess

    def __call__(self, pixels: Any) -> Any:
        return self._encoder(pixels)


def write_caches(encoder: Any) -> Any:
    """Write a cache of given features and one of encoded images, both with views that are no good."""
    import geocell

    table = geocell.read_views("inputs/views.csv")
    frame = table.frame.copy()
    frame.loc[[5, 17, 40], "problem"] = ["no EXIF position", "cannot identify image file", "no EXIF position"]
    bad = dataclasses.replace(table, frame=frame)
    geocell.import_features("inputs/features.npy", "cache", table=bad, encoder=encoder.info, shard_rows=32)
    geocell.encode("inputs/images.csv", encoder, "cache-encoded", workers=0, shard_rows=4)
    return geocell.FeatureCache.open("cache").locations()


def write_partitions(latlon: Any) -> dict[str, Any]:
    """Write a partition of every kind, one that only decodes, and one of somebody else."""
    import geocell

    regions = {"shapes": Path("inputs/regions.geojson"), "id_column": "code", "name_column": "name"}
    makers = {
        "h3": geocell.H3Partitioner(resolution=2, min_count=2, centroid="medoid"),
        "h3-cell": geocell.H3Partitioner(resolution=1, centroid="cell"),
        "h3-adaptive": geocell.H3AdaptivePartitioner(max_count=6, min_count=2),
        "s2": geocell.S2Partitioner(max_count=5, min_level=3, min_count=2, small="drop"),
        "quadtree": geocell.QuadtreePartitioner(max_count=6, min_count=2),
        "quadtree-median": geocell.QuadtreePartitioner(max_count=6, split_at="median"),
        "kdtree": geocell.KDTreePartitioner(max_count=6),
        "kmeans": geocell.KMeansPartitioner(k=8, seed=3, min_count=2),
        "nuts": geocell.NUTSPartitioner(shapes=Path("inputs/nuts.geojson"), level=3, min_count=2, snap_km=80.0),
        "polygons": geocell.PolygonsPartitioner(**regions, parent_column="country", small="drop", min_count=2),
        "semantic": geocell.SemanticPartitioner(**regions, parent_column="country", max_count=3, min_count=2),
    }
    made = {name: maker.fit(latlon, "split train of cache") for name, maker in makers.items()}
    for name, partition in made.items():
        partition.save(f"partitions/{name}")
    Path("partitions/decode-only").mkdir()
    shutil.copy("partitions/kmeans/geocell_info.json", "partitions/decode-only")
    made["decode-only"] = geocell.Partition.load("partitions/decode-only")
    made["decode-only"].save("partitions/centroids")
    return made


def write_heads(train: Any, val: Any, test: Any, cells: dict[str, Any]) -> None:
    """Write heads of every make, an ensemble, an average, and the state of a fit that was killed."""
    import geocell

    def config(**more: Any) -> Any:
        return geocell.FitConfig(**{"epochs": 8, "lr": 0.1, "dropout": 0.1, "device": "cpu", **more})

    plain = [geocell.fit_head(train, val, cells["quadtree"], config(seed=seed)) for seed in (0, 1)]
    geocell.Ensemble(tuple(plain)).save("ensemble")
    made = {
        "plain": plain[0],
        "averaged": geocell.average_heads(plain),
        "warm": geocell.fit_head(train, None, cells["quadtree"], config(epochs=3, haversine=0.05), init=plain[0]),
        "offsets": geocell.fit_head(train, val, cells["kmeans"], config(offsets=1.0, decode="offset")),
        "hierarchy": geocell.fit_head(
            train, val, cells["nuts"], config(hierarchy=0.5, haversine=0.01, smoothing_km=75.0, fusion="logit")
        ),
        "attention": geocell.fit_head(train, val, cells["semantic"], config(fusion="attention", ema=0.9)),
        "unvalidated": geocell.fit_head(train, None, cells["h3"], config(expected_distance=0.001, decode="mean")),
    }
    for name, head in made.items():
        head.save(f"heads/{name}")
    scored = geocell.fit_head(train, val, cells["s2"], config(seed=2))
    scored.save("heads/scored", scores=geocell.score(scored, test, decode="mean", split="test", device="cpu"))
    command("score", "heads/scored", "--cache", "cache", "--splits", "splits.json", "--split", "val", "--device", "cpu")
    write_state(train, val, cells["kdtree"], config(epochs=8, seed=5))


def write_state(train: Any, val: Any, cells: Any, config: Any) -> None:
    """Write the state of a fit that was killed in its fifth epoch, and the head that it becomes."""
    import geocell

    def kill(row: Any) -> None:
        if row["epoch"] == 5:
            raise StoppedError

    Path("fits").mkdir()
    try:
        geocell.fit_head(train, val, cells, config, checkpoint="fits/resumed.fit", log=kill)
    except StoppedError:
        shutil.copy("fits/resumed.fit", "fits/kept")
    geocell.fit_head(train, val, cells, config, checkpoint="fits/resumed.fit").save("heads/resumed")
    Path("fits/kept").replace("fits/resumed.fit")


def write_published() -> None:
    """Write a head as others publish them, and the head that is made of it."""
    import torch

    import geocell

    rng = np.random.default_rng(7)
    cells = {
        str(i): {"centroid_lat": float(40 + 2 * i), "centroid_lon": float(3 * i - 4), "n_images": 10 + i}
        for i in range(7)
    }
    Path("published").mkdir()
    Path("published/geocell_info.json").write_text(json.dumps(cells, indent=1), encoding="utf-8")
    shapes = {"head.0.weight": (DIM,), "head.0.bias": (DIM,), "head.2.weight": (7, DIM), "head.2.bias": (7,)}
    state = {name: torch.from_numpy(rng.normal(size=shape).astype(np.float32)).half() for name, shape in shapes.items()}
    torch.save({"model": state, "epoch": 3, "args": {"lr": 1e-3}}, "published/best.pt")
    files = ("published/best.pt", "published/geocell_info.json")
    command("import", *files, "--out", "imported", "--encoder", "encoder")
    head = geocell.load_head("imported")
    dataclasses.replace(head, encoder=dataclasses.replace(head.encoder, source="encoder")).save("heads/imported")
    shutil.rmtree("imported")


def write_recipes_and_sweep() -> None:
    """Write recipes of partitions and heads and a sweep file, and run them."""
    import geocell

    texts = {
        "partitions/boxes": '[partition]\nkind = "quadtree"\nmax_count = 6\nmin_count = 2\n\n[published]\ncells = 8\n',
        "partitions/leaves": '[partition]\nkind = "kdtree"\nmax_count = 9\ncentroid = "medoid"\n',
        "heads/first": '[head]\npartition = "boxes"\n\n[fit]\nepochs = 3\nlr = 0.05\ndevice = "cpu"\n'
        "\n[published]\ncells = 8\ntop1 = 28.8\nbalscore = 62.1\nwithin = { 25 = 30.5, 200 = 80.0 }\n",
        "heads/second": '[head]\npartition = "boxes"\ninit = "first"\n\n[fit]\nepochs = 2\nlr = 0.01\n'
        'haversine = 0.05\ndevice = "cpu"\n',
    }
    for name, text in texts.items():
        Path(f"recipes/{name}").mkdir(parents=True)
        Path(f"recipes/{name}/recipe.toml").write_text(text, encoding="utf-8")
    sweep = '[sweep]\npartitions = ["leaves"]\nseeds = [0, 1]\n\n[fit]\nepochs = 3\nlr = 0.05\ndevice = "cpu"\n\n'
    sweep += '[configs.ce]\n\n[configs.far]\ninit = "ce"\nhaversine = 0.02\n'
    Path("recipes/sweep.toml").write_text(sweep, encoding="utf-8")
    sources = ["recipes/heads/second/recipe.toml", "recipes/sweep.toml"]
    result = geocell.sweep(sources, "cache", "splits.json", "sweep", geocell.SweepConfig(jobs=1, device="cpu"))
    if result.failed:
        raise RuntimeError(f"the sweep must fit every row, got {result.failed}")


def write_answers_and_reports() -> None:
    """Write what the commands write or print: predictions, a comparison, audits, scores, polygons of cells."""
    Path("reports").mkdir()
    images = [f"inputs/images/{i}.png" for i in range(4)]
    for name, suffix, more in (("offsets", "csv", ["--decode", "offset"]), ("plain", "geojson", ["--top-k", "3"])):
        out = f"reports/{name}.{suffix}"
        text = command("predict", f"heads/{name}", *images, "--out", out, "--device", "cpu", "--json", *more)
        Path(f"reports/{name}.json").write_text(text, encoding="utf-8")
    data = ["--cache", "cache", "--splits", "splits.json"]
    reports = {
        "comparison": ["compare", "heads/plain", "heads/warm", *data],
        "audit": ["audit", "partitions/h3", "partitions/nuts", *data, "--by-country"],
        "scores": ["score", "heads/plain", *data, "--out", "reports/scores-plain.json", "--device", "cpu"],
    }
    for name, args in reports.items():
        Path(f"reports/{name}.json").write_text(command(*args, "--json"), encoding="utf-8")
    command("export", "partitions/kdtree", "reports/kdtree.geojson")
    command("export", "partitions/h3", "reports/h3.parquet")


def write_mark() -> None:
    """Write the mark of a quickstart, by beginning one."""
    args = [sys.executable, "-m", "geocell", "quickstart", "begun", "--n-locations", "60", "--seed", "3"]
    running = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not Path("begun/quickstart.json").is_file() and running.poll() is None:
        time.sleep(0.05)
    running.kill()
    running.wait()
    Path("quickstart").mkdir()
    shutil.copy("begun/quickstart.json", "quickstart")
    shutil.rmtree("begun")


def write_expected() -> None:
    """Write what this version answers about all of it: text and whole numbers as JSON, arrays as float64."""
    from tests.released import answers

    arrays, texts = {}, {}
    for name, values in answers.everything().items():
        arrays |= {f"{name}/{key}": value for key, value in values.items() if isinstance(value, np.ndarray)}
        texts[name] = {key: value for key, value in values.items() if not isinstance(value, np.ndarray)}
    content = {"files": answers.files_sha256(), "answers": texts}
    text = json.dumps(content, ensure_ascii=False, indent=1)
    (HERE / "expected.json").write_text(text + "\n", encoding="utf-8")
    np.savez_compressed(HERE / "expected.npz", **arrays)


def main() -> None:
    """Write everything."""
    import torch

    import geocell

    if FORMAT1.exists() or geocell.__version__ != "0.1.0":
        raise SystemExit("format1/ is evidence of what geocell 0.1.0 wrote: it is not made again.")
    torch.set_num_threads(1)
    FORMAT1.mkdir()
    os.chdir(FORMAT1)
    os.environ["HF_HUB_OFFLINE"] = "1"
    write_inputs()
    encoder = RelativeEncoder()
    locations = write_caches(encoder)
    splits = geocell.make_splits(locations.ids, locations.latlon, (0.6, 0.2, 0.2), 4)
    splits.save("splits.json")
    geocell.make_splits(locations.ids, locations.latlon, (0.6, 0.2, 0.2), 4, buffer_km=20.0).save("splits-buffer.json")
    train, val, test = (splits.select(locations, name) for name in ("train", "val", "test"))
    write_heads(train, val, test, write_partitions(train.latlon))
    write_published()
    write_recipes_and_sweep()
    write_answers_and_reports()
    write_mark()
    write_expected()


if __name__ == "__main__":
    main()
