"""Coming back to a run that has ended: its open undo steps, from the journal alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from gameday.errors import JournalError
from gameday.journal import Abandon, Journal, RunRecord, StepState
from gameday.machine.commands import CloseStep
from gameday.machine.rollback import Undoing
from gameday.machine.spec import StepSpec, Timing
from gameday.machine.state import LEASE
from gameday.rollback.driver import roll_back
from gameday.rollback.hands import Clock
from gameday.sdk import (
    AWS,
    AnyEvent,
    Closed,
    Exporter,
    Rank,
    RunFinished,
    Step,
    StepClosed,
    Verdict,
    rebuild_step,
)

BY = "gameday rollback"
HEARTBEAT = LEASE
"""A run may have lived, and called, for so long after the journal last heard of it; seconds."""


def recover(
    journal: Journal, run: str, aws: AWS, *, within: float, exporter: Exporter, clock: Clock, wall: datetime
) -> tuple[str, ...]:
    """Undo a run's open steps; returns one sentence for each that is still open.

    Raises JournalError when a step cannot be understood by this installation; then nothing was called.
    """
    open_ = journal.steps(run, only_open=True)
    steps = {state.record.id: _rebuild(state) for state in open_}
    timing = Timing(rollback_within=within)
    began = clock()
    untold: list[str] = []

    def elapsed() -> float:
        return clock() - began

    def emit(event: AnyEvent) -> None:
        with _noting(untold):
            exporter.consume(journal.append(run, event))

    def close(command: CloseStep) -> None:
        with _noting(untold):
            journal.close(run, command.step, command.closed, command.detail)

    undoing = tuple(_undoing(state, journal.run(run), wall, timing) for state in open_)
    state = roll_back(
        undoing,
        steps,
        aws,
        timing=timing,
        clock=elapsed,
        emit=emit,
        close=close,
        by=BY,
        reason=f"finishing the rollback of run {run}",
    )
    with _noting(untold):
        _finish(journal, run, elapsed(), state.sentences(), emit)
    exporter.close()
    if untold and not state.open:
        raise JournalError(f"{untold[0]}; what was put back is put back, but the journal does not say so")
    return state.sentences()


@contextmanager
def _noting(untold: list[str]) -> Iterator[None]:
    """A journal that fails in the middle must not stop an undo."""
    try:
        yield
    except JournalError as error:
        untold.append(str(error))


def abandon_vanished(journal: Journal, run: str) -> None:
    """Close a run's open steps whose AWS is gone for good: an embedded lab that ended with its run."""
    for state in journal.steps(run, only_open=True):
        journal.close(run, state.record.id, Closed.ABANDONED, "the embedded lab ended with its run")
    release_holds(journal, run)


def abandon(journal: Journal, run: str, asked: Abandon, disarm: Callable[[], None]) -> None:
    """Close the open steps of a run that has ended, since a human said so, and have its dead man's switch taken away.

    ``disarm`` undoes the steps that are still open then, or raises: a switch that stays would act on what was left.
    """
    why = f"{asked.by}: {asked.reason}"
    open_ = journal.steps(run, only_open=True)
    left = [state for state in open_ if state.record.rank != Rank.SWITCH]
    for state in left:
        journal.append(run, StepClosed(step=state.record.id, at=0.0, closed=Closed.ABANDONED, detail=why))
        journal.close(run, state.record.id, Closed.ABANDONED, why)
    if len(left) < len(open_):
        disarm()
    if left:
        resources = ", ".join(dict.fromkeys(state.record.resource for state in left))
        story = f"Abandoned by {why}. Left as it is: {resources}."
        finished = RunFinished(at=0.0, verdict=Verdict.ABORTED, exit_code=4, story=story)
        journal.append(run, finished)
        journal.finish_run(run, finished)
    release_holds(journal, run)


def _rebuild(state: StepState) -> Step:
    record = state.record
    try:
        return rebuild_step(record.uses, record.params, record.step)
    except (KeyError, StopIteration, ValueError) as error:
        raise JournalError(
            f"the undo step {record.id} of run {record.run} needs {record.uses}, which this installation does not "
            f"have or reads otherwise; use the gameday that wrote it ({error})"
        ) from error


def _undoing(state: StepState, run: RunRecord, wall: datetime, timing: Timing) -> Undoing:
    record = state.record
    spec = StepSpec(
        id=record.id,
        uses=record.uses,
        step=record.step,
        resource=record.resource,
        rank=Rank(record.rank),
        chain=record.chain,
        order=record.order,
        probe=record.probe,
    )
    return Undoing(spec, record.before, settle_until=_may_land_for(state, run, wall, timing))


def _may_land_for(state: StepState, run: RunRecord, wall: datetime, timing: Timing) -> float:
    """Seconds for which a call of a run that has ended may still land: none when its inject had been answered."""
    if state.state == "injected":
        return 0.0
    known = (state.intended_at, state.injected_at, run.finished_at or run.heartbeat_at)
    last = max(datetime.fromisoformat(at) for at in known if at)
    unseen = 0.0 if run.finished_at else HEARTBEAT
    return max(0.0, unseen + timing.call_limit + state.record.settle - (wall - last).total_seconds())


def _finish(journal: Journal, run: str, at: float, open_: tuple[str, ...], emit: Callable[[AnyEvent], None]) -> None:
    """A run that died without a word gets its last one here; one that ended keeps its verdict, or sheds its 9."""
    record = journal.run(run)
    again = f"gameday rollback {run}"
    finished = RunFinished(
        at=at,
        verdict=Verdict(record.verdict) if record.verdict else Verdict.ABORTED,
        exit_code=9 if open_ else 3,
        story="ROLLBACK INCOMPLETE." if open_ else f"The run did not put everything back itself; {BY} did.",
        reasons=open_,
        finish_with=again if open_ else "",
    )
    emit(finished)
    journal.finish_run(run, finished)
    if not open_:
        release_holds(journal, run)


def release_holds(journal: Journal, run: str) -> None:
    """Give back the holds of a run that has ended and left nothing open."""
    for hold in journal.holds():
        if hold.run == run:
            journal.release(run, hold.resource)
