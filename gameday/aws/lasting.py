"""How long credentials last without a human: a rollback must not meet ``ExpiredToken``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.credentials import Credentials, RefreshableCredentials

from gameday.aws.assumed import AssumedRole
from gameday.aws.session import Session

_UNTIL = "AWS_CREDENTIAL_EXPIRATION"
"""The environment variable of botocore and ``aws configure export-credentials`` that says when a token ends."""
_HUMAN = ("sso", "env")
"""Providers whose credentials botocore renews only as long as somebody logs in again, or sets them anew."""


@dataclass(frozen=True)
class Lasting:
    """When credentials end that nobody renews.

    Parameters
    ----------
    until: None when they do not end, or are renewed without a human.
    known: False when they do end, and nothing says when.
    kind: where they come from, in words.
    """

    until: datetime | None
    kind: str
    known: bool = True

    def refusal(self, seconds: float, now: datetime) -> str:
        """Why they are not good for so many seconds from now, or ``""``."""
        if not self.known:
            return (
                f"{self.kind} ends sometime, and nothing says when: set {_UNTIL} to its end (aws configure "
                "export-credentials --format env prints it), or use credentials that renew themselves, such as a "
                "profile that assumes a role"
            )
        if self.until is None or (left := (self.until - now).total_seconds()) >= seconds:
            return ""
        return (
            f"{self.kind} ends at {self.until:%H:%M:%S}Z, in {_minutes(left)}, and is not renewed without a human; "
            f"this run may need it for {_minutes(seconds)}: log in again first, or lower max_fault"
        )


def lasting(session: Session) -> Lasting:
    """How long a session's credentials last, from what is there now; raises what boto3's chain raises."""
    if session.role:
        below = lasting(session.base)
        given = session.boto.get_credentials()
        if (below.until is None and below.known) or not isinstance(given, AssumedRole):
            return below
        given.get_frozen_credentials()
        own = Lasting(given.until, f"the session of {session.role}, which only {below.kind} could renew,")
        return own if not below.known or below.until is None or given.until > below.until else below
    found = session.boto.get_credentials()
    if found is None:
        return Lasting(None, "no credentials")
    found.get_frozen_credentials()
    return _of(found, session.boto)


def _of(found: Credentials, boto: Any) -> Lasting:
    kind = f"the session token from {_WORDS.get(found.method, found.method)}"
    if isinstance(found, RefreshableCredentials):
        human = found.method in _HUMAN or _asks_for_mfa(boto)
        until: datetime | None = getattr(found, "_expiry_time", None)  # botocore has no public name for it
        return Lasting(until if human else None, kind, known=not human or until is not None)
    if not found.token:
        return Lasting(None, "an access key")
    said = os.environ.get(_UNTIL, "")
    try:
        until = datetime.fromisoformat(said)
    except ValueError:
        return Lasting(None, kind, known=False)
    return Lasting(until if until.tzinfo else until.replace(tzinfo=UTC), kind)


_WORDS = {
    "env": "the environment",
    "explicit": "the command line",
    "sso": "AWS IAM Identity Center",
    "shared-credentials-file": "the shared credentials file",
    "config-file": "the configuration file",
    "assume-role": "a role that asks for an MFA code",
}


def _asks_for_mfa(boto: Any) -> bool:
    """Whether the profile, or one that it stands on, wants a code from a human for each new session."""
    profiles: dict[str, dict[str, Any]] = boto._session.full_config.get("profiles", {})
    name, seen = boto.profile_name, set[str]()
    while name in profiles and name not in seen:
        seen.add(name)
        if "mfa_serial" in profiles[name]:
            return True
        name = profiles[name].get("source_profile", "")
    return False


def _minutes(seconds: float) -> str:
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < 120 else f"{whole // 60} min"
