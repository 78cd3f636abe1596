"""HTTP connections with a deadline for a whole request.

The timeouts of sockets, and so those of urllib3, start anew with every received byte: a server that sends one byte of a
header now and then holds a client for ever. Here every receive gets what is left until the deadline of the thread.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any, TypeAlias

import urllib3
from urllib3 import exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_ADDRESSES = 4  # of one host that are tried
_Address: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]  # as getaddrinfo returns
_thread = threading.local()


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Bound connecting and receiving of this thread within the block; urllib3 reports an expiry as its own timeouts."""
    _thread.end = time.monotonic() + seconds
    try:
        yield
    finally:
        del _thread.end


def _left() -> float | None:
    """Return the seconds left; None outside a `deadline` block."""
    end: float | None = getattr(_thread, "end", None)
    if end is None:
        return None
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline of the request has passed")
    return left


class _Socket(socket.socket):
    def recv_into(self, *args: Any, **kwargs: Any) -> int:  # noqa: ANN401 - passed on
        self.settimeout(_left())
        return super().recv_into(*args, **kwargs)


class _TLSSocket(ssl.SSLSocket):
    def recv_into(self, *args: Any, **kwargs: Any) -> int:  # noqa: ANN401 - passed on
        self.settimeout(_left())
        return super().recv_into(*args, **kwargs)


class _Connecting:
    """Connects within the deadline, whose rest is shared by the addresses of a host that are still to be tried."""

    def _new_conn(self) -> socket.socket:
        connection: Any = self
        try:
            found = socket.getaddrinfo(connection._dns_host, connection.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise exceptions.NameResolutionError(connection.host, connection, error) from error  # type: ignore[arg-type]
        failure: OSError = OSError("no address")
        addresses = _interleaved(found)[:_ADDRESSES]
        for tried, (family, kind, protocol, _, address) in enumerate(addresses):
            sock = None
            try:
                left = _left()
                sock = _Socket(family, kind, protocol)  # an error where the machine lacks the family
                sock.settimeout(None if left is None else left / (len(addresses) - tried))
                sock.connect(address)
            except OSError as error:
                if sock is not None:
                    sock.close()
                failure = error
            else:
                return sock
        if isinstance(failure, TimeoutError):
            raise exceptions.ConnectTimeoutError(connection, "no connection in time") from failure
        raise exceptions.NewConnectionError(connection, str(failure)) from failure


def _interleaved(found: Sequence[_Address]) -> list[_Address]:
    """Return addresses with their families in turn (RFC 8305, section 4), so that IPv4 is tried when IPv6 is dead."""
    families = dict.fromkeys(address[0] for address in found)
    groups = ([address for address in found if address[0] == family] for family in families)
    return [address for group in zip_longest(*groups) for address in group if address is not None]


class _HTTPConnection(_Connecting, HTTPConnection):
    pass


class _HTTPSConnection(_Connecting, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


def pool_manager(size: int, headers: Mapping[str, str]) -> urllib3.PoolManager:
    """Return a pool of connections, `size` per host, whose receives respect `deadline`."""
    context = ssl.create_default_context()
    context.sslsocket_class = _TLSSocket
    manager = urllib3.PoolManager(num_pools=64, maxsize=size, headers=headers, ssl_context=context)
    manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
    return manager
