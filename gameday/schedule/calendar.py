"""When a game day is due: cron as cron means it, in a time zone, through its clock changes.

The rule for clock changes. A local time that happens twice is due once, the first time. One that does not exist is due
at the next minute that does. An expression that names every hour goes by elapsed time: ``*/15 * * * *`` is every
quarter of an hour through the change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim

from gameday.playbook import Schedule

LONGEST_SHIFT = timedelta(hours=3)
"""No clock is put back by more."""
MINUTE = timedelta(minutes=1)


def due_after(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """The due times after a moment, in order, in UTC, each once."""
    zone = ZoneInfo(schedule.timezone)
    single = sorted(_instant(date, zone) for date in schedule.dates)
    repeated = _cron(schedule.cron, zone, after) if schedule.cron else iter(())
    last = after
    for due in merge(single, repeated):
        if due > last:
            last = due
            yield due


def due_between(schedule: Schedule, after: datetime, until: datetime, most: int) -> list[datetime]:
    """The due times after a moment and up to another, at most so many."""
    found: list[datetime] = []
    for due in islice(due_after(schedule, after), most):
        if due > until:
            break
        found.append(due)
    return found


def begins(schedule: Schedule, name: str, due: datetime) -> datetime:
    """When the run of a due time begins: later by its jitter, which every daemon draws alike."""
    drawn = hashlib.sha256(f"{name} {due.isoformat()}".encode()).digest()
    return due + schedule.jitter * (int.from_bytes(drawn[:6], "big") / 2**48)


def instant(local: datetime, zone: ZoneInfo) -> datetime:
    """A local time in UTC: the first of two, or the next minute that there is."""
    while True:
        moment = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None, fold=0) == local:
            return moment
        local = local.replace(second=0) + MINUTE


def _instant(date: datetime, zone: ZoneInfo) -> datetime:
    return instant(date, zone) if date.tzinfo is None else date.astimezone(UTC)


def _cron(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    words = expression.split()
    local = after.astimezone(zone)
    if len(CronSim(expression, local).hours) == 24:
        words[-4] = "*"  # whatever way it is written: cronsim then counts elapsed time
        for due in CronSim(" ".join(words), local):
            yield due.astimezone(UTC)
        return
    start = local.replace(tzinfo=None, fold=0)
    if local.utcoffset() != (after - LONGEST_SHIFT).astimezone(zone).utcoffset():
        start -= LONGEST_SHIFT  # what the clock shows now, it may have shown before
    for naive in CronSim(expression, start):
        yield instant(naive, zone)
