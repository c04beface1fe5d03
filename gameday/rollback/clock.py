"""The clock of a run: it goes on while a laptop sleeps, and every process of this boot reads the same."""

from __future__ import annotations

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def steady() -> float:
    """Seconds since the machine was started, those it slept through included where the system counts them."""
    return time.clock_gettime(_CLOCK)
