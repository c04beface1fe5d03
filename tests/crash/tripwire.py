"""``gameday`` with a tripwire: ends its process, as SIGKILL would, at the point that ``CRASH_AT`` names.

Points are, from the opening of the run on: before and after every write to the journal; before every changing AWS call,
once its request is on the wire, and when AWS has answered and nobody has heard of it yet; after each answer of a step
has been handed to the machine. They are told in ``CRASH_LOG``, one a line, as they are reached: a name and how often it
has been reached.

``CRASH_TROUBLE`` names a point, too, as JSON: there the lab is given trouble for the next call, and the run goes on.

As a program it is the command. With ``--serve`` it is a fork server: it reads one request a line (words, environment,
directory, files for what is said), forks a process that has everything imported already, and answers with its exit
code.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.client import BaseClient
from urllib3.connection import HTTPConnection

from gameday.cli import main
from gameday.journal.sql import SqlJournal
from gameday.lab import LabControl
from gameday.rollback import leash
from gameday.rollback.hands import StepHands
from gameday.rollback.leash import Leash
from gameday.rollback.watchdog import Errand

WRITES = ("open_run", "set_target", "take_hold", "intend", "injected", "reopen", "close", "release", "finish_run")
READS = ("Describe", "Get", "List", "Lookup", "Head", "Assume", "Simulate")
TOLD = (
    *("run_prepared", "phase_entered", "step_intended", "step_injected", "switch_armed", "rollback_started"),
    *("undo_tried", "step_read_back", "step_closed", "rollback_finished", "run_finished"),
)
"""Events whose writing is a point; what probes see comes as often as it likes."""

_environ = os.environ
_reached: Counter[str] = Counter()
_lock = threading.Lock()
_runs: list[str] = []
_watchdogs: list[int] = []
_calling = threading.local()


def point(name: str) -> None:
    """End here if this is the one."""
    if not _runs:
        return
    with _lock:
        _reached[name] += 1
        label = f"{name} #{_reached[name]}"
        if log := _environ.get("CRASH_LOG"):
            with open(log, "a", encoding="utf-8") as told:  # noqa: PTH123 - as plain as can be: the process may end here
                told.write(f"{label}\n")
        if label == _environ.get("CRASH_AT"):
            if "CRASH_ALONE" not in _environ:  # else it was said whether there is to be a watchdog that mends
                for watchdog in _watchdogs:  # what is asked here is whether gameday rollback alone suffices
                    os.kill(watchdog, signal.SIGKILL)
            os._exit(137)
        trouble = json.loads(_environ.get("CRASH_TROUBLE") or "{}")
        if label == trouble.get("at"):
            about = {"service": "ec2", "times": 1, "user_agent": f"gameday/{_runs[-1]}", **trouble["rule"]}
            LabControl(trouble["lab"]).trouble(**about)


def around_calls(call: Callable[..., Any]) -> Callable[..., Any]:
    def calling(self: Any, operation: str, params: dict[str, Any]) -> Any:
        changes = not operation.startswith(READS) and not params.get("DryRun")
        if not changes:
            return call(self, operation, params)
        point(f"before {operation}")
        _calling.operation = operation
        try:
            return call(self, operation, params)
        finally:
            _calling.operation = ""
            point(f"answered {operation}")

    return calling


def around_answers(wait: Callable[..., Any]) -> Callable[..., Any]:
    def waiting(self: Any, *args: Any, **more: Any) -> Any:
        if operation := getattr(_calling, "operation", ""):
            point(f"sent {operation}")
        return wait(self, *args, **more)

    return waiting


def around_write(name: str, write: Callable[..., Any]) -> Callable[..., Any]:
    def writing(self: Any, *args: Any, **more: Any) -> Any:
        if name == "open_run":
            _runs.append(str(args[0]))
        point(f"before journal {name}")
        found = write(self, *args, **more)
        point(f"written journal {name}")
        return found

    return writing


def around_events(record: Callable[..., Any]) -> Callable[..., Any]:
    def recording(self: Any, events: list[Any]) -> Any:
        told = [_told(sealed.event) for sealed in events if sealed.event.kind in TOLD]
        for name in told:
            point(f"before journal event {name}")
        found = record(self, events)
        for name in told:
            point(f"written journal event {name}")
        return found

    return recording


def _told(event: Any) -> str:
    return " ".join(filter(None, (event.kind, getattr(event, "step", ""), str(getattr(event, "phase", "")))))


def after_posts(init: Callable[..., None]) -> Callable[..., None]:
    def making(self: Any, *args: Any, **more: Any) -> None:
        init(self, *args, **more)
        post = self._post

        def posting(event: Any) -> None:
            post(event)
            point(f"posted {type(event).__name__}")

        self._post = posting

    return making


def noting_the_watchdog(unleash: Callable[[Errand], Leash]) -> Callable[[Errand], Leash]:
    def unleashing(errand: Errand) -> Leash:
        made = unleash(errand)
        _watchdogs.append(made.pid)
        return made

    return unleashing


def set_tripwire() -> None:
    """Put the points in place."""
    BaseClient._make_api_call = around_calls(BaseClient._make_api_call)
    HTTPConnection.getresponse = around_answers(HTTPConnection.getresponse)  # type: ignore[method-assign]
    for name in WRITES:
        setattr(SqlJournal, name, around_write(name, getattr(SqlJournal, name)))
    SqlJournal.record = around_events(SqlJournal.record)  # type: ignore[method-assign]
    leash.unleash = noting_the_watchdog(leash.unleash)
    StepHands.__init__ = after_posts(StepHands.__init__)  # type: ignore[method-assign]


def hurry() -> None:
    """Let ``gameday rollback`` be called a minute later, and be ten times as fast: it waits out what cannot come."""
    from gameday.cli import rollback

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = UTC) -> datetime:
            return datetime.now(tz) + timedelta(minutes=1)

    clock = rollback.time.monotonic
    rollback.datetime = Later  # type: ignore[misc]
    rollback.time = type("Quick", (), {"monotonic": staticmethod(lambda: clock() * 10)})  # type: ignore[assignment]


def serve() -> None:
    """Fork a process for each request; nothing here may have threads or sockets of its own."""
    from gameday.aws.made import LAB_KEYS
    from gameday.aws.session import Session
    from gameday.cli import rollback, run, target_options  # noqa: F401 - imported once for all

    warm = Session(region="us-east-1", run="warm", endpoint="http://127.0.0.1:9", keys=LAB_KEYS)
    for service in ("kms", "s3", "ec2", "sts", "iam", "cloudtrail", "scheduler"):
        warm.client(service)  # reads and caches the models
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(asked)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _become(asked: dict[str, Any]) -> None:
    os.setsid()
    os.chdir(asked["cwd"])
    _environ.update(asked["env"])
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(asked[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["gameday", *asked["words"]]
    if asked["words"][0] == "rollback":
        hurry()
    if _environ.get("CRASH_ALONE"):
        from gameday.cli import run

        run.unleash = lambda *_: None
    code: Any = 70
    try:
        main()
    except SystemExit as end:
        code = end.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)


if __name__ == "__main__":
    set_tripwire()
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        sys.exit(main())
