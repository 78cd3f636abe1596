"""The report of a head: measured on locations beside baselines and other heads; saved as page, JSON and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell._version import __version__
from geocell.evaluation.baselines import baselines_of
from geocell.evaluation.clusters import clusters_of
from geocell.evaluation.held_out import true_cells
from geocell.evaluation.known import known_locations
from geocell.evaluation.leaks import leaks as find_leaks
from geocell.evaluation.leaks import scores_by_distance
from geocell.evaluation.named_baselines import MAJORITY_LABEL, NEAREST_LABEL
from geocell.evaluation.reliability_curves import ReliabilityRecorder
from geocell.evaluation.score import require_unseen, scores_of_head
from geocell.features import FeatureCache
from geocell.files import FORMAT, require_new, write_json
from geocell.geo.countries import countries_of
from geocell.geo.gazetteer import Gazetteer
from geocell.heads.protocol import default_decoder
from geocell.metrics.outcomes import Outcomes, outcomes_of
from geocell.plots.error_charts import cdf_points
from geocell.prediction.predictions import town_names
from geocell.reporting.about import about_head, short
from geocell.reporting.beside import baseline_row, rows_beside, score_row
from geocell.reporting.countries import confusion, country_scores
from geocell.reporting.examples import N_EXAMPLES, SEED, drawn, example_rows, images_of, thumbnails_of, worst
from geocell.reporting.measured import Measured
from geocell.splits.leaks import count_at_training_coordinates, nearest_km
from geocell.splits.splits import Splits

if TYPE_CHECKING:
    from geocell.decoders.table import AnyDecoder
    from geocell.features.locations import Locations
    from geocell.geo.geodesy import Floats
    from geocell.heads.protocol import HeadLike
    from geocell.metrics.clusters import Clusters

ORACLE = "oracle (true cell)"
NEAREST_CANDIDATE = "oracle (nearest candidate)"
_IN_MEMORY = 4 << 30  # bytes of a cache; features of a larger one are read block by block
PAGE_SUFFIX = ".html"


class Report(Measured):
    """What was measured of a head, which `save` writes as a page and `save_figures` as pictures."""

    def save(self, out: str | Path, *, overwrite: bool = False) -> Path:
        """Write the report as a page of one file, and its JSON beside it under the same name.

        Args:
            out: .html file to write.
            overwrite: replace existing files.

        Raises:
            ValueError: for another suffix.
            FileExistsError: when one is there.
        """
        from geocell.reporting.page import write_report

        path = Path(out)
        require_page_name(path)
        for file in (path, path.with_suffix(".json")):
            require_new(file, overwrite)
        write_json(path.with_suffix(".json"), self.to_dict())
        return write_report(path, self)

    def save_figures(self, folder: str | Path, *, overwrite: bool = False) -> list[Path]:
        """Write every figure as SVG and as PNG into a folder, maps among them.

        Raises:
            ImportError: when matplotlib is not installed.
            FileExistsError: when a figure is there already, and is not to be replaced.
        """
        from geocell.reporting.figures import write_figures

        return write_figures(self, Path(folder), overwrite=overwrite)


def require_page_name(path: Path) -> None:
    """Raise ValueError unless a report can be written to a file of this name."""
    if path.suffix.lower() != PAGE_SUFFIX:
        raise ValueError(f"a report is written to a {PAGE_SUFFIX} file, got {path.name!r}: name it so.")


def report(  # noqa: PLR0913 - all that a report is asked for
    head: HeadLike,
    source: FeatureCache | Path | str,
    splits: Splits | Path | str | None = None,
    split: str = "test",
    *,
    against: Mapping[str, HeadLike] | None = None,
    name: str = "head",
    decode: AnyDecoder | None = None,
    device: str = "auto",
    cluster: str | Clusters | None = None,
    baselines: bool = True,
    leaks: bool = True,
    images: Path | str | None = None,
    thumbnails: bool = True,
    allow_training: bool = False,
) -> Report:
    """Measure a head on locations that it has not seen, beside baselines and other heads.

    Args:
        head: a head, a combination, an ensemble or a zero-shot classifier.
        source: a feature cache, or the path of its folder.
        splits: the splits, or their file; without them every location of the cache is asked, and nothing is known of
            training locations.
        split: which of them.
        against: name -> what else answers the same locations; names differ from the head's and from baselines.
        name: what the head is called.
        decode: decoder of all; the default of each when None.
        device: where heads compute.
        cluster: what was drawn together, for the intervals; see `geocell.evaluation.clusters.clusters_of`.
        baselines: whether the majority cell and the nearest training location by features are measured.
        leaks: whether near-duplicates, shared images and coordinates are sought, which takes as long as `1-NN`.
        images: table or folder that the cache was encoded from, for the thumbnails of examples; the one of the cache's
            record when None, where it is there.
        thumbnails: whether there are any.
        allow_training: whether locations that a head was trained on are meant.

    Raises:
        FileNotFoundError: when there is no such cache or file.
        ValueError: for a split without locations, features of another encoder, training locations, an unknown decoder
            or column, a name that two have, or images that cannot be read.
    """
    reserved = (MAJORITY_LABEL, NEAREST_LABEL) if baselines else ()
    _require_own_names([short(name), *(against or ()), *reserved, ORACLE, NEAREST_CANDIDATE])
    cache = source if isinstance(source, FeatureCache) else FeatureCache.open(source)
    members = Splits.load(splits) if isinstance(splits, str | Path) else splits
    readable = images_of(cache, images) if thumbnails else None  # refused before anything is computed
    others = dict(against or {})
    locations = cache.locations(in_memory=cache.n_bytes <= _IN_MEMORY)
    train = None if members is None else _of_split(members, locations, "train")
    if members is None:
        split = "all"
    else:
        locations = members.select(locations, split)
    for each in (head, *others.values()):
        each.encoder.require_same(locations.encoder, "the head", "the locations")
        if decode is not None:
            each.prepare(decode)
    require_unseen([head, *others.values()], locations, allow_training)
    clusters = clusters_of(locations, cluster, members)
    prepared = head.prepare(default_decoder(head) if decode is None else decode)
    points, curves = np.empty((len(locations), 2)), ReliabilityRecorder(head, locations)

    def watch(rows: slice, posterior: NDArray[np.float32], answers: Floats) -> None:
        points[rows] = answers
        curves(rows, posterior, answers)

    scores, outcome = scores_of_head(head, locations, prepared, split, device, cluster=clusters, watch=watch)
    shared = None if train is None else count_at_training_coordinates(locations.latlon, train.latlon)
    scores = replace(scores, n_at_training_coordinates=shared)
    beside, found = rows_beside(head, outcome, others, locations, decode, split, device, clusters)
    if baselines:
        known = None if members is None else known_locations(head, cache, members, split)
        of = baselines_of(head.partition, locations, known, outcome, prepared.decoder.spec, split)
        beside += [baseline_row(baseline) for baseline in of.values()]
        found |= {baseline.name: baseline.outcome for baseline in of.values()}
    truth_code, answer_code = countries_of(locations.latlon), countries_of(points)
    chosen = {"worst": worst(outcome.distances_km), "random": drawn(len(locations), N_EXAMPLES)}
    places = town_names if Gazetteer.installed() else None
    said = {
        key: example_rows(rows, locations, points, outcome.distances_km, curves.largest, places)
        for key, rows in chosen.items()
    }
    own = score_row(short(name), f"{len(head.partition):,} cells", prepared.decoder.spec, outcome, None)
    value: dict[str, Any] = {
        "format": FORMAT,
        "version": __version__,
        "head": about_head(head, name),
        "cache": short(cache.folder.name),
        "split": _about_split(members, split),
        "scores": scores.to_dict(),
        "rows": [own, *beside],
        "error_cdf": _curves(head, locations, outcome, found, short(name)),
        "reliability": curves.to_dict(),
        "leaks": _leaks(cache, members, split) if leaks else None,
        "by_distance": None
        if train is None or split == "train"
        else scores_by_distance(outcome, nearest_km(locations.latlon, train.latlon)),
        "by_country": country_scores(outcome, truth_code, answer_code),
        "confusion": confusion(truth_code, answer_code),
        "seed": SEED,
        **said,
    }
    small = thumbnails_of(np.concatenate([*chosen.values()]).tolist(), locations, cache, readable)
    return Report(value, locations.latlon, points, outcome.distances_km, head.partition, chosen, small)


def _require_own_names(names: Sequence[str]) -> None:
    """Refuse names that two rows and curves of a report would have."""
    if both := [name for name, n in Counter(names).items() if n > 1]:
        raise ValueError(
            f"heads and baselines of a report must have different names, got {both[0]!r} twice: name one of the two "
            "otherwise."
        )


def _of_split(splits: Splits, locations: Locations, name: str) -> Locations | None:
    index = np.flatnonzero(splits.members(locations.ids, name))
    return locations.take(index) if len(index) else None


def _about_split(splits: Splits | None, split: str) -> dict[str, Any]:
    if splits is None:
        return {"name": split, "protocol": None, "n": {}}
    return {
        "name": short(split),
        "protocol": splits.protocol,
        "seed": splits.seed,
        "buffer_km": splits.buffer_km,
        "n": {short(name): len(ids) for name, ids in splits.ids.items()},
    }


def _leaks(cache: FeatureCache, splits: Splits | None, split: str) -> dict[str, Any] | None:
    """Return what the split shares with training locations, as JSON; None where there are none."""
    if splits is None or split == "train" or not splits.ids.get("train"):
        return None
    part = replace(splits, ids={name: splits.ids[name] for name in ("train", split)})
    return find_leaks(cache, part).to_dict()


def _curves(
    head: HeadLike, locations: Locations, outcome: Outcomes, found: Mapping[str, Outcomes], name: str
) -> dict[str, list[list[float]]]:
    """Return the distributions of errors: of the head, of what it is compared with, and of the oracle."""
    cells = true_cells(head.partition, locations.latlon)
    inside = cells >= 0
    curves = {name: outcome.distances_km, **{other: reached.distances_km for other, reached in found.items()}}
    if inside.all():
        oracle = outcomes_of(head.partition.centroids[cells], locations.latlon)
        curves[ORACLE if head.partition.can_assign else NEAREST_CANDIDATE] = oracle.distances_km
    return {key: np.round(cdf_points(km), 5).tolist() for key, km in curves.items()}
