"""The wheel: everybody has a turn, whatever the others do."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from gameday.engine.wheel import CREW, Target, Wheel
from gameday.sdk import AWS, Cause, Observation, Probe

OK = Observation(cause=Cause.OK)


class Nothing(Probe):
    uses = "test.nothing"

    def observe(self, aws: AWS) -> Observation:
        return OK


class Told:
    def __init__(self) -> None:
        self.seen: Counter[tuple[str, Cause, bool | None]] = Counter()
        self.times: dict[str, list[float]] = {}
        self.lateness: list[float] = []
        self.left_out: Counter[str] = Counter()
        self.size = (0, 0)

    def look(self, playbook: str, probe: str, uses: str, seen: Observation, meets: bool | None) -> None:
        self.seen[probe, seen.cause, meets] += 1
        self.times.setdefault(probe, []).append(time.monotonic())

    def late(self, seconds: float) -> None:
        self.lateness.append(seconds)

    def skipped(self, playbook: str, probe: str) -> None:
        self.left_out[probe] += 1

    def forget(self, playbook: str, probe: str) -> None:
        """Nothing is kept that had to be forgotten."""

    def watching(self, probes: int, workers: int) -> None:
        self.size = (probes, workers)

    def count(self, name: str) -> int:
        return sum(count for (probe, _, _), count in self.seen.items() if probe == name)


def target(name: str, every: float = 0.05, timeout: float = 0.2) -> Target:
    return Target("p", name, "test.nothing", Nothing(), every, timeout, expect=frozenset({"ok"}))


def until(true: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


@pytest.fixture
def over() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def wheel(told: Told, look: Callable[[Target, threading.Event], Observation | None]) -> Wheel:
    made = Wheel(look, told)
    made.start()
    return made


def test_each_target_has_its_turns_at_its_own_pace() -> None:
    told = Told()
    wheel(told, lambda target, stop: OK).watch([target("fast", 0.02), target("slow", 0.2)])
    until(lambda: told.count("slow") >= 3)
    assert 20 <= told.count("fast") <= 40
    assert set(told.seen) == {("fast", Cause.OK, True), ("slow", Cause.OK, True)}
    assert min(told.lateness) >= 0


def test_targets_that_hang_do_not_delay_one_that_answers(over: threading.Event) -> None:
    """Many more hang than there are workers; the healthy one keeps its pace, and those that hang are said to."""
    told = Told()

    def look(target: Target, stop: threading.Event) -> Observation | None:
        if target.name != "healthy":
            over.wait(30)
        return OK

    hanging = [target(f"hangs-{n}") for n in range(5 * CREW)]
    wheel(told, look).watch([*hanging, target("healthy")])
    until(lambda: all(told.seen[each.name, Cause.UNREACHABLE, None] >= 2 for each in hanging))
    before, begun = told.count("healthy"), time.monotonic()
    until(lambda: told.count("healthy") >= before + 20)
    assert time.monotonic() - begun < 3
    assert told.seen["healthy", Cause.OK, True] == told.count("healthy")
    assert told.size[1] > 5 * CREW
    assert told.left_out["hangs-0"] > 0
    over.set()
    until(lambda: all(told.seen[each.name, Cause.OK, True] >= 1 for each in hanging))
    until(lambda: told.size[1] == CREW)  # while all of them look: those who were taken on are not needed any more


def test_a_look_that_is_not_waited_for_is_stopped_and_its_late_answer_not_believed(over: threading.Event) -> None:
    told, stopped = Told(), threading.Event()

    def look(target: Target, stop: threading.Event) -> Observation | None:
        if stop.wait(20):
            stopped.set()
        return OK

    wheel(told, look).watch([target("hangs")])
    until(stopped.is_set)
    until(lambda: told.count("hangs") >= 2)
    assert {cause for _, cause, _ in told.seen} == {Cause.UNREACHABLE}


def test_another_set_of_targets_keeps_the_turns_of_those_that_stay(over: threading.Event) -> None:
    told, stays, goes = Told(), target("stays", 0.1), target("goes", 0.1)
    made = wheel(told, lambda target, stop: OK)
    made.watch([stays, goes])
    until(lambda: told.count("stays") >= 2)
    made.watch([target("comes", 0.1), stays])
    gone, then = told.count("goes"), told.count("stays")
    until(lambda: told.count("stays") >= then + 4 and told.count("comes") >= 4)
    assert told.count("goes") <= gone
    gaps = [b - a for a, b in zip(told.times["stays"], told.times["stays"][1:], strict=False)]
    assert max(gaps) < 0.2
    assert told.size[0] == 2


def test_a_bug_of_the_probe_is_what_was_seen(caplog: pytest.LogCaptureFixture) -> None:
    from aws_rig import session_at

    from gameday.engine.looks import look_once

    class Broken(Nothing):
        def observe(self, aws: AWS) -> Observation:
            raise RuntimeError("a bug")

    seen = look_once(Broken(), "broken", session_at("http://127.0.0.1:1"), "", threading.Event())
    assert seen is not None
    assert (seen.cause, seen.detail) == (Cause.OTHER, "the probe itself failed: RuntimeError")
