"""What becomes of a command whose output is closed, full, gone, or of an encoding that lacks our signs."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.journal.test_journal_commands import died
from tests.processes import GAMEDAY, environment

COMMANDS = ("show aaaa1111", "validate killswitch.yaml", "rollback aaaa1111")
AMISS = ("Traceback", "Exception ignored", "Error:")


def shell(folder: Path, line: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    """A line of bash, in which ``gameday`` is the command under test."""
    line = f'set -o pipefail; gameday() {{ {shlex.quote(GAMEDAY)} "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", line], env=environment(folder, **env), cwd=folder, capture_output=True, timeout=60, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    died(tmp_path / "journal.db")
    return tmp_path


def expected(command: str, *, full: bool = False) -> int:
    if command.startswith("rollback"):
        return 9
    return 5 if full else 0


@pytest.mark.parametrize("command", COMMANDS)
def test_output_that_is_closed_full_or_of_a_poor_encoding_is_never_a_bug(folder: Path, command: str) -> None:
    env = {"GAMEDAY_JOURNAL": str(folder / "journal.db")}
    before = (folder / "journal.db").read_bytes()[:16]
    for how, code in (
        ("<&- >&- 2>&-", expected(command)),
        (">/dev/full 2>/dev/full", expected(command, full=True)),
    ):
        done = shell(folder, f"gameday {command} {how}", **env)
        assert done.returncode == code, (how, done)
        assert not any(word in done.stderr.decode() for word in AMISS), (how, done.stderr)
    for locale in ({"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": "ascii"}):
        done = shell(folder, f"gameday {command}", **env, **locale)
        assert done.returncode == expected(command), (locale, done)
        assert not any(word in (done.stdout + done.stderr).decode("latin-1") for word in AMISS), locale
    assert (folder / "journal.db").read_bytes()[:16] == before, "nothing was printed into the journal"


def test_a_pipe_that_is_closed_ends_a_listing_quietly_and_others_as_other_tools(folder: Path) -> None:
    env = {"GAMEDAY_JOURNAL": str(folder / "journal.db")}
    listing = shell(folder, "gameday probes --markdown | true", **env)
    assert (listing.returncode, listing.stderr) == (0, b"")
    other = shell(folder, "{ sleep 0.05; gameday validate killswitch.yaml; } | true", **env)
    assert (other.returncode, other.stderr) == (141, b""), "SIGPIPE, as cat ends"
    doer = shell(folder, "gameday rollback aaaa1111 | true", **env)
    assert doer.returncode == 9, "what it is there for counts, whoever reads"


@pytest.mark.parametrize("url", ["http://u:hunter2@[bad/", "http://u:hunter2@host:port/", "hunter2"])
def test_a_malformed_url_is_one_sentence_that_does_not_repeat_its_password(tmp_path: Path, url: str) -> None:
    for option in (f"--target {shlex.quote('lab=' + url)}", f"--metrics-push {shlex.quote(url)}"):
        done = shell(tmp_path, f"gameday run killswitch.yaml {option}")
        said = (done.stdout + done.stderr).decode()
        assert done.returncode == 5, said
        assert "Traceback" not in said
        assert "hunter2" not in said
