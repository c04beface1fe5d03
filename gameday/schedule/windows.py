"""When a game day may run: the hours that are allowed, less the dates that are frozen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from gameday.playbook import DAYS, Allowed, Freeze, Schedule
from gameday.schedule.calendar import instant

AHEAD = timedelta(days=8)
"""No run lasts longer; a window that does is as good as endless."""
DAY = timedelta(days=1)


class Span(NamedTuple):
    """From a moment to another, in UTC."""

    start: datetime
    end: datetime


def why_not(schedule: Schedule, start: datetime, longest: timedelta) -> str:
    """Why a run may not begin at a moment, or ``""``; ``longest`` is how long it may last."""
    zone = ZoneInfo(schedule.timezone)
    for freeze in schedule.freeze:
        if _frozen(freeze, zone).start <= start < _frozen(freeze, zone).end:
            return f"{start.astimezone(zone).date()} is frozen ({_written(freeze)})"
    end = closes(schedule, start)
    if end is not None and end <= start:
        return f"{_clock(start, zone)} is outside its allowed hours ({_hours(schedule)})"
    if end is not None and start + longest > end:
        return (
            f"it could last until {_clock(start + longest, zone)}, longer than it is allowed to "
            f"(until {_clock(end, zone)})"
        )
    return ""


def closes(schedule: Schedule, start: datetime) -> datetime | None:
    """When a run that begins at a moment must have ended; that moment itself when it must not begin, None for never."""
    zone = ZoneInfo(schedule.timezone)
    end: datetime | None = None
    if schedule.allowed:
        inside = [span for span in _merged(_allowed(schedule, zone, start)) if span.start <= start < span.end]
        end = inside[0].end if inside else start
        if end > start + AHEAD - 2 * DAY:
            end = None
    frozen = [span for span in (_frozen(freeze, zone) for freeze in schedule.freeze) if span.end > start]
    ends = [end] if end is not None else []
    ends += [max(start, span.start) for span in frozen if span.start < start + AHEAD]
    return min(ends, default=None)


def _allowed(schedule: Schedule, zone: ZoneInfo, start: datetime) -> Iterator[Span]:
    today = start.astimezone(zone).date()
    for offset in range(-1, AHEAD.days + 1):
        day = today + timedelta(days=offset)
        midnight = datetime.combine(day, time())
        for hours in schedule.allowed:
            if day.weekday() in hours.days:
                end = hours.end if hours.end > hours.start else hours.end + 24 * 60
                yield Span(*(instant(midnight + timedelta(minutes=at), zone) for at in (hours.start, end)))


def _merged(spans: Iterator[Span]) -> list[Span]:
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def _frozen(freeze: Freeze, zone: ZoneInfo) -> Span:
    first, after = datetime.combine(freeze.first, time()), datetime.combine(freeze.last, time()) + DAY
    return Span(instant(first, zone), instant(after, zone))


def _written(freeze: Freeze) -> str:
    return str(freeze.first) if freeze.first == freeze.last else f"{freeze.first}..{freeze.last}"


def _hours(schedule: Schedule) -> str:
    return f"{', '.join(_said(hours) for hours in schedule.allowed)} {schedule.timezone}"


def _said(hours: Allowed) -> str:
    days = ",".join(DAYS[day] for day in sorted(hours.days))
    return f"{days} {hours.start // 60:02}:{hours.start % 60:02}-{hours.end // 60:02}:{hours.end % 60:02}"


def _clock(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).isoformat(timespec="minutes")


def utc(moment: datetime) -> str:
    """A moment as people read it: ``2026-12-01T10:00:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
