"""An exporter on a thread of its own: a blocked terminal or a full pipe holds up nobody else."""

from __future__ import annotations

import logging
import threading
from queue import SimpleQueue

from gameday.sdk import Exporter, Sealed

log = logging.getLogger(__name__)


class Listener(threading.Thread):
    """Hands events to one exporter, in order."""

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
