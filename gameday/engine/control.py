"""The thread that drives the machine: inputs in, commands carried out, never waiting for anything that can hang."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from queue import Empty, SimpleQueue

from gameday.engine.executor import Equipment, Executor
from gameday.engine.job import Job, Target, undoers
from gameday.engine.looks import Looks
from gameday.engine.onlookers import Onlookers
from gameday.engine.plan import Plan
from gameday.engine.prepare import prepare
from gameday.engine.pulse import Heart
from gameday.engine.stream import Stream
from gameday.errors import ExitCode, GamedayError
from gameday.journal import Owner
from gameday.machine import Run, Stage, handle, wake_at
from gameday.machine.commands import Finish
from gameday.machine.inputs import Input, Prepared, PrepareFailed, Signalled, SurroundingsFailed, Tick
from gameday.machine.way_back import ROLLING_BACK
from gameday.rollback.clock import steady
from gameday.rollback.driver import roll_back
from gameday.rollback.hands import StepHands
from gameday.rollback.keeper import Keeper
from gameday.rollback.reserve import release
from gameday.rollback.writer import JournalWriter
from gameday.sdk import (
    AnyEvent,
    Phase,
    PhaseEntered,
    RunFinished,
    RunStarted,
    Switch,
    Verdict,
    WatchdogLost,
)

log = logging.getLogger(__name__)

LONGEST_WAIT = 0.5
EXPORTERS_MAY_TAKE = 2.0
PREPARING_MAY_TAKE = 300.0
"""Seconds for one check or one resource of the stage; an instance that is made on a slow lab takes a few minutes."""
UNTOLD = ExitCode.INCONCLUSIVE
"""The exit code of a run which passed, but whose journal does not say so."""
JOURNAL_MAY_TAKE = 6.0
"""Longer than the journal waits for another writer."""


@dataclass(frozen=True, slots=True)
class Crashed(Input):
    """A thread of the run met a bug."""

    error: Exception


class Control(threading.Thread):
    """Drives one run from its beginning to its exit code."""

    def __init__(self, job: Job, done: Callable[[], None]) -> None:
        super().__init__(name="control", daemon=True)
        self.exit_code: int = ExitCode.BUG
        self.restored = self.recorded = False
        self._job, self._done = job, done
        self._began, self._since = steady(), datetime.now(UTC)
        self._inbox: SimpleQueue[Input] = SimpleQueue()
        self._state = Run()
        self._owner = Owner.this()
        self._writer = JournalWriter(job.journal, self._gave_way)
        self._keeper = Keeper(job.run, job.journal, self._writer, job.watchdog, self._gave_way)
        self._stream = Stream(job.run, self._writer.event, job.exporters)
        self._target: Target | None = None
        self._executor = Executor(
            job, self._owner, self._writer, self._keeper, self._stream, lambda: self._state, self._post, self._clock
        )
        self._heart = Heart(job.journal, job.run, self._post, self._clock)
        self._onlookers: Onlookers | None = None
        self._heard_of = 0.0

    def signalled(self, name: str) -> None:
        """Tell the run of a signal; called from the main thread."""
        self._post(Signalled(self._clock(), name))

    def run(self) -> None:
        """Drive the machine; whatever breaks here, what was changed is put back."""
        if self._job.watchdog is not None:
            self._job.watchdog.attach(self._lost)
        try:
            try:
                self._drive()
            except Exception as bug:  # noqa: BLE001 - a bug must not leave the key off: roll back, then say so
                self._after_bug(bug)
            self._wind_up()
        finally:
            self._done()

    def _clock(self) -> float:
        return steady() - self._began

    def _post(self, event: Input) -> None:
        self._inbox.put(event)

    def _gave_way(self, why: str) -> None:
        self._post(SurroundingsFailed(self._clock(), why))

    def _lost(self, why: str) -> None:
        """The watchdog is gone: nothing may be, or stay, changed without it. Told on any thread."""
        state = self._state
        if state.stage is Stage.DONE:
            return
        self._stream.emit(WatchdogLost(at=self._clock(), why=why))
        if state.before_fault or (state.open_steps and state.stage not in ROLLING_BACK):
            self._gave_way(why)

    def _drive(self) -> None:
        job = self._job
        self._writer.write(lambda journal: journal.open_run(job.run, job.playbook.name, self._owner), self._heart.start)
        self._stream.emit(
            RunStarted(
                run=job.run,
                playbook=job.playbook.name,
                description=job.playbook.description,
                playbook_hash=job.playbook.hash,
                machine=self._owner.machine,
                pid=self._owner.pid,
                version=job.version,
            )
        )
        self._stream.emit(PhaseEntered(phase=Phase.PREFLIGHT, at=self._clock()))
        threading.Thread(target=self._prepare, name="prepare", daemon=True).start()
        while self._state.stage is not Stage.DONE:
            self._turn(self._next_input())
            if self._job.watchdog is not None:
                self._job.watchdog.beat()
            self._lose_patience()

    def _next_input(self) -> Input:
        try:
            pause = min(LONGEST_WAIT, wake_at(self._state) - self._clock())
            return self._inbox.get(timeout=max(0.001, pause))
        except Empty:
            return Tick(self._clock())

    def _turn(self, event: Input) -> None:
        if isinstance(event, Crashed):
            raise event.error
        # The state is in place before its commands are: the fence reads it from other threads.
        before = self._state.stage
        self._state, commands = handle(self._state, event)
        if self._state.stage in ROLLING_BACK and before not in ROLLING_BACK:
            release()
            self._keeper.rolling_back()
        for command in commands:
            if isinstance(command, Finish):
                self.exit_code = command.exit_code
                self.restored = command.exit_code != ExitCode.INCOMPLETE
            else:
                self._executor.carry_out(command)

    def _lose_patience(self) -> None:
        """Preflight may take as long as it gets on; one that hangs is left behind."""
        if self._state.stage is Stage.PREPARING and self._clock() - self._heard_of > PREPARING_MAY_TAKE:
            why = f"preflight has not got on for {PREPARING_MAY_TAKE:g} s: the journal or AWS does not answer"
            self._post(PrepareFailed(self._clock(), why))

    def _getting_on(self, event: AnyEvent) -> None:
        self._heard_of = self._clock()
        self._stream.emit(event)

    def _prepare(self) -> None:
        job = self._job
        try:
            target = self._target = job.open_target(job.run, self._since)
            self._heard_of = self._clock()
            self._keeper.meet(target.facts, self._began, target.pipe)
            self._writer.write(lambda journal: journal.set_target(job.run, target.facts))
            plan = prepare(
                job.playbook,
                target,
                journal=job.journal,
                finish_with=job.finish_with,
                emit=self._getting_on,
            )
            self._ready(target, plan)
        except GamedayError as error:
            self._post(PrepareFailed(self._clock(), str(error), error.exit_code))
        except Exception as bug:  # noqa: BLE001 - carried to the control thread, which knows what to do with a bug
            self._post(Crashed(self._clock(), bug))

    def _ready(self, target: Target, plan: Plan) -> None:
        inject_as = target.session.but(fence=self._may_inject)
        hands = StepHands(plan.steps, inject_as, undoers(target), self._executor.answered, self._clock)
        look_as = target.session.but(fence=lambda: self._state.may_look(self._clock()))
        looks = Looks(plan.probes, plan.identities, look_as, self._post, self._clock)
        self._executor.equipment = Equipment(plan, hands, looks)
        state, journal = lambda: self._state, self._job.journal

        def over(run: str) -> bool:
            return journal.run(run).finished_at is not None

        self._onlookers = Onlookers(target.session, plan.steps, state, over, self._post, self._clock)
        self._onlookers.start()
        self._keeper.limit(plan.spec.timing)
        for listener in plan.listeners:
            self._stream.listen(listener)
        self._stream.emit(plan.prepared)
        self._post(Prepared(self._clock(), plan.spec))

    def _may_inject(self) -> bool:
        """The fence: only in its stage, and never so late (a laptop slept) that a switch fires before max_fault."""
        state, now = self._state, datetime.now(UTC)
        equipment = self._executor.equipment
        steps = equipment.plan.steps if equipment is not None else {}
        for id_, armed in state.steps.items():
            switch = steps[id_]
            if isinstance(switch, Switch) and "captured_at" in armed.before:
                since = now - datetime.fromisoformat(str(armed.before["captured_at"]))
                if since.total_seconds() + state.spec.timing.max_fault >= switch.after:
                    return False
        return state.may_inject(self._clock())

    def _after_bug(self, bug: Exception) -> None:
        """Roll back without the machine's run part, which cannot be trusted any more, and only then say so."""
        self.exit_code, self.restored = ExitCode.INCOMPLETE if self._state.open_steps else ExitCode.BUG, False
        try:
            open_ = self._roll_back_after_bug()
        except Exception:  # a second bug, in the rollback itself: say what is open, never "restored"
            log.exception("the rollback after a bug met another")
            open_ = tuple(f"{s.spec.uses} on {s.spec.resource}: not put back" for s in self._state.open_steps)
        restored = "" if open_ else " Everything is as it was found."
        finished = RunFinished(
            at=self._clock(),
            verdict=Verdict.ABORTED,
            exit_code=ExitCode.INCOMPLETE if open_ else ExitCode.BUG,
            story=f"A bug in gameday ended the run: {type(bug).__name__}: {bug}.{restored} Please report it.",
            reasons=open_,
            finish_with=self._job.finish_with if open_ else "",
        )
        self.exit_code, self.restored = finished.exit_code, not open_
        log.critical("a bug in gameday: %s", "".join(traceback.format_exception(bug)))
        for reason in open_:
            log.critical("ROLLBACK INCOMPLETE: %s; finish it with: %s", reason, self._job.finish_with)
        finished = self._executor.goes_on(finished)
        self._tell(finished)
        self._keeper.finish(finished)

    def _roll_back_after_bug(self) -> tuple[str, ...]:
        """Put back what is open; returns a sentence for each step that stays open."""
        equipment, target = self._executor.equipment, self._target
        if equipment is None or target is None:
            return ()
        plan = equipment.plan
        for look in self._state.looks.values():
            equipment.looks.cancel(look.sample)
        open_steps = self._state.open_steps
        self._state = replace(self._state, stage=Stage.ROLLBACK)  # closes the fence
        release()
        self._keeper.rolling_back()
        state = roll_back(
            tuple(step.undoing(self._clock(), plan.spec.timing) for step in open_steps),
            plan.steps,
            target.undoes,
            timing=plan.spec.timing,
            clock=self._clock,
            emit=self._tell,
            close=self._keeper.close,
            by="runner",
            reason="a bug in gameday",
        )
        if not state.open:  # else whoever finishes the rollback gives all back: a call may still be on its way
            for resource in {record.resource for record in plan.records.values()}:
                self._executor.release(resource)
        return state.sentences()

    def _tell(self, event: AnyEvent) -> None:
        """Emit an event if that still works: the stream itself may be what is broken."""
        try:
            self._stream.emit(event)
        except Exception:  # the stream may be what is broken, and must not stop the rollback
            log.exception("the event %s could not be told", event.kind)

    def _wind_up(self) -> None:
        """Let the journal and the listeners finish, within limits."""
        self._heart.stop()
        if self._onlookers is not None:
            self._onlookers.stop()
        self.recorded = self._keeper.end(JOURNAL_MAY_TAKE)
        if not self.recorded:
            receipt = self._keeper.receipt
            kept = f"; a receipt is at {receipt}, and the next gameday command takes it in" if receipt else ""
            log.error("the journal at %s does not hold all of this run%s", self._job.journal.place, kept)
            self.exit_code = self.exit_code or UNTOLD
        self._stream.close(EXPORTERS_MAY_TAKE)
        watchdog = self._job.watchdog
        if watchdog is not None and self.exit_code != ExitCode.INCOMPLETE:
            watchdog.let_go()
        if self._target is not None and (self.exit_code != ExitCode.INCOMPLETE or watchdog is None or watchdog.gone):
            self._target.close()
