"""The line to one client: can be held open, and notices when the client goes away."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable

TICK = 0.05


class Line:
    """One connection, while one request is being handled on it."""

    def __init__(self, connection: socket.socket | None) -> None:
        self._connection = connection

    def hold(self, seconds: float, done: Callable[[], bool] = lambda: False) -> None:
        """Say nothing until it is done, the client is gone, or ``seconds`` are over."""
        end = time.monotonic() + seconds
        while not done():
            left = end - time.monotonic()
            if left <= 0 or self._gone(min(TICK, left)):
                return

    def _gone(self, wait: float) -> bool:
        if self._connection is None:
            time.sleep(wait)
            return False
        try:
            readable, _, _ = select.select([self._connection], [], [], wait)
            if not readable:
                return False
            if self._connection.recv(1, socket.MSG_PEEK) == b"":
                return True
        except OSError:
            return True
        time.sleep(wait)  # the client has sent ahead; it is still there
        return False
