"""Where things stand on the report's timeline: every place a share of its width, in per cent.

Each phase is drawn to a scale of its own, since evidence may take twenty minutes and the effect three seconds; the
phase says how long it took.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

from exporters.report.model import PhaseSpan, Point, ProbeReport, Report, Segment
from gameday.sdk import Phase

DRAWN, LANES, LEAKS = 900, 60, 20
"""How many stretches are drawn in all, lanes, and leaks a lane: the page stays small whatever the run was."""
_WORST_LAST = ("none", "good", "dark", "waiting", "bad")
_LEAST = 0.1
"""The share of the width that even the shortest phase has."""


@dataclass(frozen=True)
class Band:
    """A stretch of the timeline."""

    left: float
    width: float


@dataclass(frozen=True)
class Mark:
    """A moment on a probe's lane."""

    left: float
    kind: str
    """``effect``, ``recovered`` or ``leak``."""
    text: str


class Scale:
    """From seconds since the run's start to per cent of the width."""

    def __init__(self, phases: tuple[PhaseSpan, ...], seconds: float) -> None:
        spans = [(phase.began, phase.ended) for phase in phases if phase.ended > phase.began]
        edges = sorted({0.0, max(seconds, 0.001), *(edge for span in spans for edge in span)})
        roots = [sqrt(later - earlier) for earlier, later in pairwise(edges)]
        shares = [max(root / sum(roots), _LEAST) for root in roots]
        self._stops: list[tuple[float, float]] = [(edges[0], 0.0)]
        for edge, share in zip(edges[1:], shares, strict=True):
            self._stops.append((edge, self._stops[-1][1] + 100 * share / sum(shares)))

    def at(self, seconds: float) -> float:
        """Where a moment stands."""
        for (began, left), (ended, right) in pairwise(self._stops):
            if seconds <= ended:
                part = max(seconds - began, 0.0) / (ended - began)
                return round(left + part * (right - left), 3)
        return 100.0

    def band(self, began: float, ended: float) -> Band:
        """A stretch; never so thin that it cannot be seen."""
        left = min(self.at(began), 99.8)
        return Band(left, round(max(self.at(ended) - left, 0.2), 3))


@dataclass(frozen=True)
class Lane:
    """A probe on the timeline."""

    probe: ProbeReport
    stretches: tuple[tuple[Segment, Band], ...]
    marks: tuple[Mark, ...]
    curve: str
    """The latencies as an SVG polyline in a box of 1000 by 100."""


class Timeline:
    """All of a run's lanes on one scale."""

    def __init__(self, report: Report) -> None:
        self.scale = Scale(report.phases, report.seconds)
        self.phases = tuple((phase, self.scale.band(phase.began, phase.ended)) for phase in report.phases)
        self._injected = report.changed_at
        self._undone = report.rollbacks[0].began if report.rollbacks else None
        self.changed = self._changed(report)
        looked = [probe for probe in report.probes if probe.looks]
        self.left_out = tuple(probe.facts.name for probe in looked[LANES:])
        room = DRAWN // max(min(len(looked), LANES), 1)
        self.lanes = tuple(self._lane(probe, room) for probe in looked[:LANES])

    def _changed(self, report: Report) -> Band | None:
        if self._injected is None or report.changed_for is None:
            return None
        return self.scale.band(self._injected, self._injected + report.changed_for)

    def _lane(self, probe: ProbeReport, room: int) -> Lane:
        segments = _thinned(probe.segments, room)
        ends = [segment.began for segment in segments[1:]]
        last = segments[-1].ended if segments else 0.0
        # Until the next answer that differs nothing else is known; a phase in between ends the stretch.
        shown = [
            min(until, max(segment.ended, self._phase_end(segment.phase, segment.ended)))
            for segment, until in zip(segments, [*ends, last], strict=True)
        ]
        bands = [self.scale.band(segment.began, end) for segment, end in zip(segments, shown, strict=True)]
        stretches = tuple(zip(segments, bands, strict=True))
        return Lane(probe, stretches, tuple(self._marks(probe)), self._curve(probe.latency))

    def _phase_end(self, phase: Phase, otherwise: float) -> float:
        return next((span.ended for span, _ in self.phases if span.phase is phase), otherwise)

    def _marks(self, probe: ProbeReport) -> list[Mark]:
        since = {Phase.FAULT: (self._injected, "effect"), Phase.RECOVERY: (self._undone, "recovered")}
        marks = []
        for one in probe.expectations:
            began, kind = since.get(one.phase, (None, ""))
            if began is not None and one.interval is not None and one.result == "met":
                marks.append(Mark(self.scale.at(began + one.interval.by), kind, one.cause))
        return marks + [Mark(self.scale.at(at), "leak", "leak") for at in probe.leaks[:LEAKS]]

    def _curve(self, points: tuple[Point, ...]) -> str:
        top = max((point.seconds for point in points), default=0.0)
        if top <= 0 or len(points) < 2:
            return ""
        return " ".join(f"{self.scale.at(p.at) * 10:.1f},{100 - 96 * p.seconds / top:.1f}" for p in points)


def _thinned(segments: tuple[Segment, ...], room: int) -> list[Segment]:
    """As many stretches as there is room for; several in one look like the worst of them."""
    size = -(-len(segments) // max(room, 1)) or 1
    return [_merged(segments[first : first + size]) for first in range(0, len(segments), size)]


def _merged(several: tuple[Segment, ...]) -> Segment:
    worst = max(several, key=lambda one: _WORST_LAST.index(one.tone))
    looks = sum(one.looks for one in several)
    return worst.model_copy(update={"began": several[0].began, "ended": several[-1].ended, "looks": looks})
