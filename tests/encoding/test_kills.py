import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from geocell.cli import main
from geocell.encoding import encode
from geocell.features import verify_cache
from tests.encoding.tiny import BROKEN, TinyEncoder
from tests.worlds import make_photos

KILLS = 22
# forks, so that importing is paid for once; a kill falls on any moment: as a run begins, or within the next shards
SCRIPT = """
import json, os, random, signal, sys, time
import pyarrow.parquet
from geocell.encoding import encode
from geocell.views import read_views
from tests.encoding.tiny import TinyEncoder

def shards():
    return len([name for name in os.listdir(out) if name.startswith("features-")]) if os.path.isdir(out) else 0

table, out = read_views(sys.argv[1]), sys.argv[2]
there, random = [], random.Random(int(sys.argv[3]))
for kill in range(int(sys.argv[4])):
    before, more = shards(), random.choice((0, 0, 1, 3, 8))
    child = os.fork()
    if child == 0:
        encode(table, TinyEncoder(pause=0.01), out, batch_size=2, shard_rows=2, workers=kill % 2)
        os._exit(0)
    while shards() < min(before + more, 300):
        time.sleep(0.002)
    time.sleep(random.uniform(0.0, 0.2 if more == 0 else 0.04))
    os.kill(child, signal.SIGKILL)
    if os.waitpid(child, 0)[1] != signal.SIGKILL:
        break
    there.append(shards())
print(json.dumps(there))
"""


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}  # no lock is left


@pytest.mark.slow
def test_killed_at_random_moments_a_cache_ends_with_the_same_bytes(tmp_path: Path) -> None:
    table = make_photos(tmp_path, 200, 3)
    for name, reason in (("007_0", "truncated"), ("031_1", "cannot identify image file")):
        (tmp_path / "img" / f"{name}.jpg").unlink()
        BROKEN[reason](tmp_path / "img" / f"{name}.jpg")
    out = tmp_path / "killed"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(table), str(out), "7", str(KILLS)],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    shards = json.loads(done.stdout)
    assert len(shards) == KILLS
    assert shards == sorted(shards)  # nothing that was there is lost
    assert 0 < shards[-1] < 300
    encode(table, TinyEncoder(), out, batch_size=2, shard_rows=2)
    encode(table, TinyEncoder(), tmp_path / "whole", batch_size=2, shard_rows=2)
    assert files(out) == files(tmp_path / "whole")
    assert verify_cache(out) == []


KILLED = """
import os, signal, sys
from geocell.features import merging
from geocell.encoding import imports

def kill(*_args):
    os.kill(os.getpid(), signal.SIGKILL)

merging.write_shard = imports.finish = kill
from geocell.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("command", ["cache import {f}/f.npy {f}/photos.csv --like {f}/a", "cache merge {f}/a {f}/b"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_the_next_run_cleans_what_a_killed_one_left(tmp_path: Path, command: str, overwrite: bool) -> None:
    table = make_photos(tmp_path, 3, 1)
    for name in ("a", "b"):
        cache = encode(table, TinyEncoder(), tmp_path / name)
    np.save(tmp_path / "f.npy", cache.features)
    line = [*command.format(f=tmp_path).split(), "--out", str(tmp_path / "out" / "c")]
    if overwrite:
        assert main(line) == 0
        line.append("--overwrite")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", KILLED, *line], env=environment, check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL
    assert any(path.name.startswith(".c.") for path in (tmp_path / "out").iterdir())
    if overwrite:
        assert verify_cache(tmp_path / "out" / "c") == []
    assert main(line) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["c"]
    assert verify_cache(tmp_path / "out" / "c") == []
