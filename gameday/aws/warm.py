"""One GET over a connection that is open already, without what urllib3 and http.client do for each: 20 µs for 200.

Connections are made by botocore, with its proxies, certificates and timeouts, and go back to its pool; nothing is
opened here. An answer of the usual form (a length, no chunks) is read from the socket; any other is http.client's.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from urllib3.exceptions import ClosedPoolError, ProtocolError
from urllib3.exceptions import ReadTimeoutError as BodyTimeoutError

if TYPE_CHECKING:
    import socket

    from urllib3.connection import HTTPConnection
    from urllib3.connectionpool import HTTPConnectionPool

_AT_ONCE = 65536
_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Head:
    """The first lines of an answer; the names of its headers are in lower case."""

    status: int
    headers: dict[str, str]
    size: int


class Warm:
    """A connection that was taken out of botocore's pool, for one exchange.

    Parameters
    ----------
    url: what is asked for, for the errors.
    """

    def __init__(self, pool: HTTPConnectionPool, connection: HTTPConnection, url: str) -> None:
        self._pool, self._connection, self._url = pool, connection, url
        sock: Any = connection.sock  # the stubs do not say that urllib3's sockets are sockets
        self._sock: socket.socket = sock

    @classmethod
    def take(cls, pool: HTTPConnectionPool, url: str) -> Warm | None:
        """One that is open; None where botocore must open one."""
        if pool.proxy is not None and pool.scheme == "http":
            return None  # a proxy is asked in other words
        try:
            connection: Any = pool._get_conn()
        except ClosedPoolError:  # botocore keeps ten
            return None
        if connection.sock is None:
            pool._put_conn(connection)
            return None
        return cls(pool, connection, url)

    def ask(self, request: bytes) -> Answer:
        """Send a request and read the head of the answer; raises what botocore's ``send`` raises."""
        try:
            self._sock.sendall(request)
            held = b""
            while _END not in held and len(held) < _AT_ONCE and (more := self._sock.recv(_AT_ONCE)):
                held += more
            head = _head(held)
            return self._usual(head, held[head.size :]) if head else self._any(held)
        except TimeoutError as error:
            self.drop()
            raise ReadTimeoutError(endpoint_url=self._url, error=error) from error
        except (OSError, HTTPException) as error:
            self.drop()
            raise ConnectionClosedError(endpoint_url=self._url, error=error, request=None) from error

    def keep(self) -> None:
        """The exchange is over; the next may use the connection."""
        self._pool._put_conn(self._connection)

    def drop(self) -> None:
        """The exchange cannot be ended as it should."""
        self._connection.close()
        self._pool._put_conn(self._connection)

    def broken(self, error: Exception) -> Exception:
        """What urllib3 says of a body that breaks off."""
        self.drop()
        if isinstance(error, TimeoutError):
            return BodyTimeoutError(self._pool, self._url, "Read timed out.")
        return ProtocolError(f"Connection broken: {error!r}", error)

    def _usual(self, head: Head, held: bytes) -> Answer:
        left = int(head.headers["content-length"])
        lasts = len(held) <= left and head.headers.get("connection", "").lower() != "close"
        held = held[:left]

        def read(most: int) -> bytes:
            nonlocal held, left
            if held:
                chunk, held = held[:most], held[most:]
            else:
                chunk = self._sock.recv(min(most, left)) if left else b""
            left -= len(chunk)
            return chunk

        return Answer(head.status, head.headers, Body(self, read, lambda: lasts and not left))

    def _any(self, held: bytes) -> Answer:
        replayed: Any = _Replayed(self._sock, held)  # all of a socket that http.client wants
        answer = HTTPResponse(replayed, method="GET")
        answer.begin()
        headers: dict[str, str] = {}
        for name, value in answer.getheaders():
            headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
        return Answer(answer.status, headers, Body(self, answer.read, lambda: not answer.will_close))


class Body:
    """The body of an answer; its connection goes back to the pool when all of it was read.

    Parameters
    ----------
    read: gives up to so many bytes, none at the end.
    lasts: whether the connection may be used again once the end was reached.
    """

    def __init__(self, warm: Warm, read: Callable[[int], bytes], lasts: Callable[[], bool]) -> None:
        self._warm, self._read, self._lasts = warm, read, lasts
        self._over = False

    def read(self, most: int) -> bytes:
        """Up to so many bytes; raises urllib3's ReadTimeoutError and ProtocolError, as its own bodies do."""
        if self._over:
            return b""
        try:
            chunk = self._read(most)
        except (OSError, HTTPException) as error:
            self._over = True
            raise self._warm.broken(error) from error
        if not chunk and most > 0:
            self._over = True
            (self._warm.keep if self._lasts() else self._warm.drop)()
        return chunk

    def close(self) -> None:
        """Read no more of it."""
        if not self._over:
            self._over = True
            self._warm.drop()


@dataclass(frozen=True)
class Answer:
    """As much of botocore's AWSResponse as its parsers ask for."""

    status_code: int
    headers: dict[str, str]
    raw: Body


class _Replayed(io.RawIOBase):
    """A socket, after the bytes that were read from it already."""

    def __init__(self, sock: socket.socket, held: bytes) -> None:
        self._sock, self._held = sock, held

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        chunk = self._held[: len(into)] or self._sock.recv(len(into))
        self._held = self._held[len(chunk) :]
        into[: len(chunk)] = chunk
        return len(chunk)


def _head(held: bytes) -> Head | None:
    """The head of an answer whose body has a length and comes in one piece; None of any other."""
    first, *lines = held.partition(_END)[0].decode("latin-1").split("\r\n")
    version, _, status = first.partition(" ")
    if version != "HTTP/1.1" or not status[:3].isdecimal() or status[:3] < "200" or status[:3] in ("204", "304"):
        return None
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or name in headers or name != name.strip():
            return None
        headers[name] = value.strip()
    usual = headers.get("content-length", "").isdecimal() and "transfer-encoding" not in headers
    return Head(int(status[:3]), headers, held.index(_END) + len(_END)) if usual and _END in held else None
