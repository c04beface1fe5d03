"""Credentials of an assumed role, which call out once when they are first needed and again before they expire."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError

from gameday.aws.errors import understand
from gameday.sdk import Cause

if TYPE_CHECKING:
    from types_boto3_sts import STSClient

_MARGIN = timedelta(minutes=5)
_NOTHING_LEARNT = (Cause.THROTTLED, Cause.SERVER_ERROR)
_RETRY = timedelta(seconds=10)
"""After a renewal that failed, the credentials that are still good are used for so long before the next."""


@dataclass(frozen=True)
class Role:
    """A role to assume, and how.

    Parameters
    ----------
    arn: of the role.
    external_id: what its trust policy asks for, or ``""``.
    seconds: how long a session lasts; None leaves it to AWS (an hour), which is also the most for a role that is
        assumed by another role's session (IAM User Guide, "role chaining").
    tags: of the session; needs ``sts:TagSession``.
    """

    arn: str
    external_id: str = ""
    seconds: int | None = None
    tags: tuple[tuple[str, str], ...] = ()

    def request(self, name: str) -> dict[str, Any]:
        """The parameters of AssumeRole for a session of this name."""
        asked: dict[str, Any] = {"RoleArn": self.arn, "RoleSessionName": name}
        if self.external_id:
            asked["ExternalId"] = self.external_id
        if self.seconds:
            asked["DurationSeconds"] = self.seconds
        if self.tags:
            asked["Tags"] = [{"Key": key, "Value": value} for key, value in self.tags]
        return asked


class AssumedRole(Credentials):
    """What AssumeRole gave, renewed before it ends and without a human.

    botocore has such a class of its own; that one logs a traceback for every refusal, and hands the refusal on as if
    the service that was asked had said it. Here a role that may not be assumed is a lack of credentials, so that a
    probe never takes it for the door that it watches. A renewal that fails costs nothing while what is there is still
    good: an undo must not fail because STS stumbles.

    Parameters
    ----------
    name: of the role session; CloudTrail shows it.
    sts: the client of who assumes it.
    """

    def __init__(self, role: Role, name: str, sts: Callable[[], STSClient]) -> None:
        super().__init__("", "", method="assume-role")
        self._role, self._session_name, self._sts = role, name, sts
        self._assuming = threading.Lock()
        self._given: ReadOnlyCredentials | None = None
        self._until = self._renew_at = datetime.min.replace(tzinfo=UTC)

    @property
    def until(self) -> datetime:
        """When what AssumeRole gave last ends."""
        return self._until

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Asked by botocore's signer for each request."""
        with self._assuming:
            now = datetime.now(UTC)
            if self._given is None or now >= self._renew_at:
                self._renew(now)
            assert self._given is not None
            return self._given

    def _renew(self, now: datetime) -> None:
        try:
            self._given, self._until = self._assume()
        except (ClientError, BotoCoreError):
            if self._given is None or now >= self._until:
                raise
            self._renew_at = now + min(_RETRY, (self._until - now) / 2)  # a request on its way must not outlast them
            return
        # Half of a very short session is left for renewals that fail at first.
        self._renew_at = self._until - min(_MARGIN, (self._until - now) / 2)

    def _assume(self) -> tuple[ReadOnlyCredentials, datetime]:
        try:
            given = self._sts().assume_role(**self._role.request(self._session_name))["Credentials"]
        except ClientError as error:
            said = understand(error)
            if said is None or said.cause in _NOTHING_LEARNT:
                raise
            raise CredentialRetrievalError(provider=self._role.arn, error_msg=f"{said.code}: {said.detail}") from error
        keys = ReadOnlyCredentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        return keys, given["Expiration"]
