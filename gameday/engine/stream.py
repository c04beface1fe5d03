"""The run's one stream of events: numbered, dated, chained, and handed to everyone who listens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from gameday.rollback.listener import Listener
from gameday.sdk import AnyEvent, Exporter, RunFinished, Sealed, seal


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
        self._over = False
        self._lock = threading.Lock()
        self._listeners = [Listener(exporter) for exporter in exporters]

    def listen(self, exporter: Exporter) -> None:
        """Hand it every event from now on too."""
        with self._lock:
            self._listeners.append(Listener(exporter))

    def emit(self, event: AnyEvent) -> None:
        """Append an event; after the run's last word nothing more is taken (a preflight check that was still on)."""
        with self._lock:
            if self._over:
                return
            self._over = isinstance(event, RunFinished)
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
