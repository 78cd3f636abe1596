import os
import re
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from geocell.cli import main
from geocell.compute.cores import usable_cores
from geocell.encoders import load_encoder
from geocell.encoding import encode, engine
from geocell.encoding.multi_device import encode_on_devices, parse_devices, share_threads
from geocell.features import FeatureCache
from geocell.views import read_views
from tests.encoding.tiny import TinyEncoder
from tests.worlds import make_clip, make_photos


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if not p.name.startswith(".")}


@pytest.mark.slow
def test_two_processes_make_the_cache_of_one(tmp_path: Path) -> None:
    table, clip = read_views(make_photos(tmp_path, 10, 2)), make_clip(tmp_path / "clip")
    encode_on_devices(table, {"name": str(clip)}, ["cpu", "cpu"], tmp_path / "two", {"batch_size": 4, "shard_rows": 4})
    encode(table, load_encoder(str(clip), device="cpu"), tmp_path / "one", batch_size=4, shard_rows=4)
    assert files(tmp_path / "two") == files(tmp_path / "one")


def test_processes_that_all_fail_say_why(tmp_path: Path) -> None:
    table = read_views(make_photos(tmp_path, 2, 1))
    with pytest.raises(RuntimeError, match=r"got exit statuses \[1\]: cpu: expected a Hub id .*/no/clip"):
        encode_on_devices(table, {"name": "/no/clip"}, ["cpu"], tmp_path / "c", {})


@pytest.mark.slow
def test_a_device_that_fails_is_told_of_though_the_others_do_its_part(tmp_path: Path) -> None:
    table, clip = read_views(make_photos(tmp_path, 2, 1)), make_clip(tmp_path / "clip")
    said: list[str] = []
    loading = {"name": str(clip)}
    cache = encode_on_devices(table, loading, ["cpu", "cuda:99"], tmp_path / "c", {}, say=said.append)
    assert cache.good.all()
    assert len(said) == 1
    assert said[0].startswith("1 of 2 processes failed, and the others did their part; exit statuses [0, 1]: cuda:99: ")


class Numbered(TinyEncoder):
    """Its features are the number of its process."""

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        return np.full((len(pixels), 8), float(os.environ["RANK"]), np.float32)


class DoomedSecond(TinyEncoder):
    """The second process fails."""

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        if os.environ["RANK"] == "1":
            raise ValueError("doomed")
        return super().__call__(pixels)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place without locks that processes share, as an object store is."""
    pytest.importorskip("upath")
    monkeypatch.chdir("/")  # a URL of `local` is relative
    return Path(f"local:/{tmp_path}/c")


def test_devices_share_the_shards_of_an_object_store_by_their_number(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second process runs when the first one waits for it, in the same interpreter: no time has to pass."""
    table, caches = read_views(make_photos(tmp_path, 8, 1)), []

    def encode_as(rank: int) -> None:
        monkeypatch.setenv("RANK", str(rank))
        caches.append(encode(table, Numbered(), store, shard_rows=2))

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(engine, "time", SimpleNamespace(sleep=lambda _seconds: encode_as(1)))
    encode_as(0)
    assert [cache.features[:, 0].tolist() for cache in caches] == [[0, 0, 1, 1, 0, 0, 1, 1]] * 2


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_device_that_fails_ends_the_run_onto_an_object_store(tmp_path: Path, store: Path) -> None:
    table, loading = read_views(make_photos(tmp_path, 8, 1)), {"name": f"{__name__}:DoomedSecond"}
    with pytest.raises(RuntimeError, match=r"cpu, cpu must encode, got exit statuses \[-15, 1\]: cpu: doomed"):
        encode_on_devices(table, loading, ["cpu", "cpu"], store, {"shard_rows": 2})


class ThreadCounter(TinyEncoder):
    """Its features are how many threads torch uses."""

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        import torch

        return np.full((len(pixels), 8), torch.get_num_threads(), np.float32)


@pytest.mark.parametrize(("cores", "processes", "threads"), [(8, 1, 6), (8, 2, 3), (4, 2, 2), (8, 5, 1), (8, 16, 1)])
def test_a_share_of_the_threads_that_torch_and_the_cores_allow(
    monkeypatch: pytest.MonkeyPatch, cores: int, processes: int, threads: int
) -> None:
    import torch

    before = torch.get_num_threads()
    monkeypatch.setattr("geocell.encoding.multi_device.usable_cores", lambda: cores)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    try:
        torch.set_num_threads(6)
        share_threads(processes)
        assert torch.get_num_threads() == threads
        torch.set_num_threads(6)
        monkeypatch.setenv("OMP_NUM_THREADS", "6")  # a person who says how many means each process
        share_threads(processes)
        assert torch.get_num_threads() == 6
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_processes_on_cpus_share_the_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    count = [sys.executable, "-c", "import torch; print(torch.get_num_threads())"]
    alone = min(int(subprocess.check_output(count, text=True)), usable_cores())
    loading = {"name": f"{ThreadCounter.__module__}:ThreadCounter"}
    encode_on_devices(read_views(make_photos(tmp_path, 2, 1)), loading, ["cpu", "cpu"], tmp_path / "c", {})
    assert FeatureCache.open(tmp_path / "c").features[0, 0] == max(1, alone // 2)


def test_lists_of_devices() -> None:
    assert parse_devices("0, 1") == ["cuda:0", "cuda:1"]
    assert parse_devices("cpu,cpu") == ["cpu", "cpu"]
    with pytest.raises(ValueError, match="must be a list such as 0,1"):
        parse_devices(" ,")


def test_a_device_that_is_not_there_is_a_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = make_photos(tmp_path, 2, 1)
    assert main(["encode", str(table), "--out", str(tmp_path / "c"), "--devices", "tpu:0"]) == 2
    assert "device must be auto or one of" in capsys.readouterr().err


@pytest.mark.slow
def test_processes_of_torchrun_share_a_cache_and_one_of_them_speaks(tmp_path: Path) -> None:
    table, clip = make_photos(tmp_path, 6, 2), make_clip(tmp_path / "clip")
    command = [sys.executable, "-m", "geocell", "encode", str(table), "--encoder", str(clip)]
    command += ["--out", str(tmp_path / "c"), "--device", "cpu"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "WORLD_SIZE": "2"}
    runs = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**environment, "RANK": str(rank)})
        for rank in range(2)
    ]
    said = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert "12 views of 6 locations, 12 good" in said[0]
    assert said[1] == ""


@pytest.mark.slow
def test_ctrl_c_keeps_what_every_process_has_encoded(tmp_path: Path) -> None:
    table = make_photos(tmp_path, 24, 2)
    os.mkfifo(tmp_path / "both")
    (tmp_path / "mine.py").write_text(
        "import os, signal\n"
        "from tests.encoding.tiny import TinyEncoder\n"
        "class Interrupted(TinyEncoder):\n"
        "    calls = []\n"
        "    def __call__(self, pixels):\n"
        "        if not self.calls:\n"  # opening it waits for the other process, so each has a shard
        f"            open({str(tmp_path / 'both')!r}, 'rw'[int(os.environ['RANK'])]).close()\n"
        "        self.calls.append(1)\n"
        "        if len(self.calls) == 3 and os.environ['RANK'] == '1':\n"
        "            os.killpg(0, signal.SIGINT)\n"
        "        return super().__call__(pixels)\n"
    )
    command = f"encode {table} --encoder mine:Interrupted --devices cpu,cpu --batch-size 4 --shard-rows 24 --workers 0"
    done = subprocess.run(
        [sys.executable, "-m", "geocell", *command.split(), "--out", str(tmp_path / "c")],
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )
    assert done.returncode == 130
    kept = re.search(r"interrupted; (\d+) of 48 rows are kept", done.stderr)
    assert kept is not None
    assert int(kept[1]) >= 8
    encode(table, TinyEncoder(), tmp_path / "c", batch_size=4)
    encode(table, TinyEncoder(), tmp_path / "whole", batch_size=4, shard_rows=24)
    assert files(tmp_path / "c") == files(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="Linux alone waits for processes that are not its children")
def test_processes_end_with_the_killed_one_that_started_them(tmp_path: Path) -> None:
    table = make_photos(tmp_path, 4, 1)
    os.mkfifo(tmp_path / "pids")
    (tmp_path / "mine.py").write_text(
        "import os, threading\n"
        "from tests.encoding.tiny import TinyEncoder\n"
        "class Waiting(TinyEncoder):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        if 'RANK' in os.environ:\n"
        f"            with open({str(tmp_path / 'pids')!r}, 'w') as pids:\n"
        "                pids.write(f'{os.getpid()}\\n')\n"
        "    def __call__(self, pixels):\n"
        "        threading.Event().wait()\n"
    )
    command = f"encode {table} --encoder mine:Waiting --devices cpu,cpu --shard-rows 2 --workers 0 --out {tmp_path}/c"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    with (
        os.fdopen(os.open(tmp_path / "pids", os.O_RDWR | os.O_NONBLOCK), "rb", buffering=0) as pids,
        subprocess.Popen([sys.executable, "-m", "geocell", *command.split()], env=environment) as parent,
    ):
        workers: list[int] = []
        try:
            while len(workers) < 2:
                assert select.select([pids], [], [], 60)[0]
                workers += [os.pidfd_open(int(pid)) for pid in pids.read(4096).split()]
            parent.kill()
            assert all(select.select([worker], [], [], 60)[0] for worker in workers)
        finally:
            parent.kill()
            for worker in workers:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(worker, signal.SIGKILL)
                os.close(worker)
