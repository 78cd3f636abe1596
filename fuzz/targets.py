"""Targets: the files of somebody else that a function reads, and what is asked of the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fuzz import readers

ROOT = Path(__file__).resolve().parents[1]
SEEDS, RELEASED = ROOT / "fuzz" / "seeds", ROOT / "tests" / "released" / "format1"
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


def _targets() -> dict[str, Target]:
    """Return all targets by their names."""
    head, tables = SEEDS / "head", SEEDS / "tables"
    cells = ("partition.json", "geocell_info.json", "cells.geojson")
    found = {
        f"partition-{k}": Target(RELEASED / "partitions" / k, cells, readers.use_partition, signed=True) for k in KINDS
    }
    found |= {
        "splits": Target(RELEASED, ("splits*.json",), readers.use_splits),
        "cache-manifest": Target(RELEASED / "cache", ("cache.json",), readers.use_cache, ("*",)),
        "cache-views": Target(RELEASED / "cache", ("views.parquet",), readers.use_cache, ("*",)),
        "cache-shards": Target(RELEASED / "cache", ("features-*",), readers.use_cache, ("*",)),
        "cache-finish": Target(RELEASED / "cache-encoded", ("*",), readers.use_finish),
        "cache-partial": Target(RELEASED / "cache", ("features-00000*",), readers.use_partial, ("*",)),
    }
    own = ("geocell_info.json", "partition.json", "config.json", "model.safetensors")
    for name in ("calibration.json", "neighbours.safetensors", "places.safetensors", "region.safetensors"):
        found[name.split(".")[0]] = Target(head, (name,), readers.use_head, own)
    found |= {
        "head": Target(head, (*own, "history.csv", "trained_on.safetensors"), readers.use_head),
        "head-hashes": Target(head, ("hashes.json",), readers.use_head, ("*",)),
        "head-scores": Target(head, ("scores.json",), readers.use_card, ("*",)),
        "head-card": Target(RELEASED / "heads" / "scored", ("README.md",), readers.use_card, ("*",)),
        "head-offsets": Target(
            RELEASED / "heads" / "offsets", ("offsets.safetensors", "config.json"), readers.use_head, ("*",)
        ),
        "head-imported": Target(RELEASED / "heads" / "imported", ("*.json",), readers.use_card, ("*",)),
        "head-scored": Target(RELEASED / "heads" / "scored", ("*.json",), readers.use_card, ("*",)),
        "fit-of-sweep": Target(
            RELEASED / "sweep" / "heads" / "first-seed0", ("config.json", "scores.json"), readers.use_finished_fit
        ),
        "ensemble": Target(
            RELEASED / "ensemble", ("ensemble.json", "1/config.json"), readers.use_ensemble, ("*", "*/*")
        ),
        "combination": Target(
            SEEDS / "combination", ("*.json", "*.safetensors", "1/*"), readers.use_combination, ("0/*",)
        ),
        "zero-shot": Target(SEEDS / "zero-shot", ("*.json", "*.safetensors"), readers.use_zero_shot),
        "checkpoint": Target(RELEASED / "published", ("*",), readers.use_checkpoint),
        "state-of-fit": Target(RELEASED / "fits", ("*.fit",), readers.use_state_of_fit),
        "state-of-training": Target(SEEDS / "training", ("state",), readers.use_state_of_training),
        "trained-model": Target(SEEDS / "trained", ("pretraining.json",), readers.use_trained),
        "encoder": Target(RELEASED / "encoder", ("*",), readers.use_encoder),
        "exported": Target(SEEDS / "exported", ("manifest.json",), readers.use_exported, ("*",)),
        "recipe-boxes": Target(
            RELEASED / "recipes" / "partitions" / "boxes", ("*.toml",), readers.use_partition_recipe
        ),
        "recipe-leaves": Target(
            RELEASED / "recipes" / "partitions" / "leaves", ("*.toml",), readers.use_partition_recipe
        ),
        "recipe-head": Target(
            RELEASED / "recipes",
            ("heads/second/recipe.toml",),
            partial(readers.use_rows, "heads/second/recipe.toml"),
            ("*/*/*",),
        ),
        "sweep": Target(RELEASED / "recipes", ("sweep.toml",), partial(readers.use_rows, "sweep.toml"), ("*/*/*",)),
    }
    for name in ("views.csv", "views.tsv", "views.csv.gz", "views.jsonl", "views.parquet", "views.xlsx", "views.tar"):
        found[name.replace(".", "-")] = Target(tables, (name,), partial(readers.use_views, name, None))
    for name in ("views.csv", "views.tsv", "views.csv.gz", "views.parquet"):
        found[f"{name.replace('.', '-')}-pieces"] = Target(tables, (name,), partial(readers.use_pieces, name))
    found["packed-parquet"] = Target(tables, ("packed.parquet",), partial(readers.use_views, "packed.parquet", None))
    found["saved-dataset"] = Target(SEEDS / "saved-dataset", ("*",), readers.use_saved_dataset)
    for preset, name in PRESETS.items():
        found[f"preset-{preset}"] = Target(tables, (name,), partial(readers.use_views, name, preset))
    for name in IMAGES:
        found[f"image-{name.replace('.', '-')}"] = Target(
            SEEDS / "images", (name,), partial(readers.use_photographs, name)
        )
    return found | {
        "predictions-csv": Target(
            tables, ("answers.csv", "truth.csv"), partial(readers.use_predictions, "answers.csv")
        ),
        "predictions-parquet": Target(
            tables, ("answers.parquet",), partial(readers.use_predictions, "answers.parquet"), ("truth.csv",)
        ),
        "cities-csv": Target(tables, ("cities.csv",), partial(readers.use_cities, "cities.csv")),
        "cities-json": Target(tables, ("cities.json",), partial(readers.use_cities, "cities.json")),
        "cities-located": Target(tables, ("located.json",), partial(readers.use_looked_up, "located.json")),
        "cities-looked-up": Target(tables, ("cities.json",), partial(readers.use_looked_up, "cities.json")),
        "captions": Target(tables, ("captions.csv",), readers.use_captions),
        "labels": Target(tables, ("labels.txt",), readers.use_labels),
        "features-npy": Target(
            SEEDS / "features", ("features.npy",), partial(readers.use_features, "features.npy"), ("views.csv",)
        ),
        "features-clip-retrieval": Target(SEEDS / "features", ("*/*",), partial(readers.use_features, "")),
        "layer-polygons": Target(RELEASED / "inputs", ("regions.geojson",), partial(readers.use_layer, "polygons")),
        "layer-nuts": Target(RELEASED / "inputs", ("nuts.geojson",), partial(readers.use_layer, "nuts")),
    }  # fmt: skip


TARGETS = _targets()
"""Name -> target."""
