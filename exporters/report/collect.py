"""What the report needs beyond the run's view: every look as strips, every call with its time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import singledispatchmethod
from statistics import median

from exporters.fold import RunView
from exporters.parts import Tone
from exporters.report.model import Call, Chain, Found, Moment, PhaseSpan, Point, Segment
from gameday.sdk import (
    Event,
    ForeignChange,
    GuardBreached,
    Interruption,
    LeakSeen,
    Note,
    PhaseEntered,
    ProbeObserved,
    RunAbandoned,
    RunStarted,
    Sealed,
    StepInjected,
    StepReadBack,
    StepRefused,
    UndoTried,
    WatchdogArmed,
    WatchdogLost,
    chain_is_whole,
)

POINTS = 240
"""How many latencies of a probe are drawn; of more, the longest of each stretch."""
SEGMENTS = 400
"""How many stretches of a probe's strip are told apart; what flaps more often is drawn as it was at first."""


@dataclass
class Strip:
    """One probe's looks in order."""

    segments: list[Segment] = field(default_factory=list)
    latency: list[Point] = field(default_factory=list)
    leaks: list[float] = field(default_factory=list)
    looks: int = 0

    def add(self, event: ProbeObserved, tone: Tone) -> None:
        """Take a look; one like the last makes the last stretch longer."""
        seen = event.observation
        self.looks += 1
        self.latency.append(Point(at=event.answered, seconds=max(event.answered - event.asked, 0.0)))
        last = self.segments[-1] if self.segments else None
        now = (event.phase, seen.cause.value, seen.code, tone.value)
        if last is not None and (
            (last.phase, last.cause, last.code, last.tone) == now or len(self.segments) >= SEGMENTS
        ):
            longer = {"ended": max(event.answered, last.ended), "looks": last.looks + 1}
            self.segments[-1] = last.model_copy(update=longer)
            return
        self.segments.append(
            Segment(
                began=event.asked,
                ended=event.answered,
                phase=event.phase,
                cause=seen.cause.value,
                code=seen.code,
                outcome=seen.outcome,
                tone=tone.value,
            )
        )

    def median(self) -> float | None:
        """Seconds that a look took, in the middle."""
        return median(point.seconds for point in self.latency) if self.latency else None

    def longest(self) -> float | None:
        """Seconds that the slowest look took."""
        return max((point.seconds for point in self.latency), default=None)

    def points(self) -> tuple[Point, ...]:
        """The latencies to draw: all, or the longest of each stretch, since a peak is what one looks for."""
        size = -(-len(self.latency) // POINTS) or 1
        stretches = (self.latency[first : first + size] for first in range(0, len(self.latency), size))
        return tuple(max(stretch, key=lambda point: point.seconds) for stretch in stretches)


class Collected:
    """A fold over a run's events: the view that all readers share, and what only a report keeps."""

    def __init__(self) -> None:
        self.view = RunView()
        self.sealed: list[Sealed] = []
        self.strips: dict[str, Strip] = defaultdict(Strip)
        self.phases: list[PhaseSpan] = []
        self.calls: dict[str, list[Call]] = defaultdict(list)
        self.read_backs: dict[str, list[Found]] = defaultdict(list)
        self.moments: list[Moment] = []
        self.started: RunStarted | None = None

    def consume(self, sealed: Sealed) -> None:
        """Take the next event."""
        self.sealed.append(sealed)
        self.view.consume(sealed)
        self._take(sealed.event)

    def chain(self) -> Chain:
        """Whether the events are all there, as they were written."""
        return Chain(
            events=len(self.sealed),
            head=self.sealed[-1].hash if self.sealed else "",
            whole=chain_is_whole(self.sealed),
            playbook_hash=self.started.playbook_hash if self.started else "",
        )

    def utc(self, at: float) -> str:
        """A run's time on the wall clock."""
        try:
            moment = datetime.fromisoformat(self.view.started) + timedelta(seconds=at)
        except (ValueError, OverflowError):  # the journal does not say when it began
            return ""
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    @singledispatchmethod
    def _take(self, event: Event) -> None:
        """Nothing that the view does not keep."""

    @_take.register
    def _(self, event: RunStarted) -> None:
        self.started = event

    @_take.register
    def _(self, event: PhaseEntered) -> None:
        if self.phases:
            self.phases[-1] = self.phases[-1].model_copy(update={"ended": event.at})
        self.phases.append(PhaseSpan(phase=event.phase, began=event.at, ended=event.at))

    @_take.register
    def _(self, event: ProbeObserved) -> None:
        strip = self.view.probe(event.probe).strip
        self.strips[event.probe].add(event, strip[-1].tone if strip else Tone.NONE)

    @_take.register
    def _(self, event: LeakSeen) -> None:
        self.strips[event.probe].leaks.append(event.at)

    @_take.register
    def _(self, event: StepInjected) -> None:
        answer = "done" if event.certain else "unknown"
        self._call(event, "inject", answer)

    @_take.register
    def _(self, event: StepRefused) -> None:
        call = Call(does="inject", utc=self.utc(event.at), at=event.at, seconds=0.0, answer="refused", detail=event.why)
        self.calls[event.step].append(call)

    @_take.register
    def _(self, event: UndoTried) -> None:
        self._call(event, "undo", "done" if event.ok else "failed")

    def _call(self, event: StepInjected | UndoTried, does: str, answer: str) -> None:
        self.calls[event.step].append(
            Call.model_validate(
                {
                    "does": does,
                    "utc": self.utc(event.asked),
                    "at": event.asked,
                    "seconds": max(event.answered - event.asked, 0.0),
                    "answer": answer,
                    "detail": event.detail,
                    "request_id": event.request_id,
                }
            )
        )

    @_take.register
    def _(self, event: StepReadBack) -> None:
        found = Found(utc=self.utc(event.at), at=event.at, found=event.found, detail=event.detail)
        self.read_backs[event.step].append(found)

    @_take.register
    def _(self, event: Interruption) -> None:
        ignored = " (acknowledged; the rollback was on already)" if event.ignored else ""
        self.moments.append(Moment(at=event.at, kind="interruption", text=event.why + ignored))

    @_take.register
    def _(self, event: GuardBreached) -> None:
        self.moments.append(Moment(at=event.at, kind="guard", text=f"guard {event.guard} was breached: {event.why}"))

    @_take.register
    def _(self, event: Note) -> None:
        self.moments.append(Moment(at=event.at, kind="note", text=event.text))

    @_take.register
    def _(self, event: ForeignChange) -> None:
        who = event.who or "somebody"
        text = f"{who} changed {event.resource}: {event.what} (seen in {event.source})"
        self.moments.append(Moment(at=event.at, kind="others", text=text))

    @_take.register
    def _(self, event: WatchdogArmed) -> None:
        text = f"the watchdog (process {event.pid}) holds the undo and has rehearsed it"
        self.moments.append(Moment(at=event.at, kind="watchdog", text=text))

    @_take.register
    def _(self, event: WatchdogLost) -> None:
        self.moments.append(Moment(at=event.at, kind="watchdog", text=f"the watchdog is gone: {event.why}"))

    @_take.register
    def _(self, event: RunAbandoned) -> None:
        self.moments.append(Moment(at=event.at, kind="abandoned", text=f"abandoned, left as it is: {event.why}"))
