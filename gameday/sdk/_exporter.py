"""The base class of what consumes a run's events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gameday.sdk._events import Sealed


class Exporter(ABC):
    """Consumes the events of a run, one at a time and in order, on a thread of its own.

    An exporter may be slow, hang or fail: the run goes on without it.
    """

    @abstractmethod
    def consume(self, sealed: Sealed) -> None:
        """Take the next event."""

    def close(self) -> None:  # noqa: B027 - most have nothing to write out
        """The run is over; write out what is left. Called once, not later than two seconds after the last event."""
