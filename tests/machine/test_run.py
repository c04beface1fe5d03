"""The run as transitions: a state and an input give a state and commands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gameday.machine import Expect, ProbeSpec, Run, Stage, Timing, handle, wake_at
from gameday.machine.commands import (
    Cancel,
    Capture,
    CloseStep,
    Emit,
    Finish,
    Inject,
    Intend,
    ReadBackStep,
    Rehearse,
    ReleaseHold,
    Reopen,
    Sample,
    TakeHold,
    Undo,
)
from gameday.machine.inputs import (
    ArmRefused,
    Captured,
    Held,
    Injected,
    InjectRefused,
    Intended,
    PrepareFailed,
    ReadBackDone,
    Rehearsed,
    Signalled,
    SurroundingsFailed,
    Undone,
)
from gameday.sdk import (
    Cause,
    Closed,
    Drifted,
    ExpectationMet,
    LeakSeen,
    Observation,
    Phase,
    ReadBack,
    Restored,
    StillOurs,
    Unknown,
    Verdict,
)
from tests.machine.play import BOOT, DARK, GUARD, KEY, OK, POWER, READ, TIMING, Play, expecting


def test_nothing_is_injected_before_it_is_held_captured_and_written_down() -> None:
    play = Play(READ)
    assert [type(c) for c in play.out] == [TakeHold]
    play.feed(Held(0, "key"))
    assert play.out[-1] == Rehearse("key")
    play.feed(Rehearsed(0, "key"))
    play.see("read", OK)
    assert isinstance(play.out[-1], Capture)
    play.feed(Captured(0, "key", {"state": "Enabled"}))
    assert play.out[-1] == Intend("key", {"state": "Enabled"})
    assert not play.all(Inject)
    play.feed(Intended(0, "key"))
    assert play.all(Inject) == [Inject("key", {"state": "Enabled"})]


def test_a_passing_run() -> None:
    play = Play(READ)
    play.to_fault()
    play.after(2)
    play.see("read", DARK)
    play.after(0.5)
    assert not play.all(Undo), "the effect must last for the hold"
    play.after(0.6)
    play.undo()
    assert play.all(CloseStep) == [CloseStep("key", Closed.RESTORED, "")]
    assert play.state.stage is Stage.RECOVERY
    play.see("read", OK)
    assert play.finished.verdict is Verdict.PASSED
    assert play.out[-1] == Finish(0)
    assert play.all(ReleaseHold) == [ReleaseHold("arn:key")]


def test_time_to_effect_lies_between_the_last_old_look_and_the_first_new_one() -> None:
    play = Play(READ)
    play.to_fault()
    play.after(1.0)
    play.see("read", OK)
    play.after(1.0)
    play.now += 0.25
    play.see("read", DARK)
    met = [e.event for e in play.all(Emit) if isinstance(e.event, ExpectationMet) and e.event.phase is Phase.FAULT]
    assert [(m.interval.after, m.interval.by) for m in met] == [(0.0, 2.25)]


def test_a_leak_is_said_and_puts_the_effect_back_to_pending() -> None:
    play = Play(READ, timing=Timing(hold=3.0))
    play.to_fault()
    for observation in (DARK, OK):
        play.after(1.0)
        play.see("read", observation)
    assert any(isinstance(e.event, LeakSeen) for e in play.all(Emit))
    play.after(5)
    assert not play.all(Undo), "the effect is not there any more, so it cannot have lasted"


def test_a_broken_baseline_refuses_and_injects_nothing() -> None:
    play = Play(READ)
    play.arm()
    play.see("read", DARK)
    assert play.finished.exit_code == 5
    assert not play.all(Capture)


def test_a_baseline_that_says_nothing_definite_refuses() -> None:
    play = Play(READ)
    play.arm()
    play.after(10)
    assert play.finished.exit_code == 5
    assert "nothing definite" in play.finished.story


def test_a_fault_without_effect_fails() -> None:
    play = Play(READ)
    play.to_fault()
    for _ in range(10):
        play.after(1)
        play.see("read", OK)
    play.undo()
    play.see("read", OK)
    assert (play.finished.exit_code, play.finished.verdict) == (1, Verdict.FAILED)


def test_no_evidence_in_time_is_inconclusive() -> None:
    proof = ProbeSpec("proof", {Phase.EVIDENCE: Expect(frozenset({"found"}), 5.0)})
    play = Play(READ, proof)
    play.to_fault()
    play.after(1)
    play.see("read", DARK)
    play.after(1)
    play.undo()
    play.see("read", OK)
    play.see("proof", Observation(cause=Cause.NOT_FOUND))
    play.after(5)
    assert (play.finished.exit_code, play.finished.verdict) == (4, Verdict.INCONCLUSIVE)


def test_a_guard_needs_its_count_and_then_rolls_back_at_once() -> None:
    play = Play(READ, GUARD)
    play.to_fault()
    bad = Observation(cause=Cause.UNHEALTHY)
    play.after(1)
    play.see("shop", bad)
    assert not play.all(Undo)
    play.after(1)
    play.see("shop", bad)
    play.undo()
    play.see("read", OK)
    assert (play.finished.exit_code, play.finished.verdict) == (3, Verdict.ABORTED)


def test_a_guard_that_is_breached_before_the_fault_refuses() -> None:
    play = Play(READ, GUARD)
    play.arm()
    for _ in range(2):
        play.see("shop", Observation(cause=Cause.UNHEALTHY))
        play.after(1)
    assert play.finished.exit_code == 5
    assert not play.all(Inject)


def test_max_fault_ends_the_fault() -> None:
    slow = ProbeSpec("read", expecting(within=60.0))
    play = Play(slow)
    play.to_fault()
    play.after(30)
    assert play.all(Undo)
    play.undo()
    play.see("read", OK)
    assert play.finished.exit_code == 3


@pytest.mark.parametrize("stage", [Stage.ARMING, Stage.BASELINE, Stage.FAULT, Stage.RECOVERY])
def test_a_signal_ends_the_run_and_puts_everything_back(stage: Stage) -> None:
    play = Play(READ)
    if stage is Stage.BASELINE:
        play.arm()
    elif stage is not Stage.ARMING:
        play.to_fault()
    if stage is Stage.RECOVERY:
        play.after(1)
        play.see("read", DARK)
        play.after(1)
        play.undo()
    assert play.state.stage is stage
    play.feed(Signalled(play.now, "SIGTERM"))
    if stage is Stage.FAULT:
        play.undo()
    assert play.finished.exit_code == 3
    assert len(play.all(Undo)) == len(play.all(Inject))


def test_a_signal_during_rollback_leaves_it_alone_and_ends_the_run_after_it() -> None:
    play = Play(READ)
    play.to_fault()
    play.after(1)
    play.see("read", DARK)
    play.after(1)
    play.feed(Signalled(play.now, "SIGINT"))
    assert len(play.all(Undo)) == 1
    play.undo()
    assert play.finished.exit_code == 3


def test_an_inject_without_an_answer_counts_as_done_and_is_not_believed_undone_too_early() -> None:
    play = Play(READ)
    play.arm()
    play.see("read", OK)
    play.intend()
    play.feed(Injected(play.now, "key", certain=False))
    play.feed(Signalled(play.now, "SIGINT"))
    play.undo()
    assert not play.all(CloseStep), "the call may still land"
    for _ in range(5):
        play.after(2)
        play.undo()
    assert play.finished.exit_code == 3
    assert play.now >= TIMING.settle


def test_a_refused_inject_refuses_the_run_and_closes_the_step_without_a_call() -> None:
    play = Play(READ)
    play.arm()
    play.see("read", OK)
    play.intend()
    play.feed(InjectRefused(play.now, "key", "AccessDeniedException"))
    assert not play.all(CloseStep), "it is read back first"
    play.feed(ReadBackDone(play.now, "key", 1, Restored()))
    assert play.finished.exit_code == 5
    assert not play.all(Undo)
    assert play.last(CloseStep).step == "key"


@pytest.mark.parametrize("found", [StillOurs("Disabled"), Unknown("no answer")])
def test_a_refused_inject_that_does_not_read_as_never_made_is_undone(found: ReadBack) -> None:
    play = Play(READ)
    play.arm()
    play.see("read", OK)
    play.intend()
    play.feed(InjectRefused(play.now, "key", "AccessDeniedException"))
    play.feed(ReadBackDone(play.now, "key", 1, found))
    assert not play.all(CloseStep)
    play.after(1)
    play.undo()
    assert play.last(CloseStep).closed is Closed.RESTORED
    assert play.finished.exit_code == 5


def test_an_undo_that_never_works_ends_with_nine_and_keeps_the_hold() -> None:
    play = Play(READ)
    play.to_fault()
    play.feed(Signalled(play.now, "SIGTERM"))
    for _ in range(30):
        if play.all(Finish):
            break
        play.feed(Undone(play.now, "key", play.last(Undo).attempt, ok=False, detail="AccessDenied"))
        play.feed(ReadBackDone(play.now, "key", play.last(Undo).attempt, found=Unknown("no answer")))
        play.after(2)
    assert play.finished.exit_code == 9
    assert "arn:key" in play.finished.reasons[0]
    assert not play.all(ReleaseHold)


def test_an_invasive_probe_waits_until_the_harmless_ones_have_found_all_well() -> None:
    play = Play(BOOT, READ, steps=(KEY, POWER))
    play.arm("key")
    play.arm("power")
    assert [s.probe for s in play.all(Sample)] == ["read"]
    assert wake_at(play.state) > play.now, "a probe that waits must not keep the driver awake"
    play.see("read", OK)
    assert [s.probe for s in play.all(Sample)] == ["read", "boot"]


def test_what_an_invasive_probe_changed_is_put_back_after_the_recovery() -> None:
    play = Play(BOOT, READ, steps=(KEY, POWER))
    play.arm("key")
    play.arm("power")
    play.see("read", OK)
    play.see("boot", OK)
    play.intend()
    play.feed(Injected(play.now, "key", certain=True))
    play.after(1)
    play.see("read", DARK)
    play.see("boot", Observation(cause=Cause.BOOT_REFUSED))
    play.after(1)
    play.undo("key")
    assert [undo.step for undo in play.all(Undo)] == ["key"]
    play.see("read", OK)
    play.see("boot", OK)
    assert [undo.step for undo in play.all(Undo)] == ["key", "power"]
    play.undo("power")
    assert play.finished.exit_code == 0


def test_a_signal_cancels_an_invasive_look_and_undoes_the_key_first() -> None:
    play = Play(BOOT, READ, steps=(KEY, POWER))
    play.arm("key")
    play.arm("power")
    play.see("read", OK)
    play.see("boot", OK)
    play.intend()
    play.feed(Injected(play.now, "key", certain=True))
    boot = next(s.sample for s in reversed(play.all(Sample)) if s.probe == "boot")
    out = play.feed(Signalled(play.now, "SIGINT"))
    assert Cancel(boot) in out
    assert [undo.step for undo in play.all(Undo)] == ["key"]


def test_a_once_probe_looks_until_it_has_seen_it_and_then_no_more() -> None:
    play = Play(BOOT, steps=(KEY, POWER))
    play.arm("key")
    play.arm("power")
    play.see("boot", OK)
    play.intend()
    play.feed(Injected(play.now, "key", certain=True))
    play.after(1)
    looks = len(play.all(Sample))
    play.see("boot", OK)
    assert len(play.all(Sample)) == looks + 1, "not seen yet: it looks again"
    play.see("boot", Observation(cause=Cause.BOOT_REFUSED))
    play.after(0.5)
    assert len(play.all(Sample)) == looks + 1


def test_a_look_that_hangs_is_left_behind_and_delays_nobody() -> None:
    other = ProbeSpec("other", expecting())
    play = Play(READ, other)
    play.arm()
    play.see("other", OK)
    play.see("read", OK)
    play.intend()
    play.feed(Injected(play.now, "key", certain=True))
    before = len([s for s in play.all(Sample) if s.probe == "other"])
    for _ in range(5):
        play.after(1)
        play.see("other", DARK)
    assert len([s for s in play.all(Sample) if s.probe == "other"]) >= before + 4


def test_preflight_that_refuses_touches_nothing() -> None:
    run, out = handle(Run(), PrepareFailed(1.0, "wrong account"))
    assert run.stage is Stage.DONE
    assert out[-1] == Finish(5)


@pytest.mark.parametrize(("fault", "code"), [(False, 5), (True, 3)])
def test_a_journal_that_fails_refuses_before_the_fault_and_rolls_back_after(fault: bool, code: int) -> None:
    play = Play(READ)
    if fault:
        play.to_fault()
    else:
        play.arm()
    play.feed(SurroundingsFailed(play.now, "the disk is full"))
    if fault:
        play.undo()
    assert play.finished.exit_code == code


def test_a_resource_that_is_held_refuses() -> None:
    play = Play(READ)
    play.feed(ArmRefused(0, "key", "held by run 1234"))
    assert play.finished.exit_code == 5
    assert not any(isinstance(c, ReadBackStep | Undo | Inject) for c in play.out)


@pytest.mark.parametrize("dark", [True, False])
def test_what_was_asked_to_stay_stays_only_if_all_went_as_expected(dark: bool) -> None:
    play = Play(READ, steps=(replace(KEY, keep=True),))
    play.to_fault()
    play.after(1)
    play.see("read", DARK)
    play.after(1) if dark else play.feed(Signalled(play.now, "SIGINT"))
    if dark:
        assert not play.all(Undo)
        assert play.last(CloseStep).closed is Closed.KEPT
        play.see("read", OK)
        assert play.finished.exit_code == 0
    else:
        play.undo()
        assert play.last(CloseStep).closed is Closed.RESTORED


def test_an_inject_that_is_answered_after_everything_is_closed_is_undone_all_the_same() -> None:
    play = Play(READ)
    play.arm()
    play.see("read", OK)
    play.intend()
    play.after(1)
    play.after(11)
    for _ in range(30):
        if play.state.stage is Stage.RECOVERY:
            break
        attempts = play.all(Undo)
        if attempts:
            play.undo()
        play.after(2)
    assert play.state.stage is Stage.RECOVERY
    play.feed(Injected(play.now, "key", certain=True))
    assert play.all(Reopen) == [Reopen("key")]
    play.undo()
    assert play.last(CloseStep).closed is Closed.RESTORED
    assert play.finished.exit_code == 3


def test_a_refusal_that_comes_after_everything_is_closed_changes_nothing() -> None:
    play = Play(READ)
    play.to_fault()
    play.after(1)
    play.see("read", DARK)
    play.after(1)
    play.undo()
    assert play.state.stage is Stage.RECOVERY
    play.feed(InjectRefused(play.now, "key", "this run may no longer change anything"))
    assert play.state.stage is Stage.RECOVERY
    play.see("read", OK)
    assert play.finished.exit_code == 0


def test_an_invasive_probe_does_not_look_for_evidence_when_its_changes_are_put_back() -> None:
    proof = replace(BOOT, expect={**BOOT.expect, Phase.EVIDENCE: Expect(frozenset({"ok"}), 5.0)})
    play = Play(proof, steps=(KEY, POWER))
    play.arm("key")
    play.arm("power")
    play.see("boot", OK)
    play.intend()
    play.feed(Injected(play.now, "key", certain=True))
    play.see("boot", Observation(cause=Cause.BOOT_REFUSED))
    play.after(1)
    play.undo("key")
    play.see("boot", OK)
    looks = len(play.all(Sample))
    play.undo("power")
    play.after(6)
    assert len(play.all(Sample)) == looks
    assert play.finished.exit_code == 4


OUTSIDER = ProbeSpec("outsider", {Phase.BASELINE: Expect(frozenset({"key_policy_denied"}), 0.0)})
RECORD = ProbeSpec("record", {Phase.EVIDENCE: Expect(frozenset({"found"}), 5.0)})


def test_without_a_fault_an_expectation_that_does_not_hold_has_failed() -> None:
    play = Play(OUTSIDER, RECORD, steps=())
    play.see("outsider", OK)
    finished = play.finished
    assert (finished.verdict, finished.exit_code) == (Verdict.FAILED, 1)
    assert not [s for s in play.all(Sample) if s.probe == "record"], "no record could make it good"


@pytest.mark.parametrize(("cause", "code"), [(Cause.NOT_FOUND, 1), (Cause.THROTTLED, 4), (Cause.UNREACHABLE, 4)])
def test_without_a_fault_a_trail_that_answers_and_holds_nothing_has_failed(cause: Cause, code: int) -> None:
    play = Play(RECORD, steps=())
    play.see("record", Observation(cause=cause))
    play.after(6)
    assert play.finished.exit_code == code


def test_without_a_fault_who_cannot_ask_has_tested_nothing() -> None:
    play = Play(OUTSIDER, steps=())
    play.see("outsider", Observation(cause=Cause.CREDENTIALS))
    assert play.finished.exit_code == 5


def test_within_a_fault_the_way_back_is_strictly_backwards_also_when_a_step_is_refused() -> None:
    steps = tuple(replace(KEY, id=f"s{n}", resource=f"arn:{n}", order=n) for n in range(3))
    play = Play(READ, steps=steps)
    for step in steps:
        play.arm(step.id)
    play.see("read", OK)
    for step in steps:
        play.intend(step.id)
        play.feed(Injected(play.now, step.id, certain=True))
    play.feed(Signalled(play.now, "SIGTERM"))
    assert [undo.step for undo in play.all(Undo)] == ["s2"]
    play.feed(Undone(play.now, "s2", 1, ok=False, detail="AccessDenied"))
    play.feed(ReadBackDone(play.now, "s2", 1, Unknown()))
    play.after(1)
    assert [undo.step for undo in play.all(Undo)] == ["s2", "s2"], "what it stands on must not go first"
    for step in ("s2", "s1", "s0"):
        play.undo(step)
    assert play.finished.exit_code == 3


def test_drift_is_not_believed_while_a_call_of_ours_may_still_land_on_top_of_it() -> None:
    play = Play(READ)
    play.arm()
    play.see("read", OK)
    play.intend()
    play.feed(Injected(play.now, "key", certain=False))
    play.feed(Signalled(play.now, "SIGINT"))
    while play.now <= TIMING.settle:
        attempt = play.last(Undo).attempt
        play.feed(Undone(play.now, "key", attempt, ok=True))
        assert not play.all(CloseStep)
        play.feed(ReadBackDone(play.now, "key", attempt, Drifted("someone else's")))
        if play.now < TIMING.settle:
            assert not play.all(CloseStep), "ours may still land, and then it is ours to take away again"
        play.after(2)
    assert play.last(CloseStep).closed is Closed.DRIFTED
