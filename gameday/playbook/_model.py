"""What a playbook says once it has been read and found sound; the engine works from this and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from gameday.playbook._radius import BlastRadius
from gameday.playbook._schedule import Schedule
from gameday.playbook._text import Timing
from gameday.sdk import Fault, InvasiveProbe, Phase, Probe, StageStep


@dataclass(frozen=True, slots=True)
class Expect:
    """What must be seen in a phase: one of ``causes``, within a time, and then until the phase ends."""

    causes: frozenset[str]
    """Causes and exact AWS codes; seeing any one of them meets the expectation."""
    within: timedelta | None = None
    """As written; None where the phase's default applies (see :meth:`Playbook.within`)."""


@dataclass(frozen=True, slots=True)
class StageUse:
    """A resource that the playbook needs."""

    uses: str
    part: StageStep


@dataclass(frozen=True, slots=True)
class FaultUse:
    """Something that the playbook breaks."""

    uses: str
    part: Fault
    keep: bool = False
    """Leave the result as it is when everything went as expected."""


@dataclass(frozen=True, slots=True)
class ProbeUse:
    """A probe, how often it looks, and what it must see."""

    name: str
    uses: str
    part: Probe
    expect: Mapping[Phase, Expect]
    every: timedelta
    """The pause from the start of one look to the start of the next."""
    timeout: timedelta
    """How long one look may take."""
    once: bool = False
    """Look until the expectation is met, then not again in that phase."""
    identity: str = ""
    """The role that it looks as, ``role/NAME`` or an ARN; ``""`` is the runner itself."""

    @property
    def invasive(self) -> bool:
        """Whether looking changes the resource."""
        return isinstance(self.part, InvasiveProbe)


@dataclass(frozen=True, slots=True)
class Fails:
    """``3 of 5``: how many of the last looks must have failed for a breach."""

    count: int
    of: int

    def __str__(self) -> str:
        return f"{self.count} of {self.of}"


@dataclass(frozen=True, slots=True)
class GuardUse:
    """A probe that must see ``ok`` throughout; its breach rolls back at once."""

    name: str
    uses: str
    part: Probe
    every: timedelta
    timeout: timedelta
    fails: Fails
    expect: Expect = Expect(frozenset({"ok"}))
    identity: str = ""
    """The role that it looks as, ``role/NAME`` or an ARN; ``""`` is the runner itself."""


@dataclass(frozen=True, slots=True)
class SwitchUse:
    """The dead man's switch that the playbook asks for."""

    role: str
    """``role/NAME`` or an ARN."""
    margin: timedelta
    """How long after ``max_fault`` it fires."""
    group: str = "default"
    dead_letter_queue: str = ""
    asked: bool = True
    """False where only the target offers it: then a fault that it cannot undo exactly goes without."""


@dataclass(frozen=True, slots=True)
class Playbook:
    """A sound playbook."""

    name: str
    description: str
    vars: Mapping[str, str]
    """Every variable with the value that this run uses."""
    stage: tuple[StageUse, ...]
    probes: Mapping[str, ProbeUse]
    guards: Mapping[str, GuardUse]
    faults: tuple[FaultUse, ...]
    timing: Timing
    blast_radius: BlastRadius | None
    """None where the file says nothing of it; then the defaults hold on a real account, and nothing on a lab."""
    source: Path
    hash: str
    """SHA-256 of the file's bytes."""
    dead_man_switch: SwitchUse | None = None
    schedule: Schedule | None = None
    """When ``gameday schedule`` runs it."""

    def within(self, phase: Phase, expect: Expect) -> timedelta:
        """How long an expectation may take to be met in a phase."""
        return self.timing.default_within(phase) if expect.within is None else expect.within
