"""What the runner tells its watchdog, and what the watchdog answers: JSON, one line each, over a socket pair."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from gameday.journal import StepRecord
from gameday.sdk import Closed, TargetFacts

LONGEST = 1 << 20
"""Bytes of one read; a line may be longer."""


class Order(BaseModel):
    """Base of what the runner says; ``id`` is 0 where it wants no answer."""

    model_config = ConfigDict(frozen=True)

    id: int = 0


class Meet(Order):
    """Which AWS it is; the pipe that keeps an embedded lab alive comes with it. Nothing is waited for."""

    kind: Literal["meet"] = "meet"
    target: TargetFacts
    began: float
    """When the run began, by the clock that both read."""


class Limits(Order):
    """The run's limits in seconds, by the names of the playbook's ``timing``."""

    kind: Literal["limits"] = "limits"
    max_fault: float
    rollback_within: float
    settle: float


class Prove(Order):
    """Make ready to undo a step: rebuild it, load its clients, and call its rehearsal, under the runner's hold."""

    kind: Literal["prove"] = "prove"
    record: StepRecord


class Guard(Order):
    """The change may follow at any moment: from now on this step is the watchdog's to undo."""

    kind: Literal["guard"] = "guard"
    record: StepRecord


class Made(Order):
    """The change was made and its call is over: it cannot land later any more."""

    kind: Literal["made"] = "made"
    step: str


class RollingBack(Order):
    """The runner rolls back; it has ``rollback_within`` for it."""

    kind: Literal["rolling_back"] = "rolling_back"


class Let(Order):
    """A step is closed; the watchdog lets go of it, but sees to it that the journal hears of it."""

    kind: Literal["let"] = "let"
    step: str
    closed: Closed
    detail: str


class Ping(Order):
    """The runner is alive, and asks whether the watchdog is."""

    kind: Literal["ping"] = "ping"


class StandDown(Order):
    """The run was abandoned: nothing of it is to be undone."""

    kind: Literal["stand_down"] = "stand_down"


class Done(Order):
    """The run is over in order; leave."""

    kind: Literal["done"] = "done"


AnyOrder = Annotated[
    Meet | Limits | Prove | Guard | Made | RollingBack | Let | Ping | StandDown | Done, Field(discriminator="kind")
]
ORDER: TypeAdapter[AnyOrder] = TypeAdapter(AnyOrder)


class Answer(BaseModel):
    """What the watchdog answers; ``why`` is empty where all is well.

    Without ``sure`` a call of its rehearsal had no certain answer, and may still land.
    """

    model_config = ConfigDict(frozen=True)

    id: int
    why: str = ""
    sure: bool = True


class Lines:
    """Bytes that come in pieces, as whole lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that are whole now."""
        *whole, self._rest = (self._rest + piece).split(b"\n")
        return whole
