"""What the journal keeps, as typed values."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from pydantic import BaseModel, ConfigDict, JsonValue

from gameday.errors import JournalError
from gameday.journal.owner import Owner
from gameday.sdk import AnyEvent, Closed, RunFinished, Sealed, TargetFacts

SILENCE = 60.0
"""Seconds without a heartbeat (two a second) after which a run on another machine counts as dead."""


def seconds_since(at: str, now: datetime) -> float:
    """Seconds from a moment in the journal to another."""
    return (now - datetime.fromisoformat(at)).total_seconds()


class RowUnreadable(JournalError):
    """One row holds what gameday does not write; the journal itself answers."""


class Record(BaseModel):
    """Base of all records."""

    model_config = ConfigDict(frozen=True)


class Halt(Record):
    """All game days on this journal are to roll back, and none may begin."""

    by: str
    reason: str
    at: str

    def __str__(self) -> str:
        return f"halted by {self.by} since {self.at[:19]}Z: {self.reason}"


class Abandon(Record):
    """A run is to leave everything as it is: a human has decided."""

    by: str
    reason: str
    at: str


class Pulse(Record):
    """What a run learns whenever it says that it is alive."""

    halt: Halt | None
    abandon: Abandon | None
    holds: frozenset[str]
    """The resources that the run still holds."""


class RunRecord(Record):
    """A run, as the journal knew it when it was read."""

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
    abandon: Abandon | None = None
    silence: float
    """Seconds since the last heartbeat, by the clock of the journal."""
    age: float
    """Seconds since the run began, by the clock of the journal."""

    def alive(self) -> bool:
        """Whether the run goes on: its process is there, or, where that cannot be seen, it was heard of lately."""
        if self.finished_at is not None:
            return False
        seen = self.owner.alive()
        if seen is not None:
            return seen
        return abs(self.silence) < SILENCE  # a heartbeat of tomorrow's is none


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
    named: str = ""
    """What the playbook calls the resource: ``alias/payments``."""
    settle: float = 10.0
    """Seconds for which a call without an answer may still land."""
    seal: str = ""
    """An HMAC over all of it and the run's target, where the target file has ``journal_seal``."""


class StepState(Record):
    """An undo step and how far it is."""

    record: StepRecord
    state: str
    intended_at: str
    injected_at: str | None = None
    closed_at: str | None = None
    closed: str | None = None
    detail: str | None = None


class DueRecord(Record):
    """A due time that somebody has claimed, and what became of it."""

    schedule: str
    due_at: str
    claimed_by: Owner
    claimed_at: str
    heartbeat_at: str
    run: str
    began_at: str | None = None
    outcome: str | None = None
    settled_at: str | None = None
    detail: str = ""
    silence: float
    """Seconds since whoever claimed it said that they are alive, by the clock of the journal."""

    @property
    def name(self) -> str:
        """The schedule's, for people: its playbook at its target."""
        return self.schedule.rpartition("#")[0] or self.schedule

    def abandoned(self) -> bool:
        """Whether it is under way by nobody: who claimed it is gone, or has not been heard of."""
        return self.outcome is None and self.deserted()

    def deserted(self) -> bool:
        """Whether who claimed it is gone, or has not been heard of."""
        seen = self.claimed_by.alive()
        return self.silence >= SILENCE if seen is None else not seen


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

    def pulse(self, run: str) -> Pulse:
        """Note that the run's owner is alive, and learn what others want of it; one transaction."""

    def record(self, events: list[Sealed]) -> None:
        """Append events."""

    def append(self, run: str, event: AnyEvent) -> Sealed:
        """Seal an event behind the last of a run that has ended; several may do so at once."""

    def finish_run(self, run: str, finished: RunFinished) -> None:
        """Note how the run ended."""

    def take_hold(self, run: str, owner: Owner, resource: str) -> None:
        """Take the hold on a resource; raises HoldTaken, naming who has it, or who left an undo step open on it.

        Raises Halted while game days are halted. Taking one's own again is fine.
        """

    def release(self, run: str, resource: str) -> None:
        """Give back a run's hold, unless an undo step of the run is still open on the resource."""

    def intend(self, record: StepRecord) -> None:
        """Write down an undo step, durably, before its change; raises HoldTaken when the hold is not the run's."""

    def injected(self, run: str, step: str, *, certain: bool) -> None:
        """Note that the change was made; without ``certain`` it may have been, or may still be."""

    def close(self, run: str, step: str, closed: Closed, detail: str) -> None:
        """Note how the step was closed; closing a closed step changes nothing."""

    def reopen(self, run: str, step: str) -> None:
        """Note that a step which was closed is open again: its change was made after all, and late."""

    def halt(self, by: str, reason: str) -> Halt:
        """Make every run on this journal roll back, and let none begin; returns the halt that is in force."""

    def resume(self, by: str) -> Halt | None:
        """End the halt; returns the one that was in force."""

    def halted(self) -> Halt | None:
        """The halt that is in force."""

    def abandon(self, run: str, by: str, reason: str) -> Abandon:
        """Ask a run to leave everything as it is; returns what is asked, which may have been before."""

    def known(self, run: str) -> RunRecord | None:
        """The run of that id, if there is one."""

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


def release_holds(journal: Journal, run: str) -> None:
    """Give back the holds of a run that has ended and left nothing open."""
    for hold in journal.holds():
        if hold.run == run:
            journal.release(run, hold.resource)
