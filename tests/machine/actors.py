"""Who acts in the simulation: the runner, the watchdog, `gameday rollback`, and their hands in AWS.

The runner drives :func:`gameday.machine.handle`; the two others drive the rollback part of the same machine.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Protocol

from gameday.errors import GamedayError, JournalError
from gameday.journal import StepRecord
from gameday.machine import Run, Spec, Stage, StepSpec, handle, rollback, wake_at
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
    Reopen,
    Sample,
    StandDown,
    StepCommand,
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
    Overtaken,
    Prepared,
    Pulsed,
    ReadBackDone,
    Rehearsed,
    SurroundingsFailed,
    Undone,
)
from gameday.machine.rollback import Rollback, Undoing
from gameday.machine.state import LEASE
from gameday.sdk import AnyEvent, Drifted, ReadBack, Restored, RunFinished, StillOurs, Unknown
from tests.machine.model_kms import ENABLED, PENDING, Key, State

if TYPE_CHECKING:
    from tests.machine.simulation import World

LATEST = 9.9
"""Seconds after its time-out for which a call may still land: just below the playbook's ``settle``."""


class Actor(Protocol):
    """Somebody who is fed inputs until he is gone."""

    run: str
    alive: bool

    def feed(self, event: Input) -> None:
        """Take an input."""

    def wake_at(self) -> float:
        """When time alone must wake him."""


class Hands:
    """Carries out what the machine asks of steps, with the world's troubles."""

    def __init__(self, world: World, actor: Actor, specs: dict[str, StepSpec]) -> None:
        self.world, self.actor, self.specs = world, actor, specs

    def carry_out(self, command: StepCommand) -> None:
        """Begin what is asked."""
        step = command.step
        match command:
            case Rehearse():
                self._change(step, "rehearse", lambda ok, sure, why: self._rehearsed(step, ok, sure, why))
            case Capture():
                key = self._key(step)
                if key.now.state == ENABLED:
                    before = {"state": key.now.state, "policy": sorted(key.now.policy)}
                    self._answer(0.01, Captured(0, step, before))
                else:
                    self._answer(0.01, ArmRefused(0, step, f"the key is {key.now.state}"))
            case Inject():
                self._change(step, "inject", lambda ok, sure, why: self._injected(step, ok, sure, why))
            case Undo() if (lost := self.world.lost(self.actor, step)) is not None:
                if lost.closed is None:
                    self._answer(0.001, Undone(0, step, command.attempt, False, lost.detail))
                else:
                    self._answer(0.001, Overtaken(0, step, command.attempt, lost.closed, lost.detail))
            case Undo():
                said = lambda ok, sure, why: Undone(0, step, command.attempt, ok, why, certain=sure)  # noqa: E731
                self._change(step, "undo", said)
            case ReadBackStep():
                self._read_back(command)
            case _:
                raise AssertionError(command)

    @staticmethod
    def _rehearsed(step: str, ok: bool, sure: bool, why: str) -> Input:
        return Rehearsed(0, step) if ok else ArmRefused(0, step, why, certain=sure)

    @staticmethod
    def _injected(step: str, ok: bool, sure: bool, why: str) -> Input:
        return InjectRefused(0, step, why) if sure and not ok else Injected(0, step, certain=ok, detail=why)

    def _key(self, step: str) -> Key:
        return self.world.keys[self.specs[step].resource]

    def _answer(self, seconds: float, event: Input) -> None:
        def post() -> None:
            self.actor.feed(replace(event, now=self.world.now))

        self.world.later(seconds, post)

    def _apply(self, step: str, what: str) -> str:
        """The call reaches KMS."""
        world, key, by = self.world, self._key(step), self.actor.run
        if self.specs[step].uses == "kms.disable_key":
            return key.disable(world.now, by) if what == "inject" else key.enable(world.now, by)
        # Read, then write what was read with or without our statement: whatever came between the two is lost.
        read = key.then(world.now - (world.random.uniform(0, 0.2) if world.strikes(world.trouble.read) else 0)).policy
        sid = f"Gameday-{by}-{step}"
        wanted = {"inject": read | {sid}, "undo": read - {sid}, "rehearse": read}[what]
        return key.put_policy(world.now, by, wanted)

    def _change(self, step: str, what: str, said: object) -> None:
        """One changing call, and its answer: ``said(ok, certain, why)`` makes the input."""
        world, random = self.world, self.world.random
        assert callable(said)
        world.calls[what] += 1
        trouble = {"inject": world.trouble.inject, "undo": world.trouble.undo, "rehearse": world.trouble.undo / 4}[what]
        kind = "ok"
        if world.strikes(trouble):
            kind = random.choice(["refused", "throttled", "lost", "nothing", "late", "never", "error", "slow", "tardy"])
        if kind in ("refused", "throttled"):
            return self._answer(0.05, said(False, True, kind))
        if kind == "late":  # the call times out, and lands afterwards
            world.later(random.uniform(0, 6 + LATEST), lambda: self._apply(step, what))
            return self._answer(6.0, said(False, False, kind))
        if kind == "slow":  # carried out some time after it was asked, and answered with a yes

            def slow() -> None:
                why = self._apply(step, what)
                self._answer(0.01, said(not why, True, why))

            return world.later(random.uniform(0, 6), slow)
        why = "" if kind == "nothing" else self._apply(step, what)
        if kind in ("ok", "tardy"):
            return self._answer(0.03 if kind == "ok" else random.uniform(8.5, 17), said(not why, True, why))
        if kind != "never":  # a time-out, or a 500 that may come after the work was done
            return self._answer(0.3 if kind == "error" else 6.0, said(False, False, kind))
        return None

    def _read_back(self, command: ReadBackStep) -> None:
        world, step = self.world, command.step
        when, pause = world.now, 0.02
        found: ReadBack | None = None
        if world.strikes(world.trouble.read):
            kind = world.random.choice(["never", "unknown", "stale", "tardy"])
            if kind == "never":
                return
            if kind == "unknown":
                found = Unknown("no answer")
            elif kind == "stale":
                when -= world.random.uniform(0, world.longest_staleness)
            else:
                pause = world.random.uniform(8.5, 20)
        if found is None:
            found = self._judge(step, self._key(step).then(when), set(command.before["policy"]))  # type: ignore[arg-type]
        self._answer(pause, ReadBackDone(0, step, command.attempt, found))

    def _judge(self, step: str, seen: State, before: set[str]) -> ReadBack:
        if self.specs[step].uses == "kms.disable_key":
            if seen.state == PENDING:
                return Drifted(seen.state)
            return Restored(seen.state) if seen.state == ENABLED else StillOurs(seen.state)
        if f"Gameday-{self.actor.run}-{step}" in seen.policy:
            return StillOurs("our statement is there")
        return Restored() if seen.policy == before else Drifted("someone else changed the policy")


class Runner:
    """One run: the whole machine, with a journal, a watchdog and a death of its own."""

    def __init__(self, world: World, run: str, spec: Spec, *, crash_at: int = -1) -> None:
        self.world, self.run, self.spec = world, run, spec
        self.alive, self.stopped_until, self.crash_at = True, 0.0, crash_at
        self.state, self.commands = Run(leased_until=world.now + LEASE), 0
        self.events: list[AnyEvent] = []
        self.exit_code: int | None = None
        self.open_at_end: list[str] = []
        self.hands = Hands(world, self, {step.id: step for step in spec.steps})
        self.charges: dict[str, tuple[StepRecord, bool]] = {}
        self.began = world.now
        self._failed = False
        self.died_at = 0.0

    def begin(self) -> None:
        """Open the run and start."""
        try:
            self.world.journal.open_run(self.run)
        except JournalError:
            self.alive, self.exit_code = False, 5
            return
        self.feed(Prepared(self.world.now, self.spec))
        self.world.later(self.world.beat, self._pulse)

    def wake_at(self) -> float:
        """When time alone moves it on."""
        return max(wake_at(self.state), self.stopped_until) if self.alive else inf

    def feed(self, event: Input) -> None:
        """Move the machine on; a process that stands still gets its inputs when it goes on."""
        if not self.alive:
            return
        if self.world.now < self.stopped_until:
            self.world.later(self.stopped_until - self.world.now, lambda: self.feed(replace(event, now=self.world.now)))
            return
        self.state, commands = handle(self.state, event)
        for command in commands:
            if not self.alive:
                return
            self.commands += 1
            if self.commands == self.crash_at:
                self.die()
            else:
                self._carry_out(command)

    def die(self) -> None:
        """SIGKILL: what is on the wire lands, and nobody hears the answer."""
        if self.alive:
            self.alive, self.died_at = False, self.world.now
            self.world.runner_died(self)

    def _pulse(self) -> None:
        if not self.alive:
            return
        if self.world.now >= self.stopped_until:
            with_journal = self.world.journal
            try:
                heard = with_journal.pulse(self.run)
            except JournalError:
                pass
            else:
                abandoned = f"abandoned by {heard.abandon.by}" if heard.abandon else ""
                halted = f"halted by {heard.halt.by}" if heard.halt else ""
                self.feed(Pulsed(self.world.now, self.world.now, heard.holds, halted, abandoned))
        self.world.later(self.world.beat, self._pulse)

    def _write(self, write: object, done: Input | None = None, step: str = "") -> None:
        """Write to the journal; who waits is answered, else the run is told once that it failed."""
        assert callable(write)
        try:
            write()
        except GamedayError as error:
            if done is not None:
                self._answer(ArmRefused(0, step, str(error)))
            elif not self._failed:
                self._failed = True
                self._answer(SurroundingsFailed(0, str(error)))
            return
        if done is not None:
            self._answer(done)

    def _answer(self, event: Input) -> None:
        self.world.later(0.001, lambda: self.feed(replace(event, now=self.world.now)))

    def _carry_out(self, command: Command) -> None:  # noqa: C901 - one short case a command
        journal, run = self.world.journal, self.run
        match command:
            case Emit():
                self.events.append(command.event)
            case Sample():
                self.world.look(self, command)
            case TakeHold():
                resource = self.hands.specs[command.step].resource
                self._write(lambda: journal.take_hold(run, resource), Held(0, command.step), command.step)
            case Intend():
                record = self._record(command)
                self.charges[command.step] = (record, False)  # the watchdog has it before the change may follow
                self._write(lambda: journal.intend(record), Intended(0, command.step), command.step)
            case Inject():
                self._inject(command)
            case RecordInjected():
                self.charges[command.step] = (self.charges[command.step][0], command.certain)
                self._write(lambda: journal.injected(run, command.step, certain=command.certain))
            case CloseStep():
                self.charges.pop(command.step, None)
                self.world.close(run, command, lambda write: self._write(write))
            case Reopen():
                record = next(s.record for s in journal.steps(run) if s.record.id == command.step)
                self.charges[command.step] = (record, False)
                self._write(lambda: journal.reopen(run, command.step))
            case StandDown():
                self.charges.clear()
            case ReleaseHold():
                self._write(lambda: journal.release(run, command.resource))
            case Finish():
                self._finish(command)
            case StepCommand():
                self.hands.carry_out(command)
            case _:
                pass

    def _inject(self, command: Inject) -> None:
        """The hands ask the fence in the very moment in which they send."""
        step = command.step
        assert self.state.rollback is None, "injected after the rollback began"
        open_ = [state.record.id for state in self.world.journal.steps(self.run, only_open=True)]
        assert step in open_, "injected before it was written down"

        def send() -> None:
            if not self.alive:
                return
            if self.state.may_inject(self.world.now) and self.world.now >= self.stopped_until:
                self.world.check_fence(self, step)
                self.hands.carry_out(command)
            else:
                self._answer(InjectRefused(0, step, "the fence is closed"))

        self.world.later(self.world.random.uniform(0, 0.01), send)

    def _record(self, command: Intend) -> StepRecord:
        spec = self.hands.specs[command.step]
        return StepRecord.model_construct(
            run=self.run,
            id=spec.id,
            uses=spec.uses,
            params={},
            step=spec.step,
            resource=spec.resource,
            rank=int(spec.rank),
            chain=spec.chain,
            order=spec.order,
            before=dict(command.before),
            probe=spec.probe,
            settle=self.spec.timing.settle,
        )

    def _finish(self, command: Finish) -> None:
        assert self.exit_code is None, "finished twice"
        self.exit_code = command.exit_code
        assert isinstance(self.events[-1], RunFinished), "the verdict is the last word"
        self.open_at_end = self.world.open_steps(self.run)
        self.alive = False
        if not self.world.journal.down():
            self.world.journal.finish_run(self.run)
        if command.exit_code == 9:  # not in order: the watchdog tries on
            self.world.runner_died(self)

    @property
    def over(self) -> bool:
        """Whether it is at its end."""
        return self.state.stage is Stage.DONE or not self.alive


class Rescuer:
    """The watchdog (``tries_on``) or `gameday rollback`: the rollback part of the machine alone."""

    def __init__(
        self, world: World, run: str, undoing: tuple[Undoing, ...], *, tries_on: bool, free_at: float = 0.0
    ) -> None:
        self.world, self.run, self.alive, self.tries_on = world, run, True, tries_on
        self.hands = Hands(world, self, {step.spec.id: step.spec for step in undoing})
        self.timing = world.timing
        self.free_at = free_at
        self.state: Rollback
        self.state, commands = rollback.begin(undoing, world.now, self.timing)
        self._carry_out(commands)
        self._advance()

    def wake_at(self) -> float:
        """When time alone moves it on."""
        if not self.alive:
            return inf
        return self.state.wake_at() if self.state.open else max(self.world.now, self.state.loose_until, self.free_at)

    def feed(self, event: Input) -> None:
        """Move the rollback on."""
        if not self.alive:
            return
        self.state, commands = rollback.handle(self.state, event)
        self._carry_out(commands)
        self._advance()

    def die(self) -> None:
        """It is killed too."""
        self.alive = False

    def _advance(self) -> None:
        if self.state.expired(self.world.now):
            if not self.tries_on:
                self.alive = False
                return
            again = tuple(replace(step, next_at=self.world.now) for step in self.state.open)
            self.state, commands = rollback.begin(again, self.world.now, self.timing)
            self._carry_out(commands)
        if not self.state.open and self.world.now >= max(self.state.loose_until, self.free_at):
            self.alive = False
            self.world.release_all(self.run)

    def _carry_out(self, commands: list[Command]) -> None:
        for command in commands:
            match command:
                case CloseStep():
                    self.world.close(self.run, command, None)
                case Emit():
                    pass
                case StepCommand():
                    self.hands.carry_out(command)
