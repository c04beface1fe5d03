"""The journal: runs, events, holds and undo steps, written durably."""

from __future__ import annotations

from gameday.journal.owner import Owner
from gameday.journal.records import HoldRecord, Journal, RunRecord, StepRecord, StepState

__all__ = ["HoldRecord", "Journal", "Owner", "RunRecord", "StepRecord", "StepState"]
