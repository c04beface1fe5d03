"""The base class of what consumes a run's events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, Self

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


class EnvironmentExporter(Exporter):
    """An exporter that a variable of the environment switches on; one that needs an option is the command line's."""

    uses: ClassVar[str]
    """Its name, ``service.what``; its file has the same."""

    @classmethod
    @abstractmethod
    def wanted(cls, environment: Mapping[str, str], say: Callable[[str], None]) -> Self | None:
        """One that is ready to consume, or None where the environment does not ask for it.

        ``say`` tells the user something in one line.
        """
