"""The hands of the machine for undo steps: each command on a thread of its own, each answer an input.

A call that hangs is left behind with its thread; nothing waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from gameday.aws.errors import certain, request_id_of, understand
from gameday.errors import CannotInject, GamedayError, Interrupted
from gameday.machine.commands import Capture, Inject, ReadBackStep, Rehearse, StepCommand, Undo
from gameday.machine.inputs import (
    ArmRefused,
    Captured,
    Injected,
    InjectRefused,
    Input,
    Overtaken,
    ReadBackDone,
    Rehearsed,
    StepInput,
    Undone,
)
from gameday.rollback.claim import Lost
from gameday.sdk import AWS, Cause, Step, Unknown

Post = Callable[[Input], None]
Clock = Callable[[], float]
IsLost = Callable[[str], Lost | None]


class StepHands:
    """Carries out what the machine asks of undo steps.

    Parameters
    ----------
    steps: the steps by their id in the run.
    inject_as: the session for injects; its fence says no once the run rolls back.
    undo_as: the sessions for undoes and read-backs, which have no fence: the first also captures, and each further
        one is tried in turn when an attempt did not close the step.
    post: takes the answers; called from many threads.
    clock: the run's steady clock.
    is_lost: asked before each undo whether it is still this actor's to make; a living run's always is.
    """

    def __init__(
        self,
        steps: Mapping[str, Step],
        inject_as: AWS,
        undo_as: Sequence[AWS],
        post: Post,
        clock: Clock,
        is_lost: IsLost = lambda _: None,
    ) -> None:
        self._is_lost = is_lost
        self._steps, self._inject_as, self._undo_as = steps, inject_as, undo_as
        self._post, self._clock = post, clock

    def carry_out(self, command: StepCommand) -> None:
        """Begin what is asked; the answer comes as an input."""
        match command:
            case Rehearse():
                self._start(command, lambda: self._rehearse(command))
            case Capture():
                self._start(command, lambda: self._capture(command))
            case Inject():
                self._start(command, lambda: self._inject(command))
            case Undo():
                self._start(command, lambda: self._undo(command))
            case ReadBackStep():
                self._start(command, lambda: self._read_back(command))
            case _:
                raise TypeError(f"{command} is not for the hands")

    def _start(self, command: StepCommand, work: Callable[[], StepInput]) -> None:
        name = f"{type(command).__name__.lower()} {command.step}"
        try:
            threading.Thread(target=lambda: self._post(work()), name=name, daemon=True).start()
        except RuntimeError as error:  # no more threads to be had: the machine tries again until its deadline
            self._post(self._no_thread(command, str(error)))

    def _no_thread(self, command: StepCommand, why: str) -> StepInput:
        match command:
            case Inject():
                return InjectRefused(self._clock(), command.step, why)
            case Undo():
                return Undone(self._clock(), command.step, command.attempt, False, why)
            case ReadBackStep():
                return ReadBackDone(self._clock(), command.step, command.attempt, Unknown(why))
            case _:
                return ArmRefused(self._clock(), command.step, why)

    def _rehearse(self, command: Rehearse) -> StepInput:
        for aws in self._undo_as:
            why, sure = rehearse(command.step, self._steps[command.step], aws)
            if why:
                return ArmRefused(self._clock(), command.step, why, certain=sure)
        return Rehearsed(self._clock(), command.step)

    def _undoer(self, attempt: int) -> AWS:
        """Who makes an attempt: an identity that may not, or cannot any more, must not be the only one that tries."""
        return self._undo_as[(attempt - 1) % len(self._undo_as)]

    def _capture(self, command: Capture) -> StepInput:
        try:
            before = self._steps[command.step].capture(self._undo_as[0])
        except (CannotInject, Interrupted) as error:
            return ArmRefused(self._clock(), command.step, str(error))
        except Exception as error:  # noqa: BLE001 - a step's own bug must refuse the run, not kill a thread silently
            return ArmRefused(self._clock(), command.step, f"capture failed: {explain(error)}")
        return Captured(self._clock(), command.step, before)

    def _inject(self, command: Inject) -> StepInput:
        try:
            self._steps[command.step].inject(self._inject_as, command.before)
        except Exception as error:  # noqa: BLE001 - whatever it is: unless it is certain that nothing was sent, it counts as done
            if certain(error):
                return InjectRefused(self._clock(), command.step, explain(error))
            detail = f"no certain answer: {explain(error)}"
            return Injected(self._clock(), command.step, False, detail, request_id_of(error))
        return Injected(self._clock(), command.step, True, "", self._inject_as.last_request_id())

    def _undo(self, command: Undo) -> StepInput:
        if (lost := self._is_lost(command.step)) is not None:
            if lost.closed is not None:
                return Overtaken(self._clock(), command.step, command.attempt, lost.closed, lost.detail)
            return Undone(self._clock(), command.step, command.attempt, False, lost.detail)
        aws = self._undoer(command.attempt)
        try:
            self._steps[command.step].undo(aws, command.before)
        except Exception as error:  # noqa: BLE001 - whatever it is, the machine tries again until its deadline
            request, now, sure = request_id_of(error), self._clock(), certain(error)
            detail = explain(error) if sure else unanswered(self._steps[command.step], error)
            return Undone(now, command.step, command.attempt, False, detail, request, certain=sure)
        return Undone(self._clock(), command.step, command.attempt, True, "", aws.last_request_id())

    def _read_back(self, command: ReadBackStep) -> StepInput:
        try:
            found = self._steps[command.step].read_back(self._undoer(command.attempt), command.before)
        except Exception as error:  # noqa: BLE001 - a resource that cannot be read is not restored, whatever the reason
            found = Unknown(explain(error))
        return ReadBackDone(self._clock(), command.step, command.attempt, found)


def rehearse(id_: str, step: Step, aws: AWS) -> tuple[str, bool]:
    """Prove that an undo is permitted, under its hold.

    Returns why it is not, or ``""``; and whether it is certain that a refused one changed nothing.
    """
    try:
        with aws.rehearsing():
            step.rehearse(aws)
    except Exception as error:  # noqa: BLE001 - whatever the rehearsal of an undo meets is a reason not to begin
        return f"the undo of {id_} on {step.resource} was rehearsed and refused: {explain(error)}", certain(error)
    return "", True


def unanswered(step: Step, error: Exception) -> str:
    """What is known of an undo that may have been carried out or not, in one sentence."""
    said = understand(error)
    if said is None or said.code or said.cause is not Cause.UNREACHABLE:
        return explain(error)
    calls = " or ".join(action.partition(":")[2] for action in step.calls.undo) or "the undo"
    why = "timed out" if "timeout" in said.detail.lower() or "timed out" in said.detail.lower() else said.detail
    return f"no answer to {calls} ({why})"


def explain(error: Exception) -> str:
    """An exception in one sentence: AWS's own words where it is AWS's."""
    said = understand(error)
    if isinstance(error, GamedayError):
        return str(error)
    if said is None:
        return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"{said.code}: {said.detail}" if said.code else said.detail
