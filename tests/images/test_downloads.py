"""URLs as people meet them: a server that fails, hangs, lies about lengths and sends people on."""

import io
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from geocell.encoding import encode
from geocell.images import deadlines, downloads
from geocell.images.downloads import DownloadConfig
from geocell.views import read_views
from tests.encoding.tiny import TinyEncoder

pytestmark = pytest.mark.loopback

PATIENT = DownloadConfig(download_retries=2, download_wait_s=0.01, download_max_mb=0.1)
HASTY = replace(PATIENT, download_timeout_s=1.5)  # a busy machine stalls for less


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
        self.met = threading.Event()
        self.lock = threading.Lock()
        self.stopping = threading.Event()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing about clients that gave up."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the end of an answer waits 40 ms for an acknowledgement of its head
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

    def answer(self, number: int) -> None:  # noqa: PLR0912 - one branch per path
        name = self.path.strip("/")
        if name.startswith("image"):
            self.send(200, grey(int(name[5:] or 0)))
        elif name.startswith("together"):
            self.wait_for_another()
            self.send(200, grey(int(name[8:])))
        elif name == "flaky":
            self.send(*((503, b"") if number < 3 else (200, b"at last")))
        elif name == "odd-wait":
            self.send(503, b"", {"Retry-After": "\u00b2"})
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
            while True:  # until the other end closes
                self.wfile.write(b"y")
                time.sleep(0.05)
        elif name == "hang":
            self.connection.recv(1)  # until the other end closes
            self.close_connection = True
        elif name == "slow-header":
            self.trickle(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"z")
        elif name == "endless-redirect":
            self.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: /image200\r\n\r\n")
            self.trickle(b"", b"z" * 100_000)
        elif name == "elsewhere":
            self.send(302, b"", {"Location": "file:///etc/hostname"})
        else:
            self.send(int(name) if name.isdigit() else 404, b"")

    def trickle(self, first: bytes, rest: bytes) -> None:
        """Send for as long as the client listens, more often than its timeout."""
        self.close_connection = True
        self.wfile.write(first)
        with suppress(OSError):
            while not self.server.stopping.wait(0.05):
                self.wfile.write(rest)

    def wait_for_another(self) -> None:
        """Wait until two requests are answered at once, which the first two are."""
        server = self.server
        with server.lock:
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
            if server.at_once > 1:
                server.met.set()
        server.met.wait()
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
        running.stopping.set()
        running.shutdown()


@pytest.mark.parametrize(
    ("path", "content", "tries"),
    [
        ("/image1", grey(1), 1),
        ("/flaky", b"at last", 3),
        ("/busy", b"served", 2),
        ("/moved", grey(200), 1),
        ("/endless-redirect", grey(200), 1),
    ],
)
def test_what_can_be_had_is_had(server: Server, path: str, content: bytes, tries: int) -> None:
    assert PATIENT.read(server.url(path)) == content
    assert server.asked[path] == tries
    assert all(agent.startswith("geocell/") for agent in server.agents)


@pytest.mark.parametrize(
    ("path", "reason", "tries"),
    [
        ("/nothing", "HTTP 404", 1),
        ("/403", "HTTP 403", 1),
        ("/500", "HTTP 500, 3 tries", 3),
        ("/odd-wait", "HTTP 503, 3 tries", 3),
        ("/big", "more than 0.1 MB", 1),
        ("/cut", "the connection failed, 3 tries", 3),
        ("/loop", "more than 5 redirects", 6),
        ("/hang", "no answer within 1.5 s, 2 tries", 2),
        ("/drip", "not complete within 1.5 s", 1),
        ("/slow-header", "no answer within 1.5 s", 1),
        ("/elsewhere", r"redirected to a URL that is not http\(s\)", 1),
    ],
)
def test_what_cannot_be_had_says_why_in_one_line(server: Server, path: str, reason: str, tries: int) -> None:
    downloads = replace(HASTY, download_retries=tries - 1) if "within" in reason else PATIENT
    with pytest.raises(OSError, match=rf"^{reason}$"):
        downloads.read(server.url(path))
    assert server.asked[path] == tries


def test_retries_end_with_the_time_of_all_tries(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    patient = DownloadConfig(download_timeout_s=2, download_retries=5, download_wait_s=5)
    with pytest.raises(OSError, match=r"^HTTP 503, 3 tries$"):
        patient.read(server.url("/503"))
    assert waits == [5, 10]  # 12 seconds for all tries: a wait of 20 would not leave any


def make_certificate(path: Path) -> Path:
    """Write a key and a certificate of this machine's loopback address, by openssl."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    subject = "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    key = path.with_name("key.pem")
    command = f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes {subject} -keyout {key} -out {path}"
    subprocess.run([openssl, *command.split()], check=True, capture_output=True)
    path.write_text(key.read_text() + path.read_text())
    return path


def test_tls_connections_have_the_same_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handshake, a whole answer, and a header that comes byte by byte, under a certificate made for this test."""
    certificate = make_certificate(tmp_path / "loopback.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    downloads._pool.cache_clear()
    with Server() as running:
        running.socket = context.wrap_socket(running.socket, server_side=True)
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        url = running.url("").replace("http:", "https:")
        config = DownloadConfig(download_retries=0)
        assert config.read(f"{url}/image7") == grey(7)
        with pytest.raises(OSError, match=r"^no answer within 1 s$"):
            replace(config, download_timeout_s=1).read(f"{url}/slow-header")
        monkeypatch.delenv("SSL_CERT_FILE")
        downloads._pool.cache_clear()
        with pytest.raises(OSError, match=r"^its certificate or TLS is not valid$"):
            config.read(f"{url}/image7")
        running.stopping.set()
        running.shutdown()
    downloads._pool.cache_clear()


def test_hosts_and_addresses_that_are_none() -> None:
    once = DownloadConfig(download_retries=0, download_timeout_s=2)
    for url in ("http://", "http://[bad"):
        with pytest.raises(OSError, match=r"^no URL that can be read$"):
            once.read(url)
    with pytest.raises(OSError, match=r"^the connection failed$"):
        once.read("http://127.0.0.1:1/x")


def test_many_at_once_stay_in_order_and_in_bounds(server: Server, tmp_path: Path) -> None:
    rows = [server.url(f"/together{i}" if i % 5 else "/404") for i in range(40)]
    frame = pd.DataFrame({"url": rows, "lat": np.arange(40.0), "lon": 0.0})
    frame.to_csv(tmp_path / "t.csv", index=False)
    table = read_views(tmp_path / "t.csv", downloads=DownloadConfig(downloads=7, download_retries=0))
    assert table.images.at_once == 7
    cache = encode(table, TinyEncoder(), tmp_path / "c", batch_size=16)
    assert [status == "ok" for status in cache.views["status"]] == [i % 5 > 0 for i in range(40)]
    assert set(cache.views["status"]) == {"ok", "HTTP 404"}
    assert 1 < server.most_at_once <= 7
    brightness = cache.features[cache.good][:, 0].astype(float)
    assert (np.diff(brightness) > 0).all()  # image i is brighter than those before it


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(max_size=30), st.sampled_from(["http://", "https://", "HTTP://", "http:///", "http://a:", "http://[::1"])
)
def test_whatever_a_table_calls_a_url(monkeypatch: pytest.MonkeyPatch, text: str, start: str) -> None:
    def no_host(*_args: object, **_kwargs: object) -> object:
        raise socket.gaierror("no such host")

    monkeypatch.setattr(deadlines.socket, "getaddrinfo", no_host)
    with pytest.raises(OSError, match=r"^(no such host|no URL that can be read|the connection failed)$"):
        DownloadConfig(download_retries=0).read(start + text)


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
        DownloadConfig(**{field: value})
