"""An expectation that does not hold says what was still so, for how long, and what was to come."""

from __future__ import annotations

from gameday.machine.expectation import Standing, Watch
from gameday.machine.spec import Expect
from gameday.sdk import Cause, Observation, Outcome


def test_what_did_not_change_in_time_is_told_as_still_so() -> None:
    watch = Watch(Expect(frozenset({"key_disabled"}), 60.0), 5.0, 65.0, "fault began")
    seen = Observation(outcome=Outcome.OK, cause=Cause.OK, detail="secret payments/db is readable")
    over = watch.seen(6.0, 6.1, seen).tick(65.0)
    assert over.standing is Standing.BROKEN
    assert over.why == ("still ok: secret payments/db is readable, 60 s after the fault began; expected key_disabled")
