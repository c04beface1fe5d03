"""One turn of the machine: a state and the commands that grow while an input is worked in.

A turn is mutable only inside one call of :func:`gameday.machine.handle`; what goes in and comes out is values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from gameday.machine.commands import Command, Emit
from gameday.machine.state import Armed, Ending, Readiness, Run
from gameday.sdk import AnyEvent

K = TypeVar("K")
V = TypeVar("V")


def put(mapping: Mapping[K, V], key: K, value: V) -> dict[K, V]:
    """The mapping with one value changed."""
    return {**mapping, key: value}


class Turn:
    """A run being moved on by one input, at one moment."""

    def __init__(self, run: Run, now: float) -> None:
        self.run, self.now = run, now
        self.out: list[Command] = []

    def emit(self, event: AnyEvent) -> None:
        """Append an event to the run's stream."""
        self.out.append(Emit(event))

    def step(self, id_: str, readiness: Readiness | None = None, **changes: object) -> Armed:
        """Change an undo step and return it."""
        old = self.run.steps[id_]
        # replace() checks the names; their types are those of Armed's fields.
        new: Armed = replace(old, readiness=readiness or old.readiness, **changes)  # type: ignore[arg-type]
        self.run = replace(self.run, steps=put(self.run.steps, id_, new))
        return new

    def ending(self, **changes: object) -> None:
        """Note something that bears on the verdict."""
        ending: Ending = replace(self.run.ending, **changes)  # type: ignore[arg-type]  # as in step()
        self.run = replace(self.run, ending=ending)

    def fail(self, why: str, inconclusive: bool = False) -> None:
        """Note an expectation that did not hold, or could not be judged."""
        ending = self.run.ending
        if inconclusive:
            self.ending(doubts=(*ending.doubts, why))
        else:
            self.ending(failures=(*ending.failures, why))
