"""Drives the rollback part of the machine alone: for the watchdog, ``gameday rollback``, and a run that met a bug."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue

from gameday.machine import rollback
from gameday.machine.commands import CloseStep, Command, Emit, StepCommand
from gameday.machine.inputs import Input, Tick
from gameday.machine.rollback import Rollback, Undoing
from gameday.machine.spec import Timing
from gameday.rollback.clock import steady
from gameday.rollback.hands import Clock, IsLost, StepHands
from gameday.sdk import AWS, AnyEvent, RollbackFinished, RollbackStarted, Step

PAUSE = 0.5
"""Seconds after which it looks whether it was abandoned."""


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
    is_lost: IsLost = lambda _: None,
) -> Rollback:
    """Undo, read back and close until everything is closed or ``timing.rollback_within`` is over.

    Or until it is ``abandoned``, which then is somebody else's to write down. When nothing is open any more, it returns
    only once no undo without an answer can land any more, so that the holds may be given back. Blocks its thread.
    ``emit`` and ``close`` must not raise; what they cannot write must not stop an undo.
    """
    inbox: SimpleQueue[Input] = SimpleQueue()
    hands = StepHands(steps, aws, (aws,), inbox.put, clock, is_lost)

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
            event: Input = inbox.get(timeout=max(0.001, min(PAUSE, state.wake_at() - clock())))
        except Empty:
            event = Tick(clock())
        state, commands = rollback.handle(state, event)
        carry_out(commands)
    emit(RollbackFinished(at=clock(), seconds=clock() - state.started, complete=not state.open, open=state.sentences()))
    while not state.open and not abandoned() and (pause := state.loose_until - clock()) > 0:
        time.sleep(min(PAUSE, pause))
    return state
