"""The quickstart command."""

from __future__ import annotations

from pathlib import Path

from cyclopts import Parameter

from geocell.cli.output import (
    emit,
    note,
    usage_errors,
)

Flat = Parameter(name="*")


def quickstart(
    out: Path = Path("quickstart"),
    /,
    *,
    n_locations: int = 400,
    seed: int = 0,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Run the whole pipeline on a small synthetic Europe: images, features, four partitions, heads, scores, a map.

    An interrupted run is resumed by the same command.

    Args:
        out: folder of every artefact.
        n_locations: how many places are drawn, at least 50.
        seed: seed of places, scenes, splits and fits.
        overwrite: start again instead of resuming what is there.
        json: print one JSON object.
    """
    from geocell.quickstart.pipeline import require_settings, run

    with usage_errors():
        require_settings(n_locations, seed)
    result = run(out, n_locations=n_locations, seed=seed, overwrite=overwrite, say=note)
    emit(result.to_dict(), result.text(), json)
