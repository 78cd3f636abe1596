import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from geocell.encoding import encode
from geocell.encoding.engine import create_or_resume, finish_cache
from geocell.encoding.ray_engine import ShardActor, _Job, _sparse
from geocell.encoding.shard_encoder import Shard
from geocell.views import read_views
from tests.encoding.tiny import BROKEN, TinyEncoder
from tests.worlds import make_photos

pytest.importorskip("ray")

# a process of its own: Ray starts servers on this machine and threads that outlive the test
SCRIPT = """
import json, os, sys
from functools import partial
from pathlib import Path
import ray
from geocell.encoding.ray_engine import encode_with_ray
from geocell.views import read_views
from tests.encoding.tiny import SelfKilling, TinyEncoder

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
         runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}})
cache = encode_with_ray(read_views(sys.argv[1]), partial(SelfKilling, marker=sys.argv[3]), sys.argv[2],
                        actors=2, batch_size=4, shard_rows=4)
Path(sys.argv[4]).write_text(json.dumps({"views": len(cache), "good": int(cache.good.sum())}))
"""


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if not p.name.startswith(".")}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_cluster_that_loses_a_worker_gives_the_same_cache(tmp_path: Path) -> None:
    table = make_photos(tmp_path, 20, 2)
    (tmp_path / "img" / "007_0.jpg").unlink()
    BROKEN["truncated"](tmp_path / "img" / "007_0.jpg")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(table), *(tmp_path / x for x in ("c", "killed", "out"))],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads((tmp_path / "out").read_text()) == {
        "views": 40,
        "good": 39,
    }  # Ray may write to stdout at any time
    assert (tmp_path / "killed").read_text() == "1"
    encode(table, TinyEncoder(), tmp_path / "whole", batch_size=4, shard_rows=4)
    assert files(tmp_path / "c") == files(tmp_path / "whole")


def test_an_actor_reads_the_images_of_a_shard_from_the_cache(tmp_path: Path) -> None:
    table = make_photos(tmp_path, 5, 2)
    lines = table.read_text(encoding="utf-8").splitlines()
    lines[4] = "," + lines[4].split(",", 1)[1]  # a row without an image
    table.write_text("\n".join(lines), encoding="utf-8")
    views, folder = read_views(table), tmp_path / "c"
    manifest, todo = create_or_resume(folder, views, TinyEncoder().info, 4, False)
    options = {"batch_size": 4, "workers": 0, "image_timeout": 60.0}
    actor = ShardActor(str(folder), TinyEncoder, views.images, options, False)
    for index in todo:
        assert actor(_Job(index, _sparse(Shard.from_table(index, manifest, views).problems))) == index
    actor._pool.__exit__()
    assert finish_cache(folder, False).problems() == {"no image": 1}
    encode(table, TinyEncoder(), tmp_path / "whole", batch_size=4, shard_rows=4)
    assert files(folder) == files(tmp_path / "whole")
