"""An expectation under observation: pending, met, or broken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from gameday.machine.spec import Expect
from gameday.sdk import Interval, Observation, Outcome


class Standing(StrEnum):
    """How an expectation stands."""

    PENDING = "pending"
    MET = "met"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Watch:
    """One probe's expectation in one phase; *becomes, within, and then stays until the phase ends*.

    A look that contradicts an expectation which was met already puts it back to pending as long as its time is
    not up: state changes are eventually consistent, and one front-end may still answer the old way.

    Parameters
    ----------
    expect: what is expected.
    since: seconds; what intervals count from (the inject, the undo, or the phase's beginning).
    limit: seconds; the time by which it must be met.
    """

    expect: Expect
    since: float
    limit: float
    phase: str = "phase began"
    """What ``since`` was, in words that follow "the"."""
    standing: Standing = Standing.PENDING
    met_at: float = 0.0
    met_cause: str = ""
    interval: Interval | None = None
    last_old: float | None = None
    definite: int = 0
    why: str = ""
    cause: str = ""
    """Of the last contrary look."""
    inconclusive: bool = False
    settled: bool = False
    """Broken by what was seen, not by what was not."""

    def seen(self, asked: float, answered: float, observation: Observation) -> Watch:
        """Take one look into account."""
        if observation.matches(self.expect.causes):
            return self._matched(answered, observation)
        if observation.outcome is Outcome.UNKNOWN:
            return self
        watch = replace(self, definite=self.definite + 1, last_old=asked, why=describe(observation))
        watch = replace(watch, cause=str(observation.cause))
        if self.standing is Standing.BROKEN:
            return self
        if observation.matches(self.expect.breaks):
            return replace(watch, standing=Standing.BROKEN, settled=True)
        if answered >= self.limit or self.expect.within == 0:
            return replace(watch, standing=Standing.BROKEN, why=f"{self._wanted()}, but saw {describe(observation)}")
        return replace(watch, standing=Standing.PENDING)

    def _matched(self, answered: float, observation: Observation) -> Watch:
        if self.standing is not Standing.PENDING:
            return replace(self, definite=self.definite + 1)
        after = max(0.0, (self.last_old if self.last_old is not None else self.since) - self.since)
        return replace(
            self,
            standing=Standing.MET,
            met_at=answered,
            met_cause=str(observation.cause),
            interval=Interval(after=after, by=max(after, answered - self.since)),
            definite=self.definite + 1,
        )

    def tick(self, now: float) -> Watch:
        """Take the passing of time into account."""
        if self.standing is not Standing.PENDING or now < self.limit:
            return self
        if self.definite == 0:
            why = f"{self._wanted()}, but nothing definite was seen in {now - self.since:.0f} s"
            return replace(self, standing=Standing.BROKEN, why=why, inconclusive=True)
        why = f"still {self.why}, {self.expect.within:g} s after the {self.phase}; {self._wanted()}"
        return replace(self, standing=Standing.BROKEN, why=why)

    def _wanted(self) -> str:
        return "expected " + " or ".join(sorted(self.expect.causes))


def describe(observation: Observation) -> str:
    """An observation in a few words: its cause, AWS's code, and AWS's sentence."""
    words = str(observation.cause)
    if observation.code:
        words += f" ({observation.code})"
    return f"{words}: {observation.detail}" if observation.detail else words
