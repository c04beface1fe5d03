"""gameday --help: whole sentences, by section, for every command, on a terminal of 80 columns."""

from __future__ import annotations

import subprocess

from gameday.cli.app import gameday
from gameday.cli.help import SECTIONS
from tests.processes import GAMEDAY


def test_every_command_stands_in_one_section() -> None:
    named = [name for commands in SECTIONS.values() for name in commands]
    assert sorted(named) == sorted(gameday.commands)


def test_nothing_is_cut_and_nothing_is_wider_than_the_terminal() -> None:
    done = subprocess.run([GAMEDAY, "--help"], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines[1:] if "..." in line or "…" in line]
    for commands in SECTIONS.values():
        for name, summary in commands.items():
            assert any(line.split(None, 1) == [name, summary] for line in lines), name
