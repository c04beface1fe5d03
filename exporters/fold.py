"""The run as its readers see it: one pure fold over the events, shared by the terminal, the metrics and the reports.

It assumes nothing of the order of events, nor that any of them came: it can begin in the middle of a run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import singledispatchmethod

from exporters.parts import KeyView, ProbeView, RollbackView, StepView, key_view
from exporters.radius import RadiusView
from gameday.sdk import (
    Event,
    ExpectationBroken,
    ExpectationMet,
    ForeignChange,
    GuardBreached,
    HoldReleased,
    HoldTaken,
    Interruption,
    LeakSeen,
    Note,
    OthersWatched,
    Phase,
    PhaseEntered,
    PreflightChecked,
    ProbeObserved,
    RadiusObserved,
    RadiusPredicted,
    RollbackFinished,
    RollbackStarted,
    RunAbandoned,
    RunFinished,
    RunPrepared,
    RunStarted,
    Sealed,
    Staged,
    StateRead,
    StepClosed,
    StepInjected,
    StepIntended,
    StepReadBack,
    StepRefused,
    SwitchArmed,
    TargetFacts,
    UndoTried,
    WatchdogArmed,
    WatchdogLost,
)


def time_of(event: Event) -> float | None:
    """Seconds since the run's start at which an event happened, or None where it does not say."""
    if isinstance(event, RunStarted):
        return 0.0
    if isinstance(event, ProbeObserved | StepInjected | UndoTried):
        return event.answered
    at = getattr(event, "at", None)
    return at if isinstance(at, float) else None


@dataclass
class RunView:
    """What is known of a run so far."""

    run: str = ""
    playbook: str = ""
    description: str = ""
    version: str = ""
    started: str = ""
    """Wall clock of the first event, UTC, ISO 8601."""
    now: float = 0.0
    """The latest time that an event spoke of, in seconds since the run's start."""
    target: TargetFacts | None = None
    limits: dict[str, float] = field(default_factory=dict)
    staged: list[Staged] = field(default_factory=list)
    checks: list[PreflightChecked] = field(default_factory=list)
    phase: Phase | None = None
    phase_limit: float | None = None
    began: dict[Phase, float] = field(default_factory=dict)
    probes: dict[str, ProbeView] = field(default_factory=dict)
    steps: dict[str, StepView] = field(default_factory=dict)
    holds: list[str] = field(default_factory=list)
    rollbacks: list[RollbackView] = field(default_factory=list)
    breaches: list[GuardBreached] = field(default_factory=list)
    interruptions: list[Interruption] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    others: list[ForeignChange] = field(default_factory=list)
    """What somebody else did to the run's resources."""
    others_watched: OthersWatched | None = None
    states: dict[str, KeyView] = field(default_factory=dict)
    """What each key that the run changes last said to gameday itself."""
    abandoned: str = ""
    """Who decided that everything stays as it is, and why."""
    watchdog: WatchdogArmed | WatchdogLost | None = None
    """What was last heard of the second line of defence."""
    radius: dict[str, RadiusView] = field(default_factory=dict)
    """The blast radius of each key that the run takes away."""
    alive: bool = False
    """Whether its process is known to be at work; the events alone do not tell a run under way from one that died."""
    finished: RunFinished | None = None
    rollbacks_at_end: int = 0
    """How many rollbacks there had been when the run ended."""
    finished_later: bool = False
    """A rollback that was incomplete when the run ended has been completed since."""

    @classmethod
    def of(cls, events: Iterable[Sealed]) -> RunView:
        """Fold a whole run, or the part of it that there is."""
        view = cls()
        for sealed in events:
            view.consume(sealed)
        return view

    def consume(self, sealed: Sealed) -> None:
        """Take the next event."""
        self.run = self.run or sealed.run
        self.started = self.started or sealed.at
        at = time_of(sealed.event)
        if at is not None and at > self.now:
            self.now = at
        self._take(sealed.event)

    # What follows from the events

    @property
    def rollback(self) -> RollbackView | None:
        """The latest rollback."""
        return self.rollbacks[-1] if self.rollbacks else None

    @property
    def fault_steps(self) -> list[StepView]:
        """The steps that break something on purpose, as against those under which an invasive probe looks."""
        looking = {probe.facts.uses for probe in self.probes.values()}
        steps = [step for step in self.steps.values() if not step.facts.switch]
        return [step for step in steps if not step.facts.uses or step.facts.uses not in looking]

    def part_of(self, step: StepView) -> str:
        """What a step belongs to; where that has several steps, with its name: ``ec2.encrypt_root_volume: detach``."""
        chain = step.facts.id.rpartition("/")[0]
        several = chain and sum(other.facts.id.rpartition("/")[0] == chain for other in self.steps.values()) > 1
        return f"{step.facts.uses}: {step.facts.step}" if several and step.facts.step else step.facts.uses

    @property
    def open_steps(self) -> list[StepView]:
        """The steps whose change may be in place."""
        return [step for step in self.steps.values() if step.open]

    @property
    def armed(self) -> list[SwitchArmed]:
        """The dead man's switches that will fire, in the order of their times."""
        armed = [step.armed for step in self.steps.values() if step.armed is not None and step.open]
        return sorted(armed, key=lambda switch: switch.fires_at)

    @property
    def fault_active(self) -> bool:
        """Whether what a fault changed may still be changed."""
        return any(step.open for step in self.fault_steps)

    @property
    def fault_since(self) -> float | None:
        """When the first change was asked for; ``max_fault`` counts from here."""
        times = [step.changed_at for step in self.fault_steps if step.changed_at is not None]
        return min(times) if times else None

    @property
    def keys(self) -> list[KeyView]:
        """What is known of each key's state."""
        return [probe.key for probe in self.probes.values() if probe.key is not None]

    @property
    def effect_everywhere(self) -> bool:
        """Whether every probe that is to go dark has gone dark."""
        dark = [probe for probe in self.probes.values() if probe.goes_dark]
        return bool(dark) and all(probe.time_to_effect is not None for probe in dark)

    @property
    def incomplete(self) -> bool:
        """Whether the run ended with something still changed, and nobody has put it back since."""
        last = self.rollback is not None and self.rollback.complete is False
        if self.finished is None:
            return last
        if len(self.rollbacks) > self.rollbacks_at_end and (self.finished_later or last):
            return last  # whoever came to it later has the last word
        return self.finished.exit_code == 9  # a rollback that was incomplete at first may have been made good since

    @property
    def still_changed(self) -> list[str]:
        """What is still changed or could not be read back, one sentence each."""
        said = list(self.rollback.open) if self.rollback is not None else []
        named = [(step.facts.resource or step.facts.id, step.status) for step in self.open_steps]
        return said + [f"{name}: {status}" for name, status in named if not any(name in text for text in said)]

    def probe(self, name: str) -> ProbeView:
        """The probe of that name, made when no event introduced it."""
        return self.probes.setdefault(name, ProbeView.unknown(name))

    def step(self, name: str) -> StepView:
        """The undo step of that id, made when no event introduced it."""
        return self.steps.setdefault(name, StepView.unknown(name))

    # One method an event

    @singledispatchmethod
    def _take(self, event: Event) -> None:
        """An event of a later version says nothing here."""

    @_take.register
    def _(self, event: RunStarted) -> None:
        self.run, self.playbook, self.version = event.run, event.playbook, event.version
        self.description = event.description

    @_take.register
    def _(self, event: Staged) -> None:
        self.staged.append(event)

    @_take.register
    def _(self, event: PreflightChecked) -> None:
        self.checks.append(event)

    @_take.register
    def _(self, event: RunPrepared) -> None:
        self.target, self.limits = event.target, dict(event.limits)
        for facts in event.probes:
            self.probe(facts.name).introduce(facts)
        for step in event.steps:
            self.step(step.id).facts = step

    @_take.register
    def _(self, event: PhaseEntered) -> None:
        self.phase, self.phase_limit = event.phase, event.limit
        self.began[event.phase] = event.at

    @_take.register
    def _(self, event: ProbeObserved) -> None:
        self.probe(event.probe).observed(event)

    @_take.register
    def _(self, event: ExpectationMet) -> None:
        self.probe(event.probe).within(event.phase).met = event

    @_take.register
    def _(self, event: ExpectationBroken) -> None:
        self.probe(event.probe).within(event.phase).broken = event

    @_take.register
    def _(self, event: LeakSeen) -> None:
        self.probe(event.probe).leaks += 1

    @_take.register
    def _(self, event: GuardBreached) -> None:
        self.breaches.append(event)
        self.probe(event.guard).breached = event

    @_take.register
    def _(self, event: HoldTaken) -> None:
        if event.resource not in self.holds:
            self.holds.append(event.resource)

    @_take.register
    def _(self, event: HoldReleased) -> None:
        if event.resource in self.holds:
            self.holds.remove(event.resource)

    @_take.register
    def _(self, event: StepIntended) -> None:
        self.step(event.step).intended(event)

    @_take.register
    def _(self, event: StepInjected) -> None:
        self.step(event.step).injected(event)

    @_take.register
    def _(self, event: StepRefused) -> None:
        self.step(event.step).refused(event)

    @_take.register
    def _(self, event: SwitchArmed) -> None:
        self.step(event.step).armed = event

    @_take.register
    def _(self, event: UndoTried) -> None:
        self.step(event.step).undo_tried(event)
        if self.rollback is not None and self.rollback.complete is None:
            self.rollback.undo_tried(event)

    @_take.register
    def _(self, event: StepReadBack) -> None:
        step = self.step(event.step)
        step.read_back = event
        self._read(step.facts.resource, event.state, event.at)

    @_take.register
    def _(self, event: StepClosed) -> None:
        self.step(event.step).closed = event

    @_take.register
    def _(self, event: RollbackStarted) -> None:
        self.rollbacks.append(RollbackView(began=event.at, reason=event.reason, by=event.by))

    @_take.register
    def _(self, event: RollbackFinished) -> None:
        if self.rollback is None or self.rollback.complete is not None:
            self.rollbacks.append(RollbackView(began=event.at - event.seconds))
        self.rollbacks[-1].finish(event)
        self.finished_later = self.finished is not None and event.complete

    @_take.register
    def _(self, event: WatchdogArmed) -> None:
        self.watchdog = event

    @_take.register
    def _(self, event: WatchdogLost) -> None:
        self.watchdog = event

    @_take.register
    def _(self, event: Interruption) -> None:
        self.interruptions.append(event)

    @_take.register
    def _(self, event: RadiusPredicted) -> None:
        self.radius[event.key] = RadiusView(event)

    @_take.register
    def _(self, event: RadiusObserved) -> None:
        if event.key in self.radius:
            self.radius[event.key].observed = event

    @_take.register
    def _(self, event: Note) -> None:
        self.notes.append(event)

    @_take.register
    def _(self, event: OthersWatched) -> None:
        self.others_watched = event

    @_take.register
    def _(self, event: StateRead) -> None:
        self._read(event.resource, event.state, event.at)

    def _read(self, resource: str, state: str, at: float) -> None:
        known = self.states.get(resource)
        if (key := key_view(resource, state, at)) is not None and (known is None or known.read_at <= at):
            self.states[resource] = key

    @_take.register
    def _(self, event: ForeignChange) -> None:
        self.others.append(event)

    @_take.register
    def _(self, event: RunAbandoned) -> None:
        self.abandoned = event.why

    @_take.register
    def _(self, event: RunFinished) -> None:
        self.finished, self.finished_later = event, False
        self.rollbacks_at_end = len(self.rollbacks)
