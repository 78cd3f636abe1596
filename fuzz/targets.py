"""Targets: the files of somebody else that a function reads, and what is asked of the result."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.make_seeds import world

ROOT = Path(__file__).resolve().parents[1]
SEEDS, RELEASED = ROOT / "fuzz" / "seeds", ROOT / "tests" / "released" / "format1"
PROBES = np.array([[45.0, 5.0], [-90.0, 0.0], [90.0, 180.0], [0.0, -180.0], [53.9, 17.9]])
KINDS = (
    "h3", "h3-cell", "h3-adaptive", "s2", "quadtree", "quadtree-median", "kdtree", "kmeans", "nuts", "polygons",
    "semantic", "centroids", "decode-only",
)  # fmt: skip
"""Folders of the released partitions."""

PRESETS = {"mapillary": "mapillary.jsonl", "mp16": "mp16.csv", "im2gps3k": "mp16.csv", "yfcc": "yfcc.tsv"}
"""Preset -> the table that it is tried on."""

IMAGES = (
    "a.jpg", "progressive.jpg", "a.png", "a.webp", "lossless.webp", "a.gif", "a.bmp", "a.tif", "packed.tif", "a.avif",
    "a.ppm",
)  # fmt: skip

POSITIONED = {"a.jpg", "progressive.jpg", "a.png", "a.webp", "lossless.webp", "a.avif"}
"""Those of the images that have a position in their EXIF data."""


@dataclass(frozen=True)
class Target:
    """A reader and its valid input.

    Attributes:
        seed: folder of the valid files.
        files: patterns of the files that are mutated.
        read: reads a copy of the folder and uses what it holds. It may write below its second argument.
        others: patterns of further files that it needs.
        signed: whether hashes of cells are now and then taken as right, as if who changed the cells wrote them too.
    """

    seed: Path
    files: tuple[str, ...]
    read: Callable[[Path, Path], object]
    others: tuple[str, ...] = ()
    signed: bool = False

    def contents(self) -> dict[str, bytes]:
        """Return name -> content of all valid files, those that are mutated first."""
        names = [path for pattern in (*self.files, *self.others) for path in sorted(self.seed.glob(pattern))]
        return {path.relative_to(self.seed).as_posix(): path.read_bytes() for path in names if path.is_file()}

    def mutable(self) -> list[str]:
        """Return the names of the files that are mutated."""
        found = (path for pattern in self.files for path in sorted(self.seed.glob(pattern)))
        return list(dict.fromkeys(path.relative_to(self.seed).as_posix() for path in found if path.is_file()))


def _partition(folder: Path, _out: Path) -> None:
    from geocell.partitioners import OUTSIDE, Partition
    from geocell.partitioners.cell_polygons import class_areas_km2, class_polygons

    partition = Partition.load(folder)
    if partition.can_assign:
        found = partition.locate(PROBES).cells
        require(((found < len(partition)) & (found >= OUTSIDE)).all(), "a cell that is none")
    require(len(partition.names) == len(partition.labels) == len(partition.centroids), "lists of one length")
    require(set(partition.ancestors) == set(partition.ancestor_names), "ancestors with names")
    repr(partition)
    partition.nearest(PROBES)
    if partition.can_assign and _one_of(8, folder):
        require(len(class_polygons(partition)) == len(class_areas_km2(partition)) == len(partition), "a shape per cell")


def _one_of(n: int, folder: Path) -> bool:
    """Return true for about one of n contents of a folder of cells: what is slow is not asked of all."""
    return zlib.crc32((folder / "partition.json").read_bytes() + (folder / "geocell_info.json").read_bytes()) % n == 0


def require(holds: object, law: str) -> None:
    """Raise AssertionError, which is a finding, unless what was accepted is what it must be."""
    if not holds:
        raise AssertionError(law)


def _splits(folder: Path, _out: Path) -> None:
    from geocell.splits.splits import Splits

    splits = Splits.load(folder / "splits.json")
    locations = world().take(np.arange(3))
    ids = np.array(["place000", "place001", "place002"], dtype=object)
    splits.select(replace(locations, ids=ids), "train")


def _cache(folder: Path, _out: Path) -> None:
    from geocell.features import FeatureCache, verify_cache

    verify_cache(folder)
    cache = FeatureCache.open(folder)
    locations = cache.locations()
    _ = cache.features, cache.features_sha256, locations.mean_features(), repr(cache)
    cache.take(np.array([0]))


def _finish(folder: Path, _out: Path) -> None:
    from geocell.features import finish

    finish(folder)


def _partial(folder: Path, _out: Path) -> None:
    from geocell.features.manifest import Manifest
    from geocell.features.partials import kept_rows, read_partial

    (folder / "features-00000.safetensors").rename(folder / ".partial-00000.safetensors")
    read_partial(folder, 0, 16)
    kept_rows(folder, Manifest.read(folder))


def _head(folder: Path, _out: Path) -> None:
    from geocell.heads.head import load_head

    head = load_head(folder)
    asked = _asked(head.encoder)
    for _, posterior, points in head.answer_chunks(asked, "centroid", "cpu"):
        require(np.isfinite(posterior).all() and np.isfinite(points).all(), "finite answers")
    _ = repr(head), head.sha256
    if head.neighbours is not None:
        list(head.answer_chunks(asked, "knn", "cpu"))
    if head.places is not None:
        list(head.answer_chunks(asked, "balscore:0.2,0.5,0.8,places=3", "cpu"))
    if head.region is not None:
        scores = head.region.scores(asked.mean_features(), np.full(len(asked), 0.5))
        head.region.share_as_unlike(scores), head.region.flagged(scores)


def _asked(encoder: Any) -> Any:  # noqa: ANN401 - of the heavy rooms
    locations = world(3).take(np.arange(4))
    rng = np.random.default_rng(1)
    return replace(locations, features=rng.normal(size=(24, encoder.dim)).astype(np.float16), encoder=encoder)


def _card(folder: Path, _out: Path) -> None:
    from geocell.heads.card_file import card_of, read_card
    from geocell.heads.card_text import parse_card
    from geocell.heads.folder import read_head
    from geocell.publishing.repository import read_own_scores

    parts = read_head(folder)
    scores = read_own_scores(folder, parts)
    parse_card(card_of(parts, scores, before=read_card(folder)), "the new card")


def _finished_fit(folder: Path, _out: Path) -> None:
    from geocell.sweeps.results import read_fit

    read_fit(folder)


def _ensemble(folder: Path, _out: Path) -> None:
    from geocell.heads.ensemble import load_ensemble

    load_ensemble(folder)


def _combination(folder: Path, _out: Path) -> None:
    from geocell.heads.combination import load_combination

    made = load_combination(folder)
    for _, posterior, _points in made.answer_chunks(_asked(made.encoder), "centroid", "cpu"):
        require(np.isfinite(posterior).all(), "finite answers")


def _zero_shot(folder: Path, _out: Path) -> None:
    from geocell.heads.zero_shot_folder import load_zero_shot

    model = load_zero_shot(folder)
    require(np.isfinite(model.posterior(_asked(model.encoder))).all(), "finite answers")


def _checkpoint(folder: Path, _out: Path) -> None:
    from geocell.encoders.info import EncoderInfo
    from geocell.publishing.checkpoints import import_head, published_files

    encoder = EncoderInfo("tiny", "1", "pooler_output", 16, 32, "none")
    import_head(published_files(folder / "best.pt", folder / "geocell_info.json"), encoder)


def _state_of_fit(folder: Path, _out: Path) -> None:
    from geocell.training.checkpoint import Progress, read_checkpoint

    read_checkpoint(folder / "resumed.fit", _facts_of_fit(), Progress(), Progress())


@cache
def _facts_of_fit() -> Mapping[str, Any]:
    """Return what the released fit was of, in the words of this version."""
    from safetensors import safe_open

    from geocell.heads.fit_config import stored_settings

    with safe_open(RELEASED / "fits" / "resumed.fit", framework="numpy") as file:
        facts: dict[str, Any] = json.loads(file.metadata()["fit"])["facts"]
    return {**facts, "settings": stored_settings(facts["settings"])}


def _state_of_training(folder: Path, _out: Path) -> None:
    from geocell.pretraining.checkpoint import read_state

    read_state(folder / "state", {"captions": "abc"})


def _trained(folder: Path, _out: Path) -> None:
    from geocell.heads.card_text import parse_card
    from geocell.pretraining.result import card_body, read_history, read_record

    read_history(folder)
    parse_card(card_body(read_record(folder)), "the new card")


def _encoder(folder: Path, _out: Path) -> None:
    from geocell.encoders import load_encoder

    load_encoder(str(folder), device="cpu")


def _exported(folder: Path, _out: Path) -> None:
    from geocell.encoders.manifest import read_manifest

    read_manifest(folder).to_dict()


def _partition_recipe(folder: Path, _out: Path) -> None:
    from geocell.partitioners import partitioner_from_recipe

    partitioner_from_recipe(folder / "recipe.toml")


def _rows(name: str, folder: Path, _out: Path) -> None:
    from geocell.sweeps.plan import fits_of, read_rows

    fits_of(read_rows([folder / name]))


def _views(name: str, preset: Any, folder: Path, _out: Path) -> None:  # noqa: ANN401 - a name of a preset
    from geocell.images import parquet_rows
    from geocell.images.loading import Loader
    from geocell.images.transforms import PillowTransform
    from geocell.views import ColumnNames, read_rows, read_views

    table = read_views(folder / name, ColumnNames(preset=preset))
    require(len(table.sha256) == 64, "a hash")
    if name.endswith((".tar", "packed.parquet")):
        parquet_rows._row_reader.cache_clear()  # which knows files by their paths
        loader = Loader(table.images, PillowTransform(8, (8, 8), 3), (8, 8, 3), "|u1")
        for reference in table.frame["image"].tolist()[:3]:
            loader(reference)
    if preset is None:
        read_rows(folder / name)


def _saved_dataset(folder: Path, _out: Path) -> None:
    from geocell.images import sources
    from geocell.views import read_rows, read_views

    table = read_views(folder)
    sources._undecoded.cache_clear()  # which knows folders by their paths
    for reference in table.frame["image"].tolist()[:2]:
        with suppress(OSError):  # the reason why a row has no image
            table.images.read(reference)
    read_rows(folder)


def _photographs(name: str, folder: Path, _out: Path) -> None:
    from geocell.images.loading import load_pixels
    from geocell.images.transforms import PillowTransform
    from geocell.views import read_views

    pixels, problem = load_pixels(folder / name, PillowTransform(8, (8, 8), 3, draft=True))
    require((pixels is None) != (problem == ""), "pixels or a problem")
    require(len(problem) < 300 and problem.isprintable(), "a problem of one line")
    if name not in POSITIONED:
        return
    table = read_views(folder)
    require(all(text.isprintable() for text in table.frame["problem"].tolist()), "problems of one line")


def _predictions(name: str, folder: Path, _out: Path) -> None:
    from geocell.evaluation.predictions import score_predictions

    score_predictions(folder / name, folder / "truth.csv", missing="worst").to_dict()


def _cities(name: str, folder: Path, _out: Path) -> None:
    from geocell.zeroshot.candidate_files import read_cities

    read_cities(folder / name)


def _looked_up(name: str, folder: Path, _out: Path) -> None:
    from geocell.zeroshot.candidate_files import read_candidates

    read_candidates(folder / name)


def _captions(folder: Path, _out: Path) -> None:
    from geocell.pretraining.caption_set import CaptionSet
    from geocell.pretraining.tables import read_captions

    (folder / "0.jpg").write_bytes(b"")
    table = read_captions(folder / "captions.csv")
    CaptionSet.from_table(table.table, table.images)


def _features(name: str, folder: Path, out: Path) -> None:
    from geocell.encoding import import_features
    from geocell.views import read_views

    table = read_views(folder / "views.csv", images_optional=True) if name else None
    import_features(folder / name, out / "cache", table=table, encoder="tiny")


def _layer(kind: str, folder: Path, _out: Path) -> None:
    from geocell.partitioners import NUTSPartitioner, PolygonsPartitioner

    if kind == "nuts":
        NUTSPartitioner(folder / "nuts.geojson").fit(world().latlon)
    else:
        PolygonsPartitioner(folder / "regions.geojson", id_column="code", parent_column="country").fit(world().latlon)


def _labels(folder: Path, _out: Path) -> None:
    from geocell.cli.classifying import _labels as read_labels

    read_labels("", folder / "labels.txt")


def _targets() -> dict[str, Target]:
    """Return all targets by their names."""
    head, tables = SEEDS / "head", SEEDS / "tables"
    cells = ("partition.json", "geocell_info.json", "cells.geojson")
    found = {f"partition-{k}": Target(RELEASED / "partitions" / k, cells, _partition, signed=True) for k in KINDS}
    found |= {
        "splits": Target(RELEASED, ("splits*.json",), _splits),
        "cache-manifest": Target(RELEASED / "cache", ("cache.json",), _cache, ("*",)),
        "cache-views": Target(RELEASED / "cache", ("views.parquet",), _cache, ("*",)),
        "cache-shards": Target(RELEASED / "cache", ("features-*",), _cache, ("*",)),
        "cache-finish": Target(RELEASED / "cache-encoded", ("*",), _finish),
        "cache-partial": Target(RELEASED / "cache", ("features-00000*",), _partial, ("*",)),
    }
    own = ("geocell_info.json", "partition.json", "config.json", "model.safetensors")
    for name in ("calibration.json", "neighbours.safetensors", "places.safetensors", "region.safetensors"):
        found[name.split(".")[0]] = Target(head, (name,), _head, own)
    found |= {
        "head": Target(head, (*own, "history.csv", "trained_on.safetensors"), _head),
        "head-hashes": Target(head, ("hashes.json",), _head, ("*",)),
        "head-scores": Target(head, ("scores.json",), _card, ("*",)),
        "head-card": Target(RELEASED / "heads" / "scored", ("README.md",), _card, ("*",)),
        "head-offsets": Target(RELEASED / "heads" / "offsets", ("offsets.safetensors", "config.json"), _head, ("*",)),
        "head-imported": Target(RELEASED / "heads" / "imported", ("*.json",), _card, ("*",)),
        "head-scored": Target(RELEASED / "heads" / "scored", ("*.json",), _card, ("*",)),
        "fit-of-sweep": Target(
            RELEASED / "sweep" / "heads" / "first-seed0", ("config.json", "scores.json"), _finished_fit
        ),
        "ensemble": Target(RELEASED / "ensemble", ("ensemble.json", "1/config.json"), _ensemble, ("*", "*/*")),
        "combination": Target(SEEDS / "combination", ("*.json", "*.safetensors", "1/*"), _combination, ("0/*",)),
        "zero-shot": Target(SEEDS / "zero-shot", ("*.json", "*.safetensors"), _zero_shot),
        "checkpoint": Target(RELEASED / "published", ("*",), _checkpoint),
        "state-of-fit": Target(RELEASED / "fits", ("*.fit",), _state_of_fit),
        "state-of-training": Target(SEEDS / "training", ("state",), _state_of_training),
        "trained-model": Target(SEEDS / "trained", ("pretraining.json",), _trained),
        "encoder": Target(RELEASED / "encoder", ("*",), _encoder),
        "exported": Target(SEEDS / "exported", ("manifest.json",), _exported, ("*",)),
        "recipe-boxes": Target(RELEASED / "recipes" / "partitions" / "boxes", ("*.toml",), _partition_recipe),
        "recipe-leaves": Target(RELEASED / "recipes" / "partitions" / "leaves", ("*.toml",), _partition_recipe),
        "recipe-head": Target(
            RELEASED / "recipes", ("heads/second/recipe.toml",), partial(_rows, "heads/second/recipe.toml"), ("*/*/*",)
        ),
        "sweep": Target(RELEASED / "recipes", ("sweep.toml",), partial(_rows, "sweep.toml"), ("*/*/*",)),
    }
    for name in ("views.csv", "views.tsv", "views.csv.gz", "views.jsonl", "views.parquet", "views.xlsx", "views.tar"):
        found[name.replace(".", "-")] = Target(tables, (name,), partial(_views, name, None))
    found["packed-parquet"] = Target(tables, ("packed.parquet",), partial(_views, "packed.parquet", None))
    found["saved-dataset"] = Target(SEEDS / "saved-dataset", ("*",), _saved_dataset)
    for preset, name in PRESETS.items():
        found[f"preset-{preset}"] = Target(tables, (name,), partial(_views, name, preset))
    for name in IMAGES:
        found[f"image-{name.replace('.', '-')}"] = Target(SEEDS / "images", (name,), partial(_photographs, name))
    return found | {
        "predictions-csv": Target(tables, ("answers.csv", "truth.csv"), partial(_predictions, "answers.csv")),
        "predictions-parquet": Target(
            tables, ("answers.parquet",), partial(_predictions, "answers.parquet"), ("truth.csv",)
        ),
        "cities-csv": Target(tables, ("cities.csv",), partial(_cities, "cities.csv")),
        "cities-json": Target(tables, ("cities.json",), partial(_cities, "cities.json")),
        "cities-located": Target(tables, ("located.json",), partial(_looked_up, "located.json")),
        "cities-looked-up": Target(tables, ("cities.json",), partial(_looked_up, "cities.json")),
        "captions": Target(tables, ("captions.csv",), _captions),
        "labels": Target(tables, ("labels.txt",), _labels),
        "features-npy": Target(
            SEEDS / "features", ("features.npy",), partial(_features, "features.npy"), ("views.csv",)
        ),
        "features-clip-retrieval": Target(SEEDS / "features", ("*/*",), partial(_features, "")),
        "layer-polygons": Target(RELEASED / "inputs", ("regions.geojson",), partial(_layer, "polygons")),
        "layer-nuts": Target(RELEASED / "inputs", ("nuts.geojson",), partial(_layer, "nuts")),
    }  # fmt: skip


TARGETS = _targets()
"""Name -> target."""
