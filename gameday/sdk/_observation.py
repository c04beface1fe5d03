"""What a probe saw: an outcome, its cause, and AWS's own words."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Outcome(StrEnum):
    """The three things that an observation can mean."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Nothing was learnt about the resource: throttled, or no answer. Neither meets nor breaks an expectation."""


class Cause(StrEnum):
    """Why an observation came out as it did; the words that a playbook's expectations use."""

    OK = "ok"
    FOUND = "found"
    KEY_DISABLED = "key_disabled"
    KEY_PENDING_DELETION = "key_pending_deletion"
    KEY_POLICY_DENIED = "key_policy_denied"
    KEY_UNUSABLE = "key_unusable"
    ACCESS_DENIED = "access_denied"
    PUBLIC_ACCESS_BLOCKED = "public_access_blocked"
    UNSIGNED_REQUEST = "unsigned_request"
    BOOT_REFUSED = "boot_refused"
    UNHEALTHY = "unhealthy"
    UNENCRYPTED = "unencrypted"
    NOT_FOUND = "not_found"
    UNEXPECTED = "unexpected"
    CONFLICT = "conflict"
    INVALID = "invalid"
    SERVER_ERROR = "server_error"
    CREDENTIALS = "credentials"
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    OTHER = "other"


UNKNOWN_CAUSES = frozenset({Cause.THROTTLED, Cause.UNREACHABLE})
"""Causes that say nothing about the resource itself."""

OK_CAUSES = frozenset({Cause.OK, Cause.FOUND})


class Observation(BaseModel):
    """One look at one resource.

    Parameters
    ----------
    cause: why it came out so.
    code: AWS's exact error code, ``""`` when there was none.
    detail: one sentence for a reader; never a secret, token or presigned URL.
    request_id: AWS's request id, so that the call can be found in CloudTrail.
    more_requests: the ids of the other requests of the same look; left out of the journal where there are none.
    latency: seconds from asking to the answer.
    records: CloudTrail records (as delivered) that prove it; for evidence.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    cause: Cause
    code: str = ""
    detail: str = ""
    request_id: str = ""
    more_requests: tuple[str, ...] = Field(default=(), exclude_if=lambda ids: not ids)
    latency: float = 0.0
    records: tuple[dict[str, JsonValue], ...] = ()

    @property
    def outcome(self) -> Outcome:
        """``OK``, ``FAILED`` or ``UNKNOWN``, derived from the cause."""
        if self.cause in OK_CAUSES:
            return Outcome.OK
        return Outcome.UNKNOWN if self.cause in UNKNOWN_CAUSES else Outcome.FAILED

    def matches(self, wanted: frozenset[str]) -> bool:
        """Whether one of ``wanted`` names this observation's cause or its exact AWS code."""
        return self.cause in wanted or (self.code != "" and self.code in wanted)
