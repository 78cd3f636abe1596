"""The quickstart command."""

from __future__ import annotations

from pathlib import Path

from cyclopts import Parameter

from geocell.cli.output import emit, note, usage_errors

Flat = Parameter(name="*")


def quickstart(
    out: Path = Path("quickstart"),
    /,
    *,
    n_locations: int = 400,
    seed: int = 0,
    streetclip: bool = False,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Run the whole pipeline on a small synthetic Europe: images, features, four partitions, heads, scores, a map.

    An interrupted run is resumed by the same command, and a finished one continued by --streetclip.

    Args:
        out: folder of every artefact.
        n_locations: how many places are drawn, at least 50.
        seed: seed of places, scenes, splits and fits.
        streetclip: also train a small CLIP on captions of the places, and compare its zero-shot answers with a head's.
        overwrite: start again instead of resuming what is there.
        json: print one JSON object.
    """
    from geocell.quickstart.pipeline import require_settings, run

    with usage_errors():
        require_settings(n_locations, seed)
    result = run(out, n_locations=n_locations, seed=seed, streetclip=streetclip, overwrite=overwrite, say=note)
    emit(result.to_dict(), result.text(), json)
