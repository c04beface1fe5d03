"""The journal: runs, events, holds and undo steps, written durably."""

from __future__ import annotations

from gameday.journal.owner import Owner
from gameday.journal.records import (
    Abandon,
    DueRecord,
    Halt,
    HoldRecord,
    Journal,
    Pulse,
    RunRecord,
    StepRecord,
    StepState,
    release_holds,
)

__all__ = [
    "Abandon",
    "DueRecord",
    "Halt",
    "HoldRecord",
    "Journal",
    "Owner",
    "Pulse",
    "RunRecord",
    "StepRecord",
    "StepState",
    "release_holds",
]
