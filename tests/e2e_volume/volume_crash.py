"""``gameday`` with a tripwire: ends its process, as SIGKILL would, at the point that ``CRASH_AT`` names.

Points are: before and after every changing AWS call (after: AWS has answered, nobody has heard of it yet), after
each answer of a step has been handed to the machine, and before and after every write to the journal. They are told
in ``CRASH_LOG``, one a line, as they are reached: a name and how often it has been reached. From the first hold on.

``CRASH_TROUBLE`` names a point, too, as JSON: there the lab is given trouble for the next call, and the run goes on.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from botocore.client import BaseClient

from gameday.cli import main
from gameday.journal.sql import SqlJournal
from gameday.lab import LabControl
from gameday.rollback.hands import StepHands

AT, LOG = os.environ.get("CRASH_AT", ""), os.environ.get("CRASH_LOG", "")
TROUBLE = json.loads(os.environ.get("CRASH_TROUBLE") or "{}")
WRITES = ("take_hold", "intend", "injected", "close", "release", "finish_run")
READS = ("Describe", "Get", "List", "Lookup", "Head", "Assume")

_reached: Counter[str] = Counter()
_lock = threading.Lock()
_runs: list[str] = []
_armed = threading.Event()


def point(name: str) -> None:
    """End here if this is the one."""
    if not _armed.is_set():
        return
    with _lock:
        _reached[name] += 1
        label = f"{name} #{_reached[name]}"
        if LOG:
            with open(LOG, "a", encoding="utf-8") as told:  # noqa: PTH123 - as plain as can be: the process may end here
                told.write(f"{label}\n")
        if label == AT:
            os._exit(137)
        if label == TROUBLE.get("at"):
            about = {"service": "ec2", "times": 1, "user_agent": f"gameday/{_runs[-1]}", **TROUBLE["rule"]}
            LabControl(TROUBLE["lab"]).trouble(**about)


def around_calls(call: Callable[..., Any]) -> Callable[..., Any]:
    def calling(self: Any, operation: str, params: dict[str, Any]) -> Any:
        changes = not operation.startswith(READS) and not params.get("DryRun")
        if not changes:
            return call(self, operation, params)
        point(f"before {operation}")
        try:
            return call(self, operation, params)
        finally:
            point(f"answered {operation}")

    return calling


def around_write(name: str, write: Callable[..., Any]) -> Callable[..., Any]:
    def writing(self: Any, *args: Any, **more: Any) -> Any:
        if name == "take_hold":
            _runs.append(str(args[0]))
            _armed.set()
        point(f"before journal {name}")
        found = write(self, *args, **more)
        point(f"written journal {name}")
        return found

    return writing


def after_posts(init: Callable[..., None]) -> Callable[..., None]:
    def making(self: Any, *args: Any, **more: Any) -> None:
        init(self, *args, **more)
        post = self._post

        def posting(event: Any) -> None:
            post(event)
            point(f"posted {type(event).__name__}")

        self._post = posting

    return making


def set_tripwire() -> None:
    """Put the points in place."""
    BaseClient._make_api_call = around_calls(BaseClient._make_api_call)
    for name in WRITES:
        setattr(SqlJournal, name, around_write(name, getattr(SqlJournal, name)))
    StepHands.__init__ = after_posts(StepHands.__init__)  # type: ignore[method-assign]


if __name__ == "__main__":
    set_tripwire()
    sys.exit(main())
