import json
import os
import subprocess
import sys
from pathlib import Path

from geocell.cache import verify_cache
from geocell.encoding import encode
from tests.encoding.tiny import BROKEN, TinyEncoder
from tests.worlds import make_photos

KILLS = 22
# forks, so that importing is paid for once and a kill may fall on any moment from the first line of `encode` on
SCRIPT = """
import json, os, random, signal, sys, time
from geocell.encoding import encode
from geocell.views import read_views
from tests.encoding.tiny import TinyEncoder

table, out = read_views(sys.argv[1]), sys.argv[2]
moments, shards, random = [], [], random.Random(int(sys.argv[3]))
while len(moments) < int(sys.argv[4]):
    child = os.fork()
    if child == 0:
        encode(table, TinyEncoder(pause=0.02), out, batch_size=2, shard_rows=2, workers=len(moments) % 2)
        os._exit(0)
    moment = random.uniform(0.0, 0.3)
    time.sleep(moment)
    os.kill(child, signal.SIGKILL)
    if os.waitpid(child, 0)[1] != signal.SIGKILL:
        break
    moments.append(moment)
    there = [name for name in os.listdir(out) if name.startswith("features-")] if os.path.isdir(out) else []
    shards.append(len(there))
print(json.dumps({"moments": moments, "shards": shards}))
"""


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.name != ".lock"}


def test_killed_at_random_moments_a_cache_ends_with_the_same_bytes(tmp_path: Path) -> None:
    table = make_photos(tmp_path, 150, 3)
    for name, reason in (("007_0", "truncated"), ("031_1", "cannot identify image file$")):
        (tmp_path / "img" / f"{name}.jpg").unlink()
        BROKEN[reason](tmp_path / "img" / f"{name}.jpg")
    out = tmp_path / "killed"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(table), str(out), "7", str(KILLS)],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert len(report["moments"]) == KILLS
    assert report["shards"] == sorted(report["shards"])  # nothing that was there is lost
    assert 0 < report["shards"][-1] < 225
    encode(table, TinyEncoder(), out, batch_size=2, shard_rows=2)
    encode(table, TinyEncoder(), tmp_path / "whole", batch_size=2, shard_rows=2)
    assert files(out) == files(tmp_path / "whole")
    assert verify_cache(out) == []
