"""What a run is made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gameday.aws.session import Session
from gameday.journal import Journal
from gameday.playbook import Playbook
from gameday.rollback.leash import Leash
from gameday.sdk import Exporter, TargetFacts


class Target(Protocol):
    """An AWS that answered, and is the one that was asked for."""

    @property
    def session(self) -> Session:
        """As whom, and where."""

    @property
    def undoes(self) -> Session:
        """As who puts back; may be the same."""

    @property
    def facts(self) -> TargetFacts:
        """Enough to come back to it from another process."""

    @property
    def stages(self) -> bool:
        """Whether a run may make what its playbook needs."""

    @property
    def pipe(self) -> int:
        """The descriptor that keeps an embedded lab alive; -1 for an AWS that outlives the run."""

    @property
    def close(self) -> Callable[[], None]:
        """Ends what was started for this run alone."""


def undoers(target: Target) -> tuple[Session, ...]:
    """Who puts back, and who does when that does not come off."""
    return (target.session,) if target.undoes is target.session else (target.undoes, target.session)


@dataclass(frozen=True)
class Job:
    """All that a run is made from.

    Parameters
    ----------
    open_target: starts or reaches the AWS to run on; called on a thread of the run's.
    finish_with: the command that finishes the rollback, should it stay incomplete.
    watchdog: the second line of defence; without one (in tests only) the runner is the only one.
    """

    run: str
    playbook: Playbook
    journal: Journal
    open_target: Callable[[str, datetime], Target]
    exporters: Sequence[Exporter]
    version: str
    finish_with: str
    watchdog: Leash | None = None
