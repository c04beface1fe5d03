"""A run played by hand: inputs go in, and what comes out is kept."""

from __future__ import annotations

from typing import TypeVar

from gameday.machine import Expect, ProbeSpec, Run, Spec, StepSpec, Timing, handle
from gameday.machine.commands import (
    Command,
    Emit,
    Sample,
    Undo,
)
from gameday.machine.inputs import (
    Captured,
    Held,
    Injected,
    Input,
    Intended,
    Observed,
    Prepared,
    ReadBackDone,
    Rehearsed,
    Tick,
    Undone,
)
from gameday.sdk import (
    Cause,
    Observation,
    Phase,
    Rank,
    Restored,
    RunFinished,
)

OK, DARK = Observation(cause=Cause.OK), Observation(cause=Cause.KEY_DISABLED)
C = TypeVar("C", bound=Command)


def expecting(fault: str = "key_disabled", within: float = 10.0) -> dict[Phase, Expect]:
    return {
        Phase.BASELINE: Expect(frozenset({"ok"}), 0.0),
        Phase.FAULT: Expect(frozenset({fault}), within),
        Phase.RECOVERY: Expect(frozenset({"ok"}), within),
    }


KEY = StepSpec("key", "kms.disable_key", "disable", "arn:key", Rank.KEY, 0)
POWER = StepSpec("power", "ec2.boot", "power", "arn:instance", Rank.INSTANCE, 1, probe="boot")
READ = ProbeSpec("read", expecting())
BOOT = ProbeSpec("boot", expecting("boot_refused"), once=True, timeout=60.0, steps=("power",))
GUARD = ProbeSpec(
    "shop", {Phase.BASELINE: Expect(frozenset({"ok"}), 5), Phase.FAULT: Expect(frozenset({"ok"}), 5)}, fails=2, of=3
)
TIMING = Timing(hold=1.0, max_fault=30.0, rollback_within=20.0)


class Play:
    """Feeds inputs and answers the dull ones by itself."""

    def __init__(self, *probes: ProbeSpec, steps: tuple[StepSpec, ...] = (KEY,), timing: Timing = TIMING) -> None:
        self.state, self.now = Run(), 0.0
        self.out: list[Command] = []
        self.feed(Prepared(0.0, Spec(probes, steps, timing)))

    def feed(self, event: Input) -> list[Command]:
        self.state, new = handle(self.state, event)
        self.out += new
        return new

    def after(self, seconds: float) -> list[Command]:
        self.now += seconds
        return self.feed(Tick(self.now))

    def all(self, kind: type[C]) -> list[C]:
        return [command for command in self.out if isinstance(command, kind)]

    def last(self, kind: type[C]) -> C:
        return self.all(kind)[-1]

    def see(self, probe: str, observation: Observation | None) -> list[Command]:
        sample = next(s.sample for s in reversed(self.all(Sample)) if s.probe == probe)
        return self.feed(Observed(self.now, sample, observation))

    def arm(self, step: str = "key") -> None:
        self.feed(Held(self.now, step))
        self.feed(Rehearsed(self.now, step))
        if step == "power":
            self.intend(step)

    def intend(self, step: str = "key") -> None:
        self.feed(Captured(self.now, step, {"state": "before"}))
        self.feed(Intended(self.now, step))

    def to_fault(self) -> None:
        """To the fault phase of a run with the key's step and the read."""
        self.arm()
        self.see("read", OK)
        if self.state.spec.probes[-1].guard:
            self.see("shop", OK)
        self.intend()
        self.feed(Injected(self.now, "key", certain=True))

    def undo(self, step: str = "key") -> None:
        attempt = self.last(Undo).attempt
        self.feed(Undone(self.now, step, attempt, ok=True))
        self.feed(ReadBackDone(self.now, step, attempt, Restored()))

    @property
    def finished(self) -> RunFinished:
        return next(e.event for e in self.all(Emit) if isinstance(e.event, RunFinished))
