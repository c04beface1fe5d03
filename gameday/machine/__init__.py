"""The run as a pure machine: an input comes in, a new state and commands come out."""

from __future__ import annotations

from gameday.machine.run import handle
from gameday.machine.spec import Expect, ProbeSpec, Spec, StepSpec, Timing
from gameday.machine.state import Run, Stage, wake_at

__all__ = ["Expect", "ProbeSpec", "Run", "Spec", "Stage", "StepSpec", "Timing", "handle", "wake_at"]
