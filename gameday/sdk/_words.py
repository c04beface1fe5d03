"""The words for where a run is, how it ends, and how an undo step is closed."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """Where an expectation applies; preflight and rollback are the engine's own."""

    PREFLIGHT = "preflight"
    BASELINE = "baseline"
    FAULT = "fault"
    ROLLBACK = "rollback"
    RECOVERY = "recovery"
    EVIDENCE = "evidence"


class Verdict(StrEnum):
    """How a run ended."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    ABORTED = "aborted"
    REFUSED = "refused"
    ABANDONED = "abandoned"
    """Left as it is, since somebody said so: not restored, and not to be."""


class Closed(StrEnum):
    """How an undo step was closed."""

    RESTORED = "restored"
    DRIFTED = "drifted"
    KEPT = "kept"
    ABANDONED = "abandoned"
