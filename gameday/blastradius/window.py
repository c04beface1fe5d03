"""When a run took a key away and put it back, from the run's own events; and which calls were its own."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gameday.sdk import Exporter, ProbeObserved, Sealed, StepClosed, StepInjected, UndoTried


@dataclass(frozen=True)
class Moments:
    """What is known so far.

    Parameters
    ----------
    off, on: when the first inject was asked for, and when the last undo was answered; by this machine's clock.
    off_request, on_request: the request ids of those calls, or ``""``.
    requests: the request ids of gameday's own calls.
    changes: of these, the ids of the calls that took the key away and put it back.
    """

    off: datetime | None = None
    on: datetime | None = None
    off_request: str = ""
    on_request: str = ""
    requests: frozenset[str] = frozenset()
    changes: frozenset[str] = frozenset()


class FaultWindow(Exporter):
    """A fold over a run's events.

    Parameters
    ----------
    steps: the ids of the undo steps that take the key away.
    """

    def __init__(self, steps: frozenset[str]) -> None:
        self._steps, self._moments = steps, Moments()
        self._lock = threading.Lock()

    @property
    def moments(self) -> Moments:
        """What is known now; may be asked from any thread."""
        with self._lock:
            return self._moments

    def consume(self, sealed: Sealed) -> None:
        """Take the next event."""
        with self._lock:
            self._take(sealed)

    def _take(self, sealed: Sealed) -> None:
        event, at, known = sealed.event, datetime.fromisoformat(sealed.at), self._moments
        if isinstance(event, ProbeObserved):
            seen = event.observation
            known = replace(known, requests=known.requests | {seen.request_id, *seen.more_requests})
        elif not isinstance(event, StepInjected | UndoTried | StepClosed) or event.step not in self._steps:
            return
        elif isinstance(event, StepClosed):
            known = replace(known, on=known.on or at)
        else:
            known = self._called(event, at, known)
        self._moments = replace(known, requests=known.requests - {""}, changes=known.changes - {""})

    @staticmethod
    def _called(event: StepInjected | UndoTried, at: datetime, known: Moments) -> Moments:
        known = replace(known, changes=known.changes | {event.request_id})
        if isinstance(event, StepInjected):
            asked = at - timedelta(seconds=max(0.0, event.answered - event.asked))
            return replace(known, off=asked, off_request=event.request_id) if known.off is None else known
        return replace(known, on=at, on_request=event.request_id) if event.ok and known.off is not None else known
