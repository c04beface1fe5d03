"""The real command as a process: its events as they come, its signals, its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gameday.sdk import SEALED, Sealed, chain_is_whole

GAMEDAY = (str(Path(sys.executable).with_name("gameday")),)
PATIENCE = 40.0
"""Seconds that a test waits for an event or for the end; far more than any of them takes."""

Event = dict[str, Any]


def environment(state: Path, **changes: str) -> dict[str, str]:
    """What a newcomer's shell holds: no AWS, no gameday, a home of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "GAMEDAY_", "XDG_"))}
    home = state / "home"
    home.mkdir(parents=True, exist_ok=True)
    return {**kept, "HOME": str(home), "XDG_STATE_HOME": str(state), "AWS_EC2_METADATA_DISABLED": "true", **changes}


class Run:
    """A ``gameday run --json`` under way.

    Parameters
    ----------
    words: everything behind ``gameday``.
    program: what stands before it, when it is not the command itself.
    """

    def __init__(
        self, words: Sequence[str], *, env: Mapping[str, str], cwd: Path, program: Sequence[str] = GAMEDAY
    ) -> None:
        self.words = [*program, *words]
        self.events: list[Event] = []
        self.lines: list[str] = []
        self._more = threading.Condition()
        self._over = False
        number = len(list(cwd.glob("*.stderr")))
        self._errors = cwd / f"{number}-{time.monotonic_ns()}.stderr"
        with self._errors.open("wb") as errors:
            # A session of its own: the terminal's Ctrl-C is the tests', and every signal is sent on purpose.
            self.process = subprocess.Popen(
                self.words, stdout=subprocess.PIPE, stderr=errors, env=env, cwd=cwd, text=True, start_new_session=True
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def id(self) -> str:
        """The run's id, as soon as it is told."""
        return str(self.wait("run_started")["run"])

    @property
    def errors(self) -> str:
        """What it said to people."""
        return self._errors.read_text(errors="replace")

    def wait(self, kind: str, *, where: Callable[[Event], bool] = lambda _: True, **fields: object) -> Event:
        """The first event of that kind, with these fields, that has come or comes."""

        def find() -> Event | None:
            return next((e for e in self.of(kind) if where(e) and fields.items() <= e.items()), None)

        deadline = time.monotonic() + PATIENCE
        with self._more:
            while (found := find()) is None:
                left = deadline - time.monotonic()
                assert not self._over, f"it ended without {kind} {fields}\n{self.tale()}"
                assert left > 0, f"no {kind} {fields} within {PATIENCE:g} s\n{self.tale()}"
                self._more.wait(left)
        return found

    def of(self, kind: str) -> list[Event]:
        """The events of a kind that have come so far."""
        return [event for event in tuple(self.events) if event["kind"] == kind]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the runner alone."""
        self.process.send_signal(number)

    @property
    def watchdog(self) -> int:
        """The process that stands behind it, as soon as it is told."""
        return int(self.wait("watchdog_armed")["pid"])

    def kill_both(self, *, watchdog_first: bool = False) -> int:
        """End the runner and its watchdog, so that neither puts anything back; returns the exit code."""
        one, other = (self.watchdog, self.process.pid) if watchdog_first else (self.process.pid, self.watchdog)
        os.kill(other, signal.SIGSTOP)  # or it would be quicker than we are
        for pid in (one, other):
            os.kill(pid, signal.SIGKILL)
        return self.end()

    def kill_watchdog(self) -> None:
        """End the watchdog alone."""
        os.kill(self.watchdog, signal.SIGKILL)

    def stop_watchdog(self) -> None:
        """Make it sleep; a runner notices that only after some seconds."""
        os.kill(self.watchdog, signal.SIGSTOP)

    def end(self, within: float = PATIENCE) -> int:
        """Wait for the end; returns the exit code."""
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {within:g} s\n{self.tale()}") from None
        self._reader.join(within)
        return code

    def stop(self) -> None:
        """Leave nothing behind."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for armed in self.of("watchdog_armed"):
            if _is_a_watchdog(armed["pid"]):
                os.kill(armed["pid"], signal.SIGKILL)
        self._reader.join(5)

    @property
    def finished(self) -> Event:
        """Its last word."""
        assert self.events, self.tale()
        assert self.events[-1]["kind"] == "run_finished", self.tale()
        return self.events[-1]

    def sealed(self) -> list[Sealed]:
        """Its events as a reader of the lines has them, with the chain checked."""
        events = [SEALED.validate_json(line) for line in self.lines]
        assert chain_is_whole(events), "the chain of hashes is broken"
        return events

    def tale(self) -> str:
        """What a person needs who finds it failed."""
        late = [json.dumps(event)[:300] for event in self.events[-12:]]
        code = self.process.poll()
        return "\n".join([f"$ {' '.join(self.words)}  -> {code}", *late, "--- stderr", self.errors[-3000:]])

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._more:
                self.lines.append(line)
                self.events.append(_event(line))
                self._more.notify_all()
        with self._more:
            self._over = True
            self._more.notify_all()


def _is_a_watchdog(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "gameday-guard"
    except OSError:
        return False


def _event(line: str) -> Event:
    try:
        return dict(json.loads(line)["event"])
    except (ValueError, KeyError, TypeError):
        return {"kind": "not json", "line": line}
