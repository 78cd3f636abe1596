"""Contrastive training of a model of images and texts on captions: epochs, checkpoints, interrupts."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from geocell.compute.distributed import agreed, n_processes, of_all, processes, rank
from geocell.compute.signals import note_signal
from geocell.encoding.decode_pool import Batch, DecodePool, default_workers
from geocell.images.loading import Loader
from geocell.pretraining.accumulation import RandomState
from geocell.pretraining.checkpoint import Progress, read_state, write_state
from geocell.pretraining.config import PretrainConfig, learning_rate
from geocell.pretraining.interpolation import interpolated
from geocell.pretraining.lora import merge_lora, with_lora
from geocell.pretraining.trainer import Piece, Trainer, gathered

if TYPE_CHECKING:
    from geocell.pretraining.caption_set import CaptionSet
    from geocell.pretraining.clip_model import ClipModel

CHECKPOINT_SECONDS = 60.0
"""A killed training loses about this much, and more where writing the state would take more than `WRITING_SHARE`."""

WRITING_SHARE = 0.05
"""Of the time may go into writing the state: that of a large model is gigabytes."""

Validate = Callable[["ClipModel"], Mapping[str, float]]


def pretrain(
    clip: ClipModel,
    train: CaptionSet,
    config: PretrainConfig = PretrainConfig(),
    *,
    state: Path | None = None,
    validate: Validate | None = None,
    workers: int | None = None,
    image_timeout: float = 60.0,
    log: Callable[[Mapping[str, float]], None] | None = None,
) -> Progress:
    """Train a model in place on images and their captions; with `interpolate` it ends between start and trained.

    Under `torchrun` the processes share every contrastive batch, whose size stays the same.

    Args:
        clip: the model.
        train: images with captions.
        config: the settings.
        state: file that holds the state, every minute and when the training is interrupted; one that is there is
            continued, to the same bytes.
        validate: returns the scores of the model after an epoch, by name.
        workers: processes that decode images; 0 decodes in threads; None decides by the number of images.
        image_timeout: seconds that reading and decoding one image may take.
        log: is given the row of every epoch.

    Returns:
        What was done. Images that cannot be read are left out, with their reasons in `problems`.

    Raises:
        ValueError: when no image can be read, the loss is not finite, or `state` is of another training.
        KeyboardInterrupt: when it is interrupted; the state is written before.
        ModuleNotFoundError: when LoRA is asked for and peft is not installed.
    """
    clip.require_captions_fit(train.captions)
    torch.manual_seed(config.seed)
    start = None
    if config.interpolate < 1:
        start = {name: value.detach().cpu().clone() for name, value in clip.model.state_dict().items()}
    wrapped = with_lora(clip.model, config.lora) if config.lora else None
    with processes(config.device) as device:
        run = _Run(clip, train, config, device, validate, log)
        if state is not None and state.exists():
            run.resume(state)
        loader = Loader.from_probe(train.images, clip.processor.transform)
        count = default_workers(len(train), train.images) if workers is None else workers
        with DecodePool(loader, workers=count, batch_size=config.batch, image_timeout=image_timeout) as pool:
            run(pool, state)
        if wrapped is not None:
            merge_lora(wrapped)
        if start is not None:
            end = {name: value.detach().cpu() for name, value in clip.model.state_dict().items()}
            clip.model.load_state_dict(interpolated(start, end, config.interpolate))
            run.progress.saved = dict(agreed(run.validated()))
        return run.progress


class _Run:
    def __init__(
        self,
        clip: ClipModel,
        train: CaptionSet,
        config: PretrainConfig,
        device: torch.device,
        validate: Validate | None,
        log: Callable[[Mapping[str, float]], None] | None,
    ) -> None:
        self._clip, self._train, self._config, self._device = clip, train, config, device
        self._validate, self._log = validate, log
        self.progress = Progress()
        self._trainer = Trainer(clip, config, device)
        self._whole = min(config.batch * config.accumulate, len(train))  # images of a contrastive batch
        self._steps = len(train) // self._whole
        settings = {name: value for name, value in config.to_dict().items() if name not in {"device"}}
        self._facts = {"settings": settings, "captions": train.sha256, "model": clip.revision}

    def resume(self, state: Path) -> None:
        self.progress, tensors = read_state(state, self._facts)
        try:
            self._trainer.load_state(tensors)
        except KeyError as error:
            raise ValueError(f"{state} lacks {error.args[0]}: remove it to start again.") from error

    def __call__(self, pool: DecodePool, state: Path | None) -> None:
        progress, config = self.progress, self._config
        written, interval = time.monotonic(), CHECKPOINT_SECONDS
        with (
            deferred_interrupts() as interrupted,
            tqdm(
                total=config.epochs * self._steps * self._whole,
                initial=((progress.epoch - 1) * self._steps + progress.step) * self._whole,
                unit="img", unit_scale=True, file=sys.stderr, disable=True if rank() else None, leave=False,
            ) as bar,
        ):  # fmt: skip
            for lr in self._run_steps(pool, bar):
                if progress.step == self._steps:
                    self._end_epoch(lr)
                stop, late = agreed((interrupted(), time.monotonic() - written > interval))
                if late or stop:
                    self._share_problems()  # by all processes, of which one alone may keep a state
                    before = time.monotonic()
                    if state is not None:
                        self._write(state)
                    written = time.monotonic()
                    interval = max(CHECKPOINT_SECONDS, (written - before) / WRITING_SHARE)
                if stop:
                    raise KeyboardInterrupt
        if state is not None:
            self._write(state)

    def _write(self, state: Path) -> None:
        if rank() == 0:
            write_state(state, self.progress, self._trainer.state(), self._facts)

    def _run_steps(self, pool: DecodePool, bar: tqdm[Any]) -> Iterator[float]:
        """Train from where the progress stands to the end; yield the learning rate of every step once it counts."""
        progress, config = self.progress, self._config
        pieces: list[Piece] = []
        rows: list[NDArray[np.int64]] = []
        for batch, pixels in pool.batches(self._plan()):
            progress.problems |= {batch.references[row]: reason for row, reason in batch.problems.items()}
            drawn = self._drawn.pop(batch.first)[batch.good()]  # else the order of every epoch would stay in memory
            if len(drawn):
                pieces.append(self._piece(pixels, drawn))
                rows.append(drawn)
            if not self._ends.pop(batch.first):
                continue
            step = (progress.epoch - 1) * self._steps + progress.step
            lr = learning_rate(config, step, config.epochs * self._steps)
            everyone = self._everyone(rows)
            if len(everyone) > 1:
                images, captions = torch.from_numpy(everyone).T
                loss = self._trainer.step(pieces, self._train.fields[images], self._train.named[captions], lr)
                progress.loss += loss * len(everyone)
                progress.images += len(everyone)
                bar.set_postfix(epoch=progress.epoch, loss=f"{loss:.3f}")
            pieces, rows = [], []
            progress.step += 1
            bar.update(self._whole)
            yield lr

    def _plan(self) -> Iterator[Batch]:
        """Yield the pieces of this process, step by step; `first` numbers them."""
        config, number = self._config, 0
        self._drawn: dict[int, NDArray[np.int64]] = {}
        self._ends: dict[int, bool] = {}
        share = -(-self._whole // n_processes())
        first = self.progress.step
        for epoch in range(self.progress.epoch, config.epochs + 1):
            order = np.stack(self._train.epoch(config.seed, epoch), axis=1)
            for step in range(first, self._steps):
                whole = order[step * self._whole : (step + 1) * self._whole]
                own = whole[rank() * share : (rank() + 1) * share]
                starts = range(0, max(1, len(own)), config.batch)
                for start in starts:
                    part = own[start : start + config.batch]
                    self._drawn[number], self._ends[number] = part, start == starts[-1]
                    references = [self._train.references[image] for image in part[:, 0].tolist()]
                    yield Batch(epoch, number, references, {})
                    number += 1
            first = 0

    def _piece(self, pixels: NDArray[Any], drawn: NDArray[np.int64]) -> Piece:
        """Return images and the captions drawn for them, on the device."""
        tokens = self._clip.tokenize([self._train.captions[caption] for caption in drawn[:, 1].tolist()])
        return Piece(self._clip.normalised(pixels), {name: value.to(self._device) for name, value in tokens.items()})

    def _everyone(self, rows: list[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Return the (B, 2) images and captions of a step, those of other processes included."""
        own = np.concatenate(rows) if rows else np.empty((0, 2), dtype=np.int64)
        if n_processes() == 1:
            return own
        return gathered(torch.from_numpy(own).to(self._device))[0].cpu().numpy()

    def _share_problems(self) -> None:
        """Make the problems of every process those of each: all of them have read other images."""
        for problems in of_all(self.progress.problems):
            self.progress.problems |= problems

    def _end_epoch(self, lr: float) -> None:
        """Score the model, and begin the next epoch."""
        self._share_problems()
        progress = self.progress
        if not progress.images:
            reference, reason = next(iter(progress.problems.items()), ("none", "no two images in one batch"))
            raise ValueError(
                f"no image of epoch {progress.epoch} could be trained on (the first: {reference}: {reason})."
            )
        row = {
            "epoch": progress.epoch,
            "lr": lr,
            "images": progress.images,
            "train_loss": progress.loss / progress.images,
        }
        row["scale"] = float(self._trainer.model.logit_scale.detach().exp())
        row = agreed({**row, **{f"val_{name}": value for name, value in self.validated().items()}})
        progress.history.append(row)
        if self._log is not None and rank() == 0:
            self._log(row)
        progress.next_epoch()

    def validated(self) -> Mapping[str, float]:
        """Return the scores of the model as it is, {} without validation."""
        if self._validate is None:
            return {}
        state = RandomState()
        self._clip.model.eval()
        with torch.no_grad(), self._trainer.autocast():
            scores = self._validate(self._clip)
        self._clip.model.train()
        state.restore()
        return scores


@contextmanager
def deferred_interrupts() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C or SIGTERM wait for the end of a step, so that the weights are those after a whole one.

    A second one interrupts at once. A signal that is ignored (nohup) stays so, and outside of the main thread nothing
    is changed.

    Yields:
        A function that says whether there was one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    seen: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        note_signal(number)
        if seen:
            raise KeyboardInterrupt
        seen.append(number)

    heeded = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heeded}
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
