"""What somebody left as it is on purpose, with ``gameday abandon``, until somebody ends that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gameday.errors import JournalError
from gameday.journal.records import Abandon, Journal, RunRecord, StepRecord
from gameday.sdk import AbandonmentEnded, Closed, Rank

LATEST = 1000
"""Runs that are looked through."""


@dataclass(frozen=True)
class Left:
    """One change that was left in place.

    Parameters
    ----------
    asked: who decided it, when and why.
    """

    run: RunRecord
    step: StepRecord
    asked: Abandon

    @property
    def name(self) -> str:
        """The resource as the playbook calls it and as AWS does: ``alias/payments (arn:…)``."""
        named, resource = self.step.named, self.step.resource
        return f"{named} ({resource})" if named and named != resource else resource

    def __str__(self) -> str:
        how = "off" if self.step.rank == Rank.KEY else "as it is"
        return (
            f"left {how} on purpose: {self.name}, by {self.asked.by} since {self.asked.at[:19]}Z: {self.asked.reason}"
        )


def left_on_purpose(journal: Journal, runs: Iterable[RunRecord] | None = None) -> list[Left]:
    """Every change that an abandonment left in place and that nobody has acknowledged, or seen undone, since.

    What only a look at AWS could tell is not claimed here.
    """
    found: list[Left] = []
    for run in journal.runs(LATEST) if runs is None else runs:
        if run.abandon is None:
            continue
        steps = [
            s.record for s in journal.steps(run.run) if s.closed == Closed.ABANDONED and s.record.rank != Rank.SWITCH
        ]
        if not steps:
            continue
        over = _over(journal, run.run)
        found += [Left(run, step, run.abandon) for step in steps if step.id not in over]
    return found


def _over(journal: Journal, run: str) -> set[str]:
    """The steps of which somebody wrote down that it is over; none where the run's events cannot be read."""
    try:
        events = [sealed.event for sealed in journal.events(run)]
    except JournalError:  # then it is told: rather once too often, and never in the way of other runs' news
        return set()
    return {event.step for event in events if isinstance(event, AbandonmentEnded)}
