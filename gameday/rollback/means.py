"""What a watchdog needs for an undo: a session, the steps, warm clients and an open journal, made ready in time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from gameday.aws.errors import certain
from gameday.journal import Journal
from gameday.rollback.clock import steady
from gameday.rollback.hands import explain
from gameday.rollback.orders import Answer, Guard, Meet, Prove
from gameday.rollback.recovery import rebuild
from gameday.sdk import (
    AWS,
    Closed,
    Event,
    RollbackFinished,
    RollbackStarted,
    Step,
    StepClosed,
    StepReadBack,
    TargetFacts,
    UndoTried,
)

WARMED_EVERY = 10.0
"""Seconds between reads that keep connections and credentials fresh while something is open."""


@dataclass(frozen=True)
class Errand:
    """What a watchdog is born with.

    Parameters
    ----------
    open_journal: opens the journal anew: connections do not survive a fork.
    reopen: makes a session on a run's AWS, as who puts back.
    finish_with: the command that finishes the rollback by hand.
    """

    run: str
    open_journal: Callable[[], Journal]
    reopen: Callable[[TargetFacts, str], AWS]
    finish_with: str


class Means(threading.Thread):
    """Makes ready on a thread of its own: whatever hangs here, the watchdog goes on watching.

    Parameters
    ----------
    answer: tells the runner whether a step could be undone from here; called from this thread.
    """

    def __init__(self, errand: Errand, answer: Callable[[Answer], None]) -> None:
        super().__init__(name="means", daemon=True)
        self._errand, self._answer = errand, answer
        self._queue: SimpleQueue[Meet | Prove | Guard] = SimpleQueue()
        self._guarded: dict[str, Guard] = {}
        self._trouble = "it has not been told which AWS"
        self.began = steady()
        self.aws: AWS | None = None
        self.steps: dict[str, Step] = {}
        self.journal: Journal | None = None
        self.pipes: list[int] = []
        """Descriptors that are held open as long as the watchdog lives."""

    def put(self, order: Meet | Prove | Guard) -> None:
        """Make ready for it."""
        self._queue.put(order)

    def run(self) -> None:
        """Make ready until the process ends."""
        while True:
            try:
                order = self._queue.get(timeout=WARMED_EVERY)
            except Empty:
                self._keep_warm()
                continue
            match order:
                case Meet():
                    self._meet(order)
                case Prove():
                    self._answer(self._prove(order))
                case Guard():
                    self._guarded[order.record.id] = order
                    self._warm(order)

    def _meet(self, order: Meet) -> None:
        self.began = order.began
        _build_events()
        try:
            self.journal = self._errand.open_journal()
            self.aws = self._errand.reopen(order.target, self._errand.run)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told when the first step is to be proved
            self._trouble = explain(error)

    def _prove(self, order: Prove) -> Answer:
        """Whether this step could be undone from here."""
        if self.aws is None or self.journal is None:
            return Answer(id=order.id, why=f"the watchdog is not ready: {self._trouble}")
        record = order.record
        try:
            step = self.steps[record.id] = rebuild(record)
            for action in (*step.calls.undo, *step.calls.read):
                self._clients(action.partition(":")[0])
            with self.aws.rehearsing():
                step.rehearse(self.aws)
        except Exception as error:  # noqa: BLE001 - whatever a rehearsal meets is a reason not to begin
            why = f"the watchdog rehearsed the undo of {record.id} on {record.resource}, in vain: {explain(error)}"
            return Answer(id=order.id, why=why, sure=certain(error))
        return Answer(id=order.id)

    def _clients(self, service: str) -> None:
        """Making a client reads the service's model: up to a tenth of a second that must not be spent later."""
        assert self.aws is not None
        with suppress(Exception):  # a prefix that is no service's name; then the first call makes its client
            self.aws.client(service)
            self.aws.changing(service)

    def _keep_warm(self) -> None:
        for order in tuple(self._guarded.values()):
            self._warm(order)

    def _warm(self, order: Guard) -> None:
        step = self.steps.get(order.record.id)
        if step is not None and self.aws is not None:
            with suppress(Exception):  # it is only to be warm; the rollback says what is wrong
                step.read_back(self.aws, order.record.before)


def _build_events() -> None:
    """Pydantic builds a model when it is first used; not at the moment of need."""
    built: tuple[Event, ...] = (
        RollbackStarted(at=0.0, reason=""),
        UndoTried(step="", attempt=1, asked=0.0, answered=0.0, ok=True),
        StepReadBack(step="", at=0.0, found="restored"),
        StepClosed(step="", at=0.0, closed=Closed.RESTORED),
        RollbackFinished(at=0.0, seconds=0.0, complete=True),
    )
    for event in built:
        event.model_dump_json()
