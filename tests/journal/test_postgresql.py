"""PostgreSQL as a journal: nothing hangs, nothing is shown, and two machines never hold one resource."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gameday.errors import HoldTaken, JournalError
from gameday.journal import Owner
from gameday.journal.postgres import STATEMENT_SECONDS
from gameday.journal.sql import SqlJournal
from tests.journal.test_journal import KEY, step
from tests.real_postgres import PASSWORD, Postgres


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new_database()


def on(machine: str) -> Owner:
    return Owner.this().model_copy(update={"machine": machine})


def test_the_password_is_in_no_message(postgres: Postgres, url: str, tmp_path: Path) -> None:
    assert PASSWORD not in SqlJournal(url).place
    assert SqlJournal(url).place.startswith("postgresql://gameday@/")
    wrong = postgres.url("postgres", password="wrong-hunter2")
    nowhere = "postgresql://gameday:wrong-hunter2@127.0.0.1:1/x?password=wrong-hunter2&sslpassword=wrong-hunter2"
    for place in (wrong, nowhere, f"{url}&nonsense=wrong-hunter2", f"{url}&options=-cnonsense%3Dwrong-hunter2"):
        with pytest.raises(JournalError, match=r"the journal at postgresql://gameday@.* cannot be opened") as caught:
            SqlJournal(place)
        assert "wrong-hunter2" not in str(caught.value)


def test_a_run_on_another_machine_that_holds_the_key_is_named(url: str) -> None:
    here, there = SqlJournal(url), SqlJournal(url)
    here.open_run("aaaa1111", "killswitch", on("host-a"))
    there.open_run("bbbb2222", "killswitch", on("host-b"))
    here.take_hold("aaaa1111", on("host-a"), KEY)
    with pytest.raises(HoldTaken, match=r"held by run aaaa1111 \(process \d+ on host-a\) for \d+s; wait for it"):
        there.take_hold("bbbb2222", on("host-b"), KEY)


def test_of_two_machines_that_ask_again_and_again_never_both_hold_it(url: str) -> None:
    SqlJournal(url)
    inside, worst, taken = set[str](), [0], [0]
    watch = threading.Lock()

    def machine(name: str) -> None:
        journal, deadline = SqlJournal(url), time.monotonic() + 1.5
        while time.monotonic() < deadline:
            try:
                journal.take_hold(name, on(name), KEY)
            except HoldTaken:
                continue
            with watch:
                inside.add(name)
                worst[0], taken[0] = max(worst[0], len(inside)), taken[0] + 1
            with watch:
                inside.remove(name)
            journal.release(name, KEY)

    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(machine, name) for name in ("host-a", "host-b", "host-c")]:
            done.result()
    assert worst[0] == 1
    assert taken[0] > 5, "they really took turns"


def test_a_hold_is_not_lost_between_its_release_and_a_late_intent(url: str) -> None:
    """A run that was taken for dead comes back: its hold is gone, and it may change nothing."""
    SqlJournal(url).open_run("aaaa1111", "killswitch", on("host-a"))
    for n in range(10):
        late, other = SqlJournal(url), SqlJournal(url)
        late.take_hold("aaaa1111", on("host-a"), f"{KEY}{n}")
        record = step(id_=f"s{n}").model_copy(update={"resource": f"{KEY}{n}"})
        with ThreadPoolExecutor() as pool:
            intended = pool.submit(late.intend, record)
            released = pool.submit(other.release, "aaaa1111", f"{KEY}{n}")
        assert released.exception() is None
        holds = {hold.resource for hold in other.holds()}
        assert (intended.exception() is None) == (f"{KEY}{n}" in holds), "both, or neither"


def test_a_server_that_stops_answering_is_given_up(
    postgres: Postgres, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gameday.journal.postgres.ANSWER_SECONDS", 1.0)
    monkeypatch.setattr("gameday.journal.postgres.CONNECT_SECONDS", 2)
    journal = SqlJournal(url)
    journal.open_run("aaaa1111", "killswitch", on("host-a"))
    with postgres.frozen():
        began = time.monotonic()
        with pytest.raises(JournalError, match="cannot be written"):
            journal.pulse("aaaa1111")
        assert time.monotonic() - began < 6
    assert journal.pulse("aaaa1111").holds == frozenset(), "and taken up again when it answers"


def test_whoever_blocks_the_journal_is_waited_for_no_longer_than_it_says(url: str) -> None:
    import psycopg

    journal = SqlJournal(url)
    with psycopg.connect(url) as db:
        db.execute("LOCK TABLE gameday_runs IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        with pytest.raises(JournalError, match="cannot be written: canceling statement due to lock timeout"):
            journal.open_run("aaaa1111", "killswitch", on("host-a"))
        assert time.monotonic() - began < STATEMENT_SECONDS + 1


def test_a_server_that_was_restarted_is_found_again(postgres: Postgres, url: str) -> None:
    journal = SqlJournal(url)
    journal.open_run("aaaa1111", "killswitch", on("host-a"))
    journal.take_hold("aaaa1111", on("host-a"), KEY)
    postgres.stop()
    try:
        with pytest.raises(JournalError, match="cannot be written"):
            journal.pulse("aaaa1111")
    finally:
        postgres.start()
    assert journal.pulse("aaaa1111").holds == {KEY}


def test_the_clock_that_counts_is_the_servers(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import time_machine

    journal = SqlJournal(url)
    journal.open_run("aaaa1111", "killswitch", on("host-a"))
    assert abs(journal.database.skew()) < 1
    with time_machine.travel(time.time() + 3600):
        assert 3590 < journal.database.skew() < 3610
        assert journal.run("aaaa").alive(), "its heartbeat is a moment old, whatever this machine's clock says"
        journal.pulse("aaaa1111")
    assert journal.run("aaaa").silence < 10
