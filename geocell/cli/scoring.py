"""Commands that score and compare heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from geocell.cli.answerers import Decode
from geocell.cli.head_scores import say_other_protocol, scores_text, training_locations, write_beside
from geocell.cli.machines import Machines
from geocell.cli.output import UsageError, emit, usage_errors
from geocell.cli.prediction_tables import (
    TableFlags,
    compare_tables,
    require_no_table,
    require_tables,
    score_tables,
)
from geocell.cli.scorers import Asked, decoders_of, open_pair, open_scored, open_zero_shot
from geocell.cli.sources import cache_locations, counted_locations, drawn_clusters, split_name
from geocell.evaluation.benchmarks import Benchmark, Missing

if TYPE_CHECKING:
    from geocell.evaluation.baselines import Baseline

Flat = Parameter(name="*")


def score(  # noqa: PLR0915 - one step after the other
    head: str | None = None,
    /,
    *,
    cache: Path | None = None,
    predictions: Path | None = None,
    truth: Path | None = None,
    preset: Benchmark | None = None,
    missing: Missing = "error",
    truth_sha256: str | None = None,
    splits: Path | None = None,
    split: str | None = None,
    decode: Decode | None = None,
    device: str = "auto",
    machines: Annotated[Machines, Flat] = Machines(),
    abstain_below: float | None = None,
    cluster: str | None = None,
    no_baselines: bool = False,
    against: str | None = None,
    by_country: bool = False,
    allow_training: bool = False,
    out: Path | None = None,
    overwrite: bool = False,
    partitioner: str | None = None,
    json: bool = False,
) -> None:
    """Score a head on locations it has not seen, and write the scores into its folder; or anybody's predictions.

    Scores of the split test go to scores.json and into the model card; others to scores-SPLIT.json. With
    `predictions` and `truth`, tables of id, lat and lon, no head is needed, and scores are only printed or go to `out`.

    Args:
        head: folder of the head, or user/repo@revision on the Hub, whose scores are only printed, or go to `out`; or
            zero-shot, the published protocol with the cities of the gazetteer, or zero-shot:CANDIDATES.csv.
        cache: feature cache.
        predictions: CSV, TSV, JSON lines or Parquet table of anybody's answers: id, lat, lon.
        truth: table of the true points of the same ids.
        preset: benchmark that the truth is, whose columns and number of rows are known.
        missing: what a location without a prediction is: an error, answered as far away as can be, or left out.
        truth_sha256: hash that the points of the truth must have, as printed with somebody else's scores.
        splits: splits.json; without it every location of the cache is scored.
        split: which split of it; test when left out.
        decode: the decoder; that of the calibration when left out, centroid without one.
        device: where the head computes: auto, cpu, cuda or mps.
        machines: which machines compute.
        abstain_below: say how answers fare of which at least this probability lies within 200 km; the threshold of the
            calibration when left out. All other scores are of all locations.
        cluster: what was drawn together, for the intervals: place (coordinates to 0.01°), location, country, cell:R, or
            a column of the cache or of the truth, of sequences or users say; when left out, what the splits kept
            together, else place.
        no_baselines: leave out the majority cell and, with `splits`, the nearest training location by features.
        against: another baseline: zero-shot, zero-shot:CANDIDATES.csv, or the folder of a zero-shot classifier.
        by_country: print the scores of every country too; JSON always has them.
        allow_training: score even if some of the locations are training locations of the head.
        out: file to write instead.
        overwrite: replace an existing file that `out` names; the scores in the head's folder are always replaced.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object.
    """
    reading = TableFlags(preset, missing, truth_sha256, cluster)
    if predictions is not None or truth is not None:
        of_heads: dict[str, object] = {
            "HEAD": head,
            "--cache": cache,
            "--splits": splits,
            "--split": split,
            "--decode": decode,
            "--abstain-below": abstain_below,
        }
        of_heads |= {"--partitioner": partitioner, "--allow-training": allow_training or None}
        of_heads |= {"--no-baselines": no_baselines or None, "--against": against}
        of_heads |= {"--device": None if device == "auto" else device}
        of_heads |= {"--engine": None if machines == Machines() else machines.engine}
        score_tables(require_tables(predictions, truth, of_heads), reading, out, overwrite, by_country, json)
        return
    reading.require_none()
    require_no_table("score", head)
    if head is None or cache is None:
        raise UsageError("score needs a HEAD and --cache, or --predictions and --truth, and lacks one: see --help.")
    from geocell.compute.devices import choose_device
    from geocell.decoders.table import as_decoder
    from geocell.evaluation.baselines import score_beside_baselines
    from geocell.evaluation.score import require_unseen, scores_of_head
    from geocell.files import as_place, is_local, require_new, write_json
    from geocell.heads.card_file import read_card
    from geocell.heads.loading import is_ensemble
    from geocell.heads.protocol import default_decoder
    from geocell.heads.zero_shot import ZeroShot
    from geocell.metrics.scores import shared_coordinates_text
    from geocell.uncertainty.selective import require_threshold

    with usage_errors():
        decoder = None if decode is None else as_decoder(decode)
        if machines.engine == "local":
            choose_device(device)  # elsewhere the machines that compute say so
        require_threshold(abstain_below)
        if no_baselines and against is not None:
            raise ValueError("--against is a baseline, and --no-baselines leaves them out: leave out one of the two.")
    name = split_name(splits, split, "test")
    if out is not None:
        require_new(out, overwrite)
    asked = Asked(cache, splits, name, device, partitioner)
    loaded, place = open_scored(head, asked)
    here = place if place is not None and place.snapshot is None else None
    decoder = as_decoder(default_decoder(loaded)) if decoder is None else decoder
    loaded.prepare(decoder)  # refused before the features are read
    if out is None and here is not None and name == "test" and not isinstance(loaded, ZeroShot):
        read_card(here.folder)  # a card that cannot be written anew is refused before anything is computed
    with machines.at_work(gpus=device != "cpu"):
        near = machines.engine == "local" or is_local(as_place(cache))
        locations, n_shared = counted_locations(cache, splits, name, in_memory=near)
        loaded.encoder.require_same(locations.encoder, "the head", "the locations")
        with usage_errors():
            require_unseen([loaded], locations, allow_training)
        say_other_protocol(loaded, splits)
        zero_shot = None if against is None else open_zero_shot(against, asked)
        what: dict[str, Any] = {"cluster": drawn_clusters(locations, cluster, splits), "abstain_below": abstain_below}
        found: Mapping[str, Baseline] = {}
        if no_baselines:
            scores, _ = scores_of_head(loaded, locations, loaded.prepare(decoder), name, device, **what)
        else:
            train = training_locations(loaded, cache, splits, name)
            what["zero_shot"] = zero_shot
            scores, found = score_beside_baselines(loaded, locations, train, decoder, name, device, **what)
    scores = replace(scores, n_at_training_coordinates=n_shared)
    told = scores.to_dict()
    remark = shared_coordinates_text(told)
    try:
        row = {"head": head if place is None else Path(head).name, "partition": loaded.partition.kind, **told}
        emit({**told, **({"remark": remark} if remark else {})}, scores_text(row, found, by_country), json)
    finally:  # a full disk must not lose what is printed, and a closed pipe not what is written
        if out is not None:
            write_json(out, told)
        elif here is not None and not is_ensemble(here):
            write_beside(loaded, here.folder, scores, locations.encoder)


def compare(
    head_a: str | None = None,
    head_b: str | None = None,
    /,
    *,
    cache: Path | None = None,
    predictions: tuple[Path, Path] | None = None,
    truth: Path | None = None,
    preset: Benchmark | None = None,
    missing: Missing = "error",
    truth_sha256: str | None = None,
    splits: Path | None = None,
    split: str | None = None,
    decode: Decode | None = None,
    cluster: str | None = None,
    allow_training: bool = False,
    partitioner: str | None = None,
    json: bool = False,
) -> None:
    """Say how far two heads are apart on the same locations, and whether these can tell which is better.

    A baseline stands where a head does, by its name: zero-shot, the published protocol with the cache's own encoder and
    the cities of the gazetteer; zero-shot:FILE, with those of a file; 1-nn, the training location with the most similar
    features; majority, the cell of the other head with most training locations.

    Args:
        head_a: folder of the first head, or user/repo@revision on the Hub; or a baseline.
        head_b: the same of the second; its cells may be others.
        cache: feature cache.
        predictions: two tables of anybody's answers (id, lat, lon), compared instead of heads.
        truth: table of the true points of the same ids.
        preset: benchmark that the truth is, whose columns and number of rows are known.
        missing: what a location without a prediction is: an error, answered as far away as can be, or left out.
        truth_sha256: hash that the points of the truth must have, as printed with somebody else's scores.
        splits: splits.json; without it every location of the cache is compared.
        split: which split of it; test when left out.
        decode: the decoder; that of the calibration when left out, centroid without one. Zero-shot then keeps its own.
        cluster: what was drawn together, for the intervals: place (coordinates to 0.01°), location, country, cell:R, or
            a column of the cache or of the truth, of sequences or users say; when left out, what the splits kept
            together, else place.
        allow_training: compare even if some of the locations are training locations of a head.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object.
    """
    reading = TableFlags(preset, missing, truth_sha256, cluster)
    if predictions is not None or truth is not None:
        of_heads: dict[str, object] = {
            "HEAD_A": head_a,
            "--cache": cache,
            "--splits": splits,
            "--split": split,
            "--decode": decode,
        }
        of_heads |= {"--partitioner": partitioner, "--allow-training": allow_training or None}
        compare_tables(require_tables(predictions, truth, of_heads), reading, json)
        return
    reading.require_none()
    require_no_table("compare", head_a, head_b)
    if head_a is None or head_b is None or cache is None:
        raise UsageError(
            "compare needs HEAD_A, HEAD_B and --cache, or --predictions A B and --truth, and lacks one: see --help."
        )
    from geocell.decoders.table import as_decoder
    from geocell.evaluation.comparison import compare as compare_heads
    from geocell.evaluation.score import require_unseen
    from geocell.reports.comparisons import comparison_text

    with usage_errors():
        decoder = None if decode is None else as_decoder(decode)
    name = split_name(splits, split, "test")
    a, b = open_pair(head_a, head_b, Asked(cache, splits, name, partitioner=partitioner))
    decode_a, decode_b = decoders_of(decoder, a, b)
    a.prepare(decode_a)
    b.prepare(decode_b)
    locations = cache_locations(cache, splits, name)
    for loaded in (a, b):
        loaded.encoder.require_same(locations.encoder, "the head", "the locations")
    with usage_errors():
        require_unseen([a, b], locations, allow_training)
    clusters = drawn_clusters(locations, cluster, splits)
    comparison = compare_heads(
        a, b, locations, decode_a, name, allow_training=True, cluster=clusters, decode_b=decode_b
    )
    said = {"sentence": comparison.sentence(head_a, head_b)}
    emit(
        {"head_a": head_a, "head_b": head_b, **comparison.to_dict(), **said},
        comparison_text(comparison, head_a, head_b),
        json,
    )
