"""LookupEvents: CloudTrail's event history, which every account has for 90 days, trails or none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gameday.aws.session import Session
from gameday.blastradius._answer import Coverage
from gameday.blastradius._known import REFUSALS
from gameday.blastradius._question import KeyName, Question, Window
from gameday.blastradius._source import Hits, Progress, Watch
from gameday.sdk import Cause, TrailRecord

if TYPE_CHECKING:
    from types_boto3_cloudtrail.literals import LookupAttributeKeyType

PAGE = 50
KEPT = timedelta(days=90)
"""How far back event history goes (CloudTrail User Guide, "Working with CloudTrail event history")."""
INTERVAL = 0.5
"""Seconds between requests: two a second, shared by all who ask in the account and Region."""
_LONGEST = 8.0
_BURST = 2
_AGAIN = (Cause.THROTTLED, Cause.SERVER_ERROR, Cause.UNREACHABLE)
_ATTEMPTS = 12
"""Times in a row that one page may fail before it is given up."""


class Pace:
    """When the next request may go out: twice as slow after each "slow down", a little quicker after each answer.

    Parameters
    ----------
    interval: seconds between requests while all is well.
    clock: a steady clock in seconds.
    """

    def __init__(self, interval: float = INTERVAL, clock: Callable[[], float] = time.monotonic) -> None:
        self._least = self._interval = interval
        self._clock = clock
        self._free = float(_BURST)
        self._at = clock()

    @property
    def interval(self) -> float:
        """Seconds between requests now."""
        return self._interval

    def wait(self, pause: Callable[[float], None]) -> None:
        """Pause until the next request may go out, and count it."""
        self._earn()
        if self._free < 1:
            pause((1 - self._free) * self._interval)
            self._earn()
        self._free -= 1

    def slow_down(self) -> None:
        """A request was throttled: somebody else is asking too."""
        self._interval = min(max(self._interval * 2, INTERVAL / 2), max(_LONGEST, self._least))
        self._free = 0.0

    def go_on(self) -> None:
        """A request was answered."""
        self._interval = max(self._least, self._interval * 0.8)

    def _earn(self) -> None:
        now = self._clock()
        earned = (now - self._at) / self._interval if self._interval else _BURST
        self._free, self._at = min(float(_BURST), self._free + earned), now


@dataclass(frozen=True)
class Lookup:
    """Reads event history, in one or several accounts and Regions.

    The look-back is read by the key's ARN. That misses every call that a service made for someone and KMS denied,
    since such a record names no resource: ``refusals`` is the window in which all of KMS' events are read instead.

    Parameters
    ----------
    sessions: one for each account and Region to ask.
    refusals: where to look for refused calls too; None for nowhere.
    budget: for how long to read at most, over all sessions.
    pace: shared by all who ask with it.
    """

    sessions: Sequence[Session]
    refusals: Window | None = None
    budget: timedelta = timedelta(minutes=5)
    pace: Pace = field(default_factory=Pace)

    def read(self, question: Question, hits: Hits, watch: Watch) -> Coverage:
        """Keep every record that may be about the key; says what was not seen when it must stop early."""
        deadline = time.monotonic() + self.budget.total_seconds()
        coverage = Coverage()
        for session in self.sessions:
            reading = _Reading(session, self.pace, deadline, watch)
            window, note = _reachable(question.window)
            parts: list[tuple[LookupAttributeKeyType, str, Window | None]] = [
                ("ResourceName", _name(question.key, session.region), window),
                ("EventSource", "kms.amazonaws.com", self.refusals),
            ]
            for attribute, value, part in parts:
                if part is not None and not _covered(attribute, part, self.refusals):
                    _keep(reading.pages(attribute, value, part), question.key, hits, reading)
            coverage += reading.coverage(note)
        owner = question.key.account
        if owner and owner not in coverage.accounts:
            gap = f"event history of {owner}, whose key it is, was not read: its uses by others are in no other account"
            coverage += Coverage(gaps=(gap,))
        return coverage


def _name(key: KeyName, region: str) -> str:
    return key.of(region) if region in key.replicas else str(key)


def _covered(attribute: str, part: Window, refusals: Window | None) -> bool:
    """Whether the other way of asking reads all of it anyhow."""
    return bool(
        attribute == "ResourceName" and refusals and refusals.since <= part.since and part.until <= refusals.until
    )


def _reachable(window: Window) -> tuple[Window | None, str]:
    oldest = datetime.now(UTC) - KEPT
    if window.since >= oldest - timedelta(hours=1):  # it was asked a moment ago
        return window, ""
    note = f"Event history goes back 90 days, to {oldest:%Y-%m-%d}: nothing older was seen."
    return (Window(oldest, window.until) if window.until > oldest else None), note


def _keep(records: Iterator[TrailRecord], key: KeyName, hits: Hits, reading: _Reading) -> None:
    names = (key.id, *key.aliases)
    for record in records:
        reading.seen(record)
        text = str(record.raw)
        if any(name in text for name in names):
            hits.keep(record.raw)
            reading.hits += 1
        elif record.error_code.rpartition(".")[2] in REFUSALS and not record.keys:
            reading.unattributed += 1


class _Reading:
    """The pages of one account and Region, and what became of them."""

    def __init__(self, session: Session, pace: Pace, deadline: float, watch: Watch) -> None:
        self._session, self._pace, self._deadline, self._watch = session, pace, deadline, watch
        self.hits = self.unattributed = 0
        self._records = self._pages = self._throttled = self._unreadable = 0
        self._earliest: datetime | None = None
        self._latest: datetime | None = None
        self._partial: list[str] = []

    def pages(self, attribute: LookupAttributeKeyType, value: str, window: Window) -> Iterator[TrailRecord]:
        """The records of a window, newest first; ends early with a reason in ``coverage``."""
        token, reached = "", window.until
        while True:
            why, events, token = self._page(attribute, value, window, token)
            if why:
                until = "" if reached == window.until else f", so nothing before {_at(reached)}"
                self._partial.append(
                    f"{why}; {attribute} {value} was read back to {_at(reached)} of {_at(window.since)}{until}, in "
                    f"{self._session.account}/{self._session.region}"
                )
                return
            for text in events:
                try:
                    record = TrailRecord.parse(text)
                except (ValueError, RecursionError):
                    self._unreadable += 1
                    continue
                reached = min(reached, record.time) if record.time.year > 1 else reached
                yield record
            self._watch.tell(Progress(records=self._records, hits=self.hits, note=_left(window, reached, self._pages)))
            if not token:
                return

    def _page(
        self, attribute: LookupAttributeKeyType, value: str, window: Window, token: str
    ) -> tuple[str, list[str], str]:
        more: dict[str, str] = {"NextToken": token} if token else {}
        for _ in range(_ATTEMPTS):
            if self._watch.stopping.is_set():
                return "interrupted", [], ""
            if time.monotonic() >= self._deadline:
                return "the time that it may take is used up", [], ""
            self._pace.wait(self._pause)
            with self._session.answering() as answer:
                page = self._session.client("cloudtrail").lookup_events(
                    LookupAttributes=[{"AttributeKey": attribute, "AttributeValue": value}],
                    StartTime=window.since,
                    EndTime=window.until,
                    MaxResults=PAGE,
                    **more,  # type: ignore[arg-type]  # a token that is absent, not empty
                )
            if answer.ok:
                self._pace.go_on()
                self._pages += 1
                return "", [event.get("CloudTrailEvent", "") for event in page["Events"]], page.get("NextToken", "")
            if answer.cause not in _AGAIN:
                return f"cloudtrail:LookupEvents was refused ({answer.code or answer.cause}: {answer.detail})", [], ""
            self._throttled += answer.cause is Cause.THROTTLED
            self._pace.slow_down()
        return f"cloudtrail:LookupEvents gave no answer in {_ATTEMPTS} attempts ({answer.detail})", [], ""

    def seen(self, record: TrailRecord) -> None:
        """Count a record, and the time that it carries."""
        self._records += 1
        if record.time.year > 1:
            self._earliest = min(filter(None, (self._earliest, record.time)))
            self._latest = max(filter(None, (self._latest, record.time)))

    def coverage(self, note: str) -> Coverage:
        """What was read and what was not."""
        account, region = self._session.account, self._session.region
        return Coverage(
            sources=(f"event history of {account}/{region}",),
            accounts=(account,),
            regions=(region,),
            records=self._records,
            hits=self.hits,
            unattributed=self.unattributed,
            earliest=self._earliest,
            latest=self._latest,
            skipped={"unreadable record": self._unreadable} if self._unreadable else {},
            throttled=self._throttled,
            partial="; ".join(self._partial),
            notes=tuple(
                filter(
                    None, (f"Event history: {_count(self._records, 'record')} in {_count(self._pages, 'page')}.", note)
                )
            ),
        )

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._watch.stopping.is_set():
            self._session.wait(min(left, 0.25))


def newest(
    session: Session, pace: Pace, attribute: LookupAttributeKeyType, value: str, window: Window, seconds: float = 20.0
) -> tuple[list[TrailRecord], str]:
    """A window's records, newest first, and why there may be more, or ``""``; for small windows."""
    reading = _Reading(session, pace, time.monotonic() + seconds, Watch())
    records = list(reading.pages(attribute, value, window))
    return records, reading.coverage("").partial


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _left(window: Window, reached: datetime, pages: int) -> str:
    """How far back it has come, newest first, and how long the rest takes if events are spread evenly."""
    whole = (window.until - window.since).total_seconds()
    done = (window.until - reached).total_seconds() / whole
    if done <= 0:
        return f"page {pages}"
    left = pages * INTERVAL * (1 - done) / done
    return f"page {pages}, back to {_at(reached)}, about {left:.0f} s left"
