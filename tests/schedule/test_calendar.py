"""A year on a fake clock, through the clock changes: what is due, when it begins, and when it may not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.base import BaseScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from gameday.playbook import Schedule
from gameday.schedule.calendar import begins, due_after, due_between
from gameday.schedule.trigger import CalendarTrigger
from gameday.schedule.windows import closes, why_not

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
ZONES = ("Europe/London", "America/New_York", "Australia/Lord_Howe")
HOUR = timedelta(hours=1)


class FakeTime(BaseScheduler):  # type: ignore[misc]  # APScheduler has no types
    """APScheduler, which is told to look whenever the clock has been put to its next alarm."""

    def wakeup(self) -> None:
        """Nobody sleeps here."""

    def shutdown(self, wait: bool = True) -> None:
        super().shutdown(wait)

    def year(self) -> None:
        with time_machine.travel(START, tick=False) as clock:
            self.start()
            while (pause := self._process_jobs()) is not None and datetime.now(UTC) + timedelta(seconds=pause) < END:
                clock.shift(max(pause, 0.000001))
            self.shutdown()


def simulated(schedules: dict[str, Schedule]) -> dict[str, list[datetime]]:
    """When APScheduler fires each of them in 2026."""
    fired: dict[str, list[datetime]] = {name: [] for name in schedules}

    def fire(name: str) -> None:
        fired[name].append(datetime.now(UTC))

    scheduler = FakeTime(timezone=UTC, executors={"default": DebugExecutor()})
    for name, schedule in schedules.items():
        scheduler.add_job(fire, CalendarTrigger(schedule, name), args=[name], misfire_grace_time=None, coalesce=True)
    scheduler.year()
    return fired


def first_shown(zone: str, local: datetime) -> datetime | None:
    """The first moment in UTC at which a clock there shows a time, by trying every offset that it has in the year."""
    tz = ZoneInfo(zone)
    offsets = {(START + n * timedelta(days=30)).astimezone(tz).utcoffset() or timedelta(0) for n in range(12)}
    tried = [local.replace(tzinfo=UTC) - offset for offset in offsets]
    return min((u for u in tried if u.astimezone(tz).replace(tzinfo=None, fold=0) == local), default=None)


def expected(zone: str, times: list[tuple[int, int]], on: Callable[[date], bool]) -> list[datetime]:
    """Each local time of each day once; one that does not exist at the next minute that does."""
    due, day = set[datetime](), date(2025, 12, 31)
    while day < date(2027, 1, 2):
        for hour, minute in times if on(day) else []:
            local = datetime(day.year, day.month, day.day, hour, minute)
            while (moment := first_shown(zone, local)) is None:
                local += timedelta(minutes=1)
            due.add(moment)
        day += timedelta(days=1)
    return sorted(moment for moment in due if START <= moment < END)


def every_day(_: date) -> bool:
    return True


def test_a_simulated_year_runs_each_game_day_once_and_loses_none() -> None:
    at: dict[str, tuple[list[tuple[int, int]], Callable[[date], bool]]] = {
        "30 2 * * *": ([(2, 30)], every_day),
        "30 1 * * *": ([(1, 30)], every_day),
        "0,30 2,3 * * *": ([(2, 0), (2, 30), (3, 0), (3, 30)], every_day),
        "0 10 * * tue": ([(10, 0)], lambda d: d.weekday() == 1),
        "0 0 * * 0": ([(0, 0)], lambda d: d.weekday() == 6),
        "15 6 * * 7": ([(6, 15)], lambda d: d.weekday() == 6),
        "0 9 13 * fri": ([(9, 0)], lambda d: d.day == 13 or d.weekday() == 4),
        "*/20 1-2 * 3,4,10,11 *": ([(h, m) for h in (1, 2) for m in (0, 20, 40)], lambda d: d.month in (3, 4, 10, 11)),
    }
    schedules = {f"{zone} {cron}": Schedule(cron=cron, timezone=zone) for zone in ZONES for cron in at}
    fired = simulated(schedules)
    for zone in ZONES:
        for cron, (times, on) in at.items():
            assert fired[f"{zone} {cron}"] == expected(zone, times, on), f"{cron} in {zone}"


def test_the_two_clock_changes_by_hand() -> None:
    fired = simulated({"b": Schedule(cron="30 2 * * *", timezone="Europe/Berlin")})["b"]
    assert len(fired) == 365
    around = [moment.isoformat() for moment in fired if moment.date() in (date(2026, 3, 29), date(2026, 10, 25))]
    assert around == ["2026-03-29T01:00:00+00:00", "2026-10-25T00:30:00+00:00"], "03:00 CEST; 02:30 CEST, not CET"


def test_what_names_every_hour_goes_by_elapsed_time() -> None:
    for cron in ("0 * * * *", "0 0-23 * * *", "0 */1 * * *"):
        due = due_between(Schedule(cron=cron, timezone="Europe/Berlin"), START - HOUR, END - HOUR, 9999)
        assert due == [START + n * HOUR for n in range(8760)]


def test_single_dates_are_local_or_as_they_say() -> None:
    dates = ["2026-06-01T10:00", "2026-06-01T10:00Z", "2026-03-29T02:30", "2026-10-25T02:30:00+01:00"]
    schedule = Schedule.model_validate({"dates": dates, "timezone": "Europe/Berlin", "cron": "0 10 1 6 *"})
    found = [moment.isoformat()[:16] for moment in due_between(schedule, START, END, 99)]
    assert found == ["2026-03-29T01:00", "2026-06-01T08:00", "2026-06-01T10:00", "2026-10-25T01:30"]


def test_seconds_stand_in_front() -> None:
    schedule = Schedule(cron="*/20 59 23 31 12 *", timezone="Europe/Berlin")
    assert [m.isoformat()[10:19] for m in due_between(schedule, START, END, 9)] == [
        "T22:59:00",
        "T22:59:20",
        "T22:59:40",
    ]


@given(
    cron=st.sampled_from(["30 2 * * *", "*/7 * * * *", "0 0,1,2,3 * * *", "59 23 28-31 * *"]),
    zone=st.sampled_from(ZONES),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1)),
)
@settings(max_examples=150, deadline=None)
def test_wherever_one_begins_to_look_the_same_times_are_due(cron: str, zone: str, start: datetime) -> None:
    schedule, after = Schedule(cron=cron, timezone=zone), start.replace(tzinfo=UTC)
    due = [moment for moment, _ in zip(due_after(schedule, after), range(20), strict=False)]
    assert due == sorted(set(due))
    assert due[0] > after
    for n, moment in enumerate(due[:-1]):
        assert next(iter(due_after(schedule, moment))) == due[n + 1]


def test_jitter_is_within_its_bound_and_every_daemon_draws_the_same() -> None:
    plain = Schedule(cron="0 10 * * *")
    shaken = plain.model_copy(update={"jitter": timedelta(minutes=30)})
    late = [begins(shaken, "k", due) - due for due in due_between(shaken, START, END, 999)]
    assert timedelta(0) <= min(late) < timedelta(minutes=3)
    assert timedelta(minutes=27) < max(late) < timedelta(minutes=30)
    fired = simulated({"k": shaken})["k"]
    assert len(fired) == 365
    wanted = [begins(shaken, "k", due) for due in due_between(plain, START - HOUR, END, 999)]
    assert max(abs(one - other) for one, other in zip(fired, wanted, strict=True)) < timedelta(milliseconds=1)


WORK = Schedule.model_validate(
    {"cron": "0 * * * *", "timezone": "Europe/Berlin", "allowed": ["mon-fri 09:00-17:00", "fri 22:00-02:00"]}
)
FROZEN = Schedule.model_validate(
    {"cron": "0 * * * *", "timezone": "Europe/Berlin", "freeze": ["2026-12-20..2027-01-05", "2026-11-27"]}
)


@pytest.mark.parametrize(
    ("local", "longest", "why"),
    [
        ("2026-12-01T09:00", 1, ""),
        ("2026-12-01T08:59", 1, "2026-12-01T08:59+01:00 is outside its allowed hours (mon,tue,wed,thu,fri 09:00-17:00"),
        ("2026-12-01T16:00", 1, ""),
        (
            "2026-12-01T16:01",
            1,
            "it could last until 2026-12-01T17:01+01:00, longer than it is allowed to (until 2026-",
        ),
        ("2026-12-01T17:00", 0, "is outside its allowed hours"),
        ("2026-12-05T10:00", 1, "is outside its allowed hours"),
        ("2026-12-04T23:00", 2, ""),
        ("2026-12-05T01:00", 1, ""),
        ("2026-12-05T01:30", 1, "until 2026-12-05T02:00+01:00"),
    ],
)
def test_hours_that_are_allowed(local: str, longest: int, why: str) -> None:
    start = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    told = why_not(WORK, start, longest * HOUR)
    assert why in told
    assert bool(why) == bool(told)


def test_dates_that_are_frozen() -> None:
    def told(local: str) -> str:
        return why_not(FROZEN, datetime.fromisoformat(local).replace(tzinfo=ZoneInfo("Europe/Berlin")), HOUR)

    assert told("2026-12-24T10:00") == "2026-12-24 is frozen (2026-12-20..2027-01-05)"
    assert told("2026-11-27T10:00") == "2026-11-27 is frozen (2026-11-27)"
    assert told("2026-12-19T22:59") == ""
    assert "until 2026-12-20T00:00+01:00" in told("2026-12-19T23:30")
    assert told("2027-01-06T00:00") == ""
    assert "is frozen" in told("2027-01-05T23:59")


def test_without_hours_and_dates_it_never_closes() -> None:
    assert closes(Schedule(cron="0 * * * *"), START) is None
    always = Schedule.model_validate({"cron": "0 * * * *", "allowed": ["mon-sun"]})
    assert closes(always, START) is None
