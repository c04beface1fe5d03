"""A request that botocore signed, signed again for another second: Signature Version 4 without starting anew.

All that changes from one second to the next is the time, which stands once in what is signed; the key that signs is
good for a day. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import uuid
from typing import Any

from botocore.awsrequest import AWSRequest

STAMP = "%Y%m%dT%H%M%SZ"
"""How ``X-Amz-Date`` writes a second of UTC."""
_OWN = frozenset({"x-amz-date", "authorization", "amz-sdk-invocation-id"})
"""The headers that are others in each request."""


class Resigned:
    """The bytes of a request at any second of one day.

    Parameters
    ----------
    request: with all its headers, as it was signed.
    auth: botocore's, which signed it; None where nobody did.
    target, host: where it is sent, as they stand in the first line and in the header.
    """

    def __init__(self, request: AWSRequest, auth: Any, target: str, host: str) -> None:
        fixed = [(name, value) for name, value in request.headers.items() if name.lower() not in _OWN]
        lines = [f"GET {target} HTTP/1.1", f"Host: {host}", "Accept-Encoding: identity"]
        self._head = "\r\n".join([*lines, *(f"{name}: {text(value)}" for name, value in fixed), ""])
        self._credentials, self._day = None, ""
        if auth is None:
            return
        stamp, said = request.context["timestamp"], request.headers["Authorization"]
        self._credentials, self._day, self._scope = auth.credentials, stamp[:8], auth.credential_scope(request)
        self._said = f"Authorization: {said.rpartition('=')[0]}="
        del request.headers["Authorization"]  # which is no part of what is signed
        before, dated, self._after = auth.canonical_request(request).partition(f"\nx-amz-date:{stamp}\n")
        self._before = before + dated.partition(stamp)[0]
        secret = f"AWS4{auth.credentials.secret_key}".encode()
        self._key = functools.reduce(_sign, self._scope.split("/"), secret)

    def at(self, stamp: str, auth: Any) -> bytes | None:
        """The request, signed for a second; None once the credentials are others or the day is over (UTC)."""
        own = f"amz-sdk-invocation-id: {uuid.uuid4()}\r\n\r\n"
        if auth is not None:
            if auth.credentials != self._credentials or stamp[:8] != self._day:
                return None
            own = f"X-Amz-Date: {stamp}\r\n{self._said}{self._signature(stamp)}\r\n{own}"
        return (self._head + own).encode("latin-1")

    def _signature(self, stamp: str) -> str:
        asked = hashlib.sha256(f"{self._before}{stamp}\n{self._after}".encode()).hexdigest()
        return _sign(self._key, f"AWS4-HMAC-SHA256\n{stamp}\n{self._scope}\n{asked}").hex()


def text(value: object) -> str:
    """The value of a header, which botocore holds as bytes or as text."""
    return value.decode() if isinstance(value, bytes) else str(value)


def _sign(key: bytes, said: str) -> bytes:
    return hmac.digest(key, said.encode(), "sha256")
