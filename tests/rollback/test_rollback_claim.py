"""Several may finish one dead run: what another has closed is left alone, and no hold is given back too early."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import cast

import pytest
from botocore.exceptions import ReadTimeoutError

from gameday.faults.kms_disable_key import DisableKey
from gameday.journal import Abandon, Owner, StepRecord
from gameday.journal.sql import SqlJournal
from gameday.machine.commands import CloseStep
from gameday.machine.rollback import Rollback, Undoing
from gameday.machine.spec import Timing
from gameday.rollback.claim import ANSWERS_WITHIN, Claim
from gameday.rollback.driver import roll_back
from gameday.rollback.recovery import abandon, spec_of
from gameday.sdk import AWS, AnyEvent, Calls, Closed, ReadBack, Restored, Step, StillOurs

KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
RUN = "aaaa1111"
RECORD = StepRecord(
    run=RUN,
    id="fault",
    uses="kms.disable_key",
    params={"key": KEY},
    step="disable",
    resource=KEY,
    rank=0,
    chain=0,
    order=0,
    before={"state": "Enabled"},
)


@pytest.fixture
def journal(tmp_path: Path) -> SqlJournal:
    """With a run that died with a step open."""
    kept = SqlJournal(str(tmp_path / "journal.db"))
    dead = Owner.this().model_copy(update={"pid": 2**22 + 1})
    kept.open_run(RUN, "killswitch", dead)
    kept.take_hold(RUN, dead, KEY)
    kept.intend(RECORD)
    return kept


@dataclass
class Key:
    """A step whose undo does what the test says."""

    on_undo: Callable[[int], None]
    back_after: int = 1
    calls: Calls = DisableKey.calls
    undone: list[float] = field(default_factory=list)

    def undo(self, _aws: AWS, _before: object) -> None:
        self.undone.append(time.monotonic())
        self.on_undo(len(self.undone))

    def read_back(self, _aws: AWS, _before: object) -> ReadBack:
        return Restored() if len(self.undone) >= self.back_after else StillOurs("Disabled")


class NoAws:
    """Answers to nothing but its last request's id."""

    def last_request_id(self) -> str:
        return ""


def finish(
    key: Key, claim: Claim | None, *, settle: float = 0.1, within: float = 3.0
) -> tuple[Rollback, list[CloseStep]]:
    closed: list[CloseStep] = []
    told: list[AnyEvent] = []
    state = roll_back(
        (Undoing(spec_of(RECORD, DisableKey(key=KEY)), RECORD.before),),
        {"fault": cast(Step, key)},
        cast(AWS, NoAws()),
        timing=Timing(rollback_within=within, settle=settle, call_limit=1.0),
        emit=told.append,
        close=closed.append,
        by="test",
        reason="",
        is_lost=claim.lost if claim is not None else lambda _: None,
    )
    return state, closed


def test_what_another_closes_meanwhile_is_undone_no_more(journal: SqlJournal) -> None:
    """The other gives the hold back too, and a third run takes it: nothing may be called then."""
    key = Key(lambda _: journal.close(RUN, "fault", Closed.RESTORED, "Enabled"), back_after=99)
    state, closed = finish(key, Claim(journal, RUN))
    assert len(key.undone) == 1
    assert state.overtaken
    assert not state.open
    assert closed == [], "whoever closed it has written that down"


def test_what_another_run_holds_is_not_undone_and_stays_open(
    journal: SqlJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = [hold.model_copy(update={"run": "bbbb2222"}) for hold in journal.holds()]
    monkeypatch.setattr(journal, "holds", lambda: theirs)
    key = Key(lambda _: None, back_after=99)
    state, _ = finish(key, Claim(journal, RUN), within=0.5)
    assert key.undone == []
    assert "bbbb2222" in state.sentences()[0]


def test_a_journal_that_hangs_holds_no_undo_up(journal: SqlJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    never = Event()
    monkeypatch.setattr(journal, "steps", lambda _run: never.wait(20))
    claim, key, began = Claim(journal, RUN), Key(lambda _: None, back_after=3), time.monotonic()
    state, _ = finish(key, claim)
    never.set()
    assert not state.open
    assert key.undone[0] - began < ANSWERS_WITHIN + 1
    assert len(key.undone) == 3


def test_a_journal_that_does_not_know_the_step_says_nothing(tmp_path: Path) -> None:
    assert Claim(SqlJournal(str(tmp_path / "another.db")), RUN).lost("fault") is None


def test_it_ends_only_when_no_undo_without_an_answer_can_land_any_more() -> None:
    """Else the hold would be given back, and the undo land under somebody else's."""

    def first_times_out(attempt: int) -> None:
        if attempt == 1:
            raise TimeoutError("no answer")

    key = Key(first_times_out, back_after=2)
    state, (closed,) = finish(key, None, settle=1.0)
    assert closed.closed is Closed.RESTORED
    assert time.monotonic() - key.undone[0] >= 1.0
    assert not state.open


def test_a_dead_run_that_is_abandoned_has_the_verdict_of_a_living_one(journal: SqlJournal) -> None:
    abandon(journal, RUN, Abandon(by="ann", reason="an incident", at="2026-01-01T00:00:00+00:00"), lambda: None)
    assert (journal.run(RUN).verdict, journal.run(RUN).exit_code) == ("abandoned", 4)
    assert journal.holds() == []


def test_an_undo_without_an_answer_is_named_and_so_is_what_it_may_have_left() -> None:
    def times_out(_attempt: int) -> None:
        raise ReadTimeoutError(endpoint_url="https://kms.us-east-1.amazonaws.com/")

    state, _ = finish(Key(times_out, back_after=99), None, within=0.3)
    assert "no answer to EnableKey (timed out); the key may still be off" in state.sentences()[0]
