"""Credentials of an assumed role, which call out once when they are first needed and again before they expire."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import ClientError, CredentialRetrievalError

from gameday.aws.errors import understand
from gameday.sdk import Cause

if TYPE_CHECKING:
    from types_boto3_sts import STSClient

_MARGIN = timedelta(minutes=5)
_NOTHING_LEARNT = (Cause.THROTTLED, Cause.SERVER_ERROR)


class AssumedRole(Credentials):
    """What AssumeRole gave, for an hour at most, which is as long as a role that assumes another may have it.

    botocore has such a class of its own; that one logs a traceback for every refusal, and hands the refusal on as if
    the service that was asked had said it. Here a role that may not be assumed is a lack of credentials, so that a
    probe never takes it for the door that it watches.

    Parameters
    ----------
    arn: of the role.
    name: of the role session; CloudTrail shows it.
    sts: the client of who assumes it.
    """

    def __init__(self, arn: str, name: str, sts: Callable[[], STSClient]) -> None:
        super().__init__("", "", method="assume-role")
        self._arn, self._session_name, self._sts = arn, name, sts
        self._assuming = threading.Lock()
        self._given: ReadOnlyCredentials | None = None
        self._until = datetime.min.replace(tzinfo=UTC)

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Asked by botocore's signer for each request."""
        with self._assuming:
            if self._given is None or datetime.now(UTC) > self._until - _MARGIN:
                self._given, self._until = self._assume()
            return self._given

    def _assume(self) -> tuple[ReadOnlyCredentials, datetime]:
        try:
            given = self._sts().assume_role(RoleArn=self._arn, RoleSessionName=self._session_name)["Credentials"]
        except ClientError as error:
            said = understand(error)
            if said is None or said.cause in _NOTHING_LEARNT:
                raise
            raise CredentialRetrievalError(provider=self._arn, error_msg=f"{said.code}: {said.detail}") from error
        keys = ReadOnlyCredentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        return keys, given["Expiration"]
