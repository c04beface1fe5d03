"""A run as JSON lines: every sealed event, as the journal holds it."""

from __future__ import annotations

import json
from typing import TextIO

from exporters.text import Sink
from gameday.sdk import Exporter, Sealed


class JsonLines(Exporter):
    """Writes each sealed event as one line of JSON and flushes it.

    Parameters
    ----------
    stream: where the lines go; once its reader is gone, nothing is written any more.
    """

    def __init__(self, stream: TextIO) -> None:
        self._sink = Sink(stream)

    def consume(self, sealed: Sealed) -> None:
        """Write the next event."""
        # ASCII only, so that no stream's encoding and no unpaired surrogate can stop a line.
        self._sink.line(json.dumps(sealed.model_dump(mode="json"), separators=(",", ":")))
