"""What a run is made of, as plain values: the machine needs no playbook, no AWS and no clock to understand it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gameday.sdk import Phase, Rank


@dataclass(frozen=True, slots=True)
class Expect:
    """One of ``causes`` within ``within`` seconds of the phase's beginning, and from then on until its end."""

    causes: frozenset[str]
    within: float
    breaks: frozenset[str] = frozenset()
    """Causes that settle it the other way at once, evidence though it may be."""


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """How a probe is sampled and what it must see.

    Parameters
    ----------
    every: seconds between looks; also the pause before a ``once`` probe looks again.
    once: look until the expectation is met, then not again in that phase.
    timeout: seconds after which a look counts as unanswered and is left behind.
    fails, of: for a guard, the breach: ``fails`` of the last ``of`` definite looks; 0 for a probe.
    steps: the ids of an invasive probe's undo steps.
    """

    name: str
    expect: Mapping[Phase, Expect]
    every: float = 1.0
    once: bool = False
    timeout: float = 10.0
    fails: int = 0
    of: int = 0
    steps: tuple[str, ...] = ()

    @property
    def guard(self) -> bool:
        """Whether a breach ends the run."""
        return self.of > 0


@dataclass(frozen=True, slots=True)
class StepSpec:
    """An undo step's place: ``chain`` is its fault's number, ``order`` its own within it."""

    id: str
    uses: str
    step: str
    resource: str
    rank: Rank
    chain: int
    order: int = 0
    probe: str = ""
    """The invasive probe whose looks are the inject; empty for a fault's step."""
    keep: bool = False
    """Asked to stay: a run in which everything went as expected does not undo it."""
    by_hand: tuple[str, ...] = ()
    """The AWS CLI's commands that undo it, for the sentence that says it is open."""

    @property
    def switch(self) -> bool:
        """Whether it is a dead man's switch: it changes nothing itself, and stands behind the faults' steps."""
        return self.rank is Rank.SWITCH


@dataclass(frozen=True, slots=True)
class Timing:
    """Limits in seconds; see DESIGN's ``timing``."""

    hold: float = 0.0
    max_fault: float = 300.0
    rollback_within: float = 120.0
    settle: float = 10.0
    """How long after a call without an answer its effect may still land."""
    call_limit: float = 8.0
    """How long a changing call or a read-back may take before it is left behind; above the clients' own timeouts."""

    def lands_within(self, certain: bool) -> float:
        """Seconds for which an inject that has just ended may still land: none when its answer was certain."""
        return 0.0 if certain else self.settle

    @property
    def lands_after_death(self) -> float:
        """Seconds after the last sign of life of a process for which a call of its may still land.

        It may have been sent in that moment; it is over after ``call_limit``, answered or not, and then may settle.
        """
        return self.call_limit + self.settle


@dataclass(frozen=True, slots=True)
class Spec:
    """Everything that the machine knows about a run."""

    probes: tuple[ProbeSpec, ...]
    steps: tuple[StepSpec, ...]
    timing: Timing = field(default_factory=Timing)
    finish_with: str = "gameday rollback"
    """The command that finishes an incomplete rollback."""

    def probe(self, name: str) -> ProbeSpec:
        """The probe of that name."""
        return next(probe for probe in self.probes if probe.name == name)

    @property
    def fault_steps(self) -> tuple[StepSpec, ...]:
        """The steps that faults inject, in order."""
        return tuple(step for step in self.steps if not step.probe and not step.switch)

    @property
    def switch_steps(self) -> tuple[StepSpec, ...]:
        """The dead man's switches, armed before the first fault."""
        return tuple(step for step in self.steps if step.switch)

    @property
    def probe_steps(self) -> tuple[StepSpec, ...]:
        """The steps of invasive probes."""
        return tuple(step for step in self.steps if step.probe)
