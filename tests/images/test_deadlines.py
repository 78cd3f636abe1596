"""HTTP connections with a deadline for a whole request."""

import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from urllib3 import Retry, exceptions

from geocell.images import deadlines
from geocell.images.deadlines import deadline, pool_manager

pytestmark = pytest.mark.loopback


@pytest.fixture
def drip() -> Iterator[str]:
    """A server that sends a whole response to /whole, and else a byte of a header now and then for ever."""
    end = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                asked = connection.recv(4096)
                if asked.startswith(b"GET /whole"):
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody")
                    continue
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                    while not end.wait(0.01):
                        connection.sendall(b"x")
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    end.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def get(url: str) -> bytes:
    with pool_manager(1, {}) as manager:
        return manager.request("GET", url, retries=Retry(0), timeout=60).data


def test_a_server_that_sends_for_ever_is_left_at_the_deadline(drip: str) -> None:
    with deadline(0.2), pytest.raises((exceptions.TimeoutError, exceptions.MaxRetryError, exceptions.ProtocolError)):
        get(f"{drip}/drip")


def test_what_comes_in_time_is_had_with_and_without_a_deadline(drip: str) -> None:
    with deadline(60):
        assert get(f"{drip}/whole") == b"body"
    assert get(f"{drip}/whole") == b"body"


def test_a_deadline_that_has_passed_sends_nothing(drip: str) -> None:
    with deadline(0), pytest.raises(exceptions.MaxRetryError, match="no connection in time"):
        get(f"{drip}/whole")


def test_a_deadline_is_of_its_thread_alone(drip: str) -> None:
    found: list[bytes] = []
    with deadline(0):
        other = threading.Thread(target=lambda: found.append(get(f"{drip}/whole")))
        other.start()
        other.join()
    assert found == [b"body"]


def test_hosts_that_refuse_say_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with deadline(60), pytest.raises(exceptions.MaxRetryError, match="Connection refused"):
        get(f"http://127.0.0.1:{port}/x")


HANGS, REFUSES = "127.0.0.2", "127.0.0.3"


class Addresses:
    """The addresses of a host, and a clock that advances while one of them hangs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: list[tuple[Any, ...]] = []
        self.waited: list[float] = []
        connect = deadlines._Socket.connect

        def connect_or_hang(sock: socket.socket, address: tuple[str, int]) -> None:
            if address[0] == HANGS:
                self.waited.append(sock.gettimeout() or 0.0)
                raise TimeoutError("timed out")
            if address[0] == REFUSES:
                raise ConnectionRefusedError("Connection refused")
            connect(sock, address)  # type: ignore[arg-type]

        monkeypatch.setattr(deadlines._Socket, "connect", connect_or_hang)
        monkeypatch.setattr(deadlines, "time", SimpleNamespace(monotonic=lambda: sum(self.waited)))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: self.found)

    def add(self, *hosts: str, port: int = 80, family: int = socket.AF_INET) -> None:
        self.found += [(family, socket.SOCK_STREAM, 0, "", (host, port)) for host in hosts]


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> Addresses:
    return Addresses(monkeypatch)


def test_an_address_that_hangs_leaves_time_for_the_others(drip: str, addresses: Addresses) -> None:
    addresses.add(HANGS, HANGS)
    addresses.add("127.0.0.1", port=urlsplit(drip).port or 0)
    with deadline(60):
        assert get(f"{drip}/whole") == b"body"
    assert addresses.waited == [20.0, 20.0]


def test_the_other_family_is_tried_after_one_address_of_the_first(drip: str, addresses: Addresses) -> None:
    addresses.add(*[REFUSES] * 8, family=socket.AF_INET6)
    addresses.add("127.0.0.1", port=urlsplit(drip).port or 0)
    with deadline(60):
        assert get(f"{drip}/whole") == b"body"


@pytest.mark.parametrize(
    ("hosts", "message"),
    [((HANGS,), "no connection in time"), ((REFUSES, HANGS), "no connection in time"), ((HANGS, REFUSES), "refused")],
)
def test_the_last_address_says_why_there_is_no_connection(
    addresses: Addresses, hosts: tuple[str, ...], message: str
) -> None:
    addresses.add(*hosts)
    with deadline(60), pytest.raises(exceptions.MaxRetryError, match=message) as caught:
        get("http://127.0.0.1/x")
    kind = exceptions.NewConnectionError if message == "refused" else exceptions.ConnectTimeoutError
    assert type(caught.value.reason) is kind
