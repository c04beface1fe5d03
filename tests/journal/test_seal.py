"""An undo step is sealed by a key that is not in the journal, and believed only with that seal."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gameday.journal.sql import SqlJournal
from gameday.lab import LabProcess
from gameday.lab import start as start_lab
from tests.processes import World, gameday, start, until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def lab() -> Iterator[LabProcess]:
    with start_lab("instant") as running:
        yield running


def target(folder: Path, lab: LabProcess, name: str, *, required: bool) -> Path:
    """A target file with a seal; its key is made once."""
    key = folder / "seal.key"
    if not key.exists():
        key.write_text(os.urandom(32).hex())
        key.chmod(0o600)
    file = folder / f"{name}.yaml"
    seal = f"journal_seal: {{key_file: {key}, required: {str(required).lower()}}}\n"
    file.write_text(f"target: {name}\nlab: {lab.url}\njournal: {folder / 'j.db'}\n{seal}")
    return file


def killed(folder: Path, world: World, where: Path) -> str:
    """A run that died with its watchdog, the key off."""
    process = start(folder, "run", str(world.playbook(hold="30s")), "--target", str(where))
    until(process, "effect after")
    journal = SqlJournal(str(folder / "j.db"))
    [run] = journal.runs(1)
    [armed] = [one.event for one in journal.events(run.run) if one.event.kind == "watchdog_armed"]
    os.kill(armed.pid, signal.SIGKILL)
    process.kill()
    process.wait()
    assert world.state == "Disabled"
    return run.run


def test_a_sealed_step_is_undone_and_one_that_was_altered_is_not(tmp_path: Path, lab: LabProcess) -> None:
    world = World(tmp_path, lab.url, "sealed")
    where = target(tmp_path, lab, "strict", required=True)
    run = killed(tmp_path, world, where)
    with closing(sqlite3.connect(tmp_path / "j.db")) as db:
        [body] = db.execute("SELECT body FROM gameday_steps").fetchone()
        whole = json.loads(body)
        assert len(whole["seal"]) == 64
        for forged, said in (
            ({**whole, "settle": 0.0}, "its seal is not the one that the target's key makes"),
            ({**whole, "seal": "0" * 64}, "its seal is not the one"),
            ({**whole, "seal": "ü"}, "its seal is not the one"),
            ({**whole, "seal": ""}, "it has no seal, and the target requires one"),
        ):
            db.execute("UPDATE gameday_steps SET body = ?", (json.dumps(forged),))
            db.commit()
            for words in ((), ("--ours",)):
                told = gameday(tmp_path, "rollback", run, "--journal", str(where), *words, exit_code=9)
                assert said in told.stdout
                assert world.state == "Disabled"
        lenient = target(tmp_path, lab, "lenient", required=False)
        db.execute("UPDATE gameday_steps SET body = ?", (json.dumps({**whole, "seal": "0" * 64}),))
        db.commit()
        gameday(tmp_path, "rollback", run, "--journal", str(lenient), exit_code=9)
        db.execute("UPDATE gameday_steps SET body = ?", (body,))
        db.commit()
    gameday(tmp_path, "rollback", run, "--journal", str(where))
    assert world.state == "Enabled"


@pytest.mark.parametrize(
    ("mode", "key", "said"),
    [(0o644, "0" * 64, "can be read by others"), (0o600, "short", "holds 5 bytes"), (None, "", "cannot be read")],
)
def test_a_key_that_is_none_refuses_the_run(
    tmp_path: Path, lab: LabProcess, mode: int | None, key: str, said: str
) -> None:
    world = World(tmp_path, lab.url, f"key-{len(key)}")
    where = target(tmp_path, lab, "bad", required=True)
    file = tmp_path / "seal.key"
    file.write_text(key)
    file.chmod(mode) if mode is not None else file.unlink()
    told = gameday(tmp_path, "run", str(world.playbook()), "--target", str(where), exit_code=5)
    assert said in told.stderr
    assert world.state == "Enabled"
