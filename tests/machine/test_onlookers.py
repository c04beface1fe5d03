"""The onlookers: what they take for someone else's doing, and what they say when they cannot see."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, ClassVar, cast

import pytest

from gameday.engine import onlookers
from gameday.engine.onlookers import Onlookers
from gameday.errors import JournalError
from gameday.machine import Run, Stage
from gameday.machine.inputs import Injected, Input, OthersSeen, OthersWatching, StateSeen
from gameday.machine.state import Readiness
from gameday.sdk import (
    AWS,
    Before,
    Cause,
    Drifted,
    Rank,
    ReadBack,
    Restored,
    Step,
    StillOurs,
    TrailRecord,
    Unknown,
)
from tests.machine.play import OK, READ, Play

KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


class Asked(Step):
    """A step that reads back what the test says, one after the other, and then the last again and again."""

    step: ClassVar[str] = "asked"
    rank: ClassVar[Rank] = Rank.KEY
    answers: ClassVar[list[ReadBack]] = []

    @property
    def resource(self) -> str:
        return KEY

    def capture(self, aws: AWS) -> Before:
        return {}

    def inject(self, aws: AWS, before: Before) -> None: ...

    def undo(self, aws: AWS, before: Before) -> None: ...

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Trail:
    """An AWS that has only LookupEvents."""

    run = "7f3a9c12"
    started = datetime.now(UTC)

    def __init__(self, *records: dict[str, Any], cause: Cause = Cause.OK) -> None:
        self.records, self.cause, self.asked = records, cause, list[dict[str, Any]]()

    def client(self, _: str) -> Trail:
        return self

    def lookup_events(self, **question: Any) -> dict[str, Any]:
        self.asked.append(question)
        return {"Events": [{"CloudTrailEvent": json.dumps(record)} for record in self.records]}

    @contextmanager
    def answering(self) -> Iterator[Any]:
        yield cast(Any, type("Said", (), {"ok": self.cause is Cause.OK, "cause": self.cause, "code": "Denied"}))


def in_fault() -> Run:
    play = Play(READ)
    play.arm()
    play.see("read", OK)
    play.intend()
    play.feed(Injected(play.now, "key", certain=True))
    steps = {"key": replace(play.state.steps["key"], spec=replace(play.state.steps["key"].spec, resource=KEY))}
    spec = replace(play.state.spec, steps=(steps["key"].spec,))
    return replace(play.state, steps=steps, spec=spec)


def over(run: str) -> bool:
    if run == "beef0001":
        return True
    raise JournalError(f"no run begins with {run}")


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Input]]:
    """Let them look for a while; what they posted."""

    def looked(
        trail: Trail,
        *answers: ReadBack,
        run: Run | None = None,
        until: int = 12,
        steps: Mapping[str, Step] = MappingProxyType({"key": Asked()}),
    ) -> list[Input]:
        monkeypatch.setattr(onlookers, "EVERY", 0.001)
        Asked.answers = [*answers]
        posted: list[Input] = []
        enough = threading.Event()
        turns = iter(range(until))

        def state() -> Run:
            if next(turns, None) is None:
                enough.set()
            return run or in_fault()

        watching = Onlookers(cast(AWS, trail), steps, state, over, posted.append, lambda: 3.0)
        watching.start()
        assert enough.wait(10)
        watching.stop()
        watching.join(10)
        return posted

    return looked


def seen(posted: list[Input]) -> set[str]:
    return {event.what for event in posted if isinstance(event, OthersSeen)}


def record(**changes: Any) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    who = {"arn": "arn:aws:iam::123456789012:role/ops"}
    return {"eventName": "DisableKey", "eventTime": at, "readOnly": False, "userIdentity": who, **changes}


def test_a_change_that_does_not_carry_the_runs_name_is_someone_elses(look: Callable[..., list[Input]]) -> None:
    posted = look(Trail(record(userAgent="aws-cli/2")), StillOurs())
    assert seen(posted) == {"DisableKey"}
    first = next(event for event in posted if isinstance(event, OthersSeen))
    assert (first.who, first.source) == ("arn:aws:iam::123456789012:role/ops", "CloudTrail")


def test_another_run_that_is_not_known_to_be_over_is_someone_else(look: Callable[..., list[Input]]) -> None:
    assert seen(look(Trail(record(userAgent="Boto3/1.40 gameday/beef0002")), StillOurs())) == {"DisableKey"}


@pytest.mark.parametrize(
    "changes",
    [
        {"userAgent": "Boto3/1.40 gameday/7f3a9c12"},
        {"userAgent": "Boto3/1.40 gameday/beef0001"},
        {"errorCode": "AccessDenied"},
        {"readOnly": True, "eventName": "DescribeKey"},
        {"eventName": "CreateGrant"},
        {"eventTime": "2020-01-01T00:00:00Z"},
    ],
)
def test_what_is_ours_failed_only_read_or_is_old_is_not(look: Callable[..., list[Input]], changes: Any) -> None:
    assert not seen(look(Trail(record(**changes)), StillOurs()))


def test_who_may_not_look_says_so_once_and_asks_no_more(look: Callable[..., list[Input]]) -> None:
    trail = Trail(cause=Cause.ACCESS_DENIED)
    posted = [event for event in look(trail, StillOurs()) if isinstance(event, OthersWatching)]
    assert [event.ok for event in posted] == [False]
    assert "LookupEvents" in posted[0].detail
    assert len(trail.asked) == 1


def test_what_a_key_says_of_itself_is_handed_on(look: Callable[..., list[Input]]) -> None:
    posted = look(Trail(), StillOurs("Disabled", "Disabled"), StillOurs("a statement is there"), Unknown("no answer"))
    told = [(event.resource, event.state) for event in posted if isinstance(event, StateSeen)]
    assert len(told) == 1 and told[0][1] == "Disabled"


def test_a_key_that_was_off_and_reads_as_restored_was_put_back_by_somebody(look: Callable[..., list[Input]]) -> None:
    assert "reads as restored" in seen(look(Trail(), StillOurs("Disabled"), Restored("Enabled"))).pop()


@pytest.mark.parametrize(
    "answers",
    [
        (Restored("Enabled"),),  # the inject may be on its way yet
        (StillOurs(), Restored(), StillOurs(), Restored(), StillOurs()),  # one stale front-end
        (StillOurs(), Unknown("no answer")),
    ],
)
def test_one_odd_read_is_nobody(look: Callable[..., list[Input]], answers: tuple[ReadBack, ...]) -> None:
    assert not seen(look(Trail(), *answers))


class Power(Asked):
    """A step of the same aspect as another one."""

    aspect: ClassVar[str] = "power"
    named: str = ""

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        if self.named == "start":
            return StillOurs("running")
        return super().read_back(aws, before)


@pytest.mark.parametrize(
    ("start", "probe", "told"),
    [
        (Readiness.INJECTED, "", False),  # the fault's own start
        (Readiness.INJECTED, "boot", False),  # a probe of the run that stops and starts the same instance
        (Readiness.INTENDED, "boot", True),  # one that has not looked yet
    ],
)
def test_a_step_is_not_watched_while_a_later_one_of_its_aspect_supersedes_it(
    look: Callable[..., list[Input]], start: Readiness, probe: str, told: bool
) -> None:
    run = in_fault()
    stop = run.steps["key"]
    later = replace(stop, spec=replace(stop.spec, id="start", order=1, probe=probe), readiness=start)
    run = replace(run, steps={"key": stop, "start": later})
    steps = {"key": Power(named="stop"), "start": Power(named="start")}
    assert bool(seen(look(Trail(), StillOurs("stopping"), Restored("running"), run=run, steps=steps))) is told


def test_drift_is_said(look: Callable[..., list[Input]]) -> None:
    assert seen(look(Trail(), Drifted("the key is PendingDeletion"))) == {"the key is PendingDeletion"}


def test_reads_are_of_the_fault_only(look: Callable[..., list[Input]]) -> None:
    run = replace(in_fault(), stage=Stage.ROLLBACK)
    assert not seen(look(Trail(), StillOurs(), Restored(), run=run))


def test_a_rehearsal_is_known_by_its_user_agent() -> None:
    assert TrailRecord.read(record(userAgent="Boto3 gameday/7f3a9c12 gameday-rehearsal")).rehearsal
    assert not TrailRecord.read(record(userAgent="Boto3 gameday/7f3a9c12")).rehearsal
