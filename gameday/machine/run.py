"""The run as a pure machine: a state and an input give a state and commands.

No sleep, clock, thread, SQL or boto3 here: the driver in ``gameday.engine`` has the hands.
"""

from __future__ import annotations

from dataclasses import replace

from gameday.machine import arming, rollback, sampling
from gameday.machine.commands import CloseStep, Command, Finish, ReleaseHold, Reopen
from gameday.machine.expectation import Standing
from gameday.machine.inputs import (
    ArmRefused,
    Captured,
    Held,
    Injected,
    InjectRefused,
    Input,
    Intended,
    Observed,
    Prepared,
    PrepareFailed,
    ReadBackDone,
    Signalled,
    StepInput,
    SurroundingsFailed,
    Undone,
)
from gameday.machine.state import Armed, Readiness, Run, Stage
from gameday.machine.turn import Turn
from gameday.machine.verdict import judge
from gameday.sdk import (
    OK_CAUSES,
    Closed,
    HoldReleased,
    Interruption,
    Phase,
    PhaseEntered,
    RollbackFinished,
    RollbackStarted,
    StepClosed,
)

BEFORE_FAULT = (Stage.PREPARING, Stage.ARMING, Stage.BASELINE)
WHILE_CHANGED = (Stage.INJECTING, Stage.FAULT)
ROLLING_BACK = (Stage.ROLLBACK, Stage.RESTORING)


def handle(run: Run, event: Input) -> tuple[Run, list[Command]]:
    """Move a run on by one input."""
    turn = Turn(run, event.now)
    if run.stage is not Stage.DONE:
        _take_in(turn, event)
        sampling.time_out(turn)
        sampling.judge_time(turn)
        _advance(turn, event)
        sampling.start_due(turn)
    return turn.run, turn.out


def _take_in(turn: Turn, event: Input) -> None:
    match event:
        case Prepared(spec=spec):
            steps = {step.id: Armed(step) for step in spec.steps}
            turn.run = replace(turn.run, spec=spec, steps=steps, stage=Stage.ARMING)
        case PrepareFailed():
            turn.ending(refused=event.why, refused_code=event.exit_code)
            _finish(turn)
        case Observed():
            sampling.on_observed(turn, event)
        case Undone() | ReadBackDone():
            pass  # the rollback's own, see _advance
        case StepInput():
            _on_step(turn, event)
        case Signalled():
            _interrupt(turn, event.name, hurry=True)
        case SurroundingsFailed():
            _interrupt(turn, event.why, hurry=True, refuse=turn.run.stage in BEFORE_FAULT)
        case _:
            pass


def _on_step(turn: Turn, event: StepInput) -> None:
    if turn.run.stage in ROLLING_BACK:
        _late(turn, event)
        return
    if turn.run.rollback is not None:
        _much_too_late(turn, event)
        return
    why = arming.on_step(turn, event)
    if not why:
        return
    if any(s.readiness is Readiness.INJECTED for s in turn.run.steps.values() if not s.spec.probe):
        turn.fail(f"{turn.run.steps[event.step].spec.uses} could not be injected: {why}")
        _roll_back(turn, "a fault could not be injected")
    else:
        _refuse(turn, why)


def _late(turn: Turn, event: StepInput) -> None:
    """An answer that comes when the run is rolling back already."""
    match event:
        case Held():
            turn.step(event.step, Readiness.HELD)  # so that it is released
        case Injected():
            turn.step(event.step, settle_until=turn.now + turn.run.spec.timing.lands_within(event.certain))
        case Captured() | Intended() | ArmRefused() | InjectRefused() | _:
            pass


def _much_too_late(turn: Turn, event: StepInput) -> None:
    """An inject is answered when its step has been undone and closed already: if it was made, undo it again."""
    if isinstance(event, Injected):
        settle_until = turn.now + turn.run.spec.timing.lands_within(event.certain)
        turn.step(event.step, Readiness.INJECTED, settle_until=settle_until)
        turn.out.append(Reopen(event.step))
        _interrupt(turn, f"a call to inject {event.step} was answered only now", hurry=True)


def _interrupt(turn: Turn, why: str, *, hurry: bool, refuse: bool = False) -> None:
    """End the run early; a rollback that is under way goes on undisturbed, but nothing follows it."""
    turn.emit(Interruption(at=turn.now, why=why, ignored=turn.run.stage in ROLLING_BACK))
    if refuse:
        _refuse(turn, why)
        return
    turn.ending(interrupted=turn.run.ending.interrupted or why)
    turn.run = replace(turn.run, hurry=turn.run.hurry or hurry)
    match turn.run.stage:
        case Stage.PREPARING:
            _finish(turn)
        case Stage.ARMING | Stage.BASELINE | Stage.RECOVERY | Stage.EVIDENCE:
            _restore(turn)
        case Stage.INJECTING | Stage.FAULT:
            _roll_back(turn, why)
        case _:
            pass


def _refuse(turn: Turn, why: str) -> None:
    turn.ending(refused=turn.run.ending.refused or why)
    if turn.run.stage is Stage.PREPARING:
        _finish(turn)
    else:
        _restore(turn)


def _advance(turn: Turn, event: Input) -> None:
    """Go on to the next stage, as often as one is over."""
    if turn.run.stage in ROLLING_BACK:
        assert turn.run.rollback is not None
        back, out = rollback.handle(turn.run.rollback, event)
        turn.out += out
        turn.run = replace(turn.run, rollback=back)
    stage = None
    while stage is not turn.run.stage:
        stage = turn.run.stage
        if over := OVER.get(stage):
            over(turn)


def _arming(turn: Turn) -> None:
    if arming.arm_next(turn):
        sampling.enter(turn, Phase.BASELINE, Stage.BASELINE)


def _recovery(turn: Turn) -> None:
    if not turn.run.standing(Standing.PENDING):
        _restore(turn)


def _evidence(turn: Turn) -> None:
    if not turn.run.standing(Standing.PENDING):
        _finish(turn)


def _baseline(turn: Turn) -> None:
    run = turn.run
    if why := sampling.breached(turn):
        _refuse(turn, why)
    elif run.standing(Standing.BROKEN):
        found = (*run.ending.failures, *run.ending.doubts)
        turn.ending(failures=(), doubts=())
        _refuse(turn, f"the steady state does not hold: {'; '.join(found)}")
    elif run.standing(Standing.PENDING):
        pass
    elif unseen := sampling.blind(turn):
        patience = max(run.spec.probe(name).timeout for name in unseen)
        if turn.now >= run.phase_at + patience:
            _refuse(turn, f"nothing definite was seen by the guard {' or '.join(unseen)}")
    elif not run.spec.fault_steps:
        _restore(turn)
    else:
        turn.run = replace(run, stage=Stage.INJECTING)


def _injecting(turn: Turn) -> None:
    """From the capture of the first fault until all are injected."""
    first = turn.run.steps[turn.run.spec.fault_steps[0].id]
    if turn.run.fault_at is None and turn.run.standing(Standing.BROKEN):
        _baseline(turn)
        return
    if turn.run.fault_at is None and first.readiness is Readiness.INTENDED:
        # The phase begins with the first inject: from here on the key may be off.
        turn.run = replace(turn.run, fault_at=turn.now)
        sampling.enter(turn, Phase.FAULT, Stage.INJECTING)
    if arming.inject_next(turn):
        turn.run = replace(turn.run, stage=Stage.FAULT)
    _fault(turn)


def _fault(turn: Turn) -> None:
    """Whether the time has come to roll back."""
    run = turn.run
    if why := sampling.breached(turn):
        _interrupt(turn, why, hurry=False)
    elif turn.now >= run.fault_deadline():
        _interrupt(turn, f"max_fault is over ({run.spec.timing.max_fault:g} s)", hurry=False)
    elif run.phase is Phase.FAULT and run.standing(Standing.BROKEN):
        _roll_back(turn, "an expectation did not hold")
    elif run.stage is Stage.FAULT and not run.standing(Standing.PENDING) and turn.now >= run.held_until():
        _note_effects(turn)
        _keep(turn)
        _roll_back(turn, "the effect was seen and has lasted")


def _keep(turn: Turn) -> None:
    """Close what was asked to stay; only here, where all went as expected."""
    for step in turn.run.open_steps:
        if step.spec.keep:
            detail = "was asked to stay"
            turn.step(step.spec.id, Readiness.CLOSED)
            turn.out.append(CloseStep(step.spec.id, Closed.KEPT, detail))
            turn.emit(StepClosed(step=step.spec.id, at=turn.now, closed=Closed.KEPT, detail=detail))


def _note_effects(turn: Turn) -> None:
    effects = []
    for name, watch in turn.run.watches.items():
        if watch.interval is not None and watch.met_cause not in OK_CAUSES:
            effects.append(f"{name} {watch.met_cause} after {watch.interval.by:.1f} s")
    turn.ending(effects=tuple(effects))


def _roll_back(turn: Turn, reason: str) -> None:
    """Take the faults back; in a hurry the invasive probes' changes with them, else those after the recovery."""
    sampling.leave_behind(turn)
    steps = tuple(s for s in turn.run.open_steps if turn.run.hurry or not s.spec.probe)
    turn.emit(PhaseEntered(phase=Phase.ROLLBACK, at=turn.now, limit=turn.run.spec.timing.rollback_within))
    turn.emit(RollbackStarted(at=turn.now, reason=reason))
    _begin(turn, Stage.ROLLBACK, steps)
    turn.run = replace(turn.run, phase=Phase.ROLLBACK, watches={})


def _restore(turn: Turn) -> None:
    """Put back whatever is still open: after the recovery, that is what invasive probes changed."""
    sampling.leave_behind(turn)
    turn.run = replace(turn.run, watches={})
    _begin(turn, Stage.RESTORING, turn.run.open_steps)


def _begin(turn: Turn, stage: Stage, steps: tuple[Armed, ...]) -> None:
    undoing = tuple(step.undoing(turn.now, turn.run.spec.timing) for step in steps)
    back, out = rollback.begin(undoing, turn.now, turn.run.spec.timing)
    turn.out += out
    turn.run = replace(turn.run, stage=stage, rollback=back)


def _rolling_back(turn: Turn) -> None:
    back = turn.run.rollback
    assert back is not None
    for step in back.steps:
        if step.closed is not None and turn.run.steps[step.spec.id].readiness is not Readiness.CLOSED:
            turn.step(step.spec.id, Readiness.CLOSED)
            if step.closed is Closed.DRIFTED:
                why = f"{step.spec.resource} was changed by someone else meanwhile, and left alone: {step.last}"
                turn.ending(drifted=(*turn.run.ending.drifted, why))
    if back.open and not back.expired(turn.now):
        return
    first = turn.run.stage is Stage.ROLLBACK
    if first or back.open:
        seconds, open_ = turn.now - back.started, back.sentences()
        turn.emit(RollbackFinished(at=turn.now, seconds=seconds, complete=not open_, open=open_))
    if back.open:
        turn.ending(open=tuple(_sentence(step, back) for step in turn.run.open_steps))
        _finish(turn)
    elif first and not turn.run.hurry and turn.run.fault_at is not None and not back.drifted:
        sampling.enter(turn, Phase.RECOVERY, Stage.RECOVERY, since=back.started)
    elif first:
        _restore(turn)
    else:
        _after_restore(turn)


def _sentence(step: Armed, back: rollback.Rollback) -> str:
    last = next((s.last for s in back.open if s.spec.id == step.spec.id), "not put back yet")
    return f"{step.spec.uses} on {step.spec.resource}: {last}"


def _after_restore(turn: Turn) -> None:
    ending = turn.run.ending
    evidence = any(Phase.EVIDENCE in probe.expect for probe in turn.run.spec.probes)
    if ending.interrupted or ending.refused or not evidence:
        _finish(turn)
    else:
        sampling.enter(turn, Phase.EVIDENCE, Stage.EVIDENCE)


def _finish(turn: Turn) -> None:
    """Release the holds under which nothing is open, and say the verdict."""
    sampling.leave_behind(turn)
    open_resources = {step.spec.resource for step in turn.run.open_steps}
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


OVER = {
    Stage.ARMING: _arming,
    Stage.BASELINE: _baseline,
    Stage.INJECTING: _injecting,
    Stage.FAULT: _fault,
    Stage.ROLLBACK: _rolling_back,
    Stage.RECOVERY: _recovery,
    Stage.RESTORING: _rolling_back,
    Stage.EVIDENCE: _evidence,
}
"""For each stage, what looks whether it is over and goes on to the next."""
