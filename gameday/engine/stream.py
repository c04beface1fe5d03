"""The run's one stream of events: numbered, dated, chained, and handed to everyone who listens."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from queue import SimpleQueue

from gameday.sdk import AnyEvent, Exporter, Sealed, seal

log = logging.getLogger(__name__)


class Stream:
    """Seals events and hands them on; never waits for a listener.

    Parameters
    ----------
    run: the run's id.
    keep: called with each sealed event, must return at once (the journal's queue).
    exporters: each gets the events on a thread of its own.
    """

    def __init__(
        self,
        run: str,
        keep: Callable[[Sealed], None],
        exporters: Sequence[Exporter] = (),
    ) -> None:
        self._run, self._keep = run, keep
        self._seq, self._previous = 0, ""
        self._lock = threading.Lock()
        self._listeners = [Listener(exporter) for exporter in exporters]

    def emit(self, event: AnyEvent) -> None:
        """Append an event."""
        with self._lock:
            at = datetime.now(UTC).isoformat(timespec="microseconds")
            sealed = seal(self._run, self._seq, at, self._previous, event)
            self._seq, self._previous = self._seq + 1, sealed.hash
            self._keep(sealed)
            for listener in self._listeners:
                listener.put(sealed)

    def close(self, within: float) -> None:
        """Let the listeners finish, for ``within`` seconds together; one that hangs is left behind."""
        for listener in self._listeners:
            listener.put(None)
        deadline = time.monotonic() + within
        for listener in self._listeners:
            listener.join(max(0.0, deadline - time.monotonic()))


class Listener(threading.Thread):
    """An exporter on a thread of its own: a blocked terminal or a full pipe holds up nobody else."""

    def __init__(self, exporter: Exporter) -> None:
        super().__init__(name=f"exporter {type(exporter).__name__}", daemon=True)
        self._exporter = exporter
        self._queue: SimpleQueue[Sealed | None] = SimpleQueue()
        self.start()

    def put(self, sealed: Sealed | None) -> None:
        """Hand over the next event; None ends it."""
        self._queue.put(sealed)

    def run(self) -> None:
        """Consume until the end; an exporter that fails is told no more."""
        try:
            while (sealed := self._queue.get()) is not None:
                self._exporter.consume(sealed)
            self._exporter.close()
        except Exception:  # a listener's failure must never reach the run: the key comes first
            log.warning("%s failed and is left out from here on", self.name, exc_info=True)
