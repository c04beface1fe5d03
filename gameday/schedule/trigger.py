"""APScheduler's alarm for our calendar.

APScheduler keeps the time; what a cron expression means is :mod:`gameday.schedule.calendar`'s: APScheduler's own
``from_crontab`` takes 0 for Monday, refuses 7, and fires a local time twice when clocks go back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.triggers.base import BaseTrigger

from gameday.playbook import Schedule
from gameday.schedule.calendar import begins, due_after


class CalendarTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """Fires when a game day begins.

    Parameters
    ----------
    name: the schedule's name, of which its jitter depends.
    ahead: how far this machine's clock is ahead of the one that counts.
    """

    def __init__(self, schedule: Schedule, name: str, ahead: Callable[[], timedelta] = timedelta) -> None:
        self.schedule, self.name, self._ahead = schedule, name, ahead

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """The next beginning after the one before, or after now."""
        ahead = self._ahead()
        after = (previous or now).astimezone(UTC) - ahead
        # With jitter, what was due before that moment may begin after it.
        for due in due_after(self.schedule, after - self.schedule.jitter - timedelta(microseconds=1)):
            beginning = begins(self.schedule, self.name, due)
            if beginning > after or (previous is None and beginning == after):
                return beginning + ahead
        return None
