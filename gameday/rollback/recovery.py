"""Coming back to a run that has ended: its open undo steps, from the journal alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from gameday.errors import JournalError
from gameday.journal import Abandon, Journal, RunRecord, StepRecord, StepState, release_holds
from gameday.journal.seal import Seal
from gameday.machine.rollback import Undoing
from gameday.machine.spec import StepSpec, Timing
from gameday.machine.state import LEASE
from gameday.rollback.claim import Claim
from gameday.rollback.driver import roll_back
from gameday.rollback.hands import Clock
from gameday.rollback.listener import Listener
from gameday.rollback.ours import disagreement, doubtful, moment, whose
from gameday.rollback.scribe import Scribe
from gameday.sdk import AWS, Closed, Exporter, Rank, RunFinished, Step, StepClosed, Verdict, rebuild_step

BY = "gameday rollback"
HEARTBEAT = LEASE
"""A run may have lived, and called, for so long after the journal last heard of it; seconds."""
JOURNAL_MAY_TAKE, TELLER_MAY_TAKE = 12.0, 2.0


def recover(
    journal: Journal,
    run: str,
    aws: AWS,
    *,
    within: float,
    exporter: Exporter,
    clock: Clock,
    wall: datetime,
    ours: bool,
    again: str,
    seal: Seal | None = None,
) -> tuple[str, ...]:
    """Undo a run's open steps; returns one sentence for each that is still open.

    ``ours`` says that a human knows each open change to be the run's; without, a change of which the run did not live
    to say that it made it is undone only if CloudTrail says so. A step that this installation cannot understand, or
    about which the journal does not agree with itself, is left and said; it holds up no other.
    """
    open_ = journal.steps(run, only_open=True)
    record = journal.run(run)
    events = journal.events(run)
    steps: dict[str, Step] = {}
    began = clock()

    def elapsed() -> float:
        return clock() - began

    listener = Listener(exporter)
    scribe = Scribe(journal, run, BY, listener.put)
    left: list[str] = []
    going: list[StepState] = []
    for state in open_:
        try:
            step = steps[state.record.id] = rebuild(state.record)
        except JournalError as error:
            left.append(str(error))
            continue
        doubt = disagreement(state, step, record, events, ours=ours, seal=seal)
        doubt = doubt or ("" if ours or not doubtful(state) else whose(state, step, aws))
        left += [doubt] if doubt else []
        going += [] if doubt else [state]
    settle = max((state.record.settle for state in going), default=0.0)
    timing = Timing(rollback_within=within, settle=settle)
    overtaken = False
    if going:
        back = roll_back(
            tuple(_undoing(state, steps[state.record.id], record, wall, timing) for state in going),
            steps,
            aws,
            timing=timing,
            clock=elapsed,
            emit=scribe.emit,
            close=scribe.close,
            by=BY,
            reason=f"finishing the rollback of run {run}",
            is_lost=Claim(journal, run).lost,
        )
        left += back.sentences()
        overtaken = back.overtaken
    if left or not overtaken:  # else whoever was quicker has told how it ended
        scribe.finish(elapsed(), tuple(left), again, release=not lands_for(record))
    whole = scribe.end(JOURNAL_MAY_TAKE)
    listener.put(None)
    listener.join(TELLER_MAY_TAKE)
    if not whole and not left:
        raise JournalError(
            f"{scribe.troubles[0]}; what was put back is put back, and a receipt says so, but the journal does not yet"
        )
    return tuple(left)


def abandon_vanished(journal: Journal, run: str) -> None:
    """Close a run's open steps whose AWS is gone for good: an embedded lab that ended with its run."""
    for state in journal.steps(run, only_open=True):
        why = "the embedded lab ended with its run"
        journal.append(run, StepClosed(step=state.record.id, at=0.0, closed=Closed.ABANDONED, detail=why))
        journal.close(run, state.record.id, Closed.ABANDONED, why)
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
        finished = RunFinished(at=0.0, verdict=Verdict.ABANDONED, exit_code=4, story=story)
        journal.append(run, finished)
        journal.finish_run(run, finished)
    release_holds(journal, run)


def lands_for(run: RunRecord) -> float:
    """Seconds for which a rehearsal or an undo that a run left unanswered may still land on its resources."""
    return max(0.0, HEARTBEAT + Timing().lands_after_death - run.silence)


def rebuild(record: StepRecord) -> Step:
    """Make an undo step again from its record; raises JournalError when this installation lacks its part."""
    try:
        return rebuild_step(record.uses, record.params, record.step)
    except (KeyError, StopIteration, ValueError) as error:
        raise JournalError(
            f"the undo step {record.id} of run {record.run} needs {record.uses}, which this installation does not "
            f"have or reads otherwise; use the gameday that wrote it ({error})"
        ) from error


def spec_of(record: StepRecord, step: Step) -> StepSpec:
    """A step's place, from its record."""
    return StepSpec(
        id=record.id,
        uses=record.uses,
        step=record.step,
        resource=record.resource,
        rank=Rank(record.rank),
        chain=record.chain,
        order=record.order,
        probe=record.probe,
        by_hand=step.by_hand,
    )


def _undoing(state: StepState, step: Step, run: RunRecord, wall: datetime, timing: Timing) -> Undoing:
    lands = _may_land_for(state, run, wall, timing)
    return Undoing(spec_of(state.record, step), state.record.before, settle_until=lands)


def _may_land_for(state: StepState, run: RunRecord, wall: datetime, timing: Timing) -> float:
    """Seconds for which a call of a run that has ended may still land: none when its inject had been answered."""
    if state.state == "injected":
        return 0.0
    known = (state.intended_at, state.injected_at, run.finished_at or run.heartbeat_at)
    last = max(moment(at) or wall for at in known if at)
    unseen = 0.0 if run.finished_at else HEARTBEAT
    return max(
        0.0, unseen + replace(timing, settle=state.record.settle).lands_after_death - (wall - last).total_seconds()
    )
