"""``schedule:`` as it is written: when a game day is due, and when it may not be.

In the playbook's room and not in the scheduler's, since the same words may stand in a playbook and in a target file.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from gameday.playbook._problems import did_you_mean, shown
from gameday.sdk import Duration

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAYS = "(?:" + "|".join(DAYS) + ")"
ALLOWED_PATTERN = rf"^{_DAYS}(?:[-,]{_DAYS})*( \d\d:\d\d-\d\d:\d\d)?$"
FREEZE_PATTERN = r"^\d{4}-\d\d-\d\d(\.\.\d{4}-\d\d-\d\d)?$"
DATE_PATTERN = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?$"


class Allowed(NamedTuple):
    """Days of the week (0 is Monday), and minutes after midnight; an end before the start is on the next day."""

    days: frozenset[int]
    start: int
    end: int


class Freeze(NamedTuple):
    """Dates, both included, on which nothing runs."""

    first: date
    last: date


def _cron(text: str) -> str:
    from cronsim import CronSim, CronSimError

    words = text.split()
    if len(words) not in (5, 6):
        raise ValueError(f"{shown(text)} has {len(words)} fields; cron has five: minute hour day month weekday")
    try:
        next(CronSim(text, datetime(2026, 1, 1)))
    except CronSimError as error:
        raise ValueError(f"{shown(text)} is no cron expression: {error}") from None
    except StopIteration:
        raise ValueError(f"{shown(text)} is never due") from None
    return " ".join(words)


def _zone(text: str) -> str:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone {shown(text)}{did_you_mean(text, available_timezones())}") from None
    return text


def _date(value: object) -> datetime:
    if isinstance(value, str) and re.match(DATE_PATTERN, value):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError(f"{shown(str(value))} is no date; write 2026-12-01T10:00, local in the time zone")


def _allowed(value: object) -> Allowed:
    text = value if isinstance(value, str) else ""
    if not re.match(ALLOWED_PATTERN, text):
        raise ValueError(f"{shown(str(value))} is no time of the week; write 'mon-fri 09:00-17:00', or 'tue,thu'")
    days, _, hours = text.partition(" ")
    start, end = (_minutes(hour) for hour in (hours or "00:00-24:00").split("-"))
    if start == end:
        raise ValueError(f"{shown(text)} begins when it ends")
    return Allowed(frozenset(day for part in days.split(",") for day in _days(part)), start, end)


def _days(part: str) -> list[int]:
    first, _, last = part.partition("-")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    return [day % 7 for day in range(begin, (end if end >= begin else end + 7) + 1)]


def _minutes(text: str) -> int:
    hour, minute = int(text[:2]), int(text[3:])
    if minute > 59 or hour * 60 + minute > 24 * 60:
        raise ValueError(f"{text!r} is no time of the day")
    return hour * 60 + minute


def _freeze(value: object) -> Freeze:
    text = value if isinstance(value, str) else ""
    if re.match(FREEZE_PATTERN, text):
        first, _, last = text.partition("..")
        try:
            found = Freeze(date.fromisoformat(first), date.fromisoformat(last or first))
        except ValueError:
            pass
        else:
            if found.first <= found.last:
                return found
            raise ValueError(f"{shown(text)} ends before it begins")
    raise ValueError(f"{shown(str(value))} is no date or span of dates; write 2026-12-20..2027-01-05")


def _text(pattern: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


class Schedule(BaseModel):
    """When `gameday schedule` runs it. What a clock change does to it stands in docs/scheduling.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: Annotated[str, AfterValidator(_cron)] | None = Field(
        None,
        description="Minute, hour, day, month, weekday, as cron reads them (0 and 7 are Sunday); a sixth field in "
        "front is the second.",
    )
    dates: list[Annotated[datetime, BeforeValidator(_date), _text(DATE_PATTERN, "2026-12-01T10:00")]] = Field(
        [], description="Single dates, local in the time zone unless they say otherwise."
    )
    timezone: Annotated[str, AfterValidator(_zone)] = Field("UTC", description="Of all that stands here.")
    jitter: Duration = Field(timedelta(0), description="Begin up to this much later, differently each time.")
    grace: Duration = Field(
        timedelta(minutes=5), description="How late it may still begin; later, it is recorded as missed."
    )
    when_busy: Literal["skip", "wait"] = Field(
        "skip", description="What to do when the previous run is still on: leave this one out, or wait within grace."
    )
    allowed: list[Annotated[Allowed, BeforeValidator(_allowed), _text(ALLOWED_PATTERN, "mon-fri 09:00-17:00")]] = Field(
        [], description="When it may run; a run that could last beyond it is refused, and one that does is ended."
    )
    freeze: list[Annotated[Freeze, BeforeValidator(_freeze), _text(FREEZE_PATTERN, "2026-12-20..2027-01-05")]] = Field(
        [], description="Dates on which it does not run."
    )

    @model_validator(mode="after")
    def _is_ever_due(self) -> Schedule:
        if self.cron is None and not self.dates:
            raise ValueError("is never due: give it cron or dates")
        return self
