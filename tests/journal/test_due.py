"""Due times: claimed once, begun no more than the limit allows, on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gameday.errors import Interrupted
from gameday.journal import Owner
from gameday.journal.due import DueTimes
from gameday.journal.sql import SqlJournal

DUE = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)


def test_no_more_game_days_begin_than_the_limit_allows(place: str) -> None:
    """On all daemons of the journal together, whichever of them asks."""
    times, other = (DueTimes(SqlJournal(place).database) for _ in range(2))
    owner = Owner.this()
    for n in range(3):
        assert times.claim(f"schedule-{n}", DUE, owner, f"run-{n}")
        assert not other.claim(f"schedule-{n}", DUE, owner, "again"), "it is claimed once"
    assert times.begin("schedule-0", DUE, owner, 2) == ""
    assert other.begin("schedule-1", DUE, owner, 2) == ""
    assert times.begin("schedule-2", DUE, owner, 2) == "2 game days are under way, and the limit is 2"
    assert other.settle("schedule-0", DUE, "passed", "")
    assert times.begin("schedule-2", DUE, owner, 2) == ""


def test_a_schedule_whose_run_is_still_on_waits_whatever_the_limit(place: str) -> None:
    times, owner = DueTimes(SqlJournal(place).database), Owner.this()
    later = DUE + timedelta(hours=1)
    assert times.claim("nightly", DUE, owner, "run-0")
    assert times.claim("nightly", later, owner, "run-1")
    assert times.begin("nightly", DUE, owner, 9) == ""
    assert times.begin("nightly", later, owner, 9) == "its run run-0 is still on"


def test_a_due_time_that_was_settled_for_its_claimant_does_not_begin(place: str) -> None:
    times, owner = DueTimes(SqlJournal(place).database), Owner.this()
    assert times.claim("nightly", DUE, owner, "run-0")
    assert times.settle("nightly", DUE, "died", "taken over")
    with pytest.raises(Interrupted, match="another daemon has taken this due time over"):
        times.begin("nightly", DUE, owner, 9)
