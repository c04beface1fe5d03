"""The way back: how a run is cut short, put back and ended; :mod:`gameday.machine.rollback` does the undoing."""

from __future__ import annotations

from dataclasses import replace

from gameday.machine import rollback, sampling
from gameday.machine.commands import CloseStep, Finish, ReleaseHold, StandDown
from gameday.machine.state import Armed, Readiness, Stage
from gameday.machine.turn import Turn
from gameday.machine.verdict import judge
from gameday.sdk import (
    Closed,
    HoldReleased,
    Interruption,
    Note,
    Phase,
    PhaseEntered,
    RollbackFinished,
    RollbackStarted,
    RunAbandoned,
    StepClosed,
)

ROLLING_BACK = (Stage.ROLLBACK, Stage.RESTORING)


def interrupt(turn: Turn, why: str, *, hurry: bool) -> None:
    """End the run early; a rollback that is under way goes on undisturbed, but nothing follows it."""
    turn.emit(Interruption(at=turn.now, why=why, ignored=turn.run.stage in ROLLING_BACK))
    turn.ending(interrupted=turn.run.ending.interrupted or why)
    turn.run = replace(turn.run, hurry=turn.run.hurry or hurry)
    match turn.run.stage:
        case Stage.PREPARING:
            finish(turn)
        case Stage.ARMING | Stage.BASELINE | Stage.RECOVERY | Stage.EVIDENCE:
            restore(turn)
        case Stage.INJECTING | Stage.FAULT:
            roll_back(turn, why)
        case _:
            pass


def give_way(turn: Turn, why: str) -> None:
    """What the run stands on is gone, or somebody told all runs to end: a refusal while nothing is broken yet."""
    if turn.run.before_fault:
        turn.emit(Interruption(at=turn.now, why=why))
        refuse(turn, why)
    else:
        interrupt(turn, why, hurry=True)


def abandon(turn: Turn, why: str) -> None:
    """Leave everything as it is: somebody decided so. Only a dead man's switch is taken away, lest it act later."""
    sampling.leave_behind(turn)
    turn.emit(RunAbandoned(at=turn.now, why=why))
    turn.ending(abandoned=why)
    turn.out.append(StandDown())
    now, timing = turn.now, turn.run.spec.timing
    going = {step.spec.id: step for step in turn.run.rollback.open} if turn.run.rollback is not None else {}
    undoing = [going.get(step.spec.id) or step.undoing(now, timing) for step in turn.run.open_steps]
    left = tuple(step if step.spec.switch else replace(step, leave=why) for step in undoing)
    turn.run = replace(turn.run, watches={}, hurry=True)
    back, out = rollback.begin(left, now, timing)
    turn.out += out
    turn.run = replace(turn.run, stage=Stage.RESTORING, rollback=back)


def refuse(turn: Turn, why: str) -> None:
    """End a run in which nothing was broken yet."""
    turn.ending(refused=turn.run.ending.refused or why)
    if turn.run.stage is Stage.PREPARING:
        finish(turn)
    else:
        restore(turn)


def keep(turn: Turn) -> None:
    """Close what was asked to stay; only here, where all went as expected."""
    for step in turn.run.open_steps:
        if step.spec.keep:
            detail = "was asked to stay"
            turn.step(step.spec.id, Readiness.CLOSED)
            turn.out.append(CloseStep(step.spec.id, Closed.KEPT, detail))
            turn.emit(StepClosed(step=step.spec.id, at=turn.now, closed=Closed.KEPT, detail=detail))


def roll_back(turn: Turn, reason: str) -> None:
    """Take the faults back; in a hurry the invasive probes' changes with them, else those after the recovery."""
    sampling.leave_behind(turn)
    steps = tuple(s for s in turn.run.open_steps if turn.run.hurry or not s.spec.probe)
    turn.emit(PhaseEntered(phase=Phase.ROLLBACK, at=turn.now, limit=turn.run.spec.timing.rollback_within))
    turn.emit(RollbackStarted(at=turn.now, reason=reason))
    _begin(turn, Stage.ROLLBACK, steps)
    turn.run = replace(turn.run, phase=Phase.ROLLBACK, watches={})


def restore(turn: Turn) -> None:
    """Put back whatever is still open: after the recovery, that is what invasive probes changed."""
    sampling.leave_behind(turn)
    turn.run = replace(turn.run, watches={})
    _begin(turn, Stage.RESTORING, turn.run.open_steps)


def _begin(turn: Turn, stage: Stage, steps: tuple[Armed, ...]) -> None:
    undoing = tuple(step.undoing(turn.now, turn.run.spec.timing) for step in steps)
    back, out = rollback.begin(undoing, turn.now, turn.run.spec.timing)
    turn.out += out
    turn.run = replace(turn.run, stage=stage, rollback=back)


def rolling_back(turn: Turn) -> None:
    """Whether everything is put back, or the time for it is over."""
    back = turn.run.rollback
    assert back is not None
    _note_closed(turn, back)
    first = turn.run.stage is Stage.ROLLBACK
    if first and back.open:
        back = _hurry_up(turn, back)
    if back.open and not back.expired(turn.now):
        return
    if first or back.open:
        seconds, open_ = turn.now - back.started, back.sentences()
        turn.emit(RollbackFinished(at=turn.now, seconds=seconds, complete=not open_, open=open_))
    if back.open:
        turn.ending(open=tuple(_sentence(step, back) for step in turn.run.open_steps))
        finish(turn)
    elif first and not turn.run.hurry and turn.run.fault_at is not None and not back.drifted:
        sampling.enter(turn, Phase.RECOVERY, Stage.RECOVERY, since=back.started)
    elif first:
        restore(turn)
    elif turn.now >= turn.run.free_at():  # else a call of ours might land under somebody else's hold
        _after_restore(turn)


def _note_closed(turn: Turn, back: rollback.Rollback) -> None:
    for step in back.steps:
        if step.closed is None or turn.run.steps[step.spec.id].readiness is Readiness.CLOSED:
            continue
        turn.step(step.spec.id, Readiness.CLOSED, free_at=step.loose_until)
        if step.closed is Closed.DRIFTED:
            why = f"{step.spec.resource} was changed by someone else meanwhile, and left alone: {step.last}"
            turn.ending(drifted=(*turn.run.ending.drifted, why))
        elif step.closed is Closed.ABANDONED:
            turn.ending(left=(*turn.run.ending.left, f"{step.spec.uses} on {step.spec.resource}"))


def _hurry_up(turn: Turn, back: rollback.Rollback) -> rollback.Rollback:
    """Half of the time is over and a fault is still open: what invasive probes changed has its turn now.

    Else the key that cannot be put back would keep the instance stopped too, untried.
    """
    if turn.now < turn.run.hurries_at():
        return back
    why = f"the rollback is not over after half of its {turn.run.spec.timing.rollback_within:g} s"
    turn.fail(why)
    turn.emit(Note(at=turn.now, text=f"{why}; what invasive probes changed is put back with it"))
    turn.run = replace(turn.run, hurry=True)
    going = {step.spec.id for step in back.steps}
    late = [step for step in turn.run.open_steps if step.spec.id not in going]
    back, out = rollback.join(back, tuple(step.undoing(turn.now, turn.run.spec.timing) for step in late), turn.now)
    turn.out += out
    turn.run = replace(turn.run, rollback=back)
    return back


def _sentence(step: Armed, back: rollback.Rollback) -> str:
    unsaid = f"{step.spec.uses} on {step.spec.resource}: not put back yet"
    return next((s.sentence() for s in back.open if s.spec.id == step.spec.id), unsaid)


def _after_restore(turn: Turn) -> None:
    ending = turn.run.ending
    evidence = any(Phase.EVIDENCE in probe.expect for probe in turn.run.spec.probes)
    failed = bool(ending.failures) and not turn.run.spec.fault_steps  # and no record could make it good
    if turn.run.hurry or ending.refused or ending.abandoned or failed or not evidence:
        finish(turn)
    else:
        sampling.enter(turn, Phase.EVIDENCE, Stage.EVIDENCE)


def finish(turn: Turn) -> None:
    """Release the holds under which nothing is open, and say the verdict."""
    sampling.leave_behind(turn)
    open_resources = {step.spec.resource for step in turn.run.open_steps}
    open_resources |= {step.spec.resource for step in turn.run.steps.values() if turn.now < step.free_at}
    if any(step.spec.switch for step in turn.run.open_steps):  # it may still act on what it stands behind
        open_resources = {step.spec.resource for step in turn.run.steps.values()}
    held = {s.spec.resource: None for s in turn.run.steps.values() if s.readiness is not Readiness.NEW}
    for resource in held:
        if resource not in open_resources:
            turn.out.append(ReleaseHold(resource))
            turn.emit(HoldReleased(resource=resource))
    if turn.run.open_steps and not turn.run.ending.open:  # whatever led here: an open step is never passed over
        turn.ending(open=tuple(f"{s.spec.uses} on {s.spec.resource}: not put back" for s in turn.run.open_steps))
    finished = judge(turn.run.ending, turn.now, turn.run.spec.finish_with)
    turn.emit(finished)
    turn.out.append(Finish(finished.exit_code))
    turn.run = replace(turn.run, stage=Stage.DONE, looks={}, watches={})
