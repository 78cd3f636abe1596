"""The command that makes the report of a head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from geocell.cli.answerers import Decode, open_answerer
from geocell.cli.output import UsageError, emit, note, usage_errors
from geocell.cli.sources import split_name

if TYPE_CHECKING:
    from geocell.cli.scorers import Asked
    from geocell.heads.protocol import HeadLike


def report(
    head: str,
    /,
    *,
    cache: Path,
    out: Path,
    splits: Path | None = None,
    split: str | None = None,
    against: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    decode: Decode | None = None,
    device: str = "auto",
    cluster: str | None = None,
    images: Path | None = None,
    no_images: bool = False,
    figures: Path | None = None,
    no_baselines: bool = False,
    no_leaks: bool = False,
    allow_training: bool = False,
    overwrite: bool = False,
    partitioner: str | None = None,
    json: bool = False,
) -> None:
    """Write everything that is measured of a head as one page that needs no network, and its numbers beside it.

    Scores with intervals beside the nearest neighbour, the majority cell and other heads; a map of answers, countries
    and cells; distributions of errors, calibration, coverage, countries taken for one another, the largest errors and
    random ones. docs/report.md says how to read it.

    Args:
        head: folder of a head, a combination, an ensemble or a zero-shot classifier, or user/repo@revision on the Hub.
        cache: feature cache.
        out: .html file to write; the same numbers go to the .json file beside it.
        splits: splits.json; without it every location of the cache is asked, and training locations are not known.
        split: which split of it; test when left out.
        against: what else answers the same locations: folders, repositories, zero-shot or zero-shot:CANDIDATES.csv.
        decode: the decoder of all; that of the calibration of each when left out, centroid without one.
        device: where heads compute: auto, cpu, cuda or mps.
        cluster: what was drawn together, for the intervals: place (coordinates to 0.01°), location, country, cell:R, or
            a column of the cache; when left out, what the splits kept together, else place.
        images: table or folder that the cache was encoded from, for small copies of the images of examples; the one
            that the cache names when left out, where it is there.
        no_images: leave these out.
        figures: folder to write every figure to as .svg and .png too.
        no_baselines: leave out the majority cell and, with `splits`, the nearest training location by features.
        no_leaks: do not seek near-duplicates, images and coordinates that the split shares with training.
        allow_training: report even if some of the locations are training locations of a head.
        overwrite: replace existing files.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object.
    """
    from geocell.cli.head_scores import say_other_protocol
    from geocell.cli.scorers import Asked
    from geocell.compute.devices import choose_device
    from geocell.decoders.table import as_decoder
    from geocell.features import FeatureCache
    from geocell.files import require_new
    from geocell.reporting.report import report as measure
    from geocell.reporting.report import require_page_name
    from geocell.splits.splits import Splits

    with usage_errors():
        decoder = None if decode is None else as_decoder(decode)
        choose_device(device)
        require_page_name(out)
        if images is not None and no_images:
            raise UsageError("--images names where images are, and --no-images leaves them out: pass one of them.")
    name = split_name(splits, split, "test")
    for file in (out, out.with_suffix(".json")):
        require_new(file, overwrite)
    members = None if splits is None else Splits.load(splits)
    opened = FeatureCache.open(cache)
    with usage_errors():
        if members is not None:
            members.require_split(name)
    loaded = open_answerer(head, partitioner)[0]
    asked = Asked(cache, splits, name, device, partitioner)
    others = _others(against or (), asked, loaded, Path(head).name, no_baselines)
    say_other_protocol(loaded, splits)
    with usage_errors():
        found = measure(
            loaded,
            opened,
            members,
            name,
            against=others,
            name=Path(head).name,
            decode=decoder,
            device=device,
            cluster=cluster,
            baselines=not no_baselines,
            leaks=not no_leaks,
            images=images,
            thumbnails=not no_images,
            allow_training=allow_training,
        )
    found.save(out, overwrite=overwrite)
    files = [] if figures is None else found.save_figures(figures, overwrite=overwrite)
    scores, rows = found.value["scores"], found.value["rows"]
    said = [row["sentence"] for row in rows if "sentence" in row]
    result: dict[str, Any] = {
        "report": str(out),
        "json": str(out.with_suffix(".json")),
        "figures": [str(file) for file in files],
        "head": found.value["head"]["name"],
        "split": name,
        "n_locations": scores["n_locations"],
        "decoder": scores["decoder"],
        "balscore": scores["balscore"],
        "median_km": scores["median_km"],
        "sentences": said,
    }
    text = [f"{out}: {scores['n_locations']:,} locations, balscore {100 * scores['balscore']:.1f} %", *said]
    emit(result, "\n".join(text), json)
    if files:
        note(f"wrote {len(files)} figures to {figures}")


def _others(names: Sequence[str], asked: Asked, head: HeadLike, own: str, no_baselines: bool) -> dict[str, HeadLike]:
    """Return name -> what a head is compared with, each name once; baselines of every report are left out."""
    from geocell.cli.scorers import open_scorer
    from geocell.evaluation.named_baselines import MAJORITY, NEAREST, baseline_name, is_named_baseline

    found: dict[str, HeadLike] = {}
    for name in names:
        baseline = is_named_baseline(name)
        if baseline and baseline_name(name) in {MAJORITY, NEAREST} and not no_baselines:
            continue
        kind, _, file = name.partition(":")
        shown = (f"{kind}:{Path(file).name}" if file else name) if baseline else Path(name).name
        taken = {own, *found}
        number = next(i for i in range(1, len(names) + 3) if _numbered(shown, i) not in taken)
        found[_numbered(shown, number)] = open_scorer(name, asked, head)
    return found


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name} ({number})"
