"""Time as a lazy agenda: what is due happens when the next request comes; no timer threads.

Only the agenda can be advanced. The time of day that AWS' answers and CloudTrail carry stays the wall
clock, since clients compare those with their own.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

log = logging.getLogger("gameday.lab")

Action = Callable[[], None]


@dataclass(order=True, slots=True)
class _Due:
    when: float
    turn: int
    action: Action = field(compare=False)


class Agenda:
    """A heap of due actions. Not thread-safe: its owner holds the lab's lock."""

    def __init__(self) -> None:
        self._heap: list[_Due] = []
        self._turns = itertools.count()
        self._ahead = 0.0

    def now(self) -> float:
        """Seconds on the lab's clock: monotonic, plus what it was advanced by."""
        return time.monotonic() + self._ahead

    def after(self, seconds: float, action: Action) -> None:
        """Let ``action`` happen ``seconds`` from now, before the request that comes next."""
        heapq.heappush(self._heap, _Due(self.now() + seconds, next(self._turns), action))

    def drain(self) -> None:
        """Do all that is due, in order; what an action adds with no delay is done too."""
        while self._heap and self._heap[0].when <= self.now():
            self._do(heapq.heappop(self._heap))

    def advance(self, seconds: float) -> None:
        """Move the clock on, step by step, so that chains of actions happen in their order."""
        goal = self.now() + seconds
        while self._heap and self._heap[0].when <= goal:
            self._ahead += max(0.0, self._heap[0].when - self.now())
            self._do(heapq.heappop(self._heap))
        self._ahead += max(0.0, goal - self.now())

    def _do(self, due: _Due) -> None:
        try:
            due.action()
        except Exception:  # a bug in one action: logged, since the request that comes next is innocent of it
            log.exception("an action of the agenda failed")

    def clear(self) -> None:
        """Forget all that is due."""
        self._heap.clear()


def wall() -> datetime:
    """The time of day, UTC, aware."""
    return datetime.now(UTC)
