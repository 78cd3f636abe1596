"""What is done with the files of a target: they are read and used, and what must hold of them is checked."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from fuzz.make_seeds import world

PROBES = np.array([[45.0, 5.0], [-90.0, 0.0], [90.0, 180.0], [0.0, -180.0], [53.9, 17.9]])

POSITIONED = {"a.jpg", "progressive.jpg", "a.png", "a.webp", "lossless.webp", "a.avif"}
"""Images that have a position in their EXIF data."""

_FITS = Path(__file__).resolve().parents[1] / "tests" / "released" / "format1" / "fits"


def use_partition(folder: Path, _out: Path) -> None:
    """Load a partition and ask where points are in it."""
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


def use_splits(folder: Path, _out: Path) -> None:
    """Load splits and take the locations of one."""
    from geocell.splits.splits import Splits

    splits = Splits.load(folder / "splits.json")
    locations = world().take(np.arange(3))
    ids = np.array(["place000", "place001", "place002"], dtype=object)
    splits.select(replace(locations, ids=ids), "train")


def use_cache(folder: Path, _out: Path) -> None:
    """Verify and open a cache, and read all of it."""
    from geocell.features import FeatureCache, verify_cache

    verify_cache(folder)
    cache = FeatureCache.open(folder)
    locations = cache.locations()
    _ = cache.features, cache.features_sha256, locations.mean_features(), repr(cache)
    cache.take(np.array([0]))


def use_finish(folder: Path, _out: Path) -> None:
    """Finish a cache whose shards are there."""
    from geocell.features import finish

    finish(folder)


def use_partial(folder: Path, _out: Path) -> None:
    """Read the rows that are kept of an incomplete shard."""
    from geocell.features.manifest import Manifest
    from geocell.features.partials import kept_rows, read_partial

    (folder / "features-00000.safetensors").rename(folder / ".partial-00000.safetensors")
    read_partial(folder, 0, 16)
    kept_rows(folder, Manifest.read(folder))


def use_head(folder: Path, _out: Path) -> None:
    """Load a head with all that lies beside it, and let it answer."""
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


def use_card(folder: Path, _out: Path) -> None:
    """Write the card of a head again."""
    from geocell.heads.card_file import card_of, read_card
    from geocell.heads.card_text import parse_card
    from geocell.heads.folder import read_head
    from geocell.publishing.repository import read_own_scores

    parts = read_head(folder)
    scores = read_own_scores(folder, parts)
    parse_card(card_of(parts, scores, before=read_card(folder)), "the new card")


def use_finished_fit(folder: Path, _out: Path) -> None:
    """Read a finished fit of a sweep."""
    from geocell.sweeps.results import read_fit

    read_fit(folder)


def use_ensemble(folder: Path, _out: Path) -> None:
    """Load an ensemble."""
    from geocell.heads.ensemble import load_ensemble

    load_ensemble(folder)


def use_combination(folder: Path, _out: Path) -> None:
    """Load a combination and let it answer."""
    from geocell.heads.combination import load_combination

    made = load_combination(folder)
    for _, posterior, _points in made.answer_chunks(_asked(made.encoder), "centroid", "cpu"):
        require(np.isfinite(posterior).all(), "finite answers")


def use_zero_shot(folder: Path, _out: Path) -> None:
    """Load a zero-shot classifier and let it answer."""
    from geocell.heads.zero_shot_folder import load_zero_shot

    model = load_zero_shot(folder)
    require(np.isfinite(model.posterior(_asked(model.encoder))).all(), "finite answers")


def use_checkpoint(folder: Path, _out: Path) -> None:
    """Import a published checkpoint."""
    from geocell.encoders.info import EncoderInfo
    from geocell.publishing.checkpoints import import_head, published_files

    encoder = EncoderInfo("tiny", "1", "pooler_output", 16, 32, "none")
    import_head(published_files(folder / "best.pt", folder / "geocell_info.json"), encoder)


def use_state_of_fit(folder: Path, _out: Path) -> None:
    """Read the state of an interrupted fit."""
    from geocell.training.checkpoint import Progress, read_checkpoint

    read_checkpoint(folder / "resumed.fit", _facts_of_fit(), Progress(), Progress())


@cache
def _facts_of_fit() -> Mapping[str, Any]:
    """Return what the released fit was of, in the words of this version."""
    from safetensors import safe_open

    from geocell.heads.fit_config import stored_settings

    with safe_open(_FITS / "resumed.fit", framework="numpy") as file:
        facts: dict[str, Any] = json.loads(file.metadata()["fit"])["facts"]
    return {**facts, "settings": stored_settings(facts["settings"])}


def use_state_of_training(folder: Path, _out: Path) -> None:
    """Read the state of an interrupted training."""
    from geocell.pretraining.checkpoint import read_state

    read_state(folder / "state", {"captions": "abc"})


def use_trained(folder: Path, _out: Path) -> None:
    """Read the record of a trained model and write its card."""
    from geocell.heads.card_text import parse_card
    from geocell.pretraining.result import card_body, read_history, read_record

    read_history(folder)
    parse_card(card_body(read_record(folder)), "the new card")


def use_encoder(folder: Path, _out: Path) -> None:
    """Load an encoder from a folder."""
    from geocell.encoders import load_encoder

    load_encoder(str(folder), device="cpu")


def use_exported(folder: Path, _out: Path) -> None:
    """Read the manifest of an exported encoder."""
    from geocell.encoders.manifest import read_manifest

    read_manifest(folder).to_dict()


def use_partition_recipe(folder: Path, _out: Path) -> None:
    """Read the recipe of a partition."""
    from geocell.partitioners import partitioner_from_recipe

    partitioner_from_recipe(folder / "recipe.toml")


def use_rows(name: str, folder: Path, _out: Path) -> None:
    """Read the rows of a sweep."""
    from geocell.sweeps.plan import fits_of, read_rows

    fits_of(read_rows([folder / name]))


def use_views(name: str, preset: Any, folder: Path, _out: Path) -> None:  # noqa: ANN401 - a name of a preset
    """Read a table of views and some of its images."""
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


def use_pieces(name: str, folder: Path, _out: Path) -> None:
    """Read a table in pieces of two rows, which must be refused where the whole is, and else be the same."""
    from geocell.views import open_views, read_views

    whole, refusal = None, ""
    try:
        whole = read_views(folder / name)
    except Exception as error:
        refusal = str(error)
    with ExitStack() as small:
        for module, constants in _SMALL_PIECES.items():
            for constant, value in constants.items():
                small.enter_context(patch(f"geocell.views.{module}.{constant}", value))
        table = open_views(folder / name, only=["note"])
        if whole is None:
            require(False, f"a table that is refused: {refusal}")
            return
        for field in ("good", "codes", "view_latlon", "first"):
            same = np.array_equal(getattr(table.places, field), getattr(whole.places, field))
            require(same, f"{field} of the whole table")
        require(table.location_ids.texts() == whole.location_ids.texts(), "ids of the whole table")
        require(table.names == whole.names, "columns of the whole table")
        require(open_views(folder / name).sha256 == whole.sha256, "the hash of the whole table")


_SMALL_PIECES = {
    "reading": {"PIECE": 2, "LARGE_ROWS": 0, "LARGE_BYTES": 0},
    "storing": {"PIECE": 2},
    "stored": {"PIECE": 2},
}


def use_saved_dataset(folder: Path, _out: Path) -> None:
    """Read a folder that `datasets` saved, and some of its images."""
    from geocell.images import sources
    from geocell.views import read_rows, read_views

    table = read_views(folder)
    sources._undecoded.cache_clear()  # which knows folders by their paths
    for reference in table.frame["image"].tolist()[:2]:
        with suppress(OSError):  # the reason why a row has no image
            table.images.read(reference)
    read_rows(folder)


def use_photographs(name: str, folder: Path, _out: Path) -> None:
    """Load an image, and the position in it where it has one."""
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


def use_predictions(name: str, folder: Path, _out: Path) -> None:
    """Score a file of predictions."""
    from geocell.evaluation.predictions import score_predictions

    score_predictions(folder / name, folder / "truth.csv", missing="worst").to_dict()


def use_cities(name: str, folder: Path, _out: Path) -> None:
    """Read candidate cities."""
    from geocell.zeroshot.candidate_files import read_cities

    read_cities(folder / name)


def use_looked_up(name: str, folder: Path, _out: Path) -> None:
    """Read candidates whose places are looked up."""
    from geocell.zeroshot.candidate_files import read_candidates

    read_candidates(folder / name)


def use_captions(folder: Path, _out: Path) -> None:
    """Read a table of captions."""
    from geocell.pretraining.caption_set import CaptionSet
    from geocell.pretraining.tables import read_captions

    (folder / "0.jpg").write_bytes(b"")
    table = read_captions(folder / "captions.csv")
    CaptionSet.from_table(table.table, table.images)


def use_features(name: str, folder: Path, out: Path) -> None:
    """Import features as a cache."""
    from geocell.encoding import import_features
    from geocell.views import read_views

    table = read_views(folder / "views.csv", images_optional=True) if name else None
    import_features(folder / name, out / "cache", table=table, encoder="tiny")


def use_layer(kind: str, folder: Path, _out: Path) -> None:
    """Fit a partition of a layer of polygons."""
    from geocell.partitioners import NUTSPartitioner, PolygonsPartitioner

    if kind == "nuts":
        NUTSPartitioner(folder / "nuts.geojson").fit(world().latlon)
    else:
        PolygonsPartitioner(folder / "regions.geojson", id_column="code", parent_column="country").fit(world().latlon)


def use_labels(folder: Path, _out: Path) -> None:
    """Read the labels of a classification."""
    from geocell.cli.classifying import _labels as read_labels

    read_labels("", folder / "labels.txt")
