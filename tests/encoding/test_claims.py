import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from geocell.encoding import encode
from geocell.encoding.claims import Claims, cache_lock
from geocell.features import FeatureCache, shard_path, shard_problems, write_shard
from geocell.features.partials import write_partial
from tests.encoding.tiny import TinyEncoder
from tests.worlds import make_image, make_photos

SCRIPT = """
import sys
from geocell.encoding import encode
from tests.encoding.tiny import TinyEncoder
cache = encode(sys.argv[1], TinyEncoder(pause=0.01), sys.argv[2], shard_rows=2, batch_size=2, workers=0)
print(len(cache), cache.good.all())
"""


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if not p.name.startswith(".")}


def test_processes_share_a_cache_and_all_see_it_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = make_photos(tmp_path, 30, 2)
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    command = [sys.executable, "-c", SCRIPT, str(table), str(tmp_path / "c")]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [run.communicate()[0].split() for run in runs] == [["60", "True"]] * 3
    encode(table, TinyEncoder(), tmp_path / "whole", shard_rows=2, batch_size=2)
    assert files(tmp_path / "c") == files(tmp_path / "whole")
    assert not [p.name for p in (tmp_path / "c").iterdir() if p.name.startswith(".")]  # no lock is left


COUNT = """
import sys
from pathlib import Path
from geocell.encoding.claims import cache_lock
counter = Path(sys.argv[2])
for _ in range(int(sys.argv[3])):
    with cache_lock(Path(sys.argv[1])):
        counter.write_text(str(int(counter.read_text()) + 1))
"""


def test_a_lock_that_is_removed_by_its_holder_still_admits_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "counter").write_text("0")
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    command = [sys.executable, "-c", COUNT, str(tmp_path / "c"), str(tmp_path / "counter"), "300"]
    runs = [subprocess.Popen(command) for _ in range(3)]
    assert [run.wait() for run in runs] == [0] * 3
    assert (tmp_path / "counter").read_text() == "900"
    assert list((tmp_path / "c").iterdir()) == []


def test_claims_are_removed_but_not_those_that_another_process_holds(tmp_path: Path) -> None:
    theirs, ours, later = Claims(tmp_path), Claims(tmp_path), Claims(tmp_path)
    assert theirs.take(1)
    assert ours.take(0)
    ours.close()
    ours.remove()
    assert [path.name for path in (tmp_path / ".claims").iterdir()] == ["00001"]
    assert not later.take(1)
    theirs.close()
    theirs.remove()
    assert not (tmp_path / ".claims").exists()
    assert later.take(1)  # as a run that encodes shards again does after another has come to its end


def test_a_shard_that_another_process_has_is_left_to_it(tmp_path: Path) -> None:
    table = make_photos(tmp_path, 4, 1)
    folder = tmp_path / "c"
    with cache_lock(folder):
        pass
    theirs = Claims(folder)
    assert theirs.take(1)
    ours = Claims(folder)
    assert not ours.take(1)
    assert ours.take(0)
    ours.close()
    theirs.give_back(1)  # as a process that dies does
    assert np.isfinite(encode(table, TinyEncoder(), folder, shard_rows=2).features).all()


def test_what_others_encode_again_is_not_encoded_a_third_time(tmp_path: Path) -> None:
    table, folder = make_photos(tmp_path, 4, 1), tmp_path / "c"
    images = sorted((tmp_path / "img").iterdir())
    kept = {path: path.read_bytes() for path in (images[0], images[2])}
    for path in kept:
        path.write_bytes(b"")
    encode(table, TinyEncoder(), folder, shard_rows=2)
    for path, data in kept.items():
        path.write_bytes(data)
    theirs = Claims(folder)
    assert theirs.take(1)
    caches: list[FeatureCache] = []
    ours = threading.Thread(
        target=lambda: caches.append(encode(table, TinyEncoder(), folder, shard_rows=2, retry=True)), daemon=True
    )
    ours.start()
    while shard_problems(shard_path(folder, 0)):
        time.sleep(0.01)
    write_shard(folder, 1, np.full((2, 8), 7.0), {})  # which is no feature of these images
    theirs.give_back(1)
    ours.join()
    assert caches[0].good.all()
    assert (caches[0].features[2:] == 7).all()


def test_several_processes_do_not_encode_again_where_there_are_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("upath")
    table, place = make_photos(tmp_path, 4, 1), f"memory://{tmp_path.name}/c"
    (tmp_path / "img" / "001_0.jpg").write_bytes(b"")
    assert encode(table, TinyEncoder(), place, shard_rows=2).good.sum() == 3
    make_image(tmp_path / "img" / "001_0.jpg")
    with monkeypatch.context() as one_of_two:
        one_of_two.setenv("WORLD_SIZE", "2")
        with pytest.raises(ValueError, match=r"on an object store, got 2: run --retry on one device"):
            encode(table, TinyEncoder(), place, shard_rows=2, retry=True)
    assert encode(table, TinyEncoder(), place, shard_rows=2, retry=True).good.all()


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    table = make_photos(tmp_path, 4, 1)
    (tmp_path / "c").mkdir()
    left = tmp_path / "c" / ".features-00001.safetensors.abcd4242.geocell-tmp"
    left.mkdir()
    (left / "features-00001.safetensors").write_bytes(b"half a shard")
    encode(table, TinyEncoder(), tmp_path / "c", shard_rows=2)
    assert not left.exists()


def test_a_cache_that_is_being_begun_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocell.encoding.claims._PATIENCE_SECONDS", 0.05)
    table = make_photos(tmp_path, 3, 1)
    (tmp_path / "c").mkdir()
    with (
        FileLock(tmp_path / "c" / ".lock"),
        pytest.raises(FileExistsError, match="being created or finished by another process"),
    ):
        encode(table, TinyEncoder(), tmp_path / "c")


def test_another_arithmetic_does_not_go_on_with_a_cache(tmp_path: Path) -> None:
    table = make_photos(tmp_path, 4, 1)
    cache = encode(table, TinyEncoder(), tmp_path / "c", shard_rows=2)
    encode(table, TinyEncoder(dtype="bfloat16"), tmp_path / "c")  # nothing is left to compute
    next(cache.folder.glob("features-*")).unlink()
    with pytest.raises(ValueError, match="begun in float32, and this run computes in bfloat16: pass --dtype float32"):
        encode(table, TinyEncoder(dtype="bfloat16"), tmp_path / "c")


def test_leftovers_of_complete_shards_are_removed(tmp_path: Path) -> None:
    table = make_photos(tmp_path, 4, 1)
    encode(table, TinyEncoder(), tmp_path / "c", shard_rows=2)
    left = tmp_path / "c" / ".features-00001.safetensors.abcd1234.geocell-tmp"
    left.mkdir()
    (left / "new").write_bytes(b"half")
    with cache_lock(tmp_path / "c"):
        assert not left.exists()
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == [
        "cache.json", "features-00000.safetensors", "features-00001.safetensors", "views.parquet",
    ]  # fmt: skip


def test_what_was_left_between_the_last_shard_and_the_end_is_removed(tmp_path: Path) -> None:
    """Of a run that was killed there, locks and first rows are met by nobody: every shard is complete."""
    table = make_photos(tmp_path, 4, 2)
    cache = encode(table, TinyEncoder(), tmp_path / "c", shard_rows=2, batch_size=2)
    whole = files(tmp_path / "c")
    for index in (0, 3):
        write_partial(tmp_path / "c", index, cache.take(np.arange(1)).astype(np.float32), {})
    (tmp_path / "c" / "..partial-00002.safetensors.abcdefgh.geocell-tmp").mkdir()
    (tmp_path / "c" / ".claims").mkdir()
    (tmp_path / "c" / ".claims" / "00001").touch()
    with FileLock(tmp_path / "c" / ".claims" / "00003"):  # of a process that encodes it again
        encode(table, TinyEncoder(), tmp_path / "c", shard_rows=2, batch_size=2)
        left = {path.name for path in (tmp_path / "c").rglob(".*")}
        assert left == {".claims", ".partial-00003.safetensors"}
    encode(table, TinyEncoder(), tmp_path / "c", shard_rows=2, batch_size=2)
    assert list((tmp_path / "c").rglob(".*")) == []
    assert files(tmp_path / "c") == whole
