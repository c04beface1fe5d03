"""KMS in memory, as far as gameday's steps see it; a test holds it to the lab on the same sequences of calls.

It keeps its history, so that a read may be stale, and knows whose every change was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

ENABLED, DISABLED, PENDING = "Enabled", "Disabled", "PendingDeletion"


@dataclass(frozen=True)
class State:
    """A key at one moment: its state, and the Sids of its policy."""

    at: float
    state: str = ENABLED
    policy: frozenset[str] = frozenset({"Root"})
    by: str = "nobody"


@dataclass
class Key:
    """One key; each method is a call that has reached KMS, and returns ``""`` or AWS's error code."""

    history: list[State] = field(default_factory=lambda: [State(-1000.0)])
    on_change: Callable[[State], None] = lambda _: None

    @property
    def now(self) -> State:
        """The truth."""
        return self.history[-1]

    def then(self, moment: float) -> State:
        """The truth of a moment."""
        return next(state for state in reversed(self.history) if state.at <= moment)

    def enable(self, at: float, by: str) -> str:
        """EnableKey: refused while the key is pending deletion."""
        return self._state(at, by, ENABLED)

    def disable(self, at: float, by: str) -> str:
        """DisableKey: likewise."""
        return self._state(at, by, DISABLED)

    def schedule_deletion(self, at: float, by: str) -> str:
        """ScheduleKeyDeletion: refused the second time."""
        return self._state(at, by, PENDING)

    def cancel_deletion(self, at: float, by: str) -> str:
        """CancelKeyDeletion: leaves the key disabled."""
        if self.now.state != PENDING:
            return "KMSInvalidStateException"
        return self._write(State(at, DISABLED, self.now.policy, by))

    def put_policy(self, at: float, by: str, policy: frozenset[str]) -> str:
        """PutKeyPolicy: there is no compare-and-set; a key pending deletion takes it too."""
        return self._write(State(at, self.now.state, policy, by))

    def use(self) -> str:
        """Decrypt."""
        return {ENABLED: "", DISABLED: "DisabledException", PENDING: "KMSInvalidStateException"}[self.now.state]

    def _state(self, at: float, by: str, state: str) -> str:
        if self.now.state == PENDING:
            return "KMSInvalidStateException"
        return self._write(State(at, state, self.now.policy, by))

    def _write(self, state: State) -> str:
        self.history.append(state)
        self.on_change(state)
        return ""
