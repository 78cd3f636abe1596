"""Commands that fit, score and ask heads, and the quickstart that runs the whole road."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from geocell.cli.output import cache_locations, emit, note, open_head, split_name, usage_errors
from geocell.heads.fit_config import FitConfig
from geocell.training.loggers import LogTo, open_log

Flat = Parameter(name="*")


def fit_head(
    *,
    cache: Path,
    splits: Path,
    partition: Path,
    out: Path,
    recipe: Path | None = None,
    init: str | None = None,
    config: Annotated[FitConfig, Flat] = FitConfig(),
    resume: bool = False,
    log_to: LogTo | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Fit a head on cached features: training locations in batches, an epoch chosen by `--keep`, a refit on request.

    The state after every epoch is in OUT.fit beside the head, until that is written: `--resume` goes on from there.
    Under `torchrun -m geocell fit-head …` the processes share every batch.

    Args:
        cache: feature cache.
        splits: splits.json with train and val.
        partition: folder of the partition.
        out: folder of the head.
        recipe: TOML file whose [fit] table gives the flags that are not typed.
        init: head of the same partition to start from: a folder, or user/repo@revision on the Hub.
        config: settings of the fit.
        resume: go on with a fit that was interrupted, to the same head as an unbroken one.
        log_to: report every epoch to a tool that is installed; tensorboard writes to OUT.log.
        overwrite: replace an existing head, and the state of a fit that was cut short.
        json: print one JSON object.
    """
    del recipe  # read before, as the defaults of the flags
    from geocell.compute.ranks import process_rank
    from geocell.files import require_new
    from geocell.heads.folder import HEAD_FILES, HEAD_MARKS
    from geocell.partitioners.base import Partition
    from geocell.splits.splits import Splits
    from geocell.training.fit import fit_head as fit

    overwrite = overwrite or resume  # an interrupt leaves the best head so far
    require_new(out, overwrite, HEAD_MARKS, HEAD_FILES)
    checkpoint = out.absolute().with_name(f"{out.name}.fit")
    _require_state(checkpoint, resume, overwrite)
    first = process_rank() == 0  # of the processes that fit together
    cells = Partition.load(partition)
    start = None if init is None else open_head(init)[0]
    in_memory = config.stream == 0
    train = cache_locations(cache, splits, "train", in_memory=in_memory)
    val = cache_locations(cache, splits, "val", in_memory=in_memory) if Splits.load(splits).ids.get("val") else None
    if not resume and first:
        checkpoint.unlink(missing_ok=True)
    log = close = None
    if log_to is not None and first:
        log, close = open_log(log_to, out.name, config.to_dict(), out.absolute().with_name(f"{out.name}.log"))
    try:
        head = fit(train, val, cells, config, start, checkpoint if first or resume else None, log)
    finally:
        if close is not None:
            close()
    if not first:
        return
    head.save(out, overwrite=overwrite)
    training = head.training
    if not training["interrupted"]:
        checkpoint.unlink()
    text = (
        f"{out}: {len(cells)} {cells.kind} cells, {training['n_train']} training and {training['n_val']} validation "
        f"locations\n  epoch {training['best_epoch']} of {training['epochs_run']} kept"
    )
    if training["val"]:
        text += f", validation balscore {100 * training['val']['balscore']:.1f} by decoder {config.decode}"
    else:
        text += ": there is no validation split, so the last one"
    if training["refit"]:
        n, epochs = training["refit"]["n_train"], training["refit"]["epochs"]
        text += f"\n  then fitted again on all {n} training and validation locations, for {epochs} epochs"
    if training["n_train_outside"]:
        text += f"\n  {training['n_train_outside']} training locations lie outside every cell and were left out"
    if training["cells_without_training_location"]:
        text += f"\n  {training['cells_without_training_location']} cells have no training location in this split"
    if training["interrupted"]:
        text += "\n  interrupted: this is the head so far; the same command with --resume continues"
    emit({"head": str(out), "training": dict(training), "fit": config.to_dict()}, text, json)


def _require_state(checkpoint: Path, resume: bool, overwrite: bool) -> None:
    """Refuse to go on without the state of a fit, or to throw one away unasked."""
    if resume and not checkpoint.is_file():
        raise FileNotFoundError(f"--resume needs the state of a fit, and there is none at {checkpoint}: leave it out.")
    if checkpoint.exists() and not overwrite:
        raise FileExistsError(
            f"{checkpoint} is the state of a fit that was cut short: go on with --resume, or pass --overwrite to begin "
            "anew."
        )


def plot_history(head: str, /, *, out: Path, title: str = "", json: bool = False) -> None:
    """Draw how a fit went: loss, learning rate and validation scores, epoch by epoch.

    Args:
        head: folder of the head, or user/repo@revision on the Hub.
        out: .png or .svg picture; an existing file is replaced.
        title: what stands above; the head's name otherwise.
        json: print one JSON object.
    """
    from geocell.plots.history_chart import draw_history

    loaded, _ = open_head(head)
    best = int(loaded.training.get("best_epoch", 0))
    draw_history(out, loaded.history, best, title or Path(head).name)
    emit(
        {"out": str(out), "epochs": len(loaded.history), "best_epoch": best},
        f"{out}: {len(loaded.history)} epochs",
        json,
    )


def average(heads: list[str], /, *, out: Path, overwrite: bool = False, json: bool = False) -> None:
    """Average the weights of heads that were fitted alike, with several seeds say: one head of their mean logits.

    Args:
        heads: two or more heads on one partition, folders or user/repo@revision on the Hub.
        out: folder of the head.
        overwrite: replace an existing head.
        json: print one JSON object.
    """
    from geocell.files import require_new
    from geocell.heads.ensemble import average_heads
    from geocell.heads.folder import HEAD_FILES, HEAD_MARKS

    require_new(out, overwrite, HEAD_MARKS, HEAD_FILES)
    head = average_heads([open_head(name)[0] for name in heads])
    head.save(out, overwrite=overwrite)
    text = f"{out}: the mean of {len(heads)} heads on {len(head.partition)} {head.partition.kind} cells"
    emit({"head": str(out), "averaged": heads}, text, json)


def score(
    head: str,
    /,
    *,
    cache: Path,
    splits: Path | None = None,
    split: str | None = None,
    decode: str = "centroid",
    device: str = "auto",
    out: Path | None = None,
    json: bool = False,
) -> None:
    """Score a head on locations it has not seen, and write the scores into its folder.

    Scores of the split test go to scores.json and into the model card; others to scores-SPLIT.json.

    Args:
        head: folder of the head, or user/repo@revision on the Hub, whose scores are only printed, or go to `out`.
        cache: feature cache.
        splits: splits.json; without it every location of the cache is scored.
        split: which split of it; test when left out.
        decode: decoder, centroid, mean, or offset for heads fitted with offsets.
        device: where the head computes: auto, cpu, cuda or mps.
        out: file to write instead.
        json: print one JSON object.
    """
    from geocell.compute.devices import choose_device
    from geocell.decoders.base import require_decoder
    from geocell.evaluation.score import score as score_locations
    from geocell.files import write_json
    from geocell.heads.folder import read_card
    from geocell.reports.text import score_table

    with usage_errors():
        require_decoder(decode)
        choose_device(device)
    name = split_name(splits, split, "test")
    loaded, place = open_head(head)
    if out is None and place.snapshot is None and name == "test":
        read_card(place.folder)  # a card that cannot be written anew is refused before anything is computed
    locations = cache_locations(cache, splits, name)
    scores = score_locations(loaded, locations, decode=decode, split=name, device=device)
    if out is not None:
        write_json(out, scores.to_dict())
    elif place.snapshot is None and scores.split == "test":
        loaded.write_scores(place.folder, scores)
    elif place.snapshot is None:
        write_json(place.folder / f"scores-{scores.split}.json", scores.to_dict())
    row = {"head": Path(head).name, "partition": loaded.partition.kind, **scores.to_dict()}
    emit(scores.to_dict(), score_table([row]), json)


def predict(
    head: str,
    images: list[str],
    /,
    *,
    one_location: bool = False,
    top_k: int = 5,
    decode: str = "centroid",
    out: Path | None = None,
    encoder: str | None = None,
    device: str = "auto",
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Say where images were taken.

    Args:
        head: folder of the head, or user/repo@revision on the Hub.
        images: image files, or http(s) addresses of images.
        one_location: all images show one location, in several headings say.
        top_k: how many cells to name.
        decode: decoder, centroid, mean, or offset for heads fitted with offsets.
        out: .csv table, .geojson points, or .html map to write the answers to, beside printing them.
        encoder: where to load the head's encoder from; another one is refused.
        device: where encoder and head compute: auto, cpu, cuda or mps.
        overwrite: replace an existing file.
        json: print one JSON object.
    """
    from geocell.compute.devices import choose_device
    from geocell.encoders import encoder_for
    from geocell.files import require_new
    from geocell.prediction.files import require_prediction_file
    from geocell.prediction.geolocator import Geolocator, is_address
    from geocell.prediction.predictions import require_answer
    from geocell.reports.text import prediction_text

    with usage_errors():
        require_answer(top_k, decode)
        choose_device(device)
    missing = [image for image in images if not is_address(image) and not Path(image).is_file()]
    if missing:
        raise FileNotFoundError(f"expected image files, got {missing[0]}, which is not one: check the path.")
    if out is not None:
        require_prediction_file(out)
        require_new(out, overwrite)
    loaded, _ = open_head(head)
    require_answer(top_k, decode, loaded)
    note(f"loading the encoder {loaded.encoder.name}")
    locator = Geolocator(loaded, encoder_for(loaded.encoder, device, encoder), device)
    answers = locator.locate([images] if one_location else images, top_k=top_k, decode=decode)
    if out is not None:
        note(f"wrote {answers.save(out)}")
    value = answers.to_dict()
    emit(value, "\n\n".join(prediction_text(row) for row in value["predictions"]), json)


def quickstart(
    out: Path = Path("quickstart"),
    /,
    *,
    n_locations: int = 400,
    seed: int = 0,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Run the whole road on a small synthetic Europe: images, features, four partitions, heads, scores, a map.

    Args:
        out: folder of every artefact.
        n_locations: how many places are drawn.
        seed: seed of places, scenes, splits and fits.
        overwrite: begin again instead of going on with what is there.
        json: print one JSON object.
    """
    from geocell.quickstart.road import run

    result = run(out, n_locations=n_locations, seed=seed, overwrite=overwrite)
    emit(result.to_dict(), result.text(), json)
