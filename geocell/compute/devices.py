"""The device that torch computes on, and the dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geocell.compute.ranks import local_rank

if TYPE_CHECKING:
    import torch

DTYPES = ("auto", "float32", "bfloat16")


def choose_device(device: str) -> str:
    """Return the torch device that a name means on this machine.

    Args:
        device: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto` for the fastest available one.

    Raises:
        ValueError: when it is not available.
    """
    import torch

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        if available["cuda"]:  # one each for the processes that torchrun started
            rank = local_rank()
            return "cuda" if rank is None else f"cuda:{rank}"
        return "mps" if available["mps"] else "cpu"
    try:
        named = torch.device(device)
    except RuntimeError:
        named = None
    missing = named is not None and named.type == "cuda" and (named.index or 0) >= max(1, torch.cuda.device_count())
    if named is None or missing or not available.get(named.type, False):
        names = ", ".join(name for name, usable in available.items() if usable)
        raise ValueError(f"device must be auto or one of {names} on this machine, got {device!r}.")
    return device


def choose_dtype(dtype: str, device: str) -> torch.dtype:
    """Return the torch dtype that a name means on a device: `auto` is bfloat16 on CUDA and float32 elsewhere.

    Raises:
        ValueError: for another name.
    """
    import torch

    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}.")
    if dtype == "auto":
        dtype = "bfloat16" if device.startswith("cuda") else "float32"
    return torch.bfloat16 if dtype == "bfloat16" else torch.float32
