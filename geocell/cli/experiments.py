"""Commands that set heads side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from geocell.cli.output import Decode, cache_locations, emit, note, open_head, split_name, usage_errors


def compare(
    head_a: str,
    head_b: str,
    /,
    *,
    cache: Path,
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
        splits: splits.json; without it every location of the cache is compared.
        split: which split of it; test when left out.
        decode: the decoder.
        allow_training: compare even if some of the locations are training locations of a head.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object.
    """
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


def sweep(
    recipes: list[Path],
    /,
    *,
    cache: Path,
    splits: Path,
    out: Path,
    seeds: Annotated[list[int] | None, Parameter(consume_multiple=True)] = None,
    jobs: int = 0,
    split: str = "test",
    decode: Decode = "centroid",
    shapes: Path | None = None,
    device: str | None = None,
    json: bool = False,
) -> None:
    """Fit and score every row of some recipes with every seed, and print the table beside the published numbers.

    Run again, it continues where it stopped. A row that cannot be fitted is reported and does not stop the others.

    Args:
        recipes: recipes of heads, and sweep files: partitions x configs x seeds.
        cache: feature cache.
        splits: splits.json with train and the split to score; val selects the epochs.
        out: folder of the sweep: partitions/, heads/, results.csv, summary.csv, summary.png.
        seeds: seeds of every row; they replace its own.
        jobs: number of processes; 0 is one per usable core on a CPU, and one on an accelerator.
        split: which split is scored.
        decode: the decoder.
        shapes: boundary file for partitions of regions whose recipe names none.
        device: device of every fit; it replaces its own.
        json: print one JSON object.
    """
    from geocell.compute.devices import choose_device
    from geocell.sweeps.plan import SweepConfig
    from geocell.sweeps.run import sweep as run_sweep

    with usage_errors():
        choose_device(device or "auto")
        config = SweepConfig(tuple(seeds or ()), jobs, split, decode, shapes, device)
    result = run_sweep(recipes, cache, splits, out, config)
    for remark in result.remarks:
        note(remark)
    if result.finished:
        try:
            result.draw()
        except ImportError as error:
            note(f"no picture was drawn: {error}")
    emit(result.to_dict(), result.text(), json)
    if result.failed:
        raise ValueError(
            f"{len(result.failed)} of {len(result.rows)} rows were not fitted: {', '.join(result.failed)}."
        )
