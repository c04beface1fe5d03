"""Signature Version 4, in the header and in the query: checked for every access key whose secret the lab knows.

Source: IAM User Guide, "Create a signed AWS API request"; each service's common errors.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import posixpath
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from .wire import AwsError

if TYPE_CHECKING:
    from .call import Call
    from .motoworld import MotoWorld

KNOWN = {"test": "test", "testing": "testing"}
"""Secrets of the access keys that everybody uses with a lab."""
MAY_DIFFER = timedelta(minutes=15)
"""How far the time of a signed header may be from the lab's."""
STAMP = "%Y%m%dT%H%M%SZ"
_SAFE = "-_.~"
_WRONG = "The request signature we calculated does not match the signature you provided. Check your "
_UNKNOWN = "The security token included in the request is invalid."


def secret_of(call: Call, moto: MotoWorld) -> str | None:
    """The secret that the caller signs with; None for an access key that nobody made here.

    Raises:
        AwsError: the access key is another partition's, and good there only.
    """
    if call.access_key not in KNOWN and moto.is_elsewhere(call.region, call.access_key):
        raise _unknown(call)
    return KNOWN.get(call.access_key) or moto.secret_of(call.region, call.access_key)


def check_header(call: Call, moto: MotoWorld, *, known_only: bool) -> None:
    """Raise what AWS says to a signed header that is wrong, late, or of an unknown access key.

    ``known_only`` refuses access keys that nobody made here, as AWS does; else they are the account's root.
    """
    if call.signed == "malformed":
        raise _malformed(call)
    secret = secret_of(call, moto)
    if secret is None:
        if known_only:
            raise _unknown(call)
        return
    _check_token(call, moto)
    if call.access_key in KNOWN and _came_through_a_proxy(call):
        return
    fields = dict(re.findall(r"(Credential|SignedHeaders|Signature)=([^,\s]+)", call.header("authorization")))
    stamp = call.header("x-amz-date")
    try:
        sent = datetime.strptime(stamp, STAMP).replace(tzinfo=UTC)
        scope, names, given = fields["Credential"].split("/", 1)[1], fields["SignedHeaders"], fields["Signature"]
    except (KeyError, ValueError, IndexError):
        raise _mismatch(call) from None
    if abs(datetime.now(UTC) - sent) > MAY_DIFFER:
        raise _skewed(call, stamp)
    payload = call.header("x-amz-content-sha256")
    if not payload:
        payload = hashlib.sha256(call.body).hexdigest()
    elif re.fullmatch(r"[0-9a-f]{64}", payload) and payload != hashlib.sha256(call.body).hexdigest():
        raise _other_body(call)
    if not hmac.compare_digest(calculate(call, secret, scope, stamp, names.split(";"), payload), given):
        raise _mismatch(call)


def _came_through_a_proxy(call: Call) -> bool:
    """Whether the request was addressed to something before the lab, which may rewrite what it hands on.

    The dummy keys' secrets are public: with them such a proxy, a test's as a rule, might have signed it itself.
    """
    return call.header("host").rpartition(":")[2] != str(call.environ.get("SERVER_PORT", ""))


def calculate(call: Call, secret: str, scope: str, stamp: str, names: list[str], payload: str) -> str:
    """The signature of a request as it came in, over the headers that it names."""
    raw, _, query = str(call.environ.get("RAW_URI", "/")).partition("?")
    headers = "".join(f"{name}:{' '.join(_header(call, name).split())}\n" for name in names)
    asked = "\n".join([call.method, _path(call, raw), _query(query), headers, ";".join(names), payload])
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(asked.encode()).hexdigest()])
    return hmac.new(scope_key(secret, scope), text.encode(), hashlib.sha256).hexdigest()


@functools.lru_cache(maxsize=256)
def scope_key(secret: str, scope: str) -> bytes:
    """The key that signs for one day, Region and service."""
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _path(call: Call, raw: str) -> str:
    """S3's names are encoded once and kept as they are; elsewhere a path is normalized and encoded twice."""
    if call.service in {"", "s3", "s3control"} and not call.header("authorization").count("/s3-outposts/"):
        return quote(unquote(raw), safe="/" + _SAFE)
    tidy = posixpath.normpath(raw) if raw else "/"
    tidy = "/" + tidy.lstrip("/") + ("/" if raw.endswith("/") and tidy != "/" else "")
    return quote(tidy, safe="/" + _SAFE)


def _query(query: str) -> str:
    pairs = [part.partition("=") for part in query.split("&") if part]
    told = sorted((quote(unquote(n), safe=_SAFE), quote(unquote(v), safe=_SAFE)) for n, _, v in pairs)
    return "&".join(f"{name}={value}" for name, value in told if name != "X-Amz-Signature")


def _header(call: Call, name: str) -> str:
    if name in {"content-type", "content-length"}:
        return str(call.environ.get(name.upper().replace("-", "_"), ""))
    return call.header(name)


def _mismatch(call: Call) -> AwsError:
    if call.protocol == "s3":
        return AwsError("SignatureDoesNotMatch", _WRONG + "key and signing method.", 403)
    if call.protocol == "ec2":
        return AwsError("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
    sentence = _WRONG + "AWS Secret Access Key and signing method. Consult the service documentation for details."
    if call.protocol == "query":
        return AwsError("SignatureDoesNotMatch", sentence, 403)
    return AwsError("InvalidSignatureException", sentence, 400 if call.protocol == "json" else 403)


def _malformed(call: Call) -> AwsError:
    if call.protocol == "s3":
        return AwsError("AuthorizationHeaderMalformed", "The authorization header that you provided is not valid.", 400)
    if call.protocol == "ec2":
        return AwsError("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
    sentence = "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters."
    if call.protocol == "query":
        return AwsError("IncompleteSignature", sentence, 403)
    return AwsError("IncompleteSignatureException", sentence, 400)


def _skewed(call: Call, stamp: str) -> AwsError:
    if call.protocol == "s3":
        too_large = "The difference between the request time and the current time is too large."
        return AwsError("RequestTimeTooSkewed", too_large, 403)
    if call.protocol == "ec2":
        return AwsError("RequestExpired", "Request has expired.", 400)
    now = datetime.now(UTC)
    early, late = f"{now - MAY_DIFFER:{STAMP}}", f"{now + MAY_DIFFER:{STAMP}}"
    if stamp < early:
        sentence = f"Signature expired: {stamp} is now earlier than {early} ({now:{STAMP}} - 15 min.)"
    else:
        sentence = f"Signature not yet current: {stamp} is still later than {late} ({now:{STAMP}} + 15 min.)"
    code = "SignatureDoesNotMatch" if call.protocol == "query" else "InvalidSignatureException"
    return AwsError(code, sentence, 403 if call.protocol == "query" else 400)


def _other_body(call: Call) -> AwsError:
    if call.protocol != "s3":
        return _mismatch(call)
    sentence = "The provided 'x-amz-content-sha256' header does not match what was computed."
    return AwsError("XAmzContentSHA256Mismatch", sentence, 400)


def _check_token(call: Call, moto: MotoWorld) -> None:
    """A session's key comes with the session's token."""
    session, given = moto.sessions.get(call.access_key), call.header("x-amz-security-token")
    if session is None or hmac.compare_digest(given.encode(), session.token.encode()):
        return
    if call.protocol == "s3" and given:
        raise AwsError("InvalidToken", "The provided token is malformed or otherwise invalid.", 400)
    raise _unknown(call)


def _unknown(call: Call) -> AwsError:
    if call.protocol == "s3":
        sentence = "The AWS Access Key Id you provided does not exist in our records."
        return AwsError("InvalidAccessKeyId", sentence, 403)
    if call.protocol == "ec2":
        return AwsError("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
    if call.protocol == "query":
        return AwsError("InvalidClientTokenId", _UNKNOWN, 403)
    return AwsError("UnrecognizedClientException", _UNKNOWN, 400)
