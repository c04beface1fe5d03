"""What the journal keeps, as typed values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

from pydantic import BaseModel, ConfigDict, JsonValue

from gameday.journal.owner import Owner
from gameday.sdk import AnyEvent, Closed, RunFinished, Sealed, TargetFacts

SILENCE = 60.0
"""Seconds without a heartbeat (one every five) after which a run on another machine counts as dead."""


class Record(BaseModel):
    """Base of all records."""

    model_config = ConfigDict(frozen=True)


class RunRecord(Record):
    """A run, as the journal knows it."""

    run: str
    playbook: str
    started_at: str
    heartbeat_at: str
    owner: Owner
    target: TargetFacts | None = None
    finished_at: str | None = None
    verdict: str | None = None
    exit_code: int | None = None
    story: str | None = None

    def alive(self) -> bool:
        """Whether the run goes on: its process is there, or, where that cannot be seen, it was heard of lately."""
        if self.finished_at is not None:
            return False
        seen = self.owner.alive()
        if seen is not None:
            return seen
        silence = datetime.now(UTC) - datetime.fromisoformat(self.heartbeat_at)
        return silence.total_seconds() < SILENCE


class HoldRecord(Record):
    """A hold on a resource."""

    resource: str
    run: str
    owner: Owner
    taken_at: str


class StepRecord(Record):
    """An undo step: all that another process needs to undo it."""

    run: str
    id: str
    uses: str
    params: dict[str, JsonValue]
    step: str
    resource: str
    rank: int
    chain: int
    order: int
    before: dict[str, JsonValue]
    probe: str = ""
    settle: float = 10.0
    """Seconds for which a call without an answer may still land."""


class StepState(Record):
    """An undo step and how far it is."""

    record: StepRecord
    state: str
    intended_at: str
    injected_at: str | None = None
    closed_at: str | None = None
    closed: str | None = None
    detail: str | None = None


class Journal(Protocol):
    """Where runs, events, holds and undo steps are kept.

    Every method raises :class:`gameday.errors.JournalError` when the journal does not answer; a method that
    returned has made its change durable.
    """

    @property
    def place(self) -> str:
        """Where it is, without a password."""

    def open_run(self, run: str, playbook: str, owner: Owner) -> None:
        """Note that a run begins."""

    def set_target(self, run: str, target: TargetFacts) -> None:
        """Note which AWS the run speaks to, so that others can come back to it."""

    def heartbeat(self, run: str) -> None:
        """Note that the run's owner is alive."""

    def record(self, events: list[Sealed]) -> None:
        """Append events."""

    def append(self, run: str, event: AnyEvent) -> Sealed:
        """Seal an event behind the last of a run that has ended; several may do so at once."""

    def finish_run(self, run: str, finished: RunFinished) -> None:
        """Note how the run ended."""

    def take_hold(self, run: str, owner: Owner, resource: str) -> None:
        """Take the hold on a resource; raises HoldTaken, naming who has it. Taking one's own again is fine."""

    def release(self, run: str, resource: str) -> None:
        """Give back one's own hold."""

    def intend(self, record: StepRecord) -> None:
        """Write down an undo step, durably, before its change; raises HoldTaken when the hold is not the run's."""

    def injected(self, run: str, step: str, *, certain: bool) -> None:
        """Note that the change was made; without ``certain`` it may have been, or may still be."""

    def close(self, run: str, step: str, closed: Closed, detail: str) -> None:
        """Note how the step was closed; closing a closed step changes nothing."""

    def reopen(self, run: str, step: str) -> None:
        """Note that a step which was closed is open again: its change was made after all, and late."""

    def run(self, run: str) -> RunRecord:
        """One run, by its id or the beginning of it; raises JournalError for none or several."""

    def runs(self, limit: int) -> list[RunRecord]:
        """The latest runs, newest first."""

    def events(self, run: str) -> list[Sealed]:
        """A run's events, in order."""

    def steps(self, run: str | None = None, *, only_open: bool = False) -> list[StepState]:
        """Undo steps, of one run or of all, in the order of their intent."""

    def holds(self) -> list[HoldRecord]:
        """All holds."""
