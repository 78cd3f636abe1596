"""The command that says what splits leak."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from geocell.cli.answerers import Decode, open_answerer
from geocell.cli.output import emit, usage_errors


def leaks(
    cache: Path,
    /,
    *,
    splits: Path,
    head: str | None = None,
    decode: Decode | None = None,
    columns: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    cosine: float = 0.999,
    plot: Path | None = None,
    device: str = "auto",
    partitioner: str | None = None,
    json: bool = False,
) -> None:
    """Say what the splits of a cache leak: what validation and test locations share with training locations.

    Shared coordinates and images, near-duplicate views, how far the nearest training location is, and how a head scores
    by that distance.

    Args:
        cache: feature cache.
        splits: splits.json.
        head: head to score: a folder, or user/repo@revision on the Hub.
        decode: its decoder; that of its calibration when left out, centroid without one.
        columns: columns of the views whose values should not be shared, of users or sequences say.
        cosine: from which on the features of two views count as near-duplicates.
        plot: .png or .svg picture of the distances, and of the scores; an existing file is replaced.
        device: where the head computes: auto, cpu, cuda or mps.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object.
    """
    from geocell.compute.devices import choose_device
    from geocell.decoders.table import as_decoder
    from geocell.evaluation.leaks import leaks as find_leaks
    from geocell.evaluation.leaks import require_cosine
    from geocell.heads.protocol import default_decoder
    from geocell.plots.leaks_chart import draw_leaks
    from geocell.plots.style import require_picture_name
    from geocell.reports.leaks import leaks_text
    from geocell.splits.splits import Splits

    with usage_errors():
        decoder = None if decode is None else as_decoder(decode)
        choose_device(device)
        require_cosine(cosine)
        if plot is not None:
            require_picture_name(plot)
    members = Splits.load(splits)
    loaded = None if head is None else open_answerer(head, partitioner)[0]
    if decoder is None:
        decoder = as_decoder("centroid" if loaded is None else default_decoder(loaded))
    found = find_leaks(cache, members, loaded, decoder, cosine=cosine, columns=columns or (), device=device)
    result = found.to_dict()
    try:
        emit(result, leaks_text(result), json)
    finally:
        if plot is not None:
            draw_leaks(plot, result["splits"], result["decoder"])
