"""Making undo steps ready, in order: hold, capture, write down, inject."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from gameday.machine import rollback
from gameday.machine.commands import Capture, Inject, Intend, ReadBackStep, RecordInjected, Rehearse, TakeHold
from gameday.machine.inputs import (
    ArmRefused,
    Captured,
    Held,
    Injected,
    InjectRefused,
    Intended,
    ReadBackDone,
    Rehearsed,
    StepInput,
)
from gameday.machine.spec import StepSpec
from gameday.machine.state import Armed, Readiness, Stage
from gameday.machine.turn import Turn
from gameday.sdk import HoldTaken, PreflightChecked, StepInjected, StepIntended, StepRefused, StillOurs, SwitchArmed

VERIFYING = 0
"""The attempt with which a switch is read back after its inject; those of a rollback count from 1."""


def arm_next(turn: Turn) -> bool:
    """Hold every resource, rehearse every undo, capture what invasive probes will change.

    Comes before the baseline. True when all is ready.
    """
    for step in turn.run.steps.values():
        if step.readiness is Readiness.NEW:
            turn.step(step.spec.id, Readiness.HOLDING, asked=turn.now)
            turn.out.append(TakeHold(step.spec.id))
            return False
        if step.readiness is Readiness.HELD and step.spec.probe:
            turn.step(step.spec.id, Readiness.CAPTURING, asked=turn.now)
            turn.out.append(Capture(step.spec.id))
            return False
        ready = (Readiness.INTENDED, Readiness.INJECTED) if step.spec.probe else (Readiness.HELD,)
        if step.readiness not in ready:
            return False
    return True


def inject_next(turn: Turn, steps: tuple[StepSpec, ...]) -> bool:
    """Capture, write down and inject steps, one after the other. True when all are injected."""
    timing = turn.run.spec.timing
    limit = timing.call_limit + timing.settle  # for as long as the inject has not been answered
    for spec in steps:
        step = turn.run.steps[spec.id]
        if step.readiness is Readiness.HELD:
            turn.step(spec.id, Readiness.CAPTURING, asked=turn.now)
            turn.out.append(Capture(spec.id))
        elif step.readiness is Readiness.INTENDED:
            turn.step(spec.id, Readiness.INJECTING, asked=turn.now, settle_until=turn.now + limit)
            turn.out.append(Inject(spec.id, step.before))
        if turn.run.steps[spec.id].readiness is not Readiness.INJECTED:
            return False
    return True


def on_step(turn: Turn, event: StepInput) -> str:
    """Take in what the hands said of a step; returns why it was refused, or ``""``."""
    step = turn.run.steps[event.step]
    match event:
        case Held():
            # The rehearsal calls the undo itself, so it waits for the hold: nobody else's fault may be undone by it.
            lands = turn.now + turn.run.spec.timing.lands_after_death
            turn.step(event.step, Readiness.REHEARSING, asked=turn.now, held_at=turn.now, free_at=lands)
            turn.emit(HoldTaken(resource=step.spec.resource))
            turn.out.append(Rehearse(event.step))
        case Rehearsed():
            turn.step(event.step, Readiness.HELD, free_at=0.0)
            turn.emit(PreflightChecked(check=f"undo {event.step}", ok=True, detail="rehearsed"))
        case Captured():
            turn.step(event.step, Readiness.INTENDING, before=event.before, asked=turn.now)
            turn.out.append(Intend(event.step, event.before))
        case Intended():
            turn.step(event.step, Readiness.INTENDED)
            turn.emit(StepIntended(step=event.step, at=turn.now))
        case ArmRefused():
            # An intent that was refused may still stand in the journal: it stays open and is closed as unchanged.
            intending = step.readiness is Readiness.INTENDING
            turn.step(event.step, Readiness.REFUSED if intending else Readiness.CLOSED, free_at=lands_at(turn, event))
            turn.emit(StepRefused(step=event.step, at=turn.now, why=event.why))
            return event.why
        case Injected():
            _injected(turn, event, step.asked, turn.now + turn.run.spec.timing.lands_within(event.certain))
            if step.spec.switch:  # it is worth what it reads back as, whatever its maker was told
                turn.step(event.step, Readiness.VERIFYING, asked=turn.now)
                turn.out.append(ReadBackStep(event.step, VERIFYING, step.before))
        case ReadBackDone():
            return _verified(turn, event, step)
        case InjectRefused():
            turn.step(event.step, Readiness.DENIED, settle_until=turn.now)
            turn.emit(StepRefused(step=event.step, at=turn.now, why=event.why))
            return event.why
        case _:
            pass
    return ""


def lands_at(turn: Turn, event: Rehearsed | ArmRefused) -> float:
    """Until when the call of a rehearsal that has ended may still land."""
    certain = isinstance(event, Rehearsed) or event.certain
    return 0.0 if certain else turn.now + turn.run.spec.timing.settle


def _verified(turn: Turn, event: ReadBackDone, step: Armed) -> str:
    """A switch that does not read back as it was made is none: the run that asked for it is refused."""
    if step.readiness is not Readiness.VERIFYING or event.attempt != VERIFYING:
        return ""
    turn.step(event.step, Readiness.INJECTED)
    detail = event.found.detail
    if not isinstance(event.found, StillOurs):
        return f"the dead man's switch {step.spec.resource} does not read back as armed: {detail or 'no answer'}"
    fires_at = str(step.before.get("fires_at", ""))
    turn.emit(SwitchArmed(step=event.step, at=turn.now, fires_at=fires_at, detail=detail))
    return ""


def _injected(turn: Turn, event: Injected, asked: float, settle_until: float) -> None:
    turn.step(event.step, Readiness.INJECTED, settle_until=settle_until)
    turn.out.append(RecordInjected(event.step, event.certain))
    turn.emit(
        StepInjected(
            step=event.step,
            asked=asked,
            answered=turn.now,
            certain=event.certain,
            detail=event.detail,
            request_id=event.request_id,
        )
    )


def touch(turn: Turn, probe: str) -> None:
    """An invasive probe is about to look: from now on its steps are injected."""
    for spec in turn.run.spec.probe_steps:
        if spec.probe != probe:
            continue
        step = turn.run.steps[spec.id]
        if step.readiness is Readiness.INTENDED:
            turn.out.append(RecordInjected(spec.id, certain=False))  # it goes on while the probe looks
            turn.emit(StepInjected(step=spec.id, asked=turn.now, answered=turn.now, certain=True, detail=f"by {probe}"))
        turn.step(spec.id, Readiness.INJECTED, asked=turn.now, settle_until=inf)


def look_ended(turn: Turn, probe: str, until: float) -> None:
    """An invasive probe's look is over: its last call cannot land after ``until``."""
    for spec in turn.run.spec.probe_steps:
        if spec.probe == probe and turn.run.steps[spec.id].readiness is Readiness.INJECTED:
            turn.step(spec.id, settle_until=until)
            if turn.run.rollback is not None and turn.run.stage in (Stage.ROLLBACK, Stage.RESTORING):
                turn.run = replace(turn.run, rollback=rollback.settled(turn.run.rollback, spec.id, until))
