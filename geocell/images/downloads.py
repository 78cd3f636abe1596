"""Reading `http(s)` URLs: bounded in time, size and number, with retries where another try can help."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from geocell.images.references import is_http

if TYPE_CHECKING:
    import urllib3

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT_S = 60.0
_REDIRECTS = 5


class _TransientError(OSError):
    """A failure that another try may mend.

    Attributes:
        wait_s: how long the server asks to wait, 0 when it does not say.
    """

    def __init__(self, text: str, wait_s: float = 0.0) -> None:
        super().__init__(text)
        self.wait_s = wait_s


@dataclass(frozen=True)
class DownloadConfig:
    """How URLs are read.

    One try, with its redirects, headers and body, takes `download_timeout_s` at most, however slowly the server sends;
    all tries and the waits between them together `download_timeout_s * (download_retries + 1)`.

    Attributes:
        downloads: URLs read at once, per worker.
        download_timeout_s: seconds after which one try is given up.
        download_retries: further tries after a connection that failed and an answer that may change (429, 5xx).
        download_wait_s: seconds before the second try; doubled for each further one, or what the server asks for.
        download_max_mb: files of more megabytes are not read.
    """

    downloads: int = 16
    download_timeout_s: float = 30.0
    download_retries: int = 3
    download_wait_s: float = 1.0
    download_max_mb: float = 64.0

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            ValueError: for a setting out of range.
        """
        for name, least in (("downloads", 1), ("download_retries", 0), ("download_wait_s", 0)):
            if not getattr(self, name) >= least:  # NaN is not
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}.")
        for name in ("download_timeout_s", "download_max_mb"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be more than 0 and finite, got {getattr(self, name)}.")

    def read(self, url: str) -> bytes:
        """Return the content of a URL.

        Raises:
            OSError: when it cannot be downloaded; the message is one line, the same for the same failure.
        """
        tries = self.download_retries + 1
        end = time.monotonic() + tries * self.download_timeout_s
        for number in range(1, tries + 1):
            try:
                return self._once(url, min(self.download_timeout_s, end - time.monotonic()))
            except _TransientError as error:
                wait = min(max(error.wait_s, self.download_wait_s * 2 ** (number - 1)), _LONGEST_WAIT_S)
                if number == tries or time.monotonic() + wait >= end:
                    raise OSError(f"{error}, {number} tries" if number > 1 else str(error)) from error
                time.sleep(wait)
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def _once(self, url: str, seconds: float) -> bytes:
        from urllib3 import exceptions

        from geocell.images.deadlines import deadline

        try:
            with deadline(seconds):
                return self._follow(url)
        except (exceptions.LocationValueError, ValueError) as error:  # the latter of hosts that IDNA cannot encode
            raise OSError("no URL that can be read") from error
        except exceptions.HTTPError as error:
            reason = error.reason if isinstance(error, exceptions.MaxRetryError) and error.reason else error
            if isinstance(reason, exceptions.SSLError):
                raise OSError("its certificate or TLS is not valid") from error
            raise _TransientError(_why(reason, self.download_timeout_s)) from error

    def _follow(self, url: str) -> bytes:
        """Read a URL and up to five redirects; the body of a redirect is not read."""
        from urllib3 import Retry

        pool = _pool(os.getpid(), self.downloads)
        for _ in range(_REDIRECTS + 1):
            response = pool.request(
                "GET",
                url,
                preload_content=False,
                redirect=False,
                retries=Retry(total=None, connect=0, read=0, status=0, other=0, redirect=0),
                timeout=self.download_timeout_s,
            )
            moved = response.get_redirect_location()
            if not moved:
                with response:
                    return self._body(response)
            response.close()  # releasing it would read its body, however long
            url = urljoin(url, moved)
            if not is_http(url):
                raise OSError("redirected to a URL that is not http(s)")
        raise OSError(f"more than {_REDIRECTS} redirects")

    def _body(self, response: urllib3.BaseHTTPResponse) -> bytes:
        if response.status != 200:
            text = f"HTTP {response.status}"
            response.close()
            if response.status in _TRANSIENT:
                asked = response.headers.get("Retry-After", "")
                raise _TransientError(text, float(asked) if asked.isascii() and asked.isdigit() else 0.0)
            raise OSError(text)
        from urllib3.exceptions import ReadTimeoutError

        limit = int(self.download_max_mb * 1e6)
        parts, size = [], 0
        try:
            while part := response.read1(1 << 16, decode_content=True):
                size += len(part)
                if size > limit:
                    response.close()
                    raise OSError(f"more than {self.download_max_mb:g} MB")
                parts.append(part)
        except ReadTimeoutError as error:
            raise _TransientError(f"not complete within {self.download_timeout_s:g} s") from error
        return b"".join(parts)


Downloads = DownloadConfig
"""The earlier name of `DownloadConfig`."""


def _why(reason: Exception, timeout_s: float) -> str:
    """Return what went wrong with a connection, without the object addresses of the library's own text."""
    from urllib3 import exceptions

    if isinstance(reason, exceptions.NameResolutionError):
        return "no such host"
    if isinstance(reason, exceptions.TimeoutError) and not isinstance(reason, exceptions.NewConnectionError):
        return f"no answer within {timeout_s:g} s"
    return "the connection failed"


@lru_cache(maxsize=4)
def _pool(_process: int, size: int) -> urllib3.PoolManager:
    """Return the connections of this process; those of a parent must not be shared."""
    from geocell._version import __version__
    from geocell.images.deadlines import pool_manager

    return pool_manager(size, {"User-Agent": f"geocell/{__version__}"})
