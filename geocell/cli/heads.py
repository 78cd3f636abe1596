"""Commands that fit heads."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from geocell.cli.answerers import open_head
from geocell.cli.output import Interrupted, UsageError, emit, require_state, usage_errors
from geocell.cli.sources import split_locations
from geocell.files import counted
from geocell.heads.fit_config import FitConfig
from geocell.training.loggers import LogTo, open_log

if TYPE_CHECKING:
    from geocell.heads.head import Head

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
    partitioner: str | None = None,
    json: bool = False,
) -> None:
    """Fit a head on cached features, and keep the epoch that `--keep` says.

    The state after every epoch is in OUT.fit until the fit has ended: `--resume` continues from it. An interrupt
    (Ctrl-C) saves the best head so far. Under `torchrun -m geocell fit-head …` the processes share every batch.

    Args:
        cache: feature cache.
        splits: splits.json with train and val.
        partition: folder of the partition.
        out: folder of the head.
        recipe: TOML file whose [fit] table gives the flags that are not typed.
        init: head of the same partition to start from: a folder, or user/repo@revision on the Hub.
        config: settings of the fit.
        resume: continue a fit that was interrupted; the head is the same as that of an uninterrupted one.
        log_to: report every epoch to a tool that is installed; tensorboard writes to OUT.log.
        overwrite: replace an existing head, and the state of an interrupted fit.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object.
    """
    del recipe  # read before, as the defaults of the flags
    from geocell.compute.devices import choose_device
    from geocell.compute.ranks import process_rank
    from geocell.files import folder_lock

    with usage_errors():
        choose_device(config.device)
    first = process_rank() == 0  # of the processes that fit together
    with folder_lock(out) if first else nullcontext():
        head = _fit(
            cache=cache,
            splits=splits,
            partition=partition,
            out=out,
            init=init,
            config=config,
            resume=resume,
            log_to=log_to,
            overwrite=overwrite,
            partitioner=partitioner,
            first=first,
        )
    if not first:
        return
    training = head.training
    remark = _shared_text(training)
    result = {"head": str(out), "training": dict(training), "fit": config.to_dict()}
    emit({**result, **({"remark": remark} if remark else {})}, _fit_text(out, head), json)
    if training["interrupted"]:
        raise Interrupted(
            f"interrupted after epoch {training['epochs_run']}: {out} holds the head of epoch "
            f"{training['best_epoch']}; the same command with --resume continues the fit."
        )


def _fit(
    *,
    cache: Path,
    splits: Path,
    partition: Path,
    out: Path,
    init: str | None,
    config: FitConfig,
    resume: bool,
    log_to: LogTo | None,
    overwrite: bool,
    partitioner: str | None,
    first: bool,
) -> Head:
    """Fit a head and save it; of several processes that fit together, the first one saves."""
    from geocell.features import FeatureCache
    from geocell.files import require_new
    from geocell.heads.folder import HEAD_FILES, HEAD_MARKS
    from geocell.partitioners.base import Partition
    from geocell.splits.leaks import count_at_training_coordinates
    from geocell.splits.splits import Splits
    from geocell.training.fit import fit_head as fit

    checkpoint = out.absolute().with_name(f"{out.name}.fit")
    require_state(checkpoint, "fit", resume, overwrite)
    overwrite = overwrite or resume  # an interrupted fit has saved its head
    require_new(out, overwrite, HEAD_MARKS, HEAD_FILES)
    members = Splits.load(splits)
    cells = Partition.load(partition, partitioner)
    start = None if init is None else open_head(init, partitioner)[0]
    locations = FeatureCache.open(cache).locations(in_memory=config.stream == 0)
    train = split_locations(locations, members, "train", cache)
    val = split_locations(locations, members, "val", cache) if members.ids.get("val") else None
    if not resume and first:
        checkpoint.unlink(missing_ok=True)
    log = close = None
    if log_to is not None and first:
        log, close = open_log(log_to, out.name, config.to_dict(), out.absolute().with_name(f"{out.name}.log"))
    try:
        head = fit(train, val, cells, config, start, checkpoint if first or resume else None, log)
    except KeyboardInterrupt as error:
        raise Interrupted(_nothing_new(checkpoint)) from error
    finally:
        if close is not None:
            close()
    if first:
        shared = 0 if val is None else count_at_training_coordinates(val.latlon, train.latlon)
        head = replace(head, training={**head.training, "n_val_at_training_coordinates": shared})
        head.save(out, overwrite=overwrite)
        if not head.training["interrupted"]:
            checkpoint.unlink()
    return head


def _fit_text(out: Path, head: Head) -> str:
    """Return what is printed about a head that was fitted."""
    training, cells = head.training, head.partition
    text = (
        f"{out}: {counted(len(cells), f'{cells.kind} cell')}, {training['n_train']:,} training and "
        f"{counted(training['n_val'], 'validation location')}\n  epoch {training['best_epoch']} of "
        f"{training['epochs_run']} kept"
    )
    if n := training["n_val_trained_on"]:
        text += (
            f"; the head it started from was trained on {counted(n, 'validation location')}, whose scores say nothing"
        )
    elif training["val"]:
        text += f", validation balscore {100 * training['val']['balscore']:.1f} by decoder {head.config.decode}"
    else:
        text += ": there is no validation split, so the last one"
    if again := training["refit"]:
        both = counted(again["n_train"], "training and validation location")
        text += f"\n  fitted again on {both}, for {counted(again['epochs'], 'epoch')}"
    if remark := _shared_text(training):
        text += f"\n  {remark}"
    if n := training["n_train_outside"]:
        text += f"\n  {counted(n, 'training location')} outside every cell {'was' if n == 1 else 'were'} left out"
    if n := training["cells_without_training_location"]:
        text += f"\n  {counted(n, 'cell')} without a training location in this split"
    return text


def _shared_text(training: Mapping[str, Any]) -> str:
    """Return the sentence about validation locations at coordinates of training locations, "" where there are none."""
    n = training.get("n_val_at_training_coordinates")
    if not n:
        return ""
    return (
        f"{counted(n, 'validation location')} {'has' if n == 1 else 'have'} the coordinates of a training location: "
        "validation scores say little about new places"
    )


def _nothing_new(checkpoint: Path) -> str:
    """Return the message of a fit that was interrupted before an epoch of this run had ended."""
    if checkpoint.is_file():
        return f"interrupted: {checkpoint} keeps the state of the fit; the same command with --resume continues it."
    return "interrupted in the first epoch: nothing is kept; the same command starts the fit again."


def plot_history(
    head: str, /, *, out: Path, title: str = "", partitioner: str | None = None, json: bool = False
) -> None:
    """Draw how a fit, or a pretraining, went: loss, learning rate and validation scores, epoch by epoch.

    Args:
        head: folder of the head, user/repo@revision on the Hub, or folder that pretrain wrote.
        out: .png or .svg picture; an existing file is replaced.
        title: what stands above; the head's name otherwise.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object.
    """
    from geocell.plots.history_chart import FIT_PANELS, PRETRAINING_PANELS, draw_history
    from geocell.plots.style import require_picture_name
    from geocell.pretraining.result import read_history

    with usage_errors():
        require_picture_name(out)
    pretrained = read_history(Path(head))
    if pretrained is not None:
        history, best, panels = pretrained, len(pretrained), PRETRAINING_PANELS
    else:
        loaded, _ = open_head(head, partitioner)
        history, best, panels = (
            [dict(row) for row in loaded.history],
            int(loaded.training.get("best_epoch", 0)),
            FIT_PANELS,
        )
    draw_history(out, history, best, title or Path(head).name, panels)
    emit({"out": str(out), "epochs": len(history), "best_epoch": best}, f"{out}: {len(history)} epochs", json)


def average(
    *heads: str,
    out: Path,
    weights: Annotated[list[float] | None, Parameter(consume_multiple=True)] = None,
    overwrite: bool = False,
    partitioner: str | None = None,
    json: bool = False,
) -> None:
    """Average the weights of heads that were fitted alike, with several seeds say: one head of their mean logits.

    Between a head and the one that its fit started from, `--weights` interpolates (WiSE-FT).

    Args:
        heads: two or more heads on one partition, folders or user/repo@revision on the Hub.
        out: folder of the head.
        weights: of each head, with a sum of 1; equal when left out.
        overwrite: replace an existing head.
        partitioner: module:attribute of the partitioner, for cells of a custom kind.
        json: print one JSON object.
    """
    from geocell.files import require_new
    from geocell.heads.ensemble import average_heads, require_weights
    from geocell.heads.folder import HEAD_FILES, HEAD_MARKS

    if len(heads) < 2:
        raise UsageError(f"expected two heads or more, got {len(heads)}: name all that are averaged.")
    with usage_errors():
        require_weights(weights, len(heads))
    require_new(out, overwrite, HEAD_MARKS, HEAD_FILES)
    head = average_heads([open_head(name, partitioner)[0] for name in heads], weights)
    head.save(out, overwrite=overwrite)
    text = f"{out}: the mean of {len(heads)} heads on {len(head.partition)} {head.partition.kind} cells"
    emit({"head": str(out), "averaged": list(heads), **({"weights": weights} if weights else {})}, text, json)
