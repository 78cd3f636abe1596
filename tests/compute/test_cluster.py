"""A Ray cluster as an engine."""

import builtins
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from geocell.compute.cluster import ray_cluster

# a process of its own: Ray starts servers on this machine and threads that outlive the test
SCRIPT = """
import json, os, sys, time
from functools import partial
from pathlib import Path
import ray
from geocell.compute.cluster import RayCluster, ray_cluster
from geocell.compute.engines import results

marker = Path(sys.argv[1])

def start():
    def work(piece):
        if piece == 3 and not marker.exists():
            marker.write_text("died")
            os._exit(1)
        if piece < 0:
            raise ValueError(f"no {piece}")
        time.sleep(0.05 * (piece % 3))
        return piece, os.getpid()
    return work

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
with ray_cluster(5):  # more than there is room for
    found = list(results(start, range(9)))
    said = ""
    try:
        list(results(start, [1, -1, 2]))
    except ValueError as error:
        said = str(error)
    nothing = list(results(start, []))
value = {"order": [piece for piece, _ in found], "processes": len({pid for _, pid in found} | {os.getpid()}),
         "said": said, "nothing": nothing}
Path(sys.argv[2]).write_text(json.dumps(value))
"""


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_results_come_in_order_whatever_dies(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path / "marker"), str(tmp_path / "out")],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "marker").read_text() == "died"
    found = json.loads((tmp_path / "out").read_text())
    assert found["order"] == list(range(9))
    assert found["processes"] >= 3
    assert found["said"] == "no -1"
    assert found["nothing"] == []


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    find = builtins.__import__

    def without(name: str, *rest: Any, **names: Any) -> Any:
        if name == "ray":
            raise ImportError(name)
        return find(name, *rest, **names)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        ImportError, match=r'the engine ray needs its package: run `pip install "geocell-heads\[ray\]"`'
    ):
        ray_cluster().__enter__()
