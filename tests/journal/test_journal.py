"""What every journal does, on SQLite and on PostgreSQL: durable and exclusive."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gameday.errors import Halted, HoldTaken, JournalError
from gameday.journal import Owner, StepRecord, schema
from gameday.journal.sql import SqlJournal
from gameday.sdk import Closed, HoldReleased, Note, RunFinished, Sealed, Verdict, chain_is_whole, seal

KEY = "arn:aws:kms:us-east-1:123456789012:key/1"


@pytest.fixture
def journal(place: str) -> SqlJournal:
    kept = SqlJournal(place)
    for run in ("aaaa1111", "bbbb2222"):
        kept.open_run(run, "killswitch", Owner.this())
    return kept


def step(run: str = "aaaa1111", id_: str = "kms.disable_key/disable") -> StepRecord:
    return StepRecord(
        run=run,
        id=id_,
        uses="kms.disable_key",
        params={"key": KEY},
        step="disable",
        resource=KEY,
        rank=0,
        chain=0,
        order=0,
        before={"state": "Enabled"},
    )


def test_what_was_intended_is_there_after_the_process_is_killed(place: str, tmp_path: Path) -> None:
    script = tmp_path / "die.py"
    script.write_text(
        "import os, sys\n"
        "from tests.journal.test_journal import KEY, SqlJournal, Owner, step\n"
        "journal = SqlJournal(sys.argv[1])\n"
        "journal.open_run('aaaa1111', 'p', Owner.this())\n"
        "journal.take_hold('aaaa1111', Owner.this(), KEY)\n"
        "journal.intend(step())\n"
        "os.kill(os.getpid(), 9)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run([sys.executable, script, place], env=env, check=False).returncode == -9
    kept = SqlJournal(place)
    [state] = kept.steps(only_open=True)
    assert (state.record, state.state) == (step(), "intended")
    assert kept.run("aaaa").owner.alive() is False


def test_a_hold_is_exclusive_and_names_who_has_it(journal: SqlJournal) -> None:
    journal.take_hold("aaaa1111", Owner.this(), KEY)
    journal.take_hold("aaaa1111", Owner.this(), KEY)
    with pytest.raises(HoldTaken, match=r"held by run aaaa1111 \(process \d+ on "):
        journal.take_hold("bbbb2222", Owner.this(), KEY)
    journal.release("bbbb2222", KEY)
    assert [hold.run for hold in journal.holds()] == ["aaaa1111"], "only one's own hold can be given back"
    journal.release("aaaa1111", KEY)
    journal.take_hold("bbbb2222", Owner.this(), KEY)


def test_of_many_who_ask_at_once_one_gets_the_hold(place: str) -> None:
    SqlJournal(place)
    won: list[str] = []

    def ask(run: str) -> None:
        try:
            SqlJournal(place).take_hold(run, Owner.this(), KEY)
        except HoldTaken:
            return
        won.append(run)

    threads = [threading.Thread(target=ask, args=(f"run{n}",)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_nothing_is_intended_without_the_hold(journal: SqlJournal) -> None:
    journal.take_hold("bbbb2222", Owner.this(), KEY)
    with pytest.raises(HoldTaken, match="no longer this run's"):
        journal.intend(step())
    assert not journal.steps()


def test_a_closed_step_stays_as_it_was_closed(journal: SqlJournal) -> None:
    journal.take_hold("aaaa1111", Owner.this(), KEY)
    journal.intend(step())
    journal.injected("aaaa1111", step().id, certain=True)
    journal.close("aaaa1111", step().id, Closed.ABANDONED, "a human decided")
    journal.close("aaaa1111", step().id, Closed.RESTORED, "too late")
    journal.injected("aaaa1111", step().id, certain=True)
    [state] = journal.steps()
    assert (state.state, state.closed, state.detail) == ("closed", "abandoned", "a human decided")


def test_events_come_back_as_they_were(journal: SqlJournal) -> None:
    first = seal("aaaa1111", 0, "2026-01-01T00:00:00+00:00", "", Note(at=0.5, text="one"))
    second = seal("aaaa1111", 1, "2026-01-01T00:00:01+00:00", first.hash, HoldReleased(resource=KEY))
    journal.record([first, second])
    third = journal.append("aaaa1111", Note(at=9, text="after the end"))
    assert journal.events("aaaa1111") == [first, second, third]
    assert chain_is_whole(journal.events("aaaa1111"))


@pytest.mark.parametrize("what", ["changed", "missing", "swapped"])
def test_a_chain_that_was_tampered_with_is_seen(what: str) -> None:
    events: list[Sealed] = []
    for n in range(4):
        previous = events[-1].hash if events else ""
        events.append(seal("r", n, "2026-01-01T00:00:00+00:00", previous, Note(at=n, text=str(n))))
    assert chain_is_whole(events)
    if what == "changed":
        events[1] = events[1].model_copy(update={"event": Note(at=1, text="something else")})
    elif what == "missing":
        del events[1]
    else:
        events[1], events[2] = events[2], events[1]
    assert not chain_is_whole(events)


def test_two_at_once_append_one_after_the_other(place: str, journal: SqlJournal) -> None:
    def append() -> None:
        other = SqlJournal(place)
        for n in range(20):
            other.append("aaaa1111", Note(at=n, text="x"))

    threads = [threading.Thread(target=append) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = journal.events("aaaa1111")
    assert len(events) == 60
    assert chain_is_whole(events)


def test_a_run_is_found_by_the_beginning_of_its_id(journal: SqlJournal) -> None:
    finished = RunFinished(at=1, verdict=Verdict.PASSED, exit_code=0, story="Fine.")
    journal.finish_run("aaaa1111", finished)
    assert journal.run("aa").verdict == "passed"
    with pytest.raises(JournalError, match=r"no run .* begins with 'zz'"):
        journal.run("zz")
    with pytest.raises(JournalError, match="more than one"):
        journal.run("")


def test_an_owner_that_got_another_ones_number_is_not_taken_for_it() -> None:
    me = Owner.this()
    assert me.alive() is True
    assert me.model_copy(update={"began": me.began - 1}).alive() is False
    assert me.model_copy(update={"boot": "another boot"}).alive() is False
    assert me.model_copy(update={"machine": "elsewhere"}).alive() is None


def test_a_run_on_another_machine_is_alive_while_it_is_heard_of(journal: SqlJournal) -> None:
    elsewhere = Owner.this().model_copy(update={"machine": "elsewhere"})
    journal.open_run("cccc3333", "killswitch", elsewhere)
    run = journal.run("cccc")
    assert run.alive()
    assert not run.model_copy(update={"silence": 61.0}).alive()
    assert not run.model_copy(update={"finished_at": run.heartbeat_at}).alive()


def test_a_closed_step_whose_change_came_late_is_open_again(journal: SqlJournal) -> None:
    journal.take_hold("aaaa1111", Owner.this(), KEY)
    journal.intend(step())
    journal.close("aaaa1111", step().id, Closed.RESTORED, "")
    assert not journal.steps(only_open=True)
    journal.reopen("aaaa1111", step().id)
    [state] = journal.steps(only_open=True)
    assert (state.state, state.closed) == ("intended", None)


def test_a_pulse_says_what_others_want_and_what_is_still_held(journal: SqlJournal) -> None:
    journal.take_hold("aaaa1111", Owner.this(), KEY)
    quiet = journal.pulse("aaaa1111")
    assert (quiet.halt, quiet.abandon, quiet.holds) == (None, None, frozenset({KEY}))
    halt = journal.halt("alice on laptop", "an incident")
    abandon = journal.abandon("aaaa1111", "bob", "the key is burnt")
    heard = journal.pulse("aaaa1111")
    assert (heard.halt, heard.abandon) == (halt, abandon)
    assert (journal.pulse("bbbb2222").abandon, journal.pulse("bbbb2222").holds) == (None, frozenset())
    assert journal.run("aaaa").abandon == abandon
    assert journal.abandon("aaaa1111", "carol", "me too") == abandon, "the first word stands"


def test_a_heartbeat_is_what_keeps_a_run_on_another_machine_alive(journal: SqlJournal) -> None:
    before = journal.run("aaaa").heartbeat_at
    journal.pulse("aaaa1111")
    assert journal.run("aaaa").heartbeat_at > before
    assert journal.run("aaaa").silence < 5


def test_while_halted_no_hold_is_taken(journal: SqlJournal) -> None:
    assert journal.resume("alice") is None
    halt = journal.halt("alice", "an incident")
    assert journal.halt("bob", "another") == halt, "the halt in force is told, and stands"
    with pytest.raises(Halted, match=r"game days are halted by alice since .*: an incident; gameday resume ends that"):
        journal.take_hold("aaaa1111", Owner.this(), KEY)
    assert journal.halted() == halt == journal.resume("alice")
    assert journal.halted() is None
    journal.take_hold("aaaa1111", Owner.this(), KEY)


def test_a_hold_is_never_taken_over_an_open_step_of_another(journal: SqlJournal) -> None:
    journal.take_hold("aaaa1111", Owner.this(), KEY)
    journal.intend(step())
    with journal.database.writing() as db:
        db.execute(schema.holds.delete())  # however it was lost
    with pytest.raises(HoldTaken, match="open undo step of run aaaa1111; finish it with: gameday rollback aaaa1111"):
        journal.take_hold("bbbb2222", Owner.this(), KEY)
    journal.close("aaaa1111", step().id, Closed.RESTORED, "")
    journal.take_hold("bbbb2222", Owner.this(), KEY)


def test_a_hold_is_not_given_back_over_an_open_step(journal: SqlJournal) -> None:
    journal.take_hold("aaaa1111", Owner.this(), KEY)
    journal.intend(step())
    journal.release("aaaa1111", KEY)
    assert [hold.run for hold in journal.holds()] == ["aaaa1111"]
    journal.close("aaaa1111", step().id, Closed.RESTORED, "")
    journal.release("aaaa1111", KEY)
    assert not journal.holds()


def test_what_ended_long_ago_is_pruned_and_what_is_open_never(journal: SqlJournal) -> None:
    finished = RunFinished(at=1, verdict=Verdict.PASSED, exit_code=0, story="Fine.")
    dead = Owner.this().model_copy(update={"boot": "another boot"})
    for run in ("done0000", "open0000", "dead0000"):
        journal.open_run(run, "killswitch", dead)
        journal.append(run, Note(at=0, text="x"))
    journal.take_hold("open0000", dead, KEY)
    journal.intend(step("open0000"))
    journal.take_hold("done0000", dead, f"{KEY}2")
    for run in ("done0000", "open0000"):
        journal.finish_run(run, finished)
    assert journal.prune(3600) == 0, "nothing is that old"
    with journal.database.writing() as db:
        long_ago = {"finished_at": "2020-01-01T00:00:00+00:00", "heartbeat_at": "2020-01-01T00:00:00+00:00"}
        db.execute(schema.runs.update().where(schema.runs.c.finished_at.is_not(None)).values(long_ago))
        lost = {"heartbeat_at": "2020-01-01T00:00:00+00:00"}
        db.execute(schema.runs.update().where(schema.runs.c.finished_at.is_(None)).values(lost))
    assert journal.prune(3600) == 2
    assert {run.run for run in journal.runs(9)} == {"open0000", "aaaa1111", "bbbb2222"}, "open or alive"
    assert not journal.events("done0000")
    assert len(journal.events("open0000")) == 1
    assert [hold.run for hold in journal.holds()] == ["open0000"]
