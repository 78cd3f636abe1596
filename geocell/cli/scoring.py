"""Commands that score and compare heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cyclopts import Parameter

from geocell.cli.output import (
    Decode,
    cache_locations,
    counted_locations,
    emit,
    open_head,
    split_name,
    usage_errors,
)
from geocell.evaluation.benchmarks import Benchmark, Missing

if TYPE_CHECKING:
    from geocell.metrics.scores import Scores

Flat = Parameter(name="*")


def score(
    head: str | None = None,
    /,
    *,
    cache: Path | None = None,
    predictions: Path | None = None,
    truth: Path | None = None,
    preset: Benchmark | None = None,
    missing: Missing = "error",
    splits: Path | None = None,
    split: str | None = None,
    decode: Decode = "centroid",
    device: str = "auto",
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
        head: folder of the head, or user/repo@revision on the Hub, whose scores are only printed, or go to `out`.
        cache: feature cache.
        predictions: CSV, TSV, JSON lines or Parquet table of anybody's answers: id, lat, lon.
        truth: table of the true points of the same ids.
        preset: benchmark that the truth is, whose columns and number of rows are known.
        missing: what a location without a prediction is: an error, answered as far away as can be, or left out.
        splits: splits.json; without it every location of the cache is scored.
        split: which split of it; test when left out.
        decode: the decoder.
        device: where the head computes: auto, cpu, cuda or mps.
        allow_training: score even if some of the locations are training locations of the head.
        out: file to write instead.
        overwrite: replace an existing file that `out` names; the scores in the head's folder are always replaced.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object.
    """
    if predictions is not None or truth is not None:
        others: dict[str, object] = {
            "HEAD": head,
            "--cache": cache,
            "--splits": splits,
            "--split": split,
            "--partitioner": partitioner,
        }
        others |= {"--decode": None if decode == "centroid" else decode, "--allow-training": allow_training or None}
        with usage_errors():
            _require_tables_alone(predictions, truth, others)
        _score_tables(cast("Path", predictions), cast("Path", truth), preset, missing, out, overwrite, json)
        return
    with usage_errors():
        _require_no_table_flags(preset, missing)
        if head is None or cache is None:
            raise ValueError(
                "score needs a HEAD and --cache, or --predictions and --truth, and got neither: see --help."
            )
    from geocell.compute.devices import choose_device
    from geocell.decoders.table import as_decoder
    from geocell.evaluation.score import require_unseen
    from geocell.evaluation.score import score as score_locations
    from geocell.files import require_new, write_json
    from geocell.heads.folder import pin_encoder, read_card
    from geocell.reports.text import score_table

    with usage_errors():
        decoder = as_decoder(decode)
        choose_device(device)
    name = split_name(splits, split, "test")
    if out is not None:
        require_new(out, overwrite)
    loaded, place = open_head(head, partitioner)
    loaded.prepare(decoder)  # refused before the features are read
    if out is None and place.snapshot is None and name == "test":
        read_card(place.folder)  # a card that cannot be written anew is refused before anything is computed
    locations, n_shared = counted_locations(cache, splits, name)
    loaded.encoder.require_same(locations.encoder, "the head", "the locations")
    with usage_errors():
        require_unseen([loaded], locations, allow_training)
    scores = score_locations(loaded, locations, decoder, name, device, allow_training=True)
    scores = replace(scores, n_at_training_coordinates=n_shared)
    row = {"head": Path(head).name, "partition": loaded.partition.kind, **scores.to_dict()}
    try:
        emit(scores.to_dict(), score_table([row]), json)
    finally:  # a full disk must not lose what is printed, and a closed pipe not what is written
        if out is not None:
            write_json(out, scores.to_dict())
        elif place.snapshot is None:
            if pin_encoder(place.folder, locations.encoder):
                loaded = replace(loaded, encoder=locations.encoder)
            if scores.split == "test":
                loaded.write_scores(place.folder, scores)
            else:
                write_json(place.folder / f"scores-{scores.split}.json", scores.to_dict())


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
    splits: Path | None = None,
    split: str | None = None,
    decode: Decode = "centroid",
    allow_training: bool = False,
    partitioner: str | None = None,
    json: bool = False,
) -> None:
    """Say how far two heads are apart on the same locations, and whether these can tell which is better.

    Args:
        head_a: folder of the first head, or user/repo@revision on the Hub.
        head_b: folder or repository of the second head; its cells may be others.
        cache: feature cache.
        predictions: two tables of anybody's answers (id, lat, lon), compared instead of heads.
        truth: table of the true points of the same ids.
        preset: benchmark that the truth is, whose columns and number of rows are known.
        missing: what a location without a prediction is: an error, answered as far away as can be, or left out.
        splits: splits.json; without it every location of the cache is compared.
        split: which split of it; test when left out.
        decode: the decoder.
        allow_training: compare even if some of the locations are training locations of a head.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object.
    """
    if predictions is not None or truth is not None:
        others: dict[str, object] = {
            "HEAD_A": head_a,
            "--cache": cache,
            "--splits": splits,
            "--split": split,
            "--partitioner": partitioner,
        }
        with usage_errors():
            _require_tables_alone(predictions, truth, others)
        pair = cast("tuple[Path, Path]", predictions)
        _compare_tables(pair, cast("Path", truth), preset, missing, json)
        return
    with usage_errors():
        _require_no_table_flags(preset, missing)
        if head_a is None or head_b is None or cache is None:
            raise ValueError(
                "compare needs HEAD_A, HEAD_B and --cache, or --predictions A B and --truth, and got neither: "
                "see --help."
            )
    from geocell.decoders.table import as_decoder
    from geocell.evaluation.comparison import compare as compare_heads
    from geocell.evaluation.score import require_unseen
    from geocell.reports.comparisons import comparison_text

    with usage_errors():
        decoder = as_decoder(decode)
    name = split_name(splits, split, "test")
    a, b = open_head(head_a, partitioner)[0], open_head(head_b, partitioner)[0]
    for loaded in (a, b):
        loaded.prepare(decoder)
    locations = cache_locations(cache, splits, name)
    for loaded in (a, b):
        loaded.encoder.require_same(locations.encoder, "the head", "the locations")
    with usage_errors():
        require_unseen([a, b], locations, allow_training)
    comparison = compare_heads(a, b, locations, decoder, name)
    said = {"sentence": comparison.sentence(head_a, head_b)}
    emit(
        {"head_a": head_a, "head_b": head_b, **comparison.to_dict(), **said},
        comparison_text(comparison, head_a, head_b),
        json,
    )


def _require_tables_alone(
    predictions: Path | tuple[Path, Path] | None, truth: Path | None, others: Mapping[str, object]
) -> None:
    """Refuse predictions without a truth, and either together with what belongs to heads."""
    if predictions is None or truth is None:
        lacking = "--predictions" if predictions is None else "--truth"
        raise ValueError(f"--predictions and --truth go together, and {lacking} is missing: add it.")
    given = [name for name, value in others.items() if value is not None]
    if given:
        raise ValueError(f"--predictions needs no head, got {given[0]} as well: leave one of them out.")


def _require_no_table_flags(preset: Benchmark | None, missing: Missing) -> None:
    if preset is not None or missing != "error":
        raise ValueError("--preset and --missing belong to --predictions, and there are none: add them.")


def _score_tables(
    predictions: Path,
    truth: Path,
    preset: Benchmark | None,
    missing: Missing,
    out: Path | None,
    overwrite: bool,
    json: bool,
) -> None:
    from geocell.evaluation.predictions import score_predictions
    from geocell.files import require_new, write_json
    from geocell.reports.text import score_table

    if out is not None:
        require_new(out, overwrite)
    scores = score_predictions(predictions, truth, preset=preset, missing=missing)
    row = {"head": predictions.name, "partition": "–", **scores.to_dict()}
    try:
        emit(scores.to_dict(), f"{score_table([row])}\n{_points_text(scores)}", json)
    finally:
        if out is not None:
            write_json(out, scores.to_dict())


def _compare_tables(
    pair: tuple[Path, Path], truth: Path, preset: Benchmark | None, missing: Missing, json: bool
) -> None:
    from geocell.evaluation.predictions import compare_predictions
    from geocell.reports.comparisons import comparison_text

    comparison = compare_predictions(*pair, truth, preset=preset, missing=missing)
    a, b = map(str, pair)
    said = {"sentence": comparison.sentence(a, b)}
    emit(
        {"predictions_a": a, "predictions_b": b, **comparison.to_dict(), **said},
        comparison_text(comparison, a, b),
        json,
    )


def _points_text(scores: Scores) -> str:
    """Return GeoScore, quantiles and the number of missing rows as a line."""
    quantiles = ", ".join(f"{km:,.1f} km {100 * share:.0f} %" for share, km in (scores.quantiles_km or {}).items())
    return (
        f"GeoScore {scores.geoscore:,.1f} ({scores.geoscore_rounded:,.1f} with points rounded) · within {quantiles} · "
        f"{scores.n_missing:,} locations without a prediction"
    )
