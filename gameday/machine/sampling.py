"""Looking: which probe looks when, and what its look means."""

from __future__ import annotations

from dataclasses import replace

from gameday.machine import arming
from gameday.machine.commands import Cancel, Sample
from gameday.machine.expectation import Standing, Watch, describe
from gameday.machine.inputs import Observed
from gameday.machine.spec import ProbeSpec
from gameday.machine.state import Look, Stage
from gameday.machine.turn import Turn, put
from gameday.sdk import (
    Cause,
    ExpectationBroken,
    ExpectationMet,
    GuardBreached,
    LeakSeen,
    Observation,
    Outcome,
    Phase,
    PhaseEntered,
    ProbeObserved,
)

SLOWEST = 30.0
"""Seconds between two looks for evidence where AWS throttles."""


_BEGAN = {Phase.BASELINE: "baseline began", Phase.FAULT: "fault began", Phase.RECOVERY: "rollback began"}


def enter(turn: Turn, phase: Phase, stage: Stage, since: float | None = None) -> None:
    """Enter a phase: its expectations begin, and whoever still looks for the phase before is left behind.

    ``since`` is what its intervals count from, when that is not now.
    """
    run = turn.run
    start = turn.now if since is None else since
    watches = {
        p.name: Watch(p.expect[phase], start, turn.now + _patience(p, phase), _BEGAN.get(phase, "phase began"))
        for p in run.spec.probes
        if phase in p.expect and not p.guard
    }
    limit = max((watch.limit for watch in watches.values()), default=turn.now) - turn.now
    if phase is Phase.FAULT:
        limit = run.spec.timing.max_fault
    turn.emit(PhaseEntered(phase=phase, at=turn.now, limit=limit))
    leave_behind(turn)
    turn.run = replace(turn.run, phase=phase, stage=stage, phase_at=turn.now, watches=watches, due={})


def _patience(probe: ProbeSpec, phase: Phase) -> float:
    """Seconds until an expectation must be met; a baseline without a time of its own gets one look's worth."""
    within = probe.expect[phase].within
    return max(within, probe.timeout) if phase is Phase.BASELINE else within


def leave_behind(turn: Turn) -> None:
    """Stop waiting for looks: passive ones are forgotten, invasive ones must stop at their next pause or change."""
    kept: dict[str, Look] = {}
    for name, look in turn.run.looks.items():
        turn.out.append(Cancel(look.sample))
        if turn.run.spec.probe(name).steps:
            grace = turn.now + turn.run.spec.timing.call_limit
            kept[name] = replace(look, deadline=min(look.deadline, grace))
    turn.run = replace(turn.run, looks=kept)


def start_due(turn: Turn) -> None:
    """Start every look that is due."""
    for probe in turn.run.sampled:
        run = turn.run
        if turn.now < run.due.get(probe.name, 0.0) or not run.idle(probe):
            continue
        sample = run.samples + 1
        look = Look(sample, probe.name, run.phase, turn.now, turn.now + probe.timeout)
        due = put(run.due, probe.name, turn.now + probe.every)
        turn.run = replace(run, looks=put(run.looks, probe.name, look), samples=sample, due=due)
        if probe.steps:
            arming.touch(turn, probe.name)
        turn.out.append(Sample(sample, probe.name, run.phase))


def on_observed(turn: Turn, event: Observed) -> None:
    """Take a look's end into account; one that was left behind long ago is ignored."""
    look = next((look for look in turn.run.looks.values() if look.sample == event.sample), None)
    if look is not None:
        _end(turn, look, event.observation)


def time_out(turn: Turn) -> None:
    """Leave behind every look that took too long: it counts as unanswered."""
    for look in tuple(turn.run.looks.values()):
        if turn.now >= look.deadline:
            turn.out.append(Cancel(look.sample))
            detail = f"no answer within {look.deadline - look.asked:.0f} s; the look was left behind"
            _end(turn, look, Observation(cause=Cause.UNREACHABLE, detail=detail, latency=turn.now - look.asked))


def _end(turn: Turn, look: Look, observation: Observation | None) -> None:
    probe = turn.run.spec.probe(look.probe)
    turn.run = replace(turn.run, looks={k: v for k, v in turn.run.looks.items() if k != look.probe})
    if probe.steps:
        lost = observation is not None and observation.outcome is Outcome.UNKNOWN
        arming.look_ended(turn, look.probe, turn.now + (turn.run.spec.timing.settle if lost else 0.0))
    if observation is None:
        return
    current = look.phase is turn.run.phase and turn.run.stage is not Stage.DONE
    if current and look.phase is Phase.EVIDENCE:
        _slow_down(turn, probe, throttled=observation.cause is Cause.THROTTLED)
    expect = probe.expect.get(look.phase)
    meets = observation.matches(expect.causes) if expect is not None and current else None
    turn.emit(
        ProbeObserved(
            probe=look.probe,
            phase=look.phase,
            asked=look.asked,
            answered=turn.now,
            observation=observation,
            meets=meets,
        )
    )
    if not current:
        return
    if probe.guard:
        _guard(turn, probe, observation)
    elif look.probe in turn.run.watches:
        _judge(turn, look, observation)


def _slow_down(turn: Turn, probe: ProbeSpec, *, throttled: bool) -> None:
    """Wait twice as long after each throttled look: LookupEvents allows two a second to a whole account and Region."""
    pause = min(max(turn.run.slowed.get(probe.name, 0.0), probe.every) * 2, SLOWEST) if throttled else 0.0
    due = max(turn.run.due.get(probe.name, 0.0), turn.now + pause)
    turn.run = replace(turn.run, slowed=put(turn.run.slowed, probe.name, pause), due=put(turn.run.due, probe.name, due))


def _guard(turn: Turn, probe: ProbeSpec, observation: Observation) -> None:
    good = observation.matches(probe.expect[turn.run.phase].causes)
    if not good and observation.outcome is Outcome.UNKNOWN:
        return
    window = (*turn.run.windows.get(probe.name, ()), good)[-probe.of :]
    turn.run = replace(turn.run, windows=put(turn.run.windows, probe.name, window))
    bad = window.count(False)
    if bad >= probe.fails:
        why = f"guard {probe.name}: {bad} of the last {len(window)} looks failed; {describe(observation)}"
        turn.emit(GuardBreached(guard=probe.name, phase=turn.run.phase, at=turn.now, why=why))


def breached(turn: Turn) -> str:
    """Why a guard is breached, or ``""``."""
    for probe in turn.run.spec.probes:
        bad = turn.run.windows.get(probe.name, ()).count(False)
        if probe.guard and bad >= probe.fails:
            return f"guard {probe.name} is breached: {bad} of its last {probe.of} looks failed"
    return ""


def blind(turn: Turn) -> tuple[str, ...]:
    """The guards that have not seen one good look yet: a guard that sees nothing guards nothing."""
    guards = (probe.name for probe in turn.run.spec.probes if probe.guard)
    return tuple(name for name in guards if True not in turn.run.windows.get(name, ()))


def _judge(turn: Turn, look: Look, observation: Observation) -> None:
    old = turn.run.watches[look.probe]
    was_met = old.standing is Standing.MET
    new = old.seen(look.asked, turn.now, observation)
    if turn.run.phase is Phase.FAULT and was_met and new.standing is not Standing.MET and observation.cause is Cause.OK:
        turn.emit(LeakSeen(probe=look.probe, at=turn.now, observation=observation))
    _put(turn, look.probe, old, new)


def judge_time(turn: Turn) -> None:
    """Let time break the expectations whose limit is over."""
    for name, watch in tuple(turn.run.watches.items()):
        _put(turn, name, watch, watch.tick(turn.now))


def _put(turn: Turn, probe: str, old: Watch, new: Watch) -> None:
    turn.run = replace(turn.run, watches=put(turn.run.watches, probe, new))
    if old.standing is new.standing:
        return
    phase = turn.run.phase
    if new.standing is Standing.MET and new.interval is not None:
        turn.emit(ExpectationMet(probe=probe, phase=phase, cause=new.met_cause, interval=new.interval))
    elif new.standing is Standing.BROKEN:
        # Without a fault the expectations are the experiment, and a trail that answers and holds no record has failed.
        doubt = new.inconclusive or (phase is Phase.EVIDENCE and bool(turn.run.spec.fault_steps) and not new.settled)
        why = f"{probe} in {phase}: {new.why}"
        turn.emit(ExpectationBroken(probe=probe, phase=phase, at=turn.now, why=new.why, inconclusive=doubt))
        turn.fail(why, inconclusive=doubt)
