"""A journal in memory, for the simulation; a conformance test holds it to the SQL one.

Only what decides something: runs, holds, undo steps, halt and abandonment. Its clock is whatever it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from gameday.errors import Halted, HoldTaken, JournalError
from gameday.journal import Abandon, Halt, Pulse, StepRecord, StepState
from gameday.sdk import Closed


@dataclass
class MemoryRun:
    """A run, as far as others can see it."""

    heartbeat_at: str
    finished_at: str | None = None
    abandon: Abandon | None = None


@dataclass
class MemoryStep:
    """An undo step and how far it is."""

    record: StepRecord
    intended_at: str
    state: str = "intended"
    injected_at: str | None = None
    closed: str | None = None
    detail: str | None = None


@dataclass
class MemoryJournal:
    """What :class:`gameday.journal.Journal` promises of holds, steps, halt and abandonment.

    Parameters
    ----------
    now: the time that is written down.
    down: whether it answers at all; asked before each call.
    """

    now: Callable[[], datetime]
    down: Callable[[], bool] = lambda: False
    _runs: dict[str, MemoryRun] = field(default_factory=dict)
    _holds: dict[str, str] = field(default_factory=dict)
    _steps: dict[tuple[str, str], MemoryStep] = field(default_factory=dict)
    _halt: Halt | None = None

    def open_run(self, run: str) -> None:
        """Note that a run begins."""
        self._answer()
        self._runs[run] = MemoryRun(self._at())

    def pulse(self, run: str) -> Pulse:
        """Note that the run lives; what others want of it, and what it still holds."""
        self._answer()
        self._runs[run].heartbeat_at = self._at()
        held = frozenset(resource for resource, owner in self._holds.items() if owner == run)
        return Pulse(halt=self._halt, abandon=self._runs[run].abandon, holds=held)

    def finish_run(self, run: str) -> None:
        """Note that the run has ended."""
        self._answer()
        self._runs[run].finished_at = self._at()

    def take_hold(self, run: str, resource: str) -> None:
        """Take the hold, unless another has it or left a step open on the resource, or all is halted."""
        self._answer()
        if self._halt is not None:
            raise Halted("halted")
        owner = self._holds.get(resource)
        if owner is None:
            others = (s for (who, _), s in self._steps.items() if who != run and s.record.resource == resource)
            if any(step.state != "closed" for step in others):
                raise HoldTaken("open")
            self._holds[resource] = run
        elif owner != run:
            raise HoldTaken("held")

    def release(self, run: str, resource: str) -> None:
        """Give the hold back, unless a step of the run is open on the resource."""
        self._answer()
        mine = (step for (who, _), step in self._steps.items() if who == run and step.record.resource == resource)
        if self._holds.get(resource) == run and all(step.state == "closed" for step in mine):
            del self._holds[resource]

    def intend(self, record: StepRecord) -> None:
        """Write down a step, under a hold that is the run's."""
        self._answer()
        if self._holds.get(record.resource) != record.run:
            raise HoldTaken("lost")
        if (record.run, record.id) in self._steps:
            raise JournalError("twice")
        self._steps[record.run, record.id] = MemoryStep(record, self._at())

    def injected(self, run: str, step: str, *, certain: bool) -> None:
        """Note that the change was made, or may have been."""
        self._answer()
        if (found := self._open(run, step)) is not None:
            found.state, found.injected_at = "injected" if certain else "intended", self._at()

    def close(self, run: str, step: str, closed: Closed, detail: str) -> None:
        """Note how a step was closed; a closed one stays as it is."""
        self._answer()
        if (found := self._open(run, step)) is not None:
            found.state, found.closed, found.detail = "closed", str(closed), detail

    def reopen(self, run: str, step: str) -> None:
        """Note that a step is open again."""
        self._answer()
        if (found := self._steps.get((run, step))) is not None:
            found.state, found.closed, found.injected_at = "intended", None, self._at()

    def halt(self, by: str, reason: str) -> Halt:
        """Halt all; the first halt stays."""
        self._answer()
        self._halt = self._halt or Halt(by=by, reason=reason, at=self._at())
        return self._halt

    def resume(self) -> None:
        """End the halt."""
        self._answer()
        self._halt = None

    def abandon(self, run: str, by: str, reason: str) -> Abandon:
        """Ask a run to leave all as it is; the first one stays."""
        self._answer()
        found = self._runs[run]
        found.abandon = found.abandon or Abandon(by=by, reason=reason, at=self._at())
        return found.abandon

    def holds(self) -> dict[str, str]:
        """Who holds what."""
        return dict(self._holds)

    def run(self, run: str) -> MemoryRun:
        """A run."""
        return self._runs[run]

    def steps(self, run: str | None = None, *, only_open: bool = False) -> list[StepState]:
        """Undo steps, in the order of their intent."""
        found = [step for (who, _), step in self._steps.items() if run in (None, who)]
        return [
            StepState(
                record=step.record,
                state=step.state,
                intended_at=step.intended_at,
                injected_at=step.injected_at,
                closed=step.closed,
                detail=step.detail,
            )
            for step in found
            if not (only_open and step.state == "closed")
        ]

    def _open(self, run: str, step: str) -> MemoryStep | None:
        found = self._steps.get((run, step))
        return found if found is not None and found.state != "closed" else None

    def _at(self) -> str:
        return self.now().isoformat(timespec="microseconds")

    def _answer(self) -> None:
        if self.down():
            raise JournalError("the journal does not answer")
