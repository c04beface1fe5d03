"""A game day as a process of its own: whatever it does, it cannot take the daemon down."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from gameday.schedule.entries import Entry
from gameday.sdk import Verdict

PROGRAM = (sys.executable, "-P", "-c", "from gameday.cli import main; main()")
"""-P: a folder named gameday in the working directory must not be taken for the package."""
OUTCOMES = {
    0: "passed",
    1: "failed",
    2: "invalid",
    3: "aborted",
    4: "inconclusive",
    5: "refused",
    9: "incomplete",
    70: "bug",
}
"""A run's exit code in a word."""
UNBEGUN = (2, 3, 5)
"""Exit codes that mean what they say even of a run that the journal has never heard of."""
ALL_OUTCOMES = (*OUTCOMES.values(), "abandoned", "missed", "skipped", "unstarted", "died")
"""What may become of a due time; docs/scheduling.md says what each means."""


@dataclass(frozen=True)
class Launcher:
    """Starts ``gameday`` commands.

    Parameters
    ----------
    folder: private; holds the playbooks as they were checked.
    results: where logs, reports and metrics of runs are left; None for nowhere.
    words: options that every run gets.
    env: variables that every command gets; a journal's URL stands here, where ``ps`` does not show it.
    journal: ``--journal`` of every command, or nothing.
    """

    folder: Path
    results: Path | None
    words: tuple[str, ...]
    env: Mapping[str, str]
    journal: tuple[str, ...]

    def run(self, entry: Entry, run: str) -> subprocess.Popen[bytes]:
        """Start a game day under a run id that was chosen before."""
        file = self.folder / f"{run}.yaml"
        file.write_bytes(entry.copy)
        words = ["run", str(file), "--target", entry.target, *self.words, *self.journal]
        if self.results is not None:
            words += ["--metrics-textfile", str(self.results / f"{entry.name}.prom")]
            words += ["--report", str(self.results)]
        return self._start(words, f"{run}.log", GAMEDAY_RUN_ID=run)

    def rollback(self, run: str, within: str) -> subprocess.Popen[bytes]:
        """Start putting back what a run left changed."""
        return self._start(["rollback", run, "--within", within, *self.journal], f"{run}.rollback.log")

    def forget(self, run: str) -> None:
        """Remove a run's copy of its playbook."""
        (self.folder / f"{run}.yaml").unlink(missing_ok=True)

    def last_words(self, run: str) -> str:
        """What a run said that it came to, or else its last line: for the history, where the journal was not told."""
        log = self._log(f"{run}.log")
        try:
            lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
        except OSError:
            return ""
        if self.results is None:
            log.unlink(missing_ok=True)
        stories = [line for head, line in pairwise(lines) if f"  run {run}" in head]  # below the summary's headline
        told = stories or [line for line in lines if not line.startswith(("journal ", "again ", "report "))]
        return told[-1][:300] if told else ""

    def _log(self, name: str) -> Path:
        return (self.results or self.folder) / name

    def _start(self, words: list[str], log: str, **env: str) -> subprocess.Popen[bytes]:
        with self._log(log).open("ab") as said:
            # A session of its own: the daemon's terminal must not end it, only the daemon's SIGTERM.
            return subprocess.Popen(  # noqa: S603 - our own program, and no shell
                [*PROGRAM, *words],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.env, **env},
                start_new_session=True,
            )


def outcome_of(code: int, *, begun: bool = True, verdict: str | None = None) -> str:
    """What became of a run by the exit code of its process, and by whether the journal knows that it began.

    An abandoned run shares its exit code with an inconclusive one; its verdict tells them apart.

    Python itself exits with 1 when it cannot import what it needs; that is no verdict of a game day.
    """
    if not begun and code not in UNBEGUN:
        return "unstarted"
    if verdict == Verdict.ABANDONED and OUTCOMES.get(code) == "inconclusive":
        return verdict
    return "died" if code < 0 else OUTCOMES.get(code, "bug")
