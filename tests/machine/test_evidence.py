"""Looking for a record: found once it is found, and asked for more slowly where AWS throttles."""

from __future__ import annotations

from gameday.machine import Expect, ProbeSpec
from gameday.machine.commands import Sample
from gameday.sdk import Cause, Observation, Phase, Verdict
from tests.machine.play import Play

FOUND, NOT_FOUND = Observation(cause=Cause.FOUND), Observation(cause=Cause.NOT_FOUND)
THROTTLED = Observation(cause=Cause.THROTTLED)


def record(name: str, within: float = 600.0) -> ProbeSpec:
    return ProbeSpec(name, {Phase.EVIDENCE: Expect(frozenset({"found"}), within)}, every=2.0)


def looks(play: Play, name: str) -> int:
    return sum(sample.probe == name for sample in play.all(Sample))


def test_a_record_that_was_found_is_not_asked_for_again() -> None:
    play = Play(record("early"), record("late"), steps=())
    play.see("early", FOUND)
    for _ in range(100):
        play.after(2.0)
        play.see("late", NOT_FOUND)
    assert (looks(play, "early"), looks(play, "late")) == (1, 101)
    play.after(2.0)
    play.see("late", FOUND)
    assert play.finished.verdict is Verdict.PASSED


def test_what_was_not_found_in_time_is_not_asked_for_again() -> None:
    play = Play(record("short", within=5.0), record("long"), steps=())
    play.see("short", NOT_FOUND)
    for _ in range(20):
        play.after(1.0)
        if play.now < 5.0 and "short" in play.state.looks:
            play.see("short", NOT_FOUND)
    asked = looks(play, "short")
    assert asked == 3
    play.after(60.0)
    assert looks(play, "short") == asked


def test_a_throttled_look_is_followed_by_longer_and_longer_pauses_and_an_answer_ends_them() -> None:
    play = Play(record("proof"), steps=())
    pauses = []
    for _ in range(6):
        play.see("proof", THROTTLED)
        began, before = play.now, looks(play, "proof")
        while looks(play, "proof") == before:
            play.after(0.5)
        pauses.append(play.now - began)
    assert pauses == [4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    play.see("proof", NOT_FOUND)
    play.after(2.0)
    play.see("proof", FOUND)
    assert play.finished.verdict is Verdict.PASSED
