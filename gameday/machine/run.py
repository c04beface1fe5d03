"""The run as a pure machine: a state and an input give a state and commands.

No sleep, clock, thread, SQL or boto3 here: the driver in ``gameday.engine`` has the hands.
"""

from __future__ import annotations

from dataclasses import replace

from gameday.machine import arming, others, rollback, sampling, way_back
from gameday.machine.commands import Command, Reopen
from gameday.machine.expectation import Standing
from gameday.machine.inputs import (
    ArmRefused,
    Captured,
    FromOthers,
    Held,
    Injected,
    InjectRefused,
    Input,
    Intended,
    Observed,
    Prepared,
    PrepareFailed,
    Rehearsed,
    Signalled,
    StepInput,
    SurroundingsFailed,
)
from gameday.machine.state import LEASE, PATIENCE, WAITING, Armed, Readiness, Run, Stage
from gameday.machine.turn import Turn
from gameday.machine.way_back import ROLLING_BACK
from gameday.sdk import OK_CAUSES, Cause, Phase


def handle(run: Run, event: Input) -> tuple[Run, list[Command]]:
    """Move a run on by one input."""
    turn = Turn(run, event.now)
    if run.stage is not Stage.DONE:
        _take_in(turn, event)
        _pass_time(turn)
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
            way_back.finish(turn)
        case Observed():
            sampling.on_observed(turn, event)
        case StepInput():
            _on_step(turn, event)
        case Signalled():
            way_back.interrupt(turn, event.name, hurry=True)
        case SurroundingsFailed():
            way_back.give_way(turn, event.why)
        case FromOthers():
            others.hear(turn, event)
        case _:
            pass


def _pass_time(turn: Turn) -> None:
    """What time alone ends, whatever the stage."""
    if turn.run.needs_lease and turn.now >= turn.run.leased_until:
        way_back.give_way(turn, f"the journal has not answered for {LEASE:g} s: the holds may be lost")
    elif turn.now >= turn.run.patience_ends():
        waits = [f"{s.spec.id} ({s.readiness})" for s in turn.run.steps.values() if s.readiness in WAITING]
        way_back.refuse(turn, f"no answer within {PATIENCE:g} s: {', '.join(waits)}")


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
    faults = (turn.run.steps[spec.id] for spec in turn.run.spec.fault_steps)
    if any(step.readiness is Readiness.INJECTED for step in faults):
        turn.fail(f"{turn.run.steps[event.step].spec.uses} could not be injected: {why}")
        way_back.roll_back(turn, "a fault could not be injected")
    else:
        way_back.refuse(turn, why)


def _late(turn: Turn, event: StepInput) -> None:
    """An answer that comes when the run is rolling back already."""
    match event:
        case Held():
            turn.step(event.step, Readiness.HELD)  # so that it is released
        case Rehearsed() | ArmRefused() if turn.run.steps[event.step].readiness is Readiness.REHEARSING:
            turn.step(event.step, Readiness.CLOSED, free_at=arming.lands_at(turn, event))
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
        way_back.interrupt(turn, f"a call to inject {event.step} was answered only now", hurry=True)


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
        way_back.restore(turn)


def _evidence(turn: Turn) -> None:
    if not turn.run.standing(Standing.PENDING):
        way_back.finish(turn)


def _baseline(turn: Turn) -> None:
    run = turn.run
    if why := sampling.breached(turn):
        way_back.refuse(turn, why)
    elif run.standing(Standing.BROKEN) and _is_the_experiment(run):
        way_back.restore(turn)
    elif run.standing(Standing.BROKEN):
        found = (*run.ending.failures, *run.ending.doubts)
        turn.ending(failures=(), doubts=())
        way_back.refuse(turn, f"the steady state does not hold: {'; '.join(found)}")
    elif run.standing(Standing.PENDING):
        pass
    elif unseen := sampling.blind(turn):
        patience = max(run.spec.probe(name).timeout for name in unseen)
        if turn.now >= run.phase_at + patience:
            way_back.refuse(turn, f"nothing definite was seen by the guard {' or '.join(unseen)}")
    elif not run.spec.fault_steps:
        way_back.restore(turn)
    else:
        turn.run = replace(run, stage=Stage.INJECTING)


def _is_the_experiment(run: Run) -> bool:
    """Whether what broke in the baseline has failed: nothing is to be broken later, so there it is put to the test.

    Who could not ask at all, for want of credentials, has tested nothing.
    """
    broken = [watch for watch in run.watches.values() if watch.standing is Standing.BROKEN and not watch.inconclusive]
    return not run.spec.fault_steps and any(watch.cause != Cause.CREDENTIALS for watch in broken)


def _injecting(turn: Turn) -> None:
    """From the capture of the first fault until all are injected; before that, the dead man's switches are armed."""
    first = turn.run.steps[turn.run.spec.fault_steps[0].id]
    if turn.run.fault_at is None and turn.run.standing(Standing.BROKEN):
        _baseline(turn)
        return
    if turn.now >= turn.run.arming_deadline():
        way_back.refuse(turn, "the dead man's switch could not be armed: no answer")
        return
    armed = arming.inject_next(turn, turn.run.spec.switch_steps)
    if armed and turn.run.fault_at is None and first.readiness is Readiness.INTENDED:
        # The phase begins with the first inject: from here on the key may be off.
        turn.run = replace(turn.run, fault_at=turn.now)
        sampling.enter(turn, Phase.FAULT, Stage.INJECTING)
    if armed and arming.inject_next(turn, turn.run.spec.fault_steps):
        turn.run = replace(turn.run, stage=Stage.FAULT)
    _fault(turn)


def _fault(turn: Turn) -> None:
    """Whether the time has come to roll back."""
    run = turn.run
    if why := sampling.breached(turn):
        way_back.interrupt(turn, why, hurry=False)
    elif turn.now >= run.fault_deadline():
        way_back.interrupt(turn, f"max_fault is over ({run.spec.timing.max_fault:g} s)", hurry=False)
    elif run.phase is Phase.FAULT and run.standing(Standing.BROKEN):
        way_back.roll_back(turn, "an expectation did not hold")
    elif run.stage is Stage.FAULT and not run.standing(Standing.PENDING) and turn.now >= run.held_until():
        _note_effects(turn)
        way_back.keep(turn)
        way_back.roll_back(turn, "the effect was seen and has lasted")


def _note_effects(turn: Turn) -> None:
    effects = []
    for name, watch in turn.run.watches.items():
        if watch.interval is not None and watch.met_cause not in OK_CAUSES:
            effects.append(f"{name} {watch.met_cause} after {watch.interval.by:.1f} s")
    turn.ending(effects=tuple(effects))


OVER = {
    Stage.ARMING: _arming,
    Stage.BASELINE: _baseline,
    Stage.INJECTING: _injecting,
    Stage.FAULT: _fault,
    Stage.ROLLBACK: way_back.rolling_back,
    Stage.RECOVERY: _recovery,
    Stage.RESTORING: way_back.rolling_back,
    Stage.EVIDENCE: _evidence,
}
"""For each stage, what looks whether it is over and goes on to the next."""
