"""Where torch computes, and in which arithmetic."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

DTYPES = ("auto", "float32", "bfloat16")


def choose_device(device: str) -> str:
    """Return the torch device that `device` means here.

    Raises:
        ValueError: when it is not available.
    """
    import torch

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        if available["cuda"]:  # of the processes that torchrun starts, each has its own
            return f"cuda:{os.environ['LOCAL_RANK']}" if "LOCAL_RANK" in os.environ else "cuda"
        return "mps" if available["mps"] else "cpu"
    if not available.get(device.split(":", maxsplit=1)[0], False):
        there = [name for name, there in available.items() if there]
        raise ValueError(f"device must be auto or one of {there} on this machine, got {device!r}.")
    return device


def choose_dtype(dtype: str, device: str) -> torch.dtype:
    """Return the arithmetic that `dtype` means on a device: `auto` is bfloat16 on CUDA and float32 elsewhere.

    Raises:
        ValueError: for another name.
    """
    import torch

    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}.")
    if dtype == "auto":
        dtype = "bfloat16" if device.startswith("cuda") else "float32"
    return torch.bfloat16 if dtype == "bfloat16" else torch.float32


def process_rank() -> int:
    """Return which of the processes that torchrun started this is; 0 when it is the only one."""
    return int(os.environ.get("RANK", "0"))


def process_count() -> int:
    """Return how many processes torchrun started with this one, itself included."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def usable_cores() -> int:
    """Return how many cores this process may use: its affinity, and the CPU quota of its container."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.is_file():
        granted, _, period = quota.read_text(encoding="ascii").partition(" ")
        if granted != "max":
            allowed = min(allowed, -(-int(granted) // int(period)))
    return max(1, allowed)
