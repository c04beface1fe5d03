"""The journal's own thread: everything is written in order, and nobody waits for it but who must."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from gameday.errors import GamedayError
from gameday.journal import Journal
from gameday.sdk import Sealed

log = logging.getLogger(__name__)

Write = Callable[[Journal], object]
Refusal = Callable[[str], None]


class JournalWriter(threading.Thread):
    """Writes to the journal, first come, first served.

    Parameters
    ----------
    journal: where.
    failed: told once, in a sentence, when a write that nobody waits for does not get through.
    """

    def __init__(self, journal: Journal, failed: Refusal) -> None:
        super().__init__(name="journal", daemon=True)
        self._journal, self._failed = journal, failed
        self._queue: SimpleQueue[tuple[Write, Callable[[], None] | None, Refusal | None] | Sealed] = SimpleQueue()
        self._broken = False
        self._pending = 0
        self._idle = threading.Condition()
        self.start()

    def event(self, sealed: Sealed) -> None:
        """Append an event; returns at once."""
        self._put(sealed)

    def write(self, write: Write, done: Callable[[], None] | None = None, refused: Refusal | None = None) -> None:
        """Queue a write; ``done`` or ``refused`` is called from the journal's thread when it is over."""
        self._put((write, done, refused))

    def flush(self, within: float) -> bool:
        """Wait until everything is written, for ``within`` seconds at most; whether all of it got through."""
        deadline = time.monotonic() + within
        with self._idle:
            while self._pending and (left := deadline - time.monotonic()) > 0:
                self._idle.wait(left)
            return not self._pending and not self._broken

    def run(self) -> None:
        """Write until the process ends."""
        while True:
            first = self._queue.get()
            count = self._events(first) if isinstance(first, Sealed) else self._one(*first)
            with self._idle:
                self._pending -= count
                self._idle.notify_all()

    def _put(self, item: tuple[Write, Callable[[], None] | None, Refusal | None] | Sealed) -> None:
        with self._idle:
            self._pending += 1
        self._queue.put(item)

    def _events(self, first: Sealed) -> int:
        """Write all events that wait, in one transaction; then what stood behind them."""
        batch, behind = [first], None
        while behind is None:
            try:
                item = self._queue.get_nowait()
            except Empty:
                break
            if isinstance(item, Sealed):
                batch.append(item)
            else:
                behind = item
        self._one(lambda journal: journal.record(batch), None, None)
        return len(batch) + (self._one(*behind) if behind is not None else 0)

    def _one(self, write: Write, done: Callable[[], None] | None, refused: Refusal | None) -> int:
        try:
            write(self._journal)
        except Exception as error:  # whatever it is: this thread must live, and whoever waits must be told
            if not isinstance(error, GamedayError):
                log.exception("the journal failed in a way that it should not")
            if refused is not None:
                refused(str(error))
            elif not self._broken:
                self._broken = True
                self._failed(str(error))
        else:
            if done is not None:
                done()
        return 1
