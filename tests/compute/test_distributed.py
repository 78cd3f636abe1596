"""Data-parallel fits: two processes of torchrun fit the head that one does."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from geocell.compute.distributed import agreed, n_processes, of_all, processes, rank, summed
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import load_head
from geocell.partitioners import KMeansPartitioner
from geocell.training.fit import fit_head
from tests.training.test_fit import world

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = FitConfig(
    epochs=3, batch_size=31, lr=0.01, device="cpu", precision="float32", haversine=0.01, fusion="attention", offsets=0.5
)  # the last batch of an epoch has one location, and the other process none

FIT = """
import os, sys, torch
from geocell.training.fit import fit_head
from geocell.compute.distributed import n_processes, of_all, processes
from geocell.partitioners import KMeansPartitioner
from tests.training.test_fit import world
from tests.compute.test_distributed import CONFIG
torch.set_num_threads(1)
train = world(63, 0)
cells = KMeansPartitioner(k=5, seed=0).fit(train.latlon)
head = fit_head(train, world(30, 1), cells, CONFIG, checkpoint=sys.argv[1] + "/checkpoint")
assert n_processes() == 1  # the group is gone
with processes("cpu"):
    assert of_all(os.environ["RANK"]) == ["0", "1"]  # in another one
head.save(sys.argv[1] + "/" + os.environ["RANK"])
"""


@pytest.mark.slow
def test_two_processes_fit_what_one_does(tmp_path: Path) -> None:
    script = tmp_path / "fit.py"
    script.write_text(FIT)
    root = Path(__file__).parents[2]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*torchrun, str(script), str(tmp_path)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    train = world(63, 0)
    alone = fit_head(train, world(30, 1), KMeansPartitioner(k=5, seed=0).fit(train.latlon), CONFIG)
    first, second = (load_head(tmp_path / name) for name in "01")
    for name, value in alone.module.state_dict().items():
        assert torch.equal(first.module.state_dict()[name], second.module.state_dict()[name])
        torch.testing.assert_close(first.module.state_dict()[name], value, atol=1e-4, rtol=1e-3)
    losses = [[row["train_loss"] for row in head.history] for head in (first, second, alone)]
    assert losses[0] == losses[1] == pytest.approx(losses[2], rel=1e-4)
    assert (tmp_path / "checkpoint").is_file()


def test_one_process_is_alone() -> None:
    with processes("cpu") as device:
        assert device == torch.device("cpu")
        assert (rank(), n_processes(), agreed("x"), summed(torch.ones(2)).tolist()) == (0, 1, "x", [1.0, 1.0])
        assert of_all("x") == ["x"]


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_every_process_of_a_machine_computes_on_its_own_gpu(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    """Objects that processes share pass through the current GPU of each."""
    chosen: list[torch.device] = []
    begun: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    found = torch.distributed.HashStore()
    monkeypatch.setattr(sys.modules["torch.distributed.rendezvous"], "rendezvous", lambda _url: iter([(found, 1, 2)]))
    monkeypatch.setattr("torch.distributed.init_process_group", lambda backend, **facts: begun.append((backend, facts)))
    monkeypatch.setattr("torch.distributed.destroy_process_group", lambda: None)
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with processes(device) as own:
        assert own == torch.device("cuda:1")
    assert chosen == [torch.device("cuda:1")]
    ((backend, facts),) = begun
    assert (backend, facts["rank"], facts["world_size"]) == ("nccl", 1, 2)
