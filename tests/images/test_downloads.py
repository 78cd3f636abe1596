"""URLs as people meet them: a server that fails, hangs, lies about lengths and sends people on."""

import io
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from geocell.encoding import encode
from geocell.images.downloads import Downloads
from geocell.views import read_views
from tests.encoding.tiny import TinyEncoder

pytestmark = pytest.mark.loopback

FAST = Downloads(download_timeout_s=0.5, download_retries=2, download_wait_s=0.01, download_max_mb=0.1)


def grey(value: int) -> bytes:
    """Return a PNG of one grey."""
    file = io.BytesIO()
    Image.new("RGB", (40, 40), (value,) * 3).save(file, "PNG")
    return file.getvalue()


class Server(ThreadingHTTPServer):
    """Answers by path, and counts."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: Counter[str] = Counter()
        self.agents: set[str] = set()
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing about clients that gave up."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        with server.lock:
            server.asked[self.path] += 1
            server.agents.add(self.headers["User-Agent"])
            number = server.asked[self.path]
        self.answer(number)

    def answer(self, number: int) -> None:
        name = self.path.strip("/")
        if name.startswith("image"):
            self.take_a_while()
            self.send(200, grey(int(name[5:] or 0)))
        elif name == "flaky":
            self.send(*((503, b"") if number < 3 else (200, b"at last")))
        elif name == "busy":
            self.send(*((429, b"", {"Retry-After": "0"}) if number < 2 else (200, b"served")))
        elif name == "big":
            self.send(200, b"x" * 200_000)
        elif name == "moved":
            self.send(302, b"", {"Location": "/image200"})
        elif name == "loop":
            self.send(302, b"", {"Location": "/loop"})
        elif name == "cut":
            self.send(200, b"half", {"Content-Length": "100"})
            self.close_connection = True
        elif name == "drip":
            self.send(200, b"", {"Content-Length": "1000"})
            for _ in range(40):
                self.wfile.write(b"y")
                time.sleep(0.05)
        elif name == "hang":
            time.sleep(2)
        else:
            self.send(int(name) if name.isdigit() else 404, b"")

    def take_a_while(self) -> None:
        server = self.server
        with server.lock:
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        time.sleep(0.02)
        with server.lock:
            server.at_once -= 1

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield running
        running.shutdown()


@pytest.mark.parametrize(
    ("path", "content", "tries"),
    [("/image1", grey(1), 1), ("/flaky", b"at last", 3), ("/busy", b"served", 2), ("/moved", grey(200), 1)],
)
def test_what_can_be_had_is_had(server: Server, path: str, content: bytes, tries: int) -> None:
    assert FAST.read(server.url(path)) == content
    assert server.asked[path] == tries
    assert all(agent.startswith("geocell/") for agent in server.agents)


@pytest.mark.parametrize(
    ("path", "reason", "tries"),
    [
        ("/nothing", "HTTP 404", 1),
        ("/403", "HTTP 403", 1),
        ("/500", "HTTP 500, 3 tries", 3),
        ("/big", "more than 0.1 MB", 1),
        ("/cut", "the connection failed, 3 tries", 3),
        ("/loop", "more than 5 redirects", 6),
        ("/hang", "no answer within 0.5 s, 3 tries", 3),
        ("/drip", "not complete within 0.5 s, 3 tries", 3),
    ],
)
def test_what_cannot_be_had_says_why_in_one_line(server: Server, path: str, reason: str, tries: int) -> None:
    with pytest.raises(OSError, match=rf"^{reason}$"):
        FAST.read(server.url(path))
    assert server.asked[path] == tries


def test_hosts_and_addresses_that_are_none() -> None:
    once = Downloads(download_retries=0, download_timeout_s=2)
    for url in ("http://", "http://[bad"):
        with pytest.raises(OSError, match=r"^no URL that can be read$"):
            once.read(url)
    with pytest.raises(OSError, match=r"^the connection failed$"):
        once.read("http://127.0.0.1:1/x")


def test_many_at_once_stay_in_order_and_in_bounds(server: Server, tmp_path: Path) -> None:
    rows = [server.url(f"/image{i}" if i % 5 else "/404") for i in range(40)]
    frame = pd.DataFrame({"url": rows, "lat": np.arange(40.0), "lon": 0.0})
    frame.to_csv(tmp_path / "t.csv", index=False)
    table = read_views(tmp_path / "t.csv", downloads=Downloads(downloads=7, download_retries=0))
    assert table.images.at_once == 7
    server.most_at_once = 0
    cache = encode(table, TinyEncoder(), tmp_path / "c", batch_size=16)
    assert [status == "ok" for status in cache.views["status"]] == [i % 5 > 0 for i in range(40)]
    assert set(cache.views["status"]) == {"ok", "HTTP 404"}
    assert 1 < server.most_at_once <= 7
    brightness = cache.features[cache.good][:, 0].astype(float)
    assert (np.diff(brightness) > 0).all()  # image i is brighter than those before it


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("downloads", 0, "downloads must be at least 1, got 0"),
        ("download_retries", -1, "download_retries must be at least 0"),
        ("download_timeout_s", 0, "download_timeout_s must be more than 0"),
        ("download_max_mb", -1, "download_max_mb must be more than 0"),
    ],
)
def test_bad_settings(field: str, value: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Downloads(**{field: value})
