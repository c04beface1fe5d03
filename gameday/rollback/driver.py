"""Drives the rollback part of the machine alone: for the watchdog, ``gameday rollback``, and a run that met a bug."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue

from gameday.machine import rollback
from gameday.machine.commands import CloseStep, Command, Emit, StepCommand
from gameday.machine.inputs import Input, Tick
from gameday.machine.rollback import Rollback, Undoing
from gameday.machine.spec import Timing
from gameday.rollback.clock import steady
from gameday.rollback.hands import Clock, StepHands
from gameday.sdk import AWS, AnyEvent, RollbackFinished, RollbackStarted, Step


def roll_back(
    undoing: tuple[Undoing, ...],
    steps: Mapping[str, Step],
    aws: AWS,
    *,
    timing: Timing,
    clock: Clock = steady,
    emit: Callable[[AnyEvent], None],
    close: Callable[[CloseStep], None],
    by: str,
    reason: str,
    abandoned: Callable[[], bool] = lambda: False,
) -> Rollback:
    """Undo, read back and close until everything is closed or ``timing.rollback_within`` is over.

    Or until it is ``abandoned``, which then is somebody else's to write down. Blocks its thread. ``emit`` and
    ``close`` must not raise; what they cannot write must not stop an undo.
    """
    inbox: SimpleQueue[Input] = SimpleQueue()
    hands = StepHands(steps, aws, (aws,), inbox.put, clock)

    def carry_out(commands: list[Command]) -> None:
        for command in commands:
            match command:
                case Emit():
                    emit(command.event)
                case CloseStep():
                    close(command)
                case StepCommand():
                    hands.carry_out(command)

    emit(RollbackStarted(at=clock(), reason=reason, by=by))
    state, commands = rollback.begin(undoing, clock(), timing)
    carry_out(commands)
    while state.open and not state.expired(clock()) and not abandoned():
        try:
            event: Input = inbox.get(timeout=max(0.001, min(0.5, state.wake_at() - clock())))
        except Empty:
            event = Tick(clock())
        state, commands = rollback.handle(state, event)
        carry_out(commands)
    emit(RollbackFinished(at=clock(), seconds=clock() - state.started, complete=not state.open, open=state.sentences()))
    return state
