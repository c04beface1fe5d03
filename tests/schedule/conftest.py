"""A lab for the daemons, and daemons."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gameday.lab import LabProcess
from gameday.lab import start as start_lab
from tests.schedule.daemons import Daemon, Start, dates


@pytest.fixture(scope="session")
def lab() -> Iterator[LabProcess]:
    with start_lab("instant") as running:
        yield running


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "journal.db")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder of playbooks, in which one is due some day."""
    (tmp_path / "gameday").mkdir()  # not to be taken for the package
    folder = tmp_path / "playbooks"
    folder.mkdir()
    text = "playbook: someday\nprobes: {k: {uses: kms.state, with: {key: alias/k}, expect: {baseline: ok}}}\n"
    (folder / "someday.yaml").write_text(text + dates(datetime(2099, 1, 1, tzinfo=UTC)))
    return folder


@pytest.fixture
def start(tmp_path: Path, lab: LabProcess, place: str) -> Iterator[Start]:
    running: list[Daemon] = []

    def one(*words: str | Path, **named: str) -> Daemon:
        told = (*map(str, words), "--target", f"lab={lab.url}", "--journal", place)
        running.append(Daemon(tmp_path, *told, **named))
        return running[-1]

    yield one
    for daemon in running:
        daemon.process.kill()
        daemon.process.wait()
