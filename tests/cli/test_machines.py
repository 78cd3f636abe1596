"""Flags that say which machines a command computes on."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from geocell.cli.app import main
from geocell.cli.machines import Machines
from geocell.compute import cluster
from geocell.compute.engines import is_here
from tests.elsewhere import Elsewhere, elsewhere


def test_a_cluster_works_until_the_block_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    @contextmanager
    def fake(actors: int | None, *, gpus: bool) -> Iterator[Elsewhere]:
        asked.append((actors, gpus))
        with elsewhere() as engine:
            yield engine

    monkeypatch.setattr(cluster, "ray_cluster", fake)
    with Machines().at_work():
        assert is_here()
    with Machines("ray", 3).at_work(gpus=True):
        assert not is_here()
        assert sys.stdout is sys.stderr
    assert is_here()
    assert sys.stdout is not sys.stderr
    assert asked == [(3, True)]


@pytest.mark.parametrize("words", [["--actors", "2"], ["--engine", "ray", "--actors", "0"]])
def test_actors_are_those_of_a_cluster(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["partition", "h3", "--cache", "nowhere", "--out", "cells", *words]) == 2
    said = capsys.readouterr().err
    assert f"--actors is a number from 1 on beside --engine ray, got {words[-1]}" in said
