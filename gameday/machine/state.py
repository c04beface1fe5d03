"""The state of a run, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf

from gameday.machine.expectation import Standing, Watch
from gameday.machine.rollback import Rollback, Undoing
from gameday.machine.spec import ProbeSpec, Spec, StepSpec, Timing
from gameday.sdk import Before, Cause, Phase


class Stage(StrEnum):
    """What the run is doing; finer than a phase."""

    PREPARING = "preparing"
    ARMING = "arming"
    BASELINE = "baseline"
    INJECTING = "injecting"
    FAULT = "fault"
    ROLLBACK = "rollback"
    RECOVERY = "recovery"
    RESTORING = "restoring"
    EVIDENCE = "evidence"
    DONE = "done"


class Readiness(StrEnum):
    """How far an undo step has come on its way to being injected."""

    NEW = "new"
    HOLDING = "holding"
    REHEARSING = "rehearsing"
    HELD = "held"
    """And rehearsed."""
    CAPTURING = "capturing"
    INTENDING = "intending"
    INTENDED = "intended"
    INJECTING = "injecting"
    VERIFYING = "verifying"
    """A dead man's switch, made and being read back."""
    INJECTED = "injected"
    REFUSED = "refused"
    DENIED = "denied"
    """Its inject was answered with a certain no, which is read back before it is believed."""
    CLOSED = "closed"


LEASE = 10.0
"""Seconds after the journal's last answer for which a run may still believe that its holds are its own.

Shorter than the journal's SILENCE (60 s) by the time that a rollback takes: before anyone may think the run dead, it
has put everything back by itself.
"""
WAITING = (Readiness.HOLDING, Readiness.REHEARSING, Readiness.CAPTURING, Readiness.INTENDING)
PATIENCE = 30.0
"""Seconds that a hold, rehearsal, capture or intent may take, each of them several calls at most."""

TOUCHED = (Readiness.INJECTING, Readiness.VERIFYING, Readiness.INJECTED)
"""The change may have been made."""
OPEN = (Readiness.INTENDING, Readiness.INTENDED, *TOUCHED, Readiness.REFUSED, Readiness.DENIED)
"""The journal holds, or is about to hold, an undo step."""


@dataclass(frozen=True, slots=True)
class Armed:
    """An undo step and how far it is.

    Parameters
    ----------
    asked: seconds; when what it waits for was asked for.
    settle_until: seconds; from when on the inject can no longer land.
    held_at: seconds; when its hold was known to be taken.
    free_at: seconds; from when on no rehearsal and no undo of ours can land on what others do under their own hold.
    """

    spec: StepSpec
    readiness: Readiness = Readiness.NEW
    before: Before = field(default_factory=dict)
    asked: float = 0.0
    settle_until: float = 0.0
    held_at: float = inf
    free_at: float = 0.0

    def undoing(self, now: float, timing: Timing) -> Undoing:
        """The same step, on its way back: whatever still injects was told to stop, so only its last call may land."""
        denied = self.readiness is Readiness.DENIED
        touched = self.readiness in TOUCHED or denied
        settle_until = min(self.settle_until, now + timing.lands_after_death)
        return Undoing(self.spec, self.before, settle_until=settle_until, untouched=not touched, denied=denied)


@dataclass(frozen=True, slots=True)
class Look:
    """A look under way."""

    sample: int
    probe: str
    phase: Phase
    asked: float
    deadline: float


@dataclass(frozen=True, slots=True)
class Ending:
    """All that bears on the verdict."""

    interrupted: str = ""
    refused: str = ""
    refused_code: int = 5
    failures: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    drifted: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    abandoned: str = ""
    left: tuple[str, ...] = ()
    """What was left as it is because the run was abandoned."""


@dataclass(frozen=True, slots=True)
class Run:
    """Where a run stands.

    Parameters
    ----------
    looks: the look under way for each probe.
    due: when each probe looks next.
    watches: the expectations of the current phase, by probe.
    windows: each guard's last definite looks, True for a good one.
    fault_at: when the first inject was asked for.
    hurry: nothing after the rollback but putting things back.
    slowed: seconds between two looks of each evidence probe that AWS throttles, while it does.
    leased_until: seconds; until then its holds are its own, whatever happens to the journal.
    told: what was said to it already, and need not be said again.
    """

    stage: Stage = Stage.PREPARING
    phase: Phase = Phase.PREFLIGHT
    spec: Spec = field(default_factory=lambda: Spec((), ()))
    steps: Mapping[str, Armed] = field(default_factory=dict)
    looks: Mapping[str, Look] = field(default_factory=dict)
    due: Mapping[str, float] = field(default_factory=dict)
    slowed: Mapping[str, float] = field(default_factory=dict)
    samples: int = 0
    watches: Mapping[str, Watch] = field(default_factory=dict)
    windows: Mapping[str, tuple[bool, ...]] = field(default_factory=dict)
    fault_at: float | None = None
    rollback: Rollback | None = None
    phase_at: float = 0.0
    hurry: bool = False
    leased_until: float = inf
    told: frozenset[str] = frozenset()
    ending: Ending = field(default_factory=Ending)

    @property
    def sampled(self) -> tuple[ProbeSpec, ...]:
        """The probes that the current phase samples."""
        if self.stage not in (Stage.BASELINE, Stage.INJECTING, Stage.FAULT, Stage.RECOVERY, Stage.EVIDENCE):
            return ()
        probes = (probe for probe in self.spec.probes if self.phase in probe.expect)
        # What an invasive probe changes is put back before the evidence; after that it does not look.
        return tuple(probe for probe in probes if not (probe.steps and self.stage is Stage.EVIDENCE))

    @property
    def before_fault(self) -> bool:
        """Whether no fault has been asked for, so that whatever goes wrong is a reason not to begin."""
        early = (Stage.PREPARING, Stage.ARMING, Stage.BASELINE)
        return self.stage in early or (self.stage is Stage.INJECTING and self.fault_at is None)

    @property
    def open_steps(self) -> tuple[Armed, ...]:
        """The steps that the journal holds, or is about to hold, as open."""
        return tuple(step for step in self.steps.values() if step.readiness in OPEN)

    def standing(self, standing: Standing) -> tuple[str, ...]:
        """The probes whose expectation stands so."""
        return tuple(name for name, watch in self.watches.items() if watch.standing is standing)

    def gated(self, probe: ProbeSpec) -> bool:
        """Whether an invasive probe must wait: nothing is stopped before the harmless looks have found all well."""
        passive = [p.name for p in self.sampled if not p.steps and not p.guard]
        well = all(self.watches[name].standing is Standing.MET for name in passive)
        return bool(probe.steps) and self.phase is Phase.BASELINE and not well

    def idle(self, probe: ProbeSpec) -> bool:
        """Whether a sampled probe may look as soon as it is due."""
        watch = self.watches.get(probe.name)
        # A record that was found stays found, and what was not found in time is not looked for any longer.
        record = self.phase is Phase.EVIDENCE and watch is not None and watch.met_cause in ("", Cause.FOUND)
        seen = (probe.once or record) and watch is not None and watch.standing is not Standing.PENDING
        return probe.name not in self.looks and not seen and not self.gated(probe)

    def held_until(self) -> float:
        """When the effect, seen by every probe, has lasted as long as it must."""
        met = [watch.met_at for watch in self.watches.values() if watch.standing is Standing.MET]
        return max([self.fault_at or 0.0, *met]) + self.spec.timing.hold

    def fault_deadline(self) -> float:
        """The latest moment at which rollback starts."""
        return inf if self.fault_at is None else self.fault_at + self.spec.timing.max_fault

    def may_inject(self, now: float) -> bool:
        """The fence: asked by the very thread that injects, immediately before its request is sent."""
        return self.stage is Stage.INJECTING and now < min(self.leased_until, self.fault_deadline())

    def may_look(self, now: float) -> bool:
        """The fence of an invasive look, which must not change anything on a hold that may be lost."""
        return now < self.leased_until

    @property
    def needs_lease(self) -> bool:
        """Whether losing its holds would matter."""
        early = (Stage.ARMING, Stage.BASELINE, Stage.INJECTING, Stage.FAULT)
        return self.stage in early or (self.stage is Stage.RECOVERY and bool(self.open_steps))

    def patience_ends(self) -> float:
        """When a step that is being made ready has had its time."""
        early = self.stage is Stage.ARMING or (self.stage is Stage.INJECTING and self.fault_at is None)
        asked = [step.asked for step in self.steps.values() if step.readiness in WAITING]
        return min(asked, default=inf) + PATIENCE if early else inf

    def hurries_at(self) -> float:
        """When a rollback of the faults alone takes in what invasive probes changed: half of its time is over."""
        back = self.rollback
        if back is None or self.stage is not Stage.ROLLBACK or self.hurry or len(self.open_steps) <= len(back.open):
            return inf
        return back.started + self.spec.timing.rollback_within / 2

    def free_at(self) -> float:
        """From when on no unanswered call of ours can land under somebody else's hold."""
        return max((step.free_at for step in self.steps.values()), default=0.0)

    def arming_deadline(self) -> float:
        """When a dead man's switch that does not answer has had its time; nothing is broken yet."""
        waiting = (Readiness.INJECTING, Readiness.VERIFYING)
        asked = [s.asked for s in self.steps.values() if s.spec.switch and s.readiness in waiting]
        return min(asked, default=inf) + self.spec.timing.call_limit if self.fault_at is None else inf


def wake_at(run: Run) -> float:
    """The next moment at which time alone changes something; seconds on the run's clock."""
    moments = [look.deadline for look in run.looks.values()]
    moments += [watch.limit for watch in run.watches.values() if watch.standing is Standing.PENDING]
    moments += [run.due.get(p.name, 0.0) for p in run.sampled if run.idle(p)]
    if run.stage in (Stage.INJECTING, Stage.FAULT):
        moments += [run.fault_deadline(), run.arming_deadline()]
        if run.stage is Stage.FAULT and not run.standing(Standing.PENDING):
            moments.append(run.held_until())
    if run.needs_lease:
        moments.append(run.leased_until)
    moments.append(run.patience_ends())
    if run.rollback is not None and run.stage in (Stage.ROLLBACK, Stage.RESTORING):
        moments += [run.rollback.wake_at(), run.hurries_at()] if run.rollback.open else [run.free_at()]
    return min(moments, default=inf)
