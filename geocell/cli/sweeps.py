"""The command that fits and scores many heads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from geocell.cli.answerers import Decode
from geocell.cli.output import UsageError, emit, note, usage_errors

Flat = Parameter(name="*")


def sweep(
    *recipes: Path,
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
        out: folder of the sweep: partitions/, heads/, results.csv, summary.csv, baselines.csv,
            summary.png.
        seeds: seeds of every row; they replace its own.
        jobs: number of processes; 0 is one per usable core on a CPU, and one on an accelerator.
        split: which split is scored.
        decode: the decoder.
        shapes: boundary file for partitions of regions whose recipe names none.
        device: device of every fit; it replaces its own.
        json: print one JSON object.
    """
    from geocell.compute.devices import choose_device
    from geocell.splits.splits import Splits
    from geocell.sweeps.plan import SweepConfig
    from geocell.sweeps.run import sweep as run_sweep

    if not recipes:
        raise UsageError("expected at least one recipe or sweep file, got none: name it.")
    with usage_errors():
        choose_device(device or "auto")
        config = SweepConfig(tuple(seeds or ()), jobs, split, decode, shapes, device)
    members = Splits.load(splits)
    with usage_errors():
        members.require_split(split)
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
            f"{len(result.failed)} of {len(result.rows)} rows were not fitted, {', '.join(result.failed)}, the first "
            f"for this reason: {next(iter(result.failed.values()))}"
        )
