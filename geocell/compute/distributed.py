"""Data-parallel fits under `torchrun`: every process computes its share of each batch on the same weights."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from geocell.compute.devices import choose_device
from geocell.compute.ranks import local_rank, process_count

T = TypeVar("T")

_groups = itertools.count()


@contextmanager
def processes(device: str) -> Iterator[torch.device]:
    """Join the process group of `torchrun`, if it started this process, and yield the device to use.

    Args:
        device: auto, cpu, cuda, cuda:0 or mps; `auto` and `cuda` give every process of a machine a GPU of its own.
    """
    chosen = torch.device(choose_device(device))
    if process_count() == 1 or dist.is_initialized():
        yield chosen
        return
    if chosen.type == "cuda":
        chosen = torch.device("cuda", (local_rank() or 0) if chosen.index is None else chosen.index)
        torch.cuda.set_device(chosen)  # where objects that are broadcast pass
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    found, number, count = next(rendezvous("env://"))
    # a prefix of its own: a second group would find the addresses of the first
    store = PrefixStore(f"geocell/{next(_groups)}", found)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", store=store, rank=number, world_size=count)
    try:
        yield chosen
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """Return the rank of this process in the group, 0 when there is no group."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def n_processes() -> int:
    """Return how many processes are in the group, 1 when there is no group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def agreed(value: T) -> T:
    """Return the value that process 0 has, so that all processes decide the same."""
    if n_processes() == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]


def of_all(value: T) -> list[T]:
    """Return the value of every process, by rank."""
    if n_processes() == 1:
        return [value]
    values: list[Any] = [None] * n_processes()
    dist.all_gather_object(values, value)
    return values


def summed(value: torch.Tensor) -> torch.Tensor:
    """Return the sum of a tensor over the processes."""
    if n_processes() > 1:
        dist.all_reduce(value)
    return value
