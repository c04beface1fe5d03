"""What happens in a run, as typed, immutable facts.

A run is a sequence of these; the journal, the terminal, the metrics and the reports are folds over it.
Times inside an event are seconds since the run's start (its own steady clock); the wall clock stands on the
:class:`Sealed` envelope.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from gameday.sdk._observation import Observation
from gameday.sdk._radius import Dependent, Fate, Latent, Seen, Sizes
from gameday.sdk._words import Closed, Phase, Verdict


class Interval(BaseModel):
    """A time that is only known to lie between two looks: seconds since the change."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    after: float
    """When the last old answer was asked for."""
    by: float
    """When the first new answer was there."""


class Event(BaseModel):
    """Base of all events."""

    # Built when first used: a command that emits no event does not pay for two dozen of them.
    model_config = ConfigDict(frozen=True, defer_build=True)


class RoleFacts(BaseModel):
    """A role that is assumed, and how; an external id is no secret (IAM User Guide)."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    arn: str
    external_id: str = ""
    seconds: int | None = None
    tags: dict[str, str] = {}


class TargetFacts(BaseModel):
    """Which AWS a run speaks to; enough to come back to it from another process, and no secret."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    kind: Literal["lab", "aws"]
    account: str
    region: str
    endpoint: str = ""
    caller: str = ""
    profile: str = ""
    name: str = ""
    """The target file's name, or ``""``."""
    run_role: RoleFacts | None = None
    """Who runs, where it is not the credentials themselves."""
    rollback_role: RoleFacts | None = None
    """Who puts back, where it is not who runs."""
    rollback_caller: str = ""
    """As STS shows who puts back; ``""`` where it is the caller."""
    lab_pid: int = 0
    """The embedded lab's process, which ends with its run; 0 for an AWS that outlives the run."""


class ProbeFacts(BaseModel):
    """A probe or guard as the run's readers need it."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    uses: str
    resource: str = ""
    expect: dict[Phase, tuple[str, ...]]
    within: dict[Phase, float] = {}
    guard: str = ""
    """``"3 of 5"`` for a guard, else ``""``."""
    aborts_at: int = Field(default=0, exclude_if=lambda count: not count)
    """How many of a guard's last ``window`` looks must fail for a breach; 0 for a probe."""
    window: int = Field(default=0, exclude_if=lambda count: not count)
    role: str = Field(default="", exclude_if=lambda name: not name)
    """The name or ARN of the role that it looks as, or ``""``."""


class StepFacts(BaseModel):
    """An undo step as the run's readers need it."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    id: str
    uses: str
    step: str
    resource: str
    switch: bool = False
    """A dead man's switch: it changes nothing that anybody uses."""
    named: str = Field(default="", exclude_if=lambda name: not name)
    """The resource as the playbook names it, such as ``alias/payments``; ``""`` where that is no other name."""


class RunStarted(Event):
    kind: Literal["run_started"] = "run_started"
    run: str
    playbook: str
    description: str = ""
    playbook_hash: str = ""
    machine: str = ""
    pid: int = 0
    version: str = ""


class Staged(Event):
    kind: Literal["staged"] = "staged"
    uses: str
    detail: str


class PreflightChecked(Event):
    kind: Literal["preflight_checked"] = "preflight_checked"
    check: str
    ok: bool
    detail: str = ""


class RunPrepared(Event):
    """Everything is resolved and pinned: what will be watched, what will be changed, within which limits."""

    kind: Literal["run_prepared"] = "run_prepared"
    target: TargetFacts
    probes: tuple[ProbeFacts, ...]
    steps: tuple[StepFacts, ...]
    limits: dict[str, float]
    """Seconds, by the names of the playbook's ``timing``."""


class PhaseEntered(Event):
    kind: Literal["phase_entered"] = "phase_entered"
    phase: Phase
    at: float
    limit: float | None = None
    """Seconds after which the phase ends at the latest."""


class ProbeObserved(Event):
    kind: Literal["probe_observed"] = "probe_observed"
    probe: str
    phase: Phase
    asked: float
    answered: float
    observation: Observation
    meets: bool | None = None
    """Whether it is what the phase expects; None where it says nothing, or came from an earlier phase."""


class ExpectationMet(Event):
    kind: Literal["expectation_met"] = "expectation_met"
    probe: str
    phase: Phase
    cause: str
    interval: Interval
    """Since the inject (fault), the beginning of rollback (recovery), or the phase's beginning."""


class ExpectationBroken(Event):
    kind: Literal["expectation_broken"] = "expectation_broken"
    probe: str
    phase: Phase
    at: float
    why: str
    inconclusive: bool = False
    """Too little was seen to call it a failure."""


class LeakSeen(Event):
    """A probe succeeded although the effect had been seen before."""

    kind: Literal["leak_seen"] = "leak_seen"
    probe: str
    at: float
    observation: Observation


class GuardBreached(Event):
    kind: Literal["guard_breached"] = "guard_breached"
    guard: str
    phase: Phase
    at: float
    why: str


class HoldTaken(Event):
    kind: Literal["hold_taken"] = "hold_taken"
    resource: str


class HoldReleased(Event):
    kind: Literal["hold_released"] = "hold_released"
    resource: str


class WatchdogArmed(Event):
    """A second process holds the undo and has rehearsed it; it finishes the rollback should the runner die."""

    kind: Literal["watchdog_armed"] = "watchdog_armed"
    at: float
    pid: int
    began: int = 0
    """Its start in clock ticks since boot, which tells it from a later process of the same number."""


class WatchdogLost(Event):
    """The second line of defence is gone."""

    kind: Literal["watchdog_lost"] = "watchdog_lost"
    at: float
    why: str


class StepIntended(Event):
    """The state before is written down durably; the change may follow at any moment."""

    kind: Literal["step_intended"] = "step_intended"
    step: str
    at: float


class StepInjected(Event):
    kind: Literal["step_injected"] = "step_injected"
    step: str
    asked: float
    answered: float
    certain: bool
    """False when the call's outcome is open (no answer, or a server's error): it counts as done."""
    detail: str = ""
    request_id: str = ""


class StepRefused(Event):
    """The change was definitely not made."""

    kind: Literal["step_refused"] = "step_refused"
    step: str
    at: float
    why: str


class SwitchArmed(Event):
    """A dead man's switch was made, read back and found as asked; closing its step disarms it."""

    kind: Literal["switch_armed"] = "switch_armed"
    step: str
    at: float
    fires_at: str
    """UTC, ISO 8601: when the cloud puts the resource back by itself."""
    detail: str = ""


class UndoTried(Event):
    kind: Literal["undo_tried"] = "undo_tried"
    step: str
    attempt: int
    asked: float
    answered: float
    ok: bool
    detail: str = ""
    request_id: str = ""


class StepReadBack(Event):
    kind: Literal["step_read_back"] = "step_read_back"
    step: str
    at: float
    found: Literal["restored", "still_ours", "drifted", "unknown"]
    detail: str = ""
    state: str = Field(default="", exclude_if=lambda word: not word)
    """The resource's own word for its state, such as KMS's ``Disabled``; ``""`` where it has none."""


class StepClosed(Event):
    kind: Literal["step_closed"] = "step_closed"
    step: str
    at: float
    closed: Closed
    detail: str = ""


class RollbackStarted(Event):
    kind: Literal["rollback_started"] = "rollback_started"
    at: float
    reason: str
    by: str = "runner"
    """Who rolls back: ``runner``, ``gameday rollback``, ``watchdog``."""


class RollbackFinished(Event):
    kind: Literal["rollback_finished"] = "rollback_finished"
    at: float
    seconds: float
    complete: bool
    open: tuple[str, ...] = ()
    """What is still changed or could not be read back, one sentence each."""


class Interruption(Event):
    """A signal, a limit or a failing surrounding ends the run early."""

    kind: Literal["interruption"] = "interruption"
    at: float
    why: str
    ignored: bool = False
    """True where the run is rolling back already."""


class RunAbandoned(Event):
    """Somebody decided that everything stays as it is: nothing is undone any more."""

    kind: Literal["run_abandoned"] = "run_abandoned"
    at: float
    why: str


class AbandonmentEnded(Event):
    """What was left as it is on purpose is so no more, or somebody knows of it: added after the run's end."""

    kind: Literal["abandonment_ended"] = "abandonment_ended"
    step: str
    by: str
    """Who acknowledged it, or who looked."""
    why: str
    """``acknowledged``, with a reason where one was given, or what the resource reads as."""


class OthersWatched(Event):
    """Whether other people's changes to the run's resources can be seen from now on, and by what."""

    kind: Literal["others_watched"] = "others_watched"
    at: float
    ok: bool
    detail: str = ""


class StateRead(Event):
    """What a resource said of itself while its fault was on; read by gameday, whatever the playbook's probes."""

    kind: Literal["state_read"] = "state_read"
    at: float
    resource: str
    state: str
    """The resource's own word, such as KMS's ``Disabled``."""


class ForeignChange(Event):
    """Somebody else changed one of the run's resources: perhaps a real incident on the same key."""

    kind: Literal["foreign_change"] = "foreign_change"
    at: float
    """When it was seen."""
    resource: str
    who: str
    """A principal's ARN, or ``""`` where only the change itself was seen."""
    what: str
    """The call, or what was read."""
    changed: float
    """When it was made, on the run's clock, as far as it is known."""
    source: str
    """``CloudTrail`` or ``read``."""


class Note(Event):
    """Something that a reader should know and that changes nothing in the run."""

    kind: Literal["note"] = "note"
    at: float
    text: str


class RadiusPredicted(Event):
    """Who is expected to feel it when the key goes, before anything is touched.

    ``dependents`` and ``latent`` hold the first of them; ``left_out`` says how many more there are.
    """

    kind: Literal["radius_predicted"] = "radius_predicted"
    key: str
    since: str
    until: str
    sizes: Sizes
    dependents: tuple[Dependent, ...] = ()
    latent: tuple[Latent, ...] = ()
    left_out: int = 0
    unknown: tuple[str, ...] = ()
    """Why more may depend on the key than is known, one sentence each; empty when all could be looked at."""
    coverage: tuple[str, ...] = ()
    """What was looked at, and what was not."""


class RadiusObserved(Event):
    """Who felt it, as CloudTrail shows it, against who was expected to."""

    kind: Literal["radius_observed"] = "radius_observed"
    key: str
    at: float
    off: str
    """When the key went, by the log's own clock where it says so; UTC, ISO 8601."""
    on: str
    counts: dict[Fate, int]
    refused: int = 0
    """Refused calls, gameday's own left out."""
    own: int = 0
    """Refused calls of gameday's own probes."""
    seen: tuple[Seen, ...] = ()
    left_out: int = 0
    unknown: tuple[str, ...] = ()
    coverage: tuple[str, ...] = ()
    records: dict[str, str] = Field(default={}, exclude_if=lambda ids: not ids)
    """CloudTrail's event ids of the calls with which the run took the key away and put it back, by request id."""
    first_refused: str = Field(default="", exclude_if=lambda at: not at)
    """When the first call was refused, gameday's own among them; UTC, ISO 8601."""
    delivered_after: float | None = Field(default=None, exclude_if=lambda seconds: seconds is None)
    """Seconds from the answer to the undo until CloudTrail was seen to show it."""


class RunFinished(Event):
    kind: Literal["run_finished"] = "run_finished"
    at: float
    verdict: Verdict
    exit_code: int
    story: str
    """One sentence: what happened."""
    reasons: tuple[str, ...] = ()
    finish_with: str = ""
    """The command that finishes the rollback, when it is incomplete."""


AnyEvent = (
    RunStarted
    | Staged
    | PreflightChecked
    | RunPrepared
    | PhaseEntered
    | ProbeObserved
    | ExpectationMet
    | ExpectationBroken
    | LeakSeen
    | GuardBreached
    | HoldTaken
    | HoldReleased
    | WatchdogArmed
    | WatchdogLost
    | StepIntended
    | StepInjected
    | StepRefused
    | SwitchArmed
    | UndoTried
    | StepReadBack
    | StepClosed
    | RollbackStarted
    | RollbackFinished
    | Interruption
    | RunAbandoned
    | AbandonmentEnded
    | OthersWatched
    | StateRead
    | ForeignChange
    | Note
    | RadiusPredicted
    | RadiusObserved
    | RunFinished
)


class Sealed(BaseModel):
    """An event in its place in the run: numbered, dated, and chained to the one before by its hash."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    run: str
    seq: int
    at: str
    """UTC, ISO 8601 with microseconds."""
    previous: str
    hash: str
    event: Annotated[AnyEvent, Field(discriminator="kind")]


SEALED: TypeAdapter[Sealed] = TypeAdapter(Sealed)


def chain_hash(run: str, seq: int, at: str, previous: str, event: Event) -> str:
    """The hash that seals an event: SHA-256 over its place, the hash before, and its canonical JSON."""
    body = json.dumps([run, seq, at, previous, event.model_dump(mode="json")], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(body.encode()).hexdigest()


def seal(run: str, seq: int, at: str, previous: str, event: AnyEvent) -> Sealed:
    """Put an event into its place behind the one whose hash is ``previous``."""
    return Sealed(
        run=run, seq=seq, at=at, previous=previous, hash=chain_hash(run, seq, at, previous, event), event=event
    )


def first_broken(events: list[Sealed]) -> int | None:
    """Where the chain is broken: the place of the first event that is not the one sealed there; None when nowhere."""
    previous = ""
    for seq, sealed in enumerate(events):
        expected = chain_hash(sealed.run, seq, sealed.at, previous, sealed.event)
        if (sealed.seq, sealed.previous, sealed.hash) != (seq, previous, expected):
            return seq
        previous = sealed.hash
    return None


def chain_is_whole(events: list[Sealed]) -> bool:
    """Whether every event is the one that was sealed, in its place, with none missing between."""
    return first_broken(events) is None
