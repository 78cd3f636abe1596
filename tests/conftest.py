"""Shared fixtures: real data, a guard that fails a test on any socket, Hub libraries offline, a Hub on loopback."""

import gc
import os
import socket
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

# before anything imports huggingface_hub, which reads them once
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["HF_HUB_DISABLE_XET"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:  # processes that share the cores already: one thread each, in children too
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

from tests.local_hub import TOKEN, Hub, serve

settings.register_profile("busy", deadline=None)  # a loaded machine is no defect
settings.load_profile("busy")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow tests: none of the processes that share the tests is left alone with one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from what is imported and collected: it stays, and is a gigabyte to go through."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


class SocketUsedError(RuntimeError):
    """A test tried to reach the network."""


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_disks() -> Iterator[None]:
    """Write files without waiting until they are on the disk: no test outlives its machine. Other processes do wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: os.fstat(descriptor) and None)
        yield


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    allowed = {"127.0.0.1"} if request.node.get_closest_marker("loopback") else set()

    def guarded(name: str, function: Any, where: int) -> None:
        def call(*args: Any, **kwargs: Any) -> Any:
            address = args[where] if args else kwargs.get("host")
            if (address[0] if isinstance(address, tuple) else address) not in allowed:
                raise SocketUsedError("tests run offline: this one opened a network connection")
            return function(*args, **kwargs)

        monkeypatch.setattr(socket if name == "getaddrinfo" else socket.socket, name, call)

    guarded("connect", socket.socket.connect, 1)
    guarded("connect_ex", socket.socket.connect_ex, 1)
    guarded("getaddrinfo", socket.getaddrinfo, 0)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub on loopback that this process and its children talk to, with an empty cache and a login.

    A test that uses it needs the mark `loopback`.
    """
    import huggingface_hub
    from huggingface_hub import constants

    cache = tmp_path / "hub-cache"
    with serve() as running:
        settings = {
            "ENDPOINT": running.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": running.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_OFFLINE": False,
            "HF_HUB_CACHE": str(cache),
        }
        for name, value in settings.items():
            monkeypatch.setattr(constants, name, value)
        for name, text in {"HF_ENDPOINT": running.url, "HF_HUB_CACHE": str(cache), "HF_TOKEN": TOKEN}.items():
            monkeypatch.setenv(name, text)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setattr(time, "sleep", lambda _seconds: None)  # the client waits seconds between attempts
        yield running
        huggingface_hub.utils.close_session()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; its README gives origins and licences."""
    if not SHARED.is_dir():
        pytest.skip(f"the shared data folder is not at {SHARED}")
    return SHARED


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Run torch on one thread: products this small gain nothing from a second, and lose much on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
