"""The whole road on a small synthetic Europe: images, features, splits, four partitions, heads, scores, a map."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from geocell.files import FORMAT, read_json, write_json
from geocell.heads.fit_config import FitConfig

if TYPE_CHECKING:
    from geocell.encoders import Encoder
    from geocell.features import FeatureCache
    from geocell.features.locations import Locations
    from geocell.geo.geodesy import Floats
    from geocell.heads.head import Head
    from geocell.partitioners.base import Partition
    from geocell.prediction.records import Prediction

MARK = "quickstart.json"
FRACTIONS = (0.7, 0.15, 0.15)
CAPTION = "Synthetic street scenes at real places (GeoNames, CC BY 4.0); outlines: Natural Earth."

FITS: Mapping[str, FitConfig] = {
    "cross-entropy": FitConfig(device="cpu"),
    "+ haversine 0.05": FitConfig(device="cpu", epochs=20, haversine=0.05, lr=3e-3),
}
"""Name -> settings of the two stages; the second starts from the first, as in the published recipe."""

_OWN_IMAGES = """\
The same on your own images, with StreetCLIP (a table with columns image, latitude, longitude):
  geocell encode photos.csv --out cache && geocell split cache --out splits.json
  geocell partition h3 --resolution 4 --min-count 5 --cache cache --splits splits.json --out partition
  geocell fit-head --cache cache --splits splits.json --partition partition --out head"""


@dataclass(frozen=True)
class Road:
    """What the quickstart made.

    Attributes:
        folder: of every artefact.
        rows: one mapping per head: partition, fit, folder and scores.
        prediction: of one test location by the head that was best on the validation locations.
        truth: true (lat, lon) of that location.
        images: the image files of that location.
        head: folder of the head that answered.
        picture: the map.
        nearest_train_km: median distance of the test locations to their nearest training location.
    """

    folder: Path
    rows: tuple[dict[str, Any], ...]
    prediction: Prediction
    truth: tuple[float, float]
    images: tuple[Path, ...]
    head: Path
    picture: Path
    nearest_train_km: float

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "folder": str(self.folder),
            "synthetic": CAPTION,
            "scores": list(self.rows),
            "prediction": {**self.prediction.to_dict(), "truth": {"lat": self.truth[0], "lon": self.truth[1]}},
            "images": [str(image) for image in self.images],
            "head": str(self.head),
            "picture": str(self.picture),
            "nearest_train_km": self.nearest_train_km,
        }

    def text(self) -> str:
        """Return what the terminal shows at the end."""
        from geocell.reports.text import prediction_text, score_table

        answer = {
            **self.prediction.to_dict(),
            "location": f"{self.prediction.location} ({len(self.images)} views, {self.images[0]} …)",
            "truth": {"lat": self.truth[0], "lon": self.truth[1]},
        }
        parts = [
            score_table(self.rows),
            "The second fit starts from the first; where no epoch of it scored higher on the validation locations, it "
            "kept those weights. Streets of one town are in several splits: half of the test locations have a training "
            f"location within {self.nearest_train_km:.1f} km, and towns never seen are much harder.",
            f"The test location with the median error, asked of {self.head}:\n{prediction_text(answer)}",
            "Synthetic: the street scenes are drawn by a program that lets climate and country show; these scores say "
            "that the road works, nothing about real photographs.\nReal: the places and their coordinates (GeoNames, "
            "CC BY 4.0), the JPEG files with EXIF GPS, the pretrained encoder, every step after it.",
            f"Everything is in {self.folder}: world (images), cache, splits.json, partitions, heads, scores.csv\n"
            f"Map: {self.picture}",
            _OWN_IMAGES,
        ]
        return "\n\n".join(parts)


def run(out: Path, *, n_locations: int = 400, seed: int = 0, overwrite: bool = False) -> Road:
    """Run the road, or go on with what an earlier run left in `out`.

    Args:
        out: folder of every artefact.
        n_locations: number of places.
        seed: of places, scenes, splits and fits.
        overwrite: begin again.

    Raises:
        FileExistsError: when `out` holds something else, or a quickstart of other settings.
        ImportError: when the extra `quickstart` is not installed.
        ValueError: when `n_locations` is too small to split and partition.
    """
    if n_locations < 50:
        raise ValueError(f"n_locations must be at least 50, enough for splits and cells, got {n_locations}.")
    _claim(out, {"format": FORMAT, "n_locations": n_locations, "seed": seed}, overwrite)
    with tqdm(total=5 + len(FITS) * 4, desc="quickstart", disable=None, leave=False, position=0) as bar:
        return _Run(out, seed, bar).all(n_locations)


def _claim(out: Path, settings: dict[str, Any], overwrite: bool) -> None:
    """Make `out` this quickstart's folder, or refuse."""
    mark = out / MARK
    ours = mark.is_file()
    if ours and overwrite:
        shutil.rmtree(out)
    elif ours and read_json(mark, "a quickstart") != settings:
        raise FileExistsError(f"{out} holds a quickstart of other settings: name another folder, or pass --overwrite.")
    elif not ours and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} exists and is not a quickstart: name another folder.")
    out.mkdir(parents=True, exist_ok=True)
    write_json(mark, settings)


class _Run:
    """One run: the folder, the seed and the bar that every stage advances."""

    def __init__(self, out: Path, seed: int, bar: tqdm[Any]) -> None:
        self.out, self.seed, self.bar = out, seed, bar

    def _stage(self, name: str) -> None:
        self.bar.set_description(f"quickstart: {name}")
        self.bar.update()

    def all(self, n_locations: int) -> Road:
        from geocell.encoders import LITE0, load_encoder
        from geocell.encoding import encode
        from geocell.quickstart.world import make_world
        from geocell.splits.draw import make_splits
        from geocell.splits.leaks import nearest_km
        from geocell.splits.splits import NAMES

        images = self.out / "world"
        self._stage("drawing images")
        if not images.exists():
            make_world(images, n_locations=n_locations, seed=self.seed)
        self._stage("encoding")
        encoder = load_encoder(LITE0, device="cpu")
        cache = encode(images, encoder, self.out / "cache", shard_rows=256)
        locations = cache.locations()
        self._stage("splitting")
        splits = make_splits(locations.ids, locations.latlon, FRACTIONS, self.seed)
        splits.save(self.out / "splits.json", overwrite=True)
        train, val, test = (splits.select(locations, name) for name in NAMES)
        with _one_thread():
            rows, heads = self._fit_all(train, val, test)
        _write_scores(self.out / "scores.csv", rows)
        self._stage("drawing the map")
        picture = self._draw(rows, heads, test)
        best = max(heads, key=lambda name: heads[name].training["val"]["balscore"])
        nearest = float(np.median(nearest_km(test.latlon, train.latlon)))
        return self._ask(heads[best], self.out / "heads" / best, cache, test, encoder, rows, picture, nearest)

    def _partitions(self, latlon: Floats) -> dict[str, Partition]:
        from geocell.geo.countries import write_nuts0
        from geocell.partitioners import H3Partitioner, KDTreePartitioner, KMeansPartitioner, NUTSPartitioner

        boundaries = write_nuts0(self.out / "boundaries.geojson")
        makers = {
            "h3": H3Partitioner(resolution=3, min_count=3),
            "kmeans": KMeansPartitioner(k=len(latlon) // 6, seed=self.seed, min_count=3),
            "kdtree": KDTreePartitioner(max_count=8, min_count=3),
            "nuts": NUTSPartitioner(shapes=boundaries, level=0, min_count=3),
        }
        partitions = {name: maker.fit(latlon, "quickstart, split train") for name, maker in makers.items()}
        for name, partition in partitions.items():
            partition.save(self.out / "partitions" / name, overwrite=True)
        return partitions

    def _fit_all(
        self, train: Locations, val: Locations, test: Locations
    ) -> tuple[tuple[dict[str, Any], ...], dict[str, Head]]:
        from dataclasses import replace

        from geocell.evaluation.score import score
        from geocell.training.fit import fit_head

        self._stage("partitioning")
        rows: list[dict[str, Any]] = []
        heads: dict[str, Head] = {}
        for kind, partition in self._partitions(train.latlon).items():
            head: Head | None = None
            for stage, (fit, config) in enumerate(FITS.items(), start=1):
                self._stage(f"fitting {kind}, {fit}")
                head = fit_head(train, val, partition, replace(config, seed=self.seed), init=head)
                scores = score(head, test, decode="centroid", split="test")
                name = f"{kind}-{stage}"
                head.save(self.out / "heads" / name, scores=scores, overwrite=True)
                heads[name] = head
                rows.append({"head": name, "partition": kind, "fit": fit, **scores.to_dict()})
        return tuple(rows), heads

    def _draw(self, rows: tuple[dict[str, Any], ...], heads: Mapping[str, Head], test: Locations) -> Path:
        from geocell.decoders.base import decode
        from geocell.plots import MapPanel, draw_maps

        panels = []
        for row in rows[len(FITS) - 1 :: len(FITS)]:  # the last stage of every partition
            head = heads[row["head"]]
            predicted = decode("centroid", head.posterior(test), head.partition.centroids)
            subtitle = f"{row['n_cells']} cells, median {row['median_km']:.0f} km, balscore {100 * row['balscore']:.1f}"
            panels.append(MapPanel(test.latlon, predicted, head.partition, row["head"], subtitle))
        title = "Where was it taken? Test locations, answers and cells"
        return draw_maps(self.out / "map.png", panels, title, caption=CAPTION)

    def _ask(
        self,
        head: Head,
        folder: Path,
        cache: FeatureCache,
        test: Locations,
        encoder: Encoder,
        rows: tuple[dict[str, Any], ...],
        picture: Path,
        nearest_train_km: float,
    ) -> Road:
        """Ask the head about the image files of one test location: the one with the median error, to be fair."""
        from dataclasses import replace

        from geocell.decoders.base import decode
        from geocell.geo.geodesy import distance_km
        from geocell.prediction.geolocator import Geolocator

        errors = distance_km(decode("centroid", head.posterior(test), head.partition.centroids), test.latlon)
        middle = int(errors.argsort(kind="stable")[len(errors) // 2])
        views = cache.views.iloc[test.rows[test.offsets[middle] : test.offsets[middle + 1]]]
        images = tuple(self.out / "world" / name for name in views["image"])
        (answer,) = Geolocator(head, encoder).locate([list(images)])
        place = str(views["place"].iloc[0]) if "place" in views else str(test.ids[middle])
        lat, lon = (float(x) for x in test.latlon[middle])
        return Road(
            self.out, rows, replace(answer, location=place), (lat, lon), images, folder, picture, nearest_train_km
        )


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


def _write_scores(path: Path, rows: tuple[dict[str, Any], ...]) -> None:
    flat = [
        {k: v for k, v in row.items() if k not in {"within", "intervals"}}
        | {f"within_{km}": share for km, share in row["within"].items()}
        for row in rows
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(flat[0]))
        writer.writeheader()
        writer.writerows(flat)
