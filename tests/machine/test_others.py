"""What others say and do to a run: halt, abandonment, a lost lease, a change that is not ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gameday.journal import StepRecord, StepState
from gameday.machine import Expect, ProbeSpec, Stage, StepSpec, Timing, wake_at
from gameday.machine.commands import CloseStep, Emit, Finish, Inject, ReleaseHold, StandDown, Undo
from gameday.machine.inputs import (
    ArmRefused,
    Captured,
    Held,
    Injected,
    Intended,
    OthersSeen,
    Pulsed,
    ReadBackDone,
    Signalled,
    Undone,
)
from gameday.machine.state import LEASE, PATIENCE
from gameday.rollback import recovery
from gameday.sdk import Closed, ForeignChange, Phase, Rank, Restored, StillOurs, Verdict
from tests.machine.memory_journal import MemoryRun
from tests.machine.play import BOOT, DARK, KEY, OK, POWER, READ, TIMING, Play

HELD = frozenset({"arn:key", "arn:instance"})
SWITCH = StepSpec("switch", "aws.switch", "arm", "arn:schedule", Rank.SWITCH, 2)


def pulse(play: Play, *, halted: str = "", abandoned: str = "", holds: frozenset[str] = HELD) -> None:
    play.feed(Pulsed(play.now, play.now, holds, halted, abandoned))


def at(stage: Stage) -> Play:
    """A run with one key and one read, at a stage."""
    play = Play(READ)
    if stage is Stage.ARMING:
        return play
    play.arm()
    if stage is Stage.BASELINE:
        return play
    play.see("read", OK)
    if stage is Stage.INJECTING:
        return play
    play.intend()
    play.feed(Injected(play.now, "key", certain=True))
    if stage is Stage.FAULT:
        return play
    play.after(1)
    play.see("read", DARK)
    play.after(1)
    if stage is Stage.ROLLBACK:
        return play
    play.undo()
    return play


@pytest.mark.parametrize("stage", [Stage.ARMING, Stage.BASELINE, Stage.INJECTING, Stage.FAULT, Stage.RECOVERY])
def test_a_halt_refuses_before_the_fault_and_rolls_back_after(stage: Stage) -> None:
    play = at(stage)
    assert play.state.stage is stage
    pulse(play, halted="ann halted all game days: fire")
    if stage is Stage.ARMING:  # the rehearsal is not on its way yet, only the hold
        play.feed(Held(play.now, "key"))
    if stage is Stage.FAULT:
        play.undo()
    before = stage in (Stage.ARMING, Stage.BASELINE, Stage.INJECTING)
    assert play.finished.exit_code == (5 if before else 3)
    assert "fire" in " ".join((play.finished.story, *play.finished.reasons))
    assert len(play.all(Undo)) == len(play.all(Inject))


def test_a_halt_is_heard_once_however_often_it_is_said() -> None:
    play = at(Stage.FAULT)
    for _ in range(5):
        pulse(play, halted="fire")
    assert sum(1 for e in play.all(Emit) if e.event.kind == "interruption") == 1
    assert len(play.all(Undo)) == 1


def test_an_abandoned_run_leaves_the_key_as_it_is_and_says_so() -> None:
    play = at(Stage.FAULT)
    pulse(play, abandoned="ann: a real incident on this key")
    assert not play.all(Undo)
    kinds = [type(command) for command in play.out]
    assert kinds.index(StandDown) < kinds.index(CloseStep), "the watchdog must know before the steps are closed"
    assert play.last(CloseStep).closed is Closed.ABANDONED
    assert (play.finished.verdict, play.finished.exit_code) == (Verdict.ABANDONED, 4)
    assert "arn:key" in play.finished.story
    assert "a real incident" in play.finished.story
    assert play.all(ReleaseHold)


def test_an_abandoned_rollback_undoes_no_more() -> None:
    play = at(Stage.ROLLBACK)
    assert len(play.all(Undo)) == 1
    pulse(play, abandoned="ann: leave it")
    assert play.last(CloseStep).closed is Closed.ABANDONED
    assert "may still land" in play.last(CloseStep).detail
    play.after(TIMING.call_limit + TIMING.settle - 0.1)
    assert not play.all(ReleaseHold), "the undo on the wire would land under somebody else's hold"
    play.after(0.2)
    assert play.all(ReleaseHold)
    assert len(play.all(Undo)) == 1
    assert play.finished.exit_code == 4


def test_an_abandoned_run_still_takes_its_dead_mans_switch_away() -> None:
    """Else the switch would enable, minutes later, the key that somebody decided to leave disabled."""
    play = Play(READ, steps=(KEY, SWITCH))
    for step in ("key", "switch"):
        play.arm(step)
    play.see("read", OK)
    play.state = replace(
        play.state,
        stage=Stage.FAULT,
        fault_at=play.now,
        steps={id_: replace(step, readiness=type(step.readiness).INJECTED) for id_, step in play.state.steps.items()},
    )
    pulse(play, abandoned="ann: leave it")
    assert [undo.step for undo in play.all(Undo)] == ["switch"]
    play.undo("switch")
    assert {c.step: c.closed for c in play.all(CloseStep)} == {"key": Closed.ABANDONED, "switch": Closed.RESTORED}
    assert play.finished.exit_code == 4


@pytest.mark.parametrize("stage", [Stage.ARMING, Stage.BASELINE, Stage.INJECTING])
def test_abandoning_what_is_not_broken_yet_is_a_refusal(stage: Stage) -> None:
    play = at(stage)
    pulse(play, abandoned="ann: not today")
    if stage is Stage.ARMING:
        play.feed(Held(play.now, "key"))
    assert play.finished.exit_code == 5
    assert not any(c.closed is Closed.ABANDONED for c in play.all(CloseStep))


@pytest.mark.parametrize(("stage", "code"), [(Stage.BASELINE, 5), (Stage.INJECTING, 5), (Stage.FAULT, 3)])
def test_a_run_that_hears_nothing_of_its_journal_ends_itself(stage: Stage, code: int) -> None:
    slow = ProbeSpec("read", READ.expect | {Phase.BASELINE: Expect(frozenset({"ok"}), 100)}, timeout=100)
    play = Play(slow, timing=replace(TIMING, max_fault=300))
    pulse(play, holds=frozenset())
    play.arm()
    if stage is not Stage.BASELINE:
        play.see("read", OK)
    if stage is Stage.FAULT:
        play.intend()
        play.feed(Injected(play.now, "key", certain=True))
        play.after(1)
        play.see("read", DARK)
        play.see("read", OK)
    assert play.state.stage is stage
    assert wake_at(play.state) <= LEASE, "time alone must wake it"
    play.after(LEASE - play.now)
    if stage is Stage.FAULT:
        play.undo()
    assert play.finished.exit_code == code
    assert "journal" in " ".join((play.finished.story, *play.finished.reasons))


def test_a_hold_that_is_gone_ends_the_run() -> None:
    play = at(Stage.FAULT)
    play.after(0.5)
    pulse(play, holds=frozenset())
    play.undo()
    assert play.finished.exit_code == 3
    assert "no longer this run's" in play.finished.story


def test_a_pulse_that_was_asked_before_the_hold_was_taken_says_nothing_about_it() -> None:
    play = Play(READ)
    play.now = 1.0
    play.feed(Held(1.0, "key"))
    play.feed(Pulsed(1.1, 0.9, frozenset()))
    assert play.state.stage is Stage.ARMING
    assert not play.state.ending.refused


def test_the_fence_closes_with_the_lease_with_max_fault_and_with_the_stage() -> None:
    play = at(Stage.INJECTING)
    pulse(play)
    assert play.state.may_inject(play.now)
    assert not play.state.may_inject(LEASE + 0.1), "a process that was stopped wakes up past its lease"
    play.intend()
    assert not play.state.may_inject(TIMING.max_fault), "… or past max_fault"
    play.feed(Signalled(play.now, "SIGTERM"))
    assert not play.state.may_inject(play.now)


def test_someone_elses_change_is_said_once_and_makes_a_passing_run_inconclusive() -> None:
    play = at(Stage.FAULT)
    for _ in range(2):
        play.feed(OthersSeen(play.now, "arn:key", "arn:role/ops", "DisableKey", 0.5, "CloudTrail"))
    assert sum(1 for e in play.all(Emit) if isinstance(e.event, ForeignChange)) == 1
    assert not play.all(Undo), "it blocks nothing and starts nothing"
    play.after(1)
    play.see("read", DARK)
    play.after(1)
    play.undo()
    play.see("read", OK)
    assert (play.finished.exit_code, play.finished.verdict) == (4, Verdict.INCONCLUSIVE)
    assert "arn:role/ops" in play.finished.story


def test_a_change_from_before_the_fault_is_said_but_does_not_count() -> None:
    play = at(Stage.BASELINE)
    play.now = 5.0
    play.feed(OthersSeen(play.now, "arn:key", "arn:role/ops", "PutKeyPolicy", 3.0, "CloudTrail"))
    play.see("read", OK)
    play.intend()
    play.feed(Injected(play.now, "key", certain=True))
    play.after(1)
    play.see("read", DARK)
    play.after(1)
    play.undo()
    play.see("read", OK)
    assert play.finished.exit_code == 0


def test_the_hold_stays_while_a_rehearsal_may_still_land() -> None:
    """EnableKey on its way would enable, under the next run's hold, what that run has disabled."""
    play = Play(READ)
    play.feed(Held(0, "key"))
    play.feed(Signalled(0, "SIGINT"))
    assert not play.all(ReleaseHold)
    play.feed(ArmRefused(0, "key", "no answer", certain=False))
    assert not play.all(ReleaseHold)
    play.after(TIMING.settle - 0.1)
    assert not play.all(ReleaseHold)
    play.after(0.2)
    assert play.all(ReleaseHold)
    assert play.finished.exit_code == 3


def test_the_hold_stays_while_an_undo_that_was_not_answered_may_still_land() -> None:
    play = at(Stage.FAULT)
    play.feed(Signalled(0, "SIGINT"))
    first = play.last(Undo).attempt
    play.feed(Undone(1, "key", first, ok=False, detail="no answer", certain=False))
    play.feed(ReadBackDone(1, "key", first, StillOurs()))
    play.now = 2.0
    play.after(0)
    second = play.last(Undo).attempt
    play.feed(Undone(2, "key", second, ok=True))
    play.feed(ReadBackDone(2, "key", second, Restored()))
    assert play.last(CloseStep).closed is Closed.RESTORED
    assert not play.all(Finish)
    play.after(TIMING.settle)
    assert play.all(ReleaseHold)
    assert play.finished.exit_code == 3


def test_a_step_that_never_answers_while_it_is_made_ready_refuses_the_run() -> None:
    play = Play(READ)
    play.feed(Held(0, "key"))
    assert wake_at(play.state) <= PATIENCE
    play.after(PATIENCE)
    assert play.finished.exit_code == 5
    assert "rehearsing" in play.finished.story


def test_when_the_key_cannot_be_put_back_in_time_what_the_probes_changed_is_still_tried() -> None:
    play = Play(BOOT, READ, steps=(KEY, POWER))
    play.arm("key")
    play.arm("power")
    play.see("read", OK)
    play.see("boot", OK)
    play.feed(Captured(play.now, "key", {}))
    play.feed(Intended(play.now, "key"))
    play.feed(Injected(play.now, "key", certain=True))
    play.after(1)
    play.see("read", OK)
    play.after(10)  # an expectation does not hold: rolled back without a hurry
    tried = 0
    while not play.all(Finish):
        for undo in play.all(Undo)[tried:]:
            ours = undo.step == "power"
            play.feed(Undone(play.now, undo.step, undo.attempt, ok=ours, detail="" if ours else "AccessDenied"))
            play.feed(ReadBackDone(play.now, undo.step, undo.attempt, Restored() if ours else StillOurs()))
            tried += 1
        play.after(1)
    assert [c.step for c in play.all(CloseStep)] == ["power"]
    assert play.now <= 11 + TIMING.rollback_within + 1, "within the time that was given for all of it"
    assert play.finished.exit_code == 9
    assert "arn:key" in play.finished.reasons[0]
    assert not any("arn:instance" in reason for reason in play.finished.reasons)


def test_who_comes_later_waits_for_as_long_as_the_inject_of_a_dead_run_may_land() -> None:
    """Until its lease is over a run may still send it; then the call and its settling have their time."""
    wall, timing = datetime(2026, 1, 1, tzinfo=UTC), Timing(call_limit=8, settle=10)
    dead = MemoryRun(heartbeat_at=(wall - timedelta(seconds=3)).isoformat())
    record = StepRecord(
        run="r", id="s", uses="x", params={}, step="x", resource="arn:key", rank=0, chain=0, order=0, before={}
    )
    long_ago = (wall - timedelta(seconds=60)).isoformat()
    for state, expected in (("intended", LEASE + 8 + 10 - 3), ("injected", 0.0)):
        step = StepState(record=record, state=state, intended_at=long_ago)
        assert recovery._may_land_for(step, dead, wall, timing) == pytest.approx(expected)  # type: ignore[arg-type]
