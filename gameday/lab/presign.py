"""Presigned URLs: they must be in time, and what their signer signed."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

from .clock import wall
from .wire import AwsError

if TYPE_CHECKING:
    from .call import Call
    from .motoworld import MotoWorld

KNOWN = {"test": "test", "testing": "testing"}
"""Secrets of the access keys that everybody uses with a lab."""


def check(call: Call, moto: MotoWorld) -> None:
    """Raise what S3 says to a URL that is late or tampered with."""
    if call.signed == "query-v2":
        if float(call.query.get("Expires", "0") or 0) < wall().timestamp():
            raise AwsError("AccessDenied", "Request has expired", 403)
        return
    try:
        began = datetime.strptime(call.query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
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
    secret = moto.secret_of(call.access_key) or KNOWN.get(call.access_key)
    if secret is not None and not hmac.compare_digest(_signature(call, secret), call.query["X-Amz-Signature"]):
        raise AwsError(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
            403,
        )


def _signature(call: Call, secret: str) -> str:
    """Signature Version 4 over the request as it came in."""
    pairs = parse_qsl(call.environ.get("QUERY_STRING", ""), keep_blank_values=True)
    signed = sorted((_quoted(k), _quoted(v)) for k, v in pairs if k != "X-Amz-Signature")
    names = call.query.get("X-Amz-SignedHeaders", "host").split(";")
    headers = "".join(f"{name}:{' '.join(_header(call, name).split())}\n" for name in names)
    path = str(call.environ.get("RAW_URI", "/")).split("?")[0]
    payload = call.header("x-amz-content-sha256") or "UNSIGNED-PAYLOAD"
    query = "&".join(f"{k}={v}" for k, v in signed)
    canonical = "\n".join([call.method, path, query, headers, ";".join(names), payload])
    scope = call.query["X-Amz-Credential"].split("/", 1)[1]
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", call.query["X-Amz-Date"], scope, digest])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _header(call: Call, name: str) -> str:
    if name in {"content-type", "content-length"}:
        return str(call.environ.get(name.upper().replace("-", "_"), ""))
    return call.header(name)


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")
