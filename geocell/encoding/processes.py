"""One encoder per device of a machine: processes that share a cache."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocell.cache import FeatureCache
from geocell.devices import usable_cores
from geocell.encoding.engine import encode, end
from geocell.files import as_place
from geocell.views import ViewTable

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue


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
    table: ViewTable,
    loading: Mapping[str, Any],
    devices: Sequence[str],
    out: Path,
    options: Mapping[str, Any],
    strict: bool = False,
) -> FeatureCache:
    """Encode a table by one process per device.

    What a process that dies had begun, the others do. Those on the CPU share the threads that one would have.

    Args:
        table: the views.
        loading: arguments of `load_encoder` but the device.
        devices: torch devices, one process each.
        out: folder of the cache.
        options: further arguments of `encode`.
        strict: raise at the end when a view has no features.

    Raises:
        RuntimeError: when no process came to the end, with what the first of them said.
    """
    context = multiprocessing.get_context("spawn")
    complaints: SimpleQueue[str] = context.SimpleQueue()
    places = [(rank, len(devices), devices.count("cpu") if name == "cpu" else 1) for rank, name in enumerate(devices)]
    processes = [
        context.Process(
            target=_encode_on, args=(table, {**loading, "device": device}, out, dict(options), place, complaints)
        )
        for device, place in zip(devices, places, strict=True)
    ]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join()
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    statuses = [process.exitcode for process in processes]
    if 0 not in statuses:
        said = "nothing" if complaints.empty() else complaints.get()
        raise RuntimeError(f"processes on {', '.join(devices)} must encode, got exit statuses {statuses}: {said}")
    return end(as_place(out), strict)


def _encode_on(
    table: ViewTable,
    loading: Mapping[str, Any],
    out: Path,
    options: Mapping[str, Any],
    place: tuple[int, int, int],
    complaints: SimpleQueue[str],
) -> None:
    """Encode in a process of its own: number `place[0]` of `place[1]`, of which `place[2]` share the CPU."""
    from geocell.encoders import load_encoder

    os.environ["RANK"], os.environ["LOCAL_WORLD_SIZE"] = map(str, place[:2])  # as torchrun says it
    share_threads(place[2])
    with contextlib.suppress(KeyboardInterrupt):  # the process that started this one says so
        try:
            encode(table, load_encoder(**loading), out, **options)
        except Exception as error:
            complaints.put(" ".join(str(error).split()))
            raise SystemExit(1) from error


def share_threads(processes: int) -> None:
    """Give torch a share of the threads that it would take alone, one at least; OMP_NUM_THREADS, when set, wins."""
    import torch

    if processes > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, min(torch.get_num_threads(), usable_cores()) // processes))
