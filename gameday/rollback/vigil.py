"""What a watchdog knows of its run, and when it must step in; no process, no clock and no AWS in here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf

from gameday.journal import StepRecord
from gameday.rollback.orders import Guard, Let, Limits, Made, Order, RollingBack, StandDown
from gameday.sdk import Rank

MARGIN = 2.0
"""Seconds past a limit that the runner is given to keep it by itself."""
SILENCE = 30.0
"""Seconds without a word from a runner that holds something open, after which it counts as stopped."""


@dataclass(frozen=True)
class Charge:
    """A step that is the watchdog's to undo.

    Parameters
    ----------
    over: the call that made the change is over, so that nothing of it can land any more.
    again: the runner had closed it and opened it again; whether the journal has heard of that is not known.
    """

    record: StepRecord
    over: bool = False
    again: bool = False


@dataclass(frozen=True)
class Vigil:
    """What is known of the run.

    Parameters
    ----------
    charges: the open steps by their id, in the order of their intents.
    closed: the steps that the runner closed; whether the journal has heard of it is not known.
    fault_at: when the first fault was handed over, by the run's steady clock.
    back_at: when the runner began to roll back.
    """

    charges: Mapping[str, Charge] = field(default_factory=dict)
    closed: Mapping[str, Let] = field(default_factory=dict)
    limits: Limits = field(default_factory=lambda: Limits(max_fault=inf, rollback_within=inf, settle=10.0))
    fault_at: float = inf
    back_at: float = inf
    abandoned: bool = False

    def after(self, order: Order, now: float) -> Vigil:
        """What is known after an order."""
        match order:
            case Limits():
                return replace(self, limits=order)
            case Guard(record=record):
                charges = {**self.charges, record.id: Charge(record, again=record.id in self.closed)}
                first = now if _breaks(record) else inf
                closed = {id_: let for id_, let in self.closed.items() if id_ != record.id}
                return replace(self, charges=charges, closed=closed, fault_at=min(self.fault_at, first))
            case Made(step=step) if step in self.charges:
                return replace(self, charges={**self.charges, step: replace(self.charges[step], over=True)})
            case Let(step=step):
                charges = {id_: charge for id_, charge in self.charges.items() if id_ != step}
                return replace(self, charges=charges, closed={**self.closed, step: order})
            case RollingBack():
                return replace(self, back_at=min(self.back_at, now))
            case StandDown():
                return replace(self, charges={}, abandoned=True)
            case _:
                return self

    def ended(self) -> str:
        """What is said of a runner that has ended before its work was done; one that gave up (9) has said so itself."""
        if self.back_at < inf:
            return "the runner ended before its rollback was complete"
        return "the runner has ended without a word"

    def due(self) -> float:
        """When the runner must have rolled back, or have begun to; by the run's steady clock."""
        if not any(_breaks(charge.record) for charge in self.charges.values()):
            return inf
        if self.back_at < inf:
            return self.back_at + self.limits.rollback_within
        return self.fault_at + self.limits.max_fault


def _breaks(record: StepRecord) -> bool:
    """Whether ``max_fault`` counts for it: an invasive probe's step and a dead man's switch break nothing."""
    return not record.probe and record.rank != Rank.SWITCH
