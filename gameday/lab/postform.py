"""POST Object, a browser's upload: its policy is its signature, and what it says is carried out as a PutObject.

Source: S3 API, "Authenticating requests: browser-based uploads using POST" and "Creating a POST policy".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.etree import ElementTree as Xml
from xml.sax.saxutils import escape

from .clock import wall
from .signature import KNOWN, scope_key
from .wire import Answer, AwsError

if TYPE_CHECKING:
    from .call import Call
    from .motoworld import MotoWorld

V4 = ("x-amz-algorithm", "x-amz-credential", "x-amz-date", "policy", "x-amz-signature")
V2 = ("awsaccesskeyid", "signature", "policy")
SPELLED = {
    "x-amz-algorithm": "X-Amz-Algorithm",
    "x-amz-credential": "X-Amz-Credential",
    "x-amz-date": "X-Amz-Date",
    "x-amz-signature": "X-Amz-Signature",
    "awsaccesskeyid": "AWSAccessKeyId",
    "signature": "Signature",
    "policy": "Policy",
}
FREE = frozenset({*V2, "x-amz-signature", "file"})
"""Fields that a policy need not name."""
HEADERS = frozenset(
    {"cache-control", "content-disposition", "content-encoding", "content-language", "expires", "acl", "tagging"}
)
WRONG = (
    "The request signature we calculated does not match the signature you provided. Check your key and signing method."
)


def carry(call: Call, moto: MotoWorld) -> None:
    """Check a form and make of it the PutObject that it means; the form stays in the call's notes.

    Raises:
        AwsError: as S3 words it.
    """
    form, upload, filename = _read(call)
    if "key" not in form:
        raise _missing("key")
    if any(name in form for name in (*V4, *V2)):
        _check(call, form, upload, moto)
        named = form.get("x-amz-credential") or form["awsaccesskeyid"]
        call.access_key = named.split("/", 1)[0]
        call.signed = "post-v4" if "x-amz-signature" in form else "post-v2"
        call.caller = moto.caller(call.region, call.access_key)
    call.key = form["key"].replace("${filename}", filename)
    call.notes["form"] = form
    path = f"/{call.bucket}/{quote(call.key, safe='/~')}"
    environ = call.environ
    environ |= {"REQUEST_METHOD": "PUT", "PATH_INFO": f"/{call.bucket}/{call.key}", "RAW_URI": path}
    environ |= {"QUERY_STRING": "", "CONTENT_TYPE": form.get("content-type", "binary/octet-stream")}
    environ["PATH_INFO"] = environ["PATH_INFO"].encode().decode("latin-1")
    if call.virtual_host:
        environ["HTTP_HOST"], call.virtual_host = "127.0.0.1", False
    for name, value in form.items():
        if name in HEADERS or (name.startswith("x-amz-") and name not in V4):
            told = _tags(value) if name == "tagging" else value
            call.set_header(f"x-amz-{name}" if name in {"acl", "tagging"} else name, told)
    call.set_body(upload)
    call.operation = "PutObject"


def answer_form(call: Call, answer: Answer) -> None:
    """Turn PutObject's answer into what a form gets: 204, or as it asked."""
    call.operation = "PostObject"
    if answer.status >= 400:
        return
    form: dict[str, str] = call.notes["form"]
    etag = answer.header("ETag") or ""
    where = f"http://{call.header('host')}/{call.bucket}/{quote(call.key, safe='/~')}"
    answer.set_header("Location", where)
    redirect = form.get("success_action_redirect") or form.get("redirect", "")
    answer.status, answer.body = 204, b""
    if redirect:
        told = f"bucket={quote(call.bucket)}&key={quote(call.key, safe='')}&etag={quote(etag, safe='')}"
        answer.set_header("Location", f"{redirect}{'&' if '?' in redirect else '?'}{told}")
        answer.status = 303
    elif form.get("success_action_status") in {"200", "201"}:
        answer.status = int(form["success_action_status"])
        if answer.status == 201:
            inner = "".join(
                f"<{name}>{escape(value)}</{name}>"
                for name, value in (("Location", where), ("Bucket", call.bucket), ("Key", call.key), ("ETag", etag))
            )
            answer.body = f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{inner}</PostResponse>'.encode()
            answer.set_header("Content-Type", "application/xml")


def _read(call: Call) -> tuple[dict[str, str], bytes, str]:
    from werkzeug.formparser import parse_form_data

    kind = str(call.environ.get("CONTENT_TYPE", ""))
    if not kind.startswith("multipart/form-data"):
        text = "At least one of the pre-conditions you specified did not hold"
        condition = "Bucket POST must be of the enclosure-type multipart/form-data"
        raise AwsError("PreconditionFailed", text, 412, Condition=condition)
    environ = {**call.environ, "wsgi.input": io.BytesIO(call.body), "CONTENT_LENGTH": str(len(call.body))}
    _, fields, files = parse_form_data(environ, silent=True)
    form = {name.lower(): value for name, value in fields.items()}
    found = files.get("file")
    if found is None:
        if "file" not in form:
            raise AwsError("InvalidArgument", "POST requires exactly one file upload per request.", 400)
        return form, form.pop("file").encode(), ""
    return form, found.read(), found.filename or ""


def _check(call: Call, form: dict[str, str], upload: bytes, moto: MotoWorld) -> None:
    new = any(name.startswith("x-amz-") and name in form for name in V4)
    for name in V4 if new else V2:
        if name not in form:
            raise _missing(SPELLED[name])
    policy = form["policy"]
    key = (form["x-amz-credential"] if new else form["awsaccesskeyid"]).split("/", 1)
    secret = moto.secret_of(call.region, key[0]) or KNOWN.get(key[0])
    if secret is not None:
        made = (
            hmac.digest(scope_key(secret, key[-1]), policy.encode(), "sha256").hex()
            if new
            else base64.b64encode(hmac.new(secret.encode(), policy.encode(), hashlib.sha1).digest()).decode()
        )
        given = form["x-amz-signature" if new else "signature"]
        if not hmac.compare_digest(made.encode(), given.encode()):
            raise AwsError("SignatureDoesNotMatch", WRONG, 403, AWSAccessKeyId=key[0], SignatureProvided=given)
    try:
        document = json.loads(base64.b64decode(policy))
        until = datetime.fromisoformat(document["expiration"].replace("Z", "+00:00"))
        conditions = list(document["conditions"])
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        raise AwsError("InvalidPolicyDocument", "Invalid Policy: Invalid JSON.", 400) from None
    if until.replace(tzinfo=until.tzinfo or UTC) < wall():
        raise _against("Policy expired.")
    _meets(conditions, form | {"bucket": call.bucket}, upload)


def _meets(conditions: list[Any], form: dict[str, str], upload: bytes) -> None:
    named = {"bucket"}
    for condition in conditions:
        if isinstance(condition, dict):
            checks = [("eq", f"${name}", value) for name, value in condition.items()]
        elif isinstance(condition, list) and len(condition) == 3:
            checks = [(str(condition[0]).lower(), condition[1], condition[2])]
        else:
            raise AwsError("InvalidPolicyDocument", "Invalid Policy: Invalid Simple-Condition.", 400)
        for test, name, value in checks:
            if test == "content-length-range":
                _size(len(upload), int(name), int(value))
                continue
            field = str(name).removeprefix("$").lower()
            named.add(field)
            have = form.get(field, "")
            if not (have == str(value) if test == "eq" else test == "starts-with" and have.startswith(str(value))):
                raise _against(f'Policy Condition failed: ["{test}", "${field}", "{value}"]')
    extra = [name for name in form if name not in named | FREE and not name.startswith("x-ignore-")]
    if extra:
        raise _against(f"Extra input fields: {extra[0]}")


def _size(size: int, least: int, most: int) -> None:
    if size < least:
        text = "Your proposed upload is smaller than the minimum allowed size"
        raise AwsError("EntityTooSmall", text, 400, ProposedSize=str(size), MinSizeAllowed=str(least))
    if size > most:
        text = "Your proposed upload exceeds the maximum allowed size"
        raise AwsError("EntityTooLarge", text, 400, ProposedSize=str(size), MaxSizeAllowed=str(most))


def _tags(text: str) -> str:
    try:
        root = Xml.fromstring(text)  # noqa: S314 (a loopback lab; expat expands no external entity)
    except Xml.ParseError:
        wrong = "The XML you provided was not well-formed or did not validate against our published schema"
        raise AwsError("MalformedXML", wrong, 400) from None
    pairs = [(tag.findtext("{*}Key", ""), tag.findtext("{*}Value", "")) for tag in root.iterfind(".//{*}Tag")]
    return "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in pairs)


def _missing(field: str) -> AwsError:
    text = (
        f"Bucket POST must contain a field named '{field}'.  If it is specified, please check the order of the fields."
    )
    return AwsError("InvalidArgument", text, 400, ArgumentName=field, ArgumentValue="")


def _against(what: str) -> AwsError:
    return AwsError("AccessDenied", f"Invalid according to Policy: {what}", 403)
