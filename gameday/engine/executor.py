"""Carries the machine's commands out: to the journal, to the steps' hands, to the probes, to whoever listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gameday.engine.job import Job
from gameday.engine.looks import Looks
from gameday.engine.plan import Plan
from gameday.engine.stream import Stream
from gameday.journal import Owner
from gameday.machine import Run
from gameday.machine.commands import (
    Cancel,
    CloseStep,
    Command,
    Emit,
    Intend,
    RecordInjected,
    ReleaseHold,
    Reopen,
    Sample,
    StandDown,
    StepCommand,
    TakeHold,
)
from gameday.machine.inputs import ArmRefused, Held, Input, Intended, Rehearsed
from gameday.rollback.hands import Clock, Post, StepHands
from gameday.rollback.keeper import Keeper
from gameday.rollback.writer import JournalWriter
from gameday.sdk import RunFinished, WatchdogArmed


@dataclass(frozen=True)
class Equipment:
    """What a run has once it is prepared."""

    plan: Plan
    hands: StepHands
    looks: Looks


class Executor:
    """Carries out what the machine commands; nothing in it waits.

    Parameters
    ----------
    state: gives the run as it stands.
    post: takes what came of a command.
    clock: the run's steady clock.
    """

    def __init__(
        self,
        job: Job,
        owner: Owner,
        writer: JournalWriter,
        keeper: Keeper,
        stream: Stream,
        state: Callable[[], Run],
        post: Post,
        clock: Clock,
    ) -> None:
        self._job, self._owner = job, owner
        self._writer, self._keeper, self._stream = writer, keeper, stream
        self._state, self._post, self._clock = state, post, clock
        self.equipment: Equipment | None = None
        self._armed = False

    def carry_out(self, command: Command) -> None:
        """Carry out one command; raises TypeError for one that nobody knows."""
        match command:
            case Emit(event=RunFinished() as finished):
                finished = self.goes_on(finished)
                self._stream.emit(finished)
                self._keeper.finish(finished)
            case Emit():
                self._stream.emit(command.event)
            case Sample():
                assert self.equipment is not None
                self.equipment.looks.start(command)
            case Cancel():
                assert self.equipment is not None
                self.equipment.looks.cancel(command.sample)
            case ReleaseHold():
                self.release(command.resource)
            case StandDown():
                self._keeper.stand_down()
            case StepCommand():
                self._for_step(command)
            case _:
                raise TypeError(f"nobody carries out {command}")

    def answered(self, event: Input) -> None:
        """What the hands say; a rehearsal is through when the watchdog's is, too."""
        if not isinstance(event, Rehearsed) or self.equipment is None:
            self._post(event)
            return

        def done() -> None:
            self._tell_armed()
            self._post(Rehearsed(self._clock(), event.step))

        def refused(why: str, sure: bool) -> None:
            self._post(ArmRefused(self._clock(), event.step, why, certain=sure))

        self._keeper.prove(self.equipment.plan.records[event.step], done, refused)

    def release(self, resource: str) -> None:
        """Give a resource back."""
        self._writer.write(lambda journal: journal.release(self._job.run, resource))

    def goes_on(self, finished: RunFinished) -> RunFinished:
        """Where the rollback is incomplete, say that the watchdog tries on."""
        watchdog = self._job.watchdog
        if finished.exit_code != 9 or watchdog is None or watchdog.gone:
            return finished
        story = f"{finished.story} The watchdog (process {watchdog.pid}) goes on trying; gameday status tells."
        return finished.model_copy(update={"story": story})

    def _for_step(self, command: StepCommand) -> None:
        run, step = self._job.run, command.step

        def refused(why: str) -> None:
            self._post(ArmRefused(self._clock(), step, why))

        assert self.equipment is not None
        record = self.equipment.plan.records[step]
        match command:
            case TakeHold():
                self._writer.write(
                    lambda journal: journal.take_hold(run, self._owner, record.resource),
                    lambda: self._post(Held(self._clock(), step)),
                    refused,
                )
            case Intend():
                intent = record.model_copy(update={"before": dict(command.before)})
                self._keeper.intend(intent, lambda: self._post(Intended(self._clock(), step)), refused)
            case RecordInjected():
                self._keeper.injected(step, certain=command.certain)
            case Reopen():
                before = dict(self._state().steps[step].before)
                self._keeper.reopen(record.model_copy(update={"before": before}))
            case CloseStep():
                self._keeper.close(command)
            case _:
                self.equipment.hands.carry_out(command)

    def _tell_armed(self) -> None:
        watchdog = self._job.watchdog
        if watchdog is not None and not self._armed:
            self._armed = True
            self._stream.emit(WatchdogArmed(at=self._clock(), pid=watchdog.pid, began=watchdog.owner.began))
