"""Reading `http(s)` URLs: bounded in time, size and number, tried again where that can help."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import urllib3

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT_S = 60.0


class _TransientError(OSError):
    """A failure that another try may mend.

    Attributes:
        wait_s: how long the server asks to wait, 0 when it does not say.
    """

    def __init__(self, text: str, wait_s: float = 0.0) -> None:
        super().__init__(text)
        self.wait_s = wait_s


def is_http(reference: str) -> bool:
    """Return whether a reference is an `http(s)` URL."""
    return reference.startswith(("https://", "http://"))


@dataclass(frozen=True)
class Downloads:
    """How URLs are read.

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
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}.")
        for name in ("download_timeout_s", "download_max_mb"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be more than 0, got {getattr(self, name)}.")

    def read(self, url: str) -> bytes:
        """Return what a URL holds.

        Raises:
            OSError: when it cannot be had; its text is one line, the same for the same failure.
        """
        tries = self.download_retries + 1
        for number in range(tries):
            try:
                return self._once(url)
            except _TransientError as error:
                if number + 1 == tries:
                    raise OSError(f"{error}, {tries} tries" if tries > 1 else str(error)) from error
                time.sleep(min(max(error.wait_s, self.download_wait_s * 2**number), _LONGEST_WAIT_S))
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def _once(self, url: str) -> bytes:
        import urllib3
        from urllib3 import exceptions

        deadline = time.monotonic() + self.download_timeout_s
        follow = urllib3.Retry(total=None, connect=0, read=0, status=0, other=0, redirect=5)
        try:
            response = _pool(os.getpid(), self.downloads).request(
                "GET", url, preload_content=False, retries=follow, timeout=self.download_timeout_s
            )
            with response:
                return self._body(response, deadline)
        except exceptions.LocationValueError as error:
            raise OSError("no URL that can be read") from error
        except exceptions.HTTPError as error:
            reason = error.reason if isinstance(error, exceptions.MaxRetryError) and error.reason else error
            if isinstance(reason, exceptions.SSLError):
                raise OSError("its certificate or TLS is not valid") from error
            if isinstance(reason, exceptions.ResponseError):
                raise OSError("more than 5 redirects") from error
            raise _TransientError(_why(reason, self.download_timeout_s)) from error

    def _body(self, response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        if response.status != 200:
            text = f"HTTP {response.status}"
            if response.status in _TRANSIENT:
                asked = response.headers.get("Retry-After", "")
                raise _TransientError(text, float(asked) if asked.isdigit() else 0.0)
            raise OSError(text)
        limit = int(self.download_max_mb * 1e6)
        parts, size = [], 0
        while part := response.read1(1 << 16, decode_content=True):
            size += len(part)
            if size > limit:
                raise OSError(f"more than {self.download_max_mb:g} MB")
            if time.monotonic() > deadline:
                raise _TransientError(f"not complete within {self.download_timeout_s:g} s")
            parts.append(part)
        return b"".join(parts)


def _why(reason: Exception, timeout_s: float) -> str:
    """Return what went wrong with a connection, without the addresses of objects that the library's own text has."""
    from urllib3 import exceptions

    if isinstance(reason, exceptions.NameResolutionError):
        return "no such host"
    if isinstance(reason, exceptions.TimeoutError) and not isinstance(reason, exceptions.NewConnectionError):
        return f"no answer within {timeout_s:g} s"
    return "the connection failed"


@lru_cache(maxsize=4)
def _pool(_process: int, size: int) -> urllib3.PoolManager:
    """Return the connections of this process; those of a parent must not be shared."""
    import urllib3

    from geocell._version import __version__

    return urllib3.PoolManager(num_pools=64, maxsize=size, headers={"User-Agent": f"geocell/{__version__}"})
