"""What all hooks share: moto, the agenda, the knobs, the trail, and the lock around them."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

from .call import Call
from .clock import Agenda
from .knobs import Knobs
from .motoworld import MotoWorld
from .trail import Trail
from .trouble import Troubles
from .wire import Answer


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One thing the lab does that plain moto does not, and how sure we are that AWS does it so."""

    service: str
    behaviour: str
    standing: str
    """recorded (against AWS), documented, observed (by practitioners), inferred, or invented."""


class Service(Protocol):
    """The hooks of one service."""

    behaviours: tuple[Behaviour, ...]

    def before(self, call: Call) -> Answer | None:
        """Refuse by raising AwsError, answer instead of moto, or let the call through with None."""

    def after(self, call: Call, answer: Answer) -> None:
        """Set moto's state and the answer right."""

    def reset(self) -> None:
        """Forget everything."""


@dataclass(slots=True)
class World:
    """One AWS."""

    knobs: Knobs
    preset: str
    moto: MotoWorld
    agenda: Agenda = field(default_factory=Agenda)
    troubles: Troubles = field(default_factory=Troubles)
    lock: threading.RLock = field(default_factory=threading.RLock)
    calls: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=20_000))
    trail: Trail = field(init=False)

    def __post_init__(self) -> None:
        self.trail = Trail(self.agenda, self.knobs)
