"""``with aws.answering() as answer``: what AWS answers, errors and silence alike, as a value."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from gameday.aws.errors import understand
from gameday.sdk import Cause, Observation


class Answering:
    """The context manager and the answer in one; the answer is there once the block has ended.

    Parameters
    ----------
    last_request_id: gives the id of this thread's last answer since the block began, for calls that succeed.
    """

    def __init__(self, last_request_id: Callable[[], str]) -> None:
        self._last_request_id = last_request_id
        self.cause = Cause.OTHER
        self.code = self.detail = self.request_id = ""
        self.latency = 0.0

    @property
    def ok(self) -> bool:
        """Whether every call inside was answered without an error."""
        return self.cause is Cause.OK

    def __enter__(self) -> Answering:
        self._asked = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Swallow what AWS says; let through Interrupted and everything else that AWS did not say."""
        self.latency = time.monotonic() - self._asked
        if error is None:
            self.cause, self.request_id = Cause.OK, self._last_request_id()
            return False
        said = understand(error)
        if said is None:
            return False
        self.cause, self.code, self.detail = said.cause, said.code, said.detail
        self.request_id = said.request_id or self._last_request_id()
        return True

    def observation(self, detail: str = "") -> Observation:
        """Turn it into an observation; ``detail`` replaces AWS's sentence."""
        return Observation(
            cause=self.cause,
            code=self.code,
            detail=detail or self.detail,
            request_id=self.request_id,
            latency=self.latency,
        )
