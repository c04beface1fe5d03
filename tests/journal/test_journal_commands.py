"""What people do with a journal at the command line, and what a run does when its journal goes away."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gameday.journal import Owner
from gameday.journal.due import DueTimes
from gameday.journal.sql import SqlJournal
from gameday.lab import LabProcess
from gameday.lab import start as start_lab
from gameday.sdk import SEALED, Closed, chain_is_whole
from tests.journal.test_journal import KEY, step
from tests.processes import World, gameday, start, until
from tests.real_postgres import PASSWORD, Postgres

pytestmark = pytest.mark.timeout(90)


@pytest.fixture(scope="module")
def lab() -> Iterator[LabProcess]:
    with start_lab("instant") as running:
        yield running


def died(file: Path, run: str = "aaaa1111") -> SqlJournal:
    """A journal in which a run has died with its key off, host and all."""
    journal = SqlJournal(str(file))
    owner = Owner.this().model_copy(update={"boot": "another boot"})
    journal.open_run(run, "killswitch", owner)
    journal.take_hold(run, owner, KEY)
    journal.intend(step(run))
    journal.injected(run, step().id, certain=True)
    return journal


def test_the_next_command_warns_of_what_a_dead_run_left_open(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    died(file)
    told = gameday(tmp_path, "history", "--journal", str(file)).stderr
    assert "WARNING: run aaaa1111 has ended and left an undo step open" in told
    assert f"gameday rollback aaaa1111 --journal {file}" in told
    assert gameday(tmp_path, "status", "--check", "--journal", str(file), exit_code=9).stdout.count("OPEN") == 1
    assert "pruned 0 runs" in gameday(tmp_path, "history", "--prune", "2m", "--journal", str(file)).stdout


def test_what_is_open_and_since_when_is_left_for_the_node_exporter(tmp_path: Path) -> None:
    file, textfile = tmp_path / "journal.db", tmp_path / "gameday.prom"
    words = ("status", "--check", "--journal", str(file), "--metrics-textfile", str(textfile))

    def value(name: str, playbook: str = 'playbook="killswitch"') -> float:
        [line] = [line for line in textfile.read_text().splitlines() if line.startswith(f"gameday_{name}{{")]
        assert playbook in line
        return float(line.split()[-1])

    journal, began = died(file), time.time()
    gameday(tmp_path, *words, exit_code=9)
    assert value("undo_steps_open") == 1
    assert abs(value("undo_steps_oldest_timestamp_seconds") - began) < 5
    assert value("journal_up", "") == 1
    journal.close("aaaa1111", step().id, Closed.RESTORED, "")
    gameday(tmp_path, *words)
    assert value("undo_steps_open") == value("undo_steps_oldest_timestamp_seconds") == 0
    for one in tmp_path.glob("journal.db*"):
        one.unlink()
    gameday(tmp_path, *words, exit_code=5)
    assert value("journal_up", "") == 0
    assert "undo_steps_open{" not in textfile.read_text(), "what is not known is not said"
    assert [one.name for one in tmp_path.glob("gameday.prom*")] == ["gameday.prom"], "nothing half written is left"
    refused = gameday(tmp_path, *words[:-1], str(tmp_path / "gameday.txt"), exit_code=5)
    assert "must end in .prom" in refused.stderr


def test_a_living_run_is_told_as_under_way(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    journal = SqlJournal(str(file))
    journal.open_run("bbbb2222", "killswitch", Owner.this())
    journal.take_hold("bbbb2222", Owner.this(), KEY)
    journal.intend(step("bbbb2222"))
    told = gameday(tmp_path, "show", "bbbb2222", "--journal", str(file)).stdout
    assert "UNDER WAY" in told
    assert "STILL CHANGED" not in told
    report = gameday(tmp_path, "report", "bbbb2222", "--format", "json", "-o", "-", "--journal", str(file)).stdout
    assert json.loads(report)["ending"]["verdict"] == "under way"


def test_an_id_that_the_scheduler_gave_to_a_run_that_never_began_is_known_to_show(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    times, due = DueTimes(SqlJournal(str(file)).database), datetime(2026, 3, 10, tzinfo=UTC)
    assert times.claim("nightly@prod#1", due, Owner.this(), "cccc3333")
    assert times.settle("nightly@prod#1", due, "aborted", "the daemon is told to end")
    assert "cccc3333" in gameday(tmp_path, "history", "--journal", str(file)).stdout
    told = gameday(tmp_path, "show", "cccc3333", "--journal", str(file)).stdout
    assert "run cccc3333 never began" in told
    assert "aborted, the daemon is told to end" in told


def test_a_dead_run_is_abandoned_and_says_what_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    journal = died(file)
    told = gameday(tmp_path, "abandon", "aaaa", "--reason", "the key is burnt", "--journal", str(file)).stdout
    assert f"left as it is: {KEY} (kms.disable_key); found before: state Enabled" in told
    [closed] = journal.steps("aaaa1111")
    assert closed.closed == Closed.ABANDONED
    assert "the key is burnt" in str(closed.detail)
    record = journal.run("aaaa1111")
    assert (record.verdict, record.exit_code) == ("abandoned", 4)
    assert str(record.story).startswith("Abandoned by ")
    assert chain_is_whole(journal.events("aaaa1111"))
    assert not journal.holds()
    left = gameday(tmp_path, "status", "--check", "--journal", str(file), exit_code=4)
    assert f"left off on purpose: {KEY}, by " in left.stdout
    again = gameday(tmp_path, "abandon", "aaaa", "--reason", "x", "--journal", str(file), exit_code=5)
    assert "nothing to abandon" in again.stderr
    gameday(tmp_path, "abandon", "aaaa", "--journal", str(file), exit_code=2)


def test_while_halted_a_run_is_refused_and_the_refusal_is_history(tmp_path: Path, lab: LabProcess) -> None:
    world = World(tmp_path, lab.url, "halted")
    here = ("--journal", str(tmp_path / "j.db"))
    assert "an incident" in gameday(tmp_path, "halt", "--reason", "an incident", *here).stdout
    assert "game days are halted by" in gameday(tmp_path, "status", *here).stdout
    refused = gameday(tmp_path, "run", str(world.playbook()), "--target", f"lab={lab.url}", *here, exit_code=5)
    assert "an incident" in refused.stdout, "by the check of preflight, or by a heartbeat that came first"
    assert "refused" in gameday(tmp_path, "history", *here).stdout
    assert "resumed; game days were halted by" in gameday(tmp_path, "resume", *here).stdout
    assert "were not halted" in gameday(tmp_path, "resume", *here).stdout
    assert world.state == "Enabled"


def test_a_second_machine_is_refused_and_told_of_the_first(tmp_path: Path, lab: LabProcess, postgres: Postgres) -> None:
    world, url = World(tmp_path, lab.url, "two-machines"), postgres.new_database()
    words = ("run", str(world.playbook(hold="30s")), "--target", f"lab={lab.url}")
    first = start(tmp_path, *words, machine="host-a", GAMEDAY_JOURNAL=url)
    told = until(first, "effect after")
    second = gameday(tmp_path, *words, exit_code=5, machine="host-b", GAMEDAY_JOURNAL=url)
    said = second.stdout + second.stderr
    assert "on host-a), which has been running for " in said, said
    assert world.state == "Disabled"
    first.send_signal(signal.SIGINT)
    rest = first.communicate(timeout=40)[0]
    assert (first.returncode, world.state) == (3, "Enabled")
    third = gameday(tmp_path, "run", str(world.playbook()), *words[2:], machine="host-b", GAMEDAY_JOURNAL=url)
    assert PASSWORD not in told + rest + said + third.stdout + third.stderr
    for run in SqlJournal(url).runs(9):
        assert PASSWORD not in "".join(str(SEALED.dump_json(one)) for one in SqlJournal(url).events(run.run))


def test_a_journal_that_crashes_in_the_fault_ends_the_run_and_not_the_rollback(
    tmp_path: Path, lab: LabProcess, postgres: Postgres
) -> None:
    world, url = World(tmp_path, lab.url, "crash-after"), postgres.new_database()
    words = ("run", str(world.playbook(hold="50s")), "--target", f"lab={lab.url}")
    run = start(tmp_path, *words, GAMEDAY_JOURNAL=url)
    try:
        until(run, "effect after")
        postgres.stop()
        rest = run.communicate(timeout=60)[0]
    finally:
        postgres.start()
    assert world.state == "Enabled", rest
    assert run.returncode == 3, rest
    assert "the journal at postgresql://gameday@/" in rest
    assert "rollback complete" in rest


def test_a_journal_that_is_down_before_the_fault_refuses_the_run(
    tmp_path: Path, lab: LabProcess, postgres: Postgres
) -> None:
    world, url = World(tmp_path, lab.url, "crash-before"), postgres.new_database()
    words = ("run", str(world.playbook()), "--target", f"lab={lab.url}")
    postgres.stop()
    try:
        refused = gameday(tmp_path, *words, GAMEDAY_JOURNAL=url, exit_code=5)
    finally:
        postgres.start()
    assert "cannot be opened" in refused.stderr
    assert world.state == "Enabled"
    assert PASSWORD not in refused.stdout + refused.stderr


def test_a_living_run_is_halted_or_abandoned_from_elsewhere(
    tmp_path: Path, lab: LabProcess, postgres: Postgres
) -> None:
    url = postgres.new_database()
    for command in ("halt", "abandon"):
        world = World(tmp_path, lab.url, f"told-to-{command}")
        words = ("run", str(world.playbook(hold="45s")), "--target", f"lab={lab.url}")
        run = start(tmp_path, *words, machine="host-a", GAMEDAY_JOURNAL=url)
        until(run, "effect after")
        [id_] = [one.run for one in SqlJournal(url).runs(9) if one.finished_at is None]
        told = gameday(
            tmp_path, command, *([id_] if command == "abandon" else []), "--reason", "real", GAMEDAY_JOURNAL=url
        )
        rest = run.communicate(timeout=60)[0]
        assert world.state == ("Enabled" if command == "halt" else "Disabled"), rest + told.stdout
        assert not SqlJournal(url).steps(only_open=True)
        if command == "halt":
            assert f"run {id_} has ended" in told.stdout
            gameday(tmp_path, "resume", GAMEDAY_JOURNAL=url)
        else:
            assert f"left as it is: {world.key}" in told.stdout
