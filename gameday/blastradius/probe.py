"""The look at CloudTrail that sets who was refused against who was predicted; it speaks in the evidence phase."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from pydantic import ConfigDict, PrivateAttr

from gameday.aws.session import Session
from gameday.blastradius._answer import Answer
from gameday.blastradius._embedded import Embedded
from gameday.blastradius._question import KeyName, Question, Window
from gameday.blastradius._source import Source, Watch
from gameday.blastradius._words import coverage_sentences
from gameday.blastradius.behind import behind
from gameday.blastradius.lookup import Lookup, Pace, newest
from gameday.blastradius.observed import Away, Observed, observe
from gameday.blastradius.prediction import Prediction
from gameday.blastradius.window import FaultWindow, Moments
from gameday.sdk import AWS, Cause, Observation, Probe, RadiusObserved, Seen

_SKEW = timedelta(minutes=2)
"""This machine's clock may be off by so much against CloudTrail's."""
_LONGEST_GRACE = 60.0
_READS = 2
"""Complete reads of the window that are tried: more would only use up what all who look share."""


@dataclass(frozen=True)
class Watched:
    """What a look needs to know.

    Parameters
    ----------
    window: when the key was away, as the run goes on.
    prediction: who was expected to be refused.
    sources: further sources to read, besides event history.
    sessions: whose event history is read too: other accounts log their own denied calls.
    denied: whether the fault is an explicit deny in the key's policy.
    must_know: whether an answer that may lack something is none.
    within: seconds that evidence may take.
    fails: whether somebody who was not predicted fails the run.
    """

    key: KeyName
    window: FaultWindow
    prediction: Prediction
    pace: Pace
    budget: timedelta
    sources: Sequence[Source] = ()
    sessions: Sequence[Session] = ()
    denied: bool = False
    must_know: bool = True
    within: float = 1200.0
    fails: bool = True


class ObservedRadius(Probe):
    """Looks whether CloudTrail has the run's own last change yet, and then who was refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    uses: ClassVar[str] = "blast_radius"
    permissions: ClassVar[tuple[str, ...]] = ("cloudtrail:LookupEvents",)

    key: str
    _watched: Watched = PrivateAttr()
    _tell: Callable[[RadiusObserved], None] = PrivateAttr()
    _progress: _Progress = PrivateAttr()

    @classmethod
    def of(cls, watched: Watched, tell: Callable[[RadiusObserved], None]) -> ObservedRadius:
        """The look at one key; ``tell`` gets what it found, once."""
        made = cls(key=str(watched.key))
        made._watched, made._tell, made._progress = watched, tell, _Progress()
        return made

    def observe(self, aws: AWS) -> Observation:
        """``found`` when all was as predicted, ``unexpected`` when not, ``not_found`` while it cannot be said yet."""
        assert isinstance(aws, Session)
        with self._progress.lock:  # a look that was left behind may still be at it
            if self._progress.verdict is None:
                self._look(aws)
            return self._progress.verdict or _not_yet(self._progress.why)

    def _look(self, aws: Session) -> None:
        progress, watched = self._progress, self._watched
        moments = watched.window.moments
        progress.began = progress.began or time.monotonic()
        if moments.off is None:
            progress.verdict = _found("the key was never away")
            return
        delivered = self._delivered(aws, moments)
        if delivered and progress.reads < _READS:
            self._read(aws, moments)
        if progress.verdict is None and not watched.must_know and self._late():
            progress.verdict = _found(f"not judged: {progress.why}")

    def _late(self) -> bool:
        assert self._progress.began is not None
        return time.monotonic() - self._progress.began > 0.9 * self._watched.within

    def _delivered(self, aws: Session, moments: Moments) -> bool:
        """Whether the log shows that the key came back, and late records have had as long again as half of that."""
        progress = self._progress
        if progress.shown is None:
            if not self._shows(aws, moments):
                progress.looks += 1
                progress.why = progress.why or "CloudTrail does not show yet that the key was put back"
                return False
            progress.shown = time.monotonic()
            if moments.on is not None:
                progress.delivered_after = max(0.0, (datetime.now(UTC) - moments.on).total_seconds())
            waited = 0.0 if not progress.looks else progress.shown - (progress.began or 0.0)
            progress.ready = progress.shown + min(waited / 2, _LONGEST_GRACE)
        if (left := progress.ready - time.monotonic()) > 2.0:
            progress.why = "waiting for records that are delivered late"
            return False
        aws.wait(max(0.0, left))
        return True

    def _shows(self, aws: Session, moments: Moments) -> bool:
        if moments.on is None or moments.off is None:
            self._progress.why = "nobody has put the key back yet"
            return False
        window = Window(moments.on - _SKEW, datetime.now(UTC) + _SKEW)
        records, why = newest(aws, self._watched.pace, "ResourceName", self.key, window)
        self._progress.why = why
        if moments.on_request:
            return any(record.request_id == moments.on_request for record in records)
        ours = (record for record in records if record.made_by(aws.run))
        return any(record.time >= moments.on - timedelta(seconds=2) for record in ours)

    def _read(self, aws: Session, moments: Moments) -> None:
        progress, watched = self._progress, self._watched
        assert moments.off is not None
        progress.reads += 1
        window = Window(moments.off - _SKEW, datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1))
        source = Lookup((aws, *watched.sessions), refusals=window, budget=watched.budget, pace=watched.pace)
        answer = Embedded(source, *watched.sources).ask(Question(watched.key, window, detail=True), Watch())
        away = _away(answer, moments, denied=watched.denied)
        while_off = Window(away.off, max(away.on or window.until, away.off + timedelta(seconds=1)))
        calls = behind(aws, watched.pace, answer.uses, window, aws.run, while_off)
        found = observe(watched.prediction.dependents, answer.uses, away, calls, moments.requests)
        unknown = _unknown(answer)
        if unknown and watched.must_know and not found.unexpected and progress.reads < _READS:
            progress.why = unknown[0]
            return
        own = {use.request_id: use.event_id for use in answer.uses if use.request_id in moments.changes}
        self._tell(self._event(aws, answer, away, found, unknown, own))
        if found.unexpected and watched.fails:
            progress.verdict = Observation(cause=Cause.UNEXPECTED, detail=surprise(found.unexpected))
        elif unknown and watched.must_know:
            progress.why = unknown[0]
        else:
            progress.verdict = _found(in_words(found))

    def _event(
        self,
        aws: Session,
        answer: Answer,
        away: Away,
        found: Observed,
        unknown: tuple[str, ...],
        records: dict[str, str],
    ) -> RadiusObserved:
        shown = found.shown
        return RadiusObserved(
            key=self.key,
            at=(datetime.now(UTC) - aws.started).total_seconds(),
            off=f"{away.off:%Y-%m-%dT%H:%M:%SZ}",
            on=f"{away.on:%Y-%m-%dT%H:%M:%SZ}" if away.on else "",
            counts=found.counts,
            refused=found.refused,
            own=found.own,
            seen=shown,
            left_out=len(found.seen) - len(shown),
            unknown=unknown,
            coverage=tuple(coverage_sentences(answer)),
            records=records,
            first_refused=f"{found.first_refused:%Y-%m-%dT%H:%M:%SZ}" if found.first_refused else "",
            delivered_after=self._progress.delivered_after,
        )


class _Progress:
    """How far the looks have come; they come one after another."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.began: float | None = None
        self.looks = 0
        self.shown: float | None = None
        self.delivered_after: float | None = None
        self.ready = 0.0
        self.reads = 0
        self.why = ""
        self.verdict: Observation | None = None


def _away(answer: Answer, moments: Moments, *, denied: bool) -> Away:
    """By the log's own clock where it shows the calls, else by this machine's."""
    assert moments.off is not None
    at = {use.request_id: use.time for use in answer.uses if use.request_id}
    off = at.get(moments.off_request) or moments.off.replace(microsecond=0)
    on = at.get(moments.on_request) or (moments.on and moments.on.replace(microsecond=0))
    return Away(off, on, denied)


def _unknown(answer: Answer) -> tuple[str, ...]:
    coverage = answer.coverage
    found = [f"the log was not read in full: {coverage.partial}"] if coverage.partial else []
    found += [f"{count} files or pages were not read: {why}" for why, count in coverage.skipped.items()]
    return tuple(found)


def surprise(unexpected: Sequence[Seen]) -> str:
    """Who was refused whom nobody predicted, in a sentence."""
    named = [
        f"{one.principal} through {one.service or 'an AWS service'}" + (f" for {one.resource}" if one.resource else "")
        for one in unexpected[:5]
    ]
    more = f" and {len(unexpected) - 5} more" if len(unexpected) > 5 else ""
    return f"{len(unexpected)} refused that nobody predicted: {'; '.join(named)}{more}"


def in_words(found: Observed) -> str:
    """The counts, in a sentence."""
    counts = ", ".join(f"{count} {fate}" for fate, count in found.counts.items())
    return f"{found.refused} calls refused besides gameday's own {found.own}: {counts}"


def _found(detail: str) -> Observation:
    return Observation(cause=Cause.FOUND, detail=detail)


def _not_yet(why: str) -> Observation:
    return Observation(cause=Cause.NOT_FOUND, detail=why)
