"""One run alone under a deterministic clock, which the dead man's switch is tried on; all of it is in simulation.py."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from gameday.machine import Expect, ProbeSpec, Run, Spec, Stage, StepSpec, Timing, handle, wake_at
from gameday.machine.commands import (
    Capture,
    CloseStep,
    Command,
    Emit,
    Finish,
    Inject,
    Intend,
    ReadBackStep,
    RecordInjected,
    Rehearse,
    ReleaseHold,
    Sample,
    TakeHold,
    Undo,
)
from gameday.machine.inputs import (
    ArmRefused,
    Captured,
    Held,
    Injected,
    InjectRefused,
    Input,
    Intended,
    Observed,
    Prepared,
    ReadBackDone,
    Rehearsed,
    Signalled,
    Tick,
    Undone,
)
from gameday.sdk import (
    AnyEvent,
    Cause,
    Closed,
    Drifted,
    Observation,
    Phase,
    Rank,
    ReadBack,
    Restored,
    RunFinished,
    StepClosed,
    StepInjected,
    StillOurs,
    Unknown,
)

TIMING = Timing(hold=1.0, max_fault=60.0, rollback_within=60.0, settle=10.0, call_limit=8.0)
LONGEST_STALENESS = 4.0
"""Seconds that a read may be behind; below the time that an unconfirmed "restored" must last."""


@dataclass
class Key:
    """A key in memory, with its history for stale reads."""

    history: list[tuple[float, str]] = field(default_factory=lambda: [(-1000.0, "Enabled")])
    foreign: bool = False

    def set(self, at: float, state: str) -> None:
        """Change the state at a time; a pending deletion cannot be enabled or disabled away."""
        if self.now() != "PendingDeletion":
            self.history.append((at, state))

    def now(self) -> str:
        """The true state."""
        return self.history[-1][1]

    def at(self, moment: float) -> str:
        """The state as it was."""
        return [state for when, state in self.history if when <= moment][-1]


@dataclass
class Trouble:
    """How often each kind of trouble strikes; probabilities."""

    inject: float = 0.0
    undo: float = 0.0
    read: float = 0.0
    look: float = 0.0
    foreign: float = 0.0
    signal: float = 0.0


def spec(keys: int = 1, *, every: float = 1.0) -> Spec:
    """A kill switch on so many keys, each with a probe."""
    expect = {
        Phase.BASELINE: Expect(frozenset({"ok"}), 0.0),
        Phase.FAULT: Expect(frozenset({"key_disabled"}), 20.0),
        Phase.RECOVERY: Expect(frozenset({"ok"}), 20.0),
    }
    steps = [StepSpec(f"s{n}", "kms.disable_key", "disable", f"key{n}", Rank.KEY, n) for n in range(keys)]
    probes = [ProbeSpec(f"p{n}", expect, every) for n in range(keys)]
    return Spec(tuple(probes), tuple(steps), TIMING)


class World:
    """One run from its beginning to its last late effect."""

    def __init__(self, seed: int, trouble: Trouble, keys: int = 1) -> None:
        self.random = random.Random(seed)
        self.trouble, self.seed = trouble, seed
        self.now, self._order = 0.0, count()
        self.agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.keys = {f"s{n}": Key() for n in range(keys)}
        self.journal: dict[str, str] = {}
        self.holds: set[str] = set()
        self.events: list[AnyEvent] = []
        self.exit_code: int | None = None
        self.state = Run()
        self.spec = spec(keys)
        self.undos = 0

    def run(self) -> World:
        """Run to the end, then let everything land that is still on its way."""
        self._input(Prepared(0.0, self.spec))
        if self.random.random() < self.trouble.signal:
            self._later(self.random.uniform(0, 40), lambda: self._input(Signalled(self.now, "SIGTERM")))
        if self.random.random() < self.trouble.foreign:
            self._later(self.random.uniform(0, 40), self._foreign)
        while self.state.stage is not Stage.DONE:
            due = self.agenda[0][0] if self.agenda else float("inf")
            wake = max(self.now, wake_at(self.state))
            assert min(due, wake) < 1000, f"seed {self.seed}: the run does not end"
            if due <= wake:
                self._next()
            else:
                self.now = wake
                self._input(Tick(self.now))
        while self.agenda:
            self._next()
        return self

    def _next(self) -> None:
        self.now, _, due = heapq.heappop(self.agenda)
        due()

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        heapq.heappush(self.agenda, (self.now + seconds, next(self._order), what))

    def _answer(self, seconds: float, make: Callable[[float], Input]) -> None:
        self._later(seconds, lambda: self._input(make(self.now)))

    def _input(self, event: Input) -> None:
        before = self.state
        self.state, commands = handle(self.state, event)
        for command in commands:
            self._carry_out(command, before)

    def _foreign(self) -> None:
        """Someone else schedules the key's deletion: a real incident."""
        key = self.keys[self.random.choice(sorted(self.keys))]
        key.foreign = True
        key.set(self.now, "PendingDeletion")

    def _carry_out(self, command: Command, before: Run) -> None:  # noqa: C901 - one short case a command
        match command:
            case Emit():
                self.events.append(command.event)
            case Sample():
                self._look(command)
            case TakeHold():
                self.holds.add(command.step)
                self._answer(0.001, lambda now: Held(now, command.step))
            case Rehearse():
                assert command.step in self.holds, "rehearsed without the hold"
                self._answer(0.01, lambda now: Rehearsed(now, command.step))
            case Capture():
                state = self.keys[command.step].now()
                if state == "Enabled":
                    self._answer(0.01, lambda now: Captured(now, command.step, {"state": state}))
                else:
                    self._answer(0.01, lambda now: ArmRefused(now, command.step, f"the key is {state}"))
            case Intend():
                self.journal[command.step] = "intended"
                self._answer(0.001, lambda now: Intended(now, command.step))
            case Inject():
                assert self.journal.get(command.step) == "intended", "injected before it was written down"
                assert before.rollback is None, "injected after the rollback began"
                self._inject(command)
            case RecordInjected():
                self.journal[command.step] = "injected"
            case Undo():
                self.undos += 1
                self._undo(command)
            case ReadBackStep():
                self._read_back(command)
            case CloseStep():
                self.journal[command.step] = f"closed {command.closed}"
            case ReleaseHold():
                assert not any(
                    self.journal.get(s.id, "closed").startswith(("int", "inj"))
                    for s in self.spec.steps
                    if s.resource == command.resource
                ), "a hold was released over an open step"
            case Finish():
                assert self.exit_code is None, "finished twice"
                self.exit_code = command.exit_code

    def _strikes(self, chance: float) -> bool:
        return self.random.random() < chance

    def _look(self, command: Sample) -> None:
        key = self.keys["s" + command.probe[1:]]
        if self._strikes(self.trouble.look):
            kind = self.random.choice(["never", "unreachable", "throttled"])
            if kind != "never":
                cause = Cause(kind)
                self._answer(1.0, lambda now: Observed(now, command.sample, Observation(cause=cause)))
            return
        causes = {"Enabled": Cause.OK, "Disabled": Cause.KEY_DISABLED, "PendingDeletion": Cause.KEY_PENDING_DELETION}
        cause = causes[key.at(self.now - self.random.uniform(0, 1.5))]
        self._answer(0.02, lambda now: Observed(now, command.sample, Observation(cause=cause)))

    def _set(self, step: str, state: str) -> Callable[[], None]:
        return lambda: self.keys[step].set(self.now, state)

    def _inject(self, command: Inject) -> None:
        key, step = self.keys[command.step], command.step
        disable = self._set(step, "Disabled")
        kind = "ok"
        if self._strikes(self.trouble.inject):
            kind = self.random.choice(["refused", "lost", "nothing", "late", "never", "slow"])
        if kind == "refused":
            self._answer(0.05, lambda now: InjectRefused(now, step, "AccessDenied"))
        elif kind == "ok":
            key.set(self.now, "Disabled")
            self._answer(0.03, lambda now: Injected(now, step, certain=True))
        elif kind == "slow":  # answered with a yes, but late
            self._later(self.random.uniform(0, 6), disable)
            self._answer(6.5, lambda now: Injected(now, step, certain=True))
        else:
            if kind in ("lost", "never"):
                key.set(self.now, "Disabled")
            if kind == "late":  # the call times out, and lands afterwards
                self._later(self.random.uniform(0, 7 + TIMING.settle - 0.1), disable)
            if kind != "never":
                self._answer(7.0, lambda now: Injected(now, step, certain=False, detail="no answer"))

    def _undo(self, command: Undo) -> None:
        step, attempt = command.step, command.attempt
        enable = self._set(step, "Enabled")
        kind = "ok"
        if self.keys[step].now() == "PendingDeletion":
            kind = "refused"
        elif self._strikes(self.trouble.undo):
            kind = self.random.choice(["refused", "lost", "late", "never", "nothing", "tardy"])
        if kind in ("ok", "tardy") or (kind in ("lost", "never") and self._strikes(0.5)):
            self.keys[step].set(self.now, "Enabled")
        elif kind == "late":
            self._later(self.random.uniform(0, 12), enable)
        if kind == "never":
            return
        # A tardy yes comes when the call has been left behind; it was carried out at the very beginning.
        pause = {"ok": 0.05, "refused": 0.05, "tardy": self.random.uniform(8.5, 20)}.get(kind, 6.0)
        yes = kind in ("ok", "tardy")
        self._answer(pause, lambda now: Undone(now, step, attempt, yes, "" if yes else kind))

    def _read_back(self, command: ReadBackStep) -> None:
        step, attempt = command.step, command.attempt
        key = self.keys[step]
        found: ReadBack = _read(key.now())
        if self._strikes(self.trouble.read):
            kind = self.random.choice(["never", "unknown", "stale", "tardy"])
            if kind == "never":
                return
            if kind == "tardy":
                self._answer(self.random.uniform(8.5, 20), lambda now: ReadBackDone(now, step, attempt, found))
                return
            stale = _read(key.at(self.now - self.random.uniform(0, LONGEST_STALENESS)))
            found = Unknown("no answer") if kind == "unknown" else stale
        self._answer(0.02, lambda now: ReadBackDone(now, step, attempt, found))

    @property
    def finished(self) -> RunFinished:
        """The run's last word."""
        event = self.events[-1]
        assert isinstance(event, RunFinished)
        return event


def _read(state: str) -> ReadBack:
    if state == "Enabled":
        return Restored(state)
    return StillOurs(state) if state == "Disabled" else Drifted(state)


def broken_promises(world: World) -> list[str]:
    """What a run must never leave behind, whatever happened in it."""
    wrong = []
    open_ = [step for step, state in world.journal.items() if not state.startswith("closed")]
    for step, key in world.keys.items():
        if key.foreign or key.now() == "Enabled":
            continue
        if world.exit_code != 9:
            wrong.append(f"{step} is {key.now()} and the exit code is {world.exit_code}")
        elif step not in open_:
            wrong.append(f"{step} is {key.now()} and its undo step is closed")
    if world.exit_code == 9 and not open_:
        wrong.append("exit code 9 with nothing open")
    if world.exit_code != 9 and open_:
        wrong.append(f"exit code {world.exit_code} with {open_} open")
    wrong += _silent_drift(world)
    if any(key.foreign and key.now() != "PendingDeletion" for key in world.keys.values()):
        wrong.append("someone else's change was undone")
    return wrong


def _silent_drift(world: World) -> list[str]:
    """Steps that someone else overtook long before they were closed, and that are called restored all the same."""
    injected = {event.step for event in world.events if isinstance(event, StepInjected)}
    return [
        f"{event.step} was changed by someone else, and is called {event.closed}"
        for event in world.events
        if isinstance(event, StepClosed)
        and event.step in injected
        and event.step in world.keys
        and event.closed is not Closed.DRIFTED
        and world.keys[event.step].foreign
        and event.at > world.keys[event.step].history[-1][0] + 2 * LONGEST_STALENESS
    ]
