"""Encoding on several devices of one machine: a process for each, which share a cache."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocell.compute.cores import usable_cores
from geocell.compute.parent_process import end_with_parent
from geocell.encoding.engine import encode, finish_cache, reported_interrupt
from geocell.features import FeatureCache, Manifest
from geocell.files import as_place, is_local
from geocell.views import Views

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue


_PATIENCE_SECONDS = 5.0


def parse_devices(text: str) -> list[str]:
    """Return the torch devices that `0,1` or `cuda:0,cuda:1` or `cpu,cpu` names.

    Raises:
        ValueError: when it names none.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ValueError(f"devices must be a list such as 0,1 or cuda:0,cuda:1, got {text!r}.")
    return [f"cuda:{name}" if name.isdigit() else name for name in names]


def encode_on_devices(
    table: Views,
    loading: Mapping[str, Any],
    devices: Sequence[str],
    out: Path,
    options: Mapping[str, Any],
    strict: bool = False,
    say: Callable[[str], object] = str,
) -> FeatureCache:
    """Encode a table by one process per device.

    Shards of a process that dies are encoded by the others; on an object store, where each has its own shards, all end
    with it. Processes on the CPU share the threads that one would have.

    Args:
        table: the views.
        loading: arguments of `load_encoder` but the device.
        devices: torch devices, one process each.
        out: folder of the cache.
        options: further arguments of `encode`.
        strict: raise at the end when a view has no features.
        say: is told when some processes failed, but not all.

    Raises:
        RuntimeError: when no process finished, or on an object store not all, with the message of the first.
        KeyboardInterrupt: with how many rows are kept, when it is interrupted.
    """
    context = multiprocessing.get_context("spawn")
    complaints: SimpleQueue[str] = context.SimpleQueue()
    seats = [(rank, len(devices), devices.count("cpu") if name == "cpu" else 1) for rank, name in enumerate(devices)]
    processes = [
        context.Process(
            target=_encode_on, args=(table, {**loading, "device": device}, out, dict(options), seat, complaints)
        )
        for device, seat in zip(devices, seats, strict=True)
    ]
    folder = as_place(out)
    for process in processes:
        process.start()
    try:
        running = processes
        while running:
            wait([process.sentinel for process in running])
            running = [process for process in running if process.is_alive()]
            if not is_local(folder) and any(process.exitcode for process in processes):
                for process in running:
                    process.terminate()  # it would wait for shards that nobody makes
    except BaseException as error:
        _stop(processes)
        if isinstance(error, KeyboardInterrupt) and (folder / "cache.json").is_file():
            with reported_interrupt(folder, Manifest.read(folder)):
                raise
        raise
    statuses = [process.exitcode for process in processes]
    failed = sum(status != 0 for status in statuses)
    got = f"exit statuses {statuses}: {'nothing was said' if complaints.empty() else complaints.get()}"
    if failed == len(devices) or (failed and not is_local(folder)):
        raise RuntimeError(f"processes on {', '.join(devices)} must encode, got {got}")
    if failed:
        say(f"{failed} of {len(devices)} processes failed, and the others did their part; {got}")
    return finish_cache(folder, strict)


def _stop(processes: Sequence[BaseProcess]) -> None:
    """End processes, after a while in which those that Ctrl-C reached too keep what they have encoded."""
    for signal_all in (None, signal.SIGINT, signal.SIGTERM):
        running = [process for process in processes if process.is_alive()]
        for process in running:
            if signal_all is not None and process.pid is not None:
                os.kill(process.pid, signal_all)
        for process in running:
            process.join(_PATIENCE_SECONDS)


def _encode_on(
    table: Views,
    loading: Mapping[str, Any],
    out: Path,
    options: Mapping[str, Any],
    seat: tuple[int, int, int],
    complaints: SimpleQueue[str],
) -> None:
    """Encode in a process of its own, whose seat is its number, how many there are, and how many share the CPU."""
    from geocell.encoders import load_encoder

    end_with_parent()
    rank, together, on_cpu = seat
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": str(together),
        "LOCAL_WORLD_SIZE": str(together),
    }  # as torchrun does
    share_threads(on_cpu)
    try:
        encode(table, load_encoder(**loading), out, **options)
    except KeyboardInterrupt:  # the process that started this one says so
        raise SystemExit(130) from None
    except Exception as error:
        complaints.put(f"{loading['device']}: {' '.join(str(error).split())}")
        raise SystemExit(1) from error


def share_threads(processes: int) -> None:
    """Give torch a share of the threads that it would take alone, one at least; OMP_NUM_THREADS, when set, wins."""
    if processes > 1 and "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(max(1, min(torch.get_num_threads(), usable_cores()) // processes))
