"""Presigned URLs: they must be in time, and what their signer signed."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from . import signature
from .clock import wall
from .wire import AwsError

if TYPE_CHECKING:
    from .call import Call
    from .motoworld import MotoWorld


def check(call: Call, moto: MotoWorld) -> None:
    """Raise what S3 says to a URL that is late or tampered with."""
    if call.signed == "query-v2":
        if float(call.query.get("Expires", "0") or 0) < wall().timestamp():
            raise AwsError("AccessDenied", "Request has expired", 403)
        return
    try:
        began = datetime.strptime(call.query["X-Amz-Date"], signature.STAMP).replace(tzinfo=UTC)
        lasts = int(call.query["X-Amz-Expires"])
    except (KeyError, ValueError) as error:
        raise AwsError(
            "AuthorizationQueryParametersError",
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
            "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
            400,
        ) from error
    if wall() > began + timedelta(seconds=lasts):
        raise AwsError("AccessDenied", "Request has expired", 403)
    secret = signature.secret_of(call, moto)
    if secret is None:
        return
    names, payload = call.query.get("X-Amz-SignedHeaders", "host"), call.header("x-amz-content-sha256")
    scope, stamp = call.query["X-Amz-Credential"].split("/", 1)[1], call.query["X-Amz-Date"]
    wanted = signature.calculate(call, secret, scope, stamp, names.split(";"), payload or "UNSIGNED-PAYLOAD")
    if not hmac.compare_digest(wanted, call.query["X-Amz-Signature"]):
        raise AwsError(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
            403,
        )
