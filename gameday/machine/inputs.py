"""What comes into the machine. ``now`` is seconds on the run's steady clock, never the wall's."""

from __future__ import annotations

from dataclasses import dataclass

from gameday.machine.spec import Spec
from gameday.sdk import Before, Closed, Observation, ReadBack


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
    """The step cannot be made ready: its resource is held, not fit, or the journal did not take it.

    ``certain`` is False for a rehearsal that had no certain answer: its call may still land.
    """

    why: str
    certain: bool = True


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
    """An attempt to undo ended; without ``certain`` a call that was not answered may still land."""

    attempt: int
    ok: bool
    detail: str = ""
    request_id: str = ""
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Overtaken(StepInput):
    """The undo was not sent, since another actor has closed the step."""

    attempt: int
    closed: Closed
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ReadBackDone(StepInput):
    """The resource said what it is, or did not answer."""

    attempt: int
    found: ReadBack


@dataclass(frozen=True, slots=True)
class Signalled(Input):
    """A human or the system asks the run to end."""

    name: str


class FromOthers(Input):
    """Base of what other people say to a run, or do to its resources."""


@dataclass(frozen=True, slots=True)
class Pulsed(FromOthers):
    """The journal answered the run's pulse: the run is known to live, and this is what others say to it.

    Parameters
    ----------
    asked: seconds; when the pulse was begun, which is what the lease counts from.
    holds: the resources whose holds are the run's.
    halted: who halted all game days and why, in one sentence, or ``""``.
    abandoned: who abandoned this run and why, in one sentence, or ``""``.
    """

    asked: float
    holds: frozenset[str]
    halted: str = ""
    abandoned: str = ""


@dataclass(frozen=True, slots=True)
class OthersWatching(FromOthers):
    """From now on other people's changes can be seen, or they cannot, and why."""

    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class StateSeen(FromOthers):
    """A resource was read while its fault is on; ``state`` is its own word for how it is.

    Parameters
    ----------
    asked: seconds on the run's clock; when the read was begun.
    """

    resource: str
    state: str
    asked: float


@dataclass(frozen=True, slots=True)
class OthersSeen(FromOthers):
    """Somebody else changed one of the run's resources.

    Parameters
    ----------
    who: a principal's ARN, or ``""`` when only the change itself was seen.
    what: the call (``DisableKey``), or what was read.
    changed: seconds on the run's clock; when, as far as it is known.
    source: ``CloudTrail`` or ``read``.
    """

    resource: str
    who: str
    what: str
    changed: float
    source: str


@dataclass(frozen=True, slots=True)
class SurroundingsFailed(Input):
    """Something that the run stands on gave way (the journal, say)."""

    why: str
