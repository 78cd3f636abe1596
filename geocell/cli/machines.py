"""Flags that say which machines a command computes on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Literal

from geocell.cli.output import UsageError


@dataclass(frozen=True)
class Machines:
    """Where a command computes.

    Attributes:
        engine: local, or ray for the machines of a Ray cluster, all of which must reach the cache.
        actors: processes at work with --engine ray: as many as the cluster has GPUs where these are used, or cores, at
            most and when left out.
    """

    engine: Literal["local", "ray"] = "local"
    actors: int | None = None

    @contextmanager
    def at_work(self, *, gpus: bool = False) -> Iterator[None]:
        """Let these machines do what comes in pieces until the block ends.

        Args:
            gpus: whether each actor takes a GPU, where the cluster has any.
        """
        if self.actors is not None and (self.engine != "ray" or self.actors < 1):
            raise UsageError(f"--actors is a number from 1 on beside --engine ray, got {self.actors}: see --help.")
        if self.engine == "local":
            yield
            return
        from geocell.compute.cluster import ray_cluster

        # stderr is where Ray's threads report what they lost; the result alone goes to stdout, after the block
        with redirect_stdout(sys.stderr), ray_cluster(self.actors, gpus=gpus):
            yield
