"""What comes into the machine. ``now`` is seconds on the run's steady clock, never the wall's."""

from __future__ import annotations

from dataclasses import dataclass

from gameday.machine.spec import Spec
from gameday.sdk import Before, Observation, ReadBack


@dataclass(frozen=True, slots=True)
class Input:
    """Base of all inputs."""

    now: float


class Tick(Input):
    """Time passed."""


@dataclass(frozen=True, slots=True)
class Prepared(Input):
    """Preflight is through: everything is resolved, checked and pinned."""

    spec: Spec


@dataclass(frozen=True, slots=True)
class PrepareFailed(Input):
    """There is a reason not to begin."""

    why: str
    exit_code: int = 5


@dataclass(frozen=True, slots=True)
class Observed(Input):
    """A look ended; ``observation`` is None when it was cancelled."""

    sample: int
    observation: Observation | None


@dataclass(frozen=True, slots=True)
class StepInput(Input):
    """Base of what the hands say of one step."""

    step: str


class Held(StepInput):
    """The hold on the step's resource is ours."""


class Rehearsed(StepInput):
    """The undo is permitted."""


@dataclass(frozen=True, slots=True)
class ArmRefused(StepInput):
    """The step cannot be made ready: its resource is held, not fit, or the journal did not take it."""

    why: str


@dataclass(frozen=True, slots=True)
class Captured(StepInput):
    """The state before is known."""

    before: Before


class Intended(StepInput):
    """The state before is written down durably, under a hold that is still ours."""


@dataclass(frozen=True, slots=True)
class Injected(StepInput):
    """The change was made, or (``certain`` False) may have been."""

    certain: bool
    detail: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class InjectRefused(StepInput):
    """The change was definitely not made."""

    why: str


@dataclass(frozen=True, slots=True)
class Undone(StepInput):
    """An attempt to undo ended."""

    attempt: int
    ok: bool
    detail: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class ReadBackDone(StepInput):
    """The resource said what it is, or did not answer."""

    attempt: int
    found: ReadBack


@dataclass(frozen=True, slots=True)
class Signalled(Input):
    """A human or the system asks the run to end."""

    name: str


@dataclass(frozen=True, slots=True)
class SurroundingsFailed(Input):
    """Something that the run stands on gave way (the journal, say)."""

    why: str
