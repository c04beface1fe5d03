"""What comes out of the machine: the hands carry these out and answer with inputs."""

from __future__ import annotations

from dataclasses import dataclass

from gameday.sdk import AnyEvent, Before, Closed, Phase


@dataclass(frozen=True, slots=True)
class Command:
    """Base of all commands."""


@dataclass(frozen=True, slots=True)
class Emit(Command):
    """Append an event to the run's stream."""

    event: AnyEvent


@dataclass(frozen=True, slots=True)
class Sample(Command):
    """Look once; answered by Observed."""

    sample: int
    probe: str
    phase: Phase


@dataclass(frozen=True, slots=True)
class Cancel(Command):
    """Stop a look at its next pause or change."""

    sample: int


@dataclass(frozen=True, slots=True)
class StepCommand(Command):
    """Base of what is asked of one step."""

    step: str


class TakeHold(StepCommand):
    """Answered by Held or ArmRefused."""


class Rehearse(StepCommand):
    """Prove that the undo is permitted, under the hold; answered by Rehearsed or ArmRefused."""


class Capture(StepCommand):
    """Answered by Captured or ArmRefused."""


@dataclass(frozen=True, slots=True)
class Intend(StepCommand):
    """Write the state before durably, under the hold; answered by Intended or ArmRefused."""

    before: Before


@dataclass(frozen=True, slots=True)
class Inject(StepCommand):
    """Make the change, once; answered by Injected or InjectRefused."""

    before: Before


@dataclass(frozen=True, slots=True)
class RecordInjected(StepCommand):
    """Write down that the change was made, and whether that is over for certain; nothing waits for it."""

    certain: bool


@dataclass(frozen=True, slots=True)
class Undo(StepCommand):
    """Answered by Undone with the same attempt."""

    attempt: int
    before: Before


@dataclass(frozen=True, slots=True)
class ReadBackStep(StepCommand):
    """Answered by ReadBackDone with the same attempt."""

    attempt: int
    before: Before


@dataclass(frozen=True, slots=True)
class CloseStep(StepCommand):
    """Write down how the step was closed; nothing waits for it."""

    closed: Closed
    detail: str


class Reopen(StepCommand):
    """Write down that a closed step is open again; nothing waits for it."""


class StandDown(Command):
    """Tell the watchdog that nothing of this run is to be undone any more: somebody abandoned it. Nothing waits."""


@dataclass(frozen=True, slots=True)
class ReleaseHold(Command):
    """Give the hold back; nothing waits for it."""

    resource: str


@dataclass(frozen=True, slots=True)
class Finish(Command):
    """The run is over."""

    exit_code: int
