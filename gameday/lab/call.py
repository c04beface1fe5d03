"""One request as the lab sees it: which service and operation, by whom, with what parameters."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from gameday.partitions import any_suffix, dns_suffix

from .restnames import rest_operation
from .s3names import s3_operation

Environ = dict[str, Any]

REGION = "us-east-1"
JSON_TARGETS = {
    "TrentService": "kms",
    "CloudTrail_20131101": "cloudtrail",
    "com": "cloudtrail",
    "AWSEvents": "events",
    "GraniteServiceVersion20100801": "cloudwatch",
    "Logs_20140328": "logs",
}
SIGNING_NAMES = {"monitoring": "cloudwatch", "tagging": "tag"}
FORM = "application/x-www-form-urlencoded"


@dataclass(slots=True)
class Caller:
    """Who is asking, as IAM and the trail know them."""

    kind: str
    """Root, IAMUser, AssumedRole, Anonymous or Service."""
    arn: str
    account: str
    principal_id: str
    access_key: str = ""
    name: str = ""
    role_arn: str = ""
    role_id: str = ""
    since: str = ""
    until: datetime | None = None
    """When its session ends."""
    tags: dict[str, str] = field(default_factory=dict)
    """The tags of the user or role, and of the session."""

    @property
    def partition(self) -> str:
        """Where it is at home: ``aws``, ``aws-cn`` and so on."""
        return self.arn.split(":")[1] if self.arn else "aws"


@dataclass(frozen=True, slots=True)
class Session:
    """What STS has given out."""

    caller: Caller
    secret: str
    token: str
    policies: tuple[str, ...] = ()
    owner: str = ""
    """The user in whose name a federated user acts; "" for root."""


@dataclass(slots=True)
class Call:
    """One request, parsed. Hooks may rewrite the environ and the body before moto sees them."""

    environ: Environ
    body: bytes
    service: str
    operation: str
    protocol: str
    region: str = REGION
    access_key: str = ""
    signed: str = ""
    """"" (anonymous), "header", "header-v2", "query-v4", "query-v2", or "malformed"."""
    query: dict[str, str] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    bucket: str = ""
    key: str = ""
    virtual_host: bool = False
    """Whether the bucket stands in the host and not in the path."""
    request_id: str = ""
    caller: Caller | None = None
    invoked_by: str = ""
    """The service that makes this call in the caller's name."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What a before-hook wants to tell its own after-hook."""

    @property
    def method(self) -> str:
        """The HTTP method."""
        return str(self.environ["REQUEST_METHOD"])

    @property
    def user_agent(self) -> str:
        """The caller's own user agent."""
        return str(self.environ.get("HTTP_USER_AGENT", ""))

    @property
    def source_ip(self) -> str:
        """Where the caller is."""
        return str(self.environ.get("REMOTE_ADDR", "127.0.0.1"))

    @property
    def who(self) -> Caller:
        """The caller; every call has one before hooks run."""
        if self.caller is None:
            raise AssertionError("a call is handled before its caller is known")
        return self.caller

    def header(self, name: str) -> str:
        """A request header, or ""."""
        return str(self.environ.get("HTTP_" + name.upper().replace("-", "_"), ""))

    def set_header(self, name: str, value: str) -> None:
        """Let moto see another header than the caller sent."""
        self.environ["HTTP_" + name.upper().replace("-", "_")] = value

    def set_params(self, params: dict[str, Any]) -> None:
        """Let moto see other JSON parameters than the caller sent."""
        self.params = params
        self.set_body(json.dumps(params).encode())

    def set_body(self, body: bytes) -> None:
        """Let moto see another body than the caller sent."""
        self.body = body
        self.environ["CONTENT_LENGTH"] = str(len(body))

    def text(self, name: str, default: str = "") -> str:
        """A parameter as text."""
        value = self.params.get(name)
        return default if value is None else str(value)

    def listed(self, name: str) -> list[str]:
        """A query-protocol list parameter: Name.1, Name.2 and so on."""
        numbered = [k for k in self.params if re.fullmatch(rf"{name}(\.member)?\.\d+", k)]
        return [str(self.params[k]) for k in sorted(numbered, key=lambda k: int(k.rsplit(".", 1)[1]))]


def parse(environ: Environ, body: bytes) -> Call:
    """Read who calls what out of the request."""
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    signed, access_key, region, signing = _signature(environ, query)
    target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
    kind = str(environ.get("CONTENT_TYPE", ""))
    path = str(environ.get("PATH_INFO", "/"))
    service = SIGNING_NAMES.get(signing, signing)
    common: dict[str, Any] = {
        "region": region,
        "access_key": access_key,
        "signed": signed,
        "query": query,
    }
    if target:
        service = service or JSON_TARGETS.get(target.split(".")[0].split("_20141101")[0], "")
        return _json_call(environ, body, service, target.rsplit(".", 1)[-1], common)
    if "/operation/" in path and "smithy-protocol" in {k[5:].lower().replace("_", "-") for k in environ}:
        return _finish(Call(environ, body, service or "cloudwatch", path.rsplit("/", 1)[1], "cbor", **common))
    if kind.startswith(FORM) and service != "s3" and b"Action=" in body:
        return _query_call(environ, body, service, common)
    if service in {"", "s3"} and path.startswith("/v20180820/"):
        service = "s3control"
    if service not in {"", "s3"}:
        operation = rest_operation(service, str(environ["REQUEST_METHOD"]), path)
        protocol = "s3" if service == "s3control" else "rest-json"
        return _finish(Call(environ, body, service, operation, protocol, **common))
    return _s3_call(environ, body, common)


def _signature(environ: Environ, query: dict[str, str]) -> tuple[str, str, str, str]:
    """How the request is signed, and the access key, Region and service of its credential scope."""
    header = str(environ.get("HTTP_AUTHORIZATION", ""))
    found = re.search(r"Credential=([^/,]+)/\d+/([^/]+)/([^/]+)/aws4_request", header)
    if found:
        return "header", found.group(1), found.group(2), found.group(3).lower()
    if header.startswith("AWS "):
        return "header-v2", header[4:].split(":")[0], REGION, "s3"
    scope = query.get("X-Amz-Credential", "").split("/")
    if "X-Amz-Signature" in query and len(scope) == 5:
        return "query-v4", scope[0], scope[2], scope[3].lower()
    if "Signature" in query and "AWSAccessKeyId" in query:
        return "query-v2", query["AWSAccessKeyId"], REGION, "s3"
    return ("malformed" if header else ""), "", REGION, ""


def _finish(call: Call) -> Call:
    long = uuid.uuid4()
    call.request_id = long.hex[:16].upper() if call.protocol == "s3" else str(long)
    return call


def _json_call(environ: Environ, body: bytes, service: str, operation: str, common: dict[str, Any]) -> Call:
    try:
        params = json.loads(body or b"{}")
    except ValueError:
        params = {}
    call = Call(environ, body, service, operation, "json", **common)
    call.params = params if isinstance(params, dict) else {}
    return _finish(call)


def _query_call(environ: Environ, body: bytes, service: str, common: dict[str, Any]) -> Call:
    params = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    operation = params.pop("Action", "")
    protocol = "ec2" if service == "ec2" else "query"
    call = Call(environ, body, service or "sts", operation, protocol, **common)
    call.params = dict(params)
    return _finish(call)


def _s3_call(environ: Environ, body: bytes, common: dict[str, Any]) -> Call:
    raw = str(environ.get("RAW_URI") or environ.get("PATH_INFO", "/")).split("?")[0]
    host = re.sub(r":\d+$", "", str(environ.get("HTTP_HOST", ""))).lower()
    bucket, path = _bucket_of(host), raw[1:] if raw.startswith("/") else raw
    call = Call(environ, body, "s3", "", "s3", **common)
    call.virtual_host = bool(bucket)
    key = path
    if not bucket:
        bucket, _, key = path.partition("/")
    call.bucket, call.key = unquote(bucket), unquote(key)
    call.operation = s3_operation(call.method, call.bucket, call.key, call.query, call.header)
    return _finish(call)


def _bucket_of(host: str) -> str:
    """The bucket that a host names, or ``""`` where it stands in the path.

    Source: S3 User Guide, "Virtual hosting of buckets"; any name below localhost, and below any other host with a dot,
    is taken for a bucket's, so that no host leads past the judge.
    """
    if re.fullmatch(r"[\d.]+|\[.*\]|[^.]*", host):
        return ""  # an address, or a name without a dot
    found = re.fullmatch(rf"(?:(.+)\.)?s3[.-](?:[a-z0-9-]+\.)*(?:{any_suffix()})", host)
    if found:
        return found[1] or ""
    if host.endswith(".localhost"):
        return host.removesuffix(".localhost").removesuffix(".s3")
    return host.split(".", 1)[0]


def service_call(service: str, operation: str, params: dict[str, Any], region: str) -> Call:
    """A call that a service makes by itself, as if it had come over HTTP."""
    environ: Environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "RAW_URI": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "HTTP_HOST": f"{service}.{region}.{dns_suffix(region)}",
        "HTTP_USER_AGENT": "scheduler.amazonaws.com",
        "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential=scheduler/20260101/{region}/{service}/aws4_request",
    }
    if service == "kms":
        environ |= {
            "HTTP_X_AMZ_TARGET": f"TrentService.{operation}",
            "CONTENT_TYPE": "application/x-amz-json-1.1",
        }
        return parse(environ, json.dumps(params).encode())
    if service == "s3":
        return parse(*_rest_xml(environ, service, operation, params))
    flat = {"Action": operation, "Version": "2016-11-15"}
    for name, value in params.items():
        if isinstance(value, list):
            flat |= {f"{name.removesuffix('s')}.{n}": str(one) for n, one in enumerate(value, 1)}
        else:
            flat[name] = str(value)
    environ["CONTENT_TYPE"] = FORM
    return parse(environ, urlencode(flat).encode())


def _rest_xml(environ: Environ, service: str, operation: str, params: dict[str, Any]) -> tuple[Environ, bytes]:
    """The request that botocore would make of it; a bucket stands in the path."""
    from botocore.serialize import create_serializer
    from botocore.session import get_session

    model = get_session().get_service_model(service)
    made = create_serializer("rest-xml").serialize_to_request(params, model.operation_model(operation))
    path, _, query = str(made["url_path"]).partition("?")
    if bucket := params.get("Bucket"):
        path = f"/{bucket}" + path.removeprefix(f"/{bucket}").rstrip("/")
    query = "&".join(filter(None, (query, urlencode(made["query_string"]))))
    body = made["body"] if isinstance(made["body"], bytes) else b""
    environ |= {"REQUEST_METHOD": made["method"], "PATH_INFO": path, "QUERY_STRING": query}
    environ |= {"RAW_URI": f"{path}?{query}" if query else path, "HTTP_HOST": "127.0.0.1", "CONTENT_TYPE": "text/xml"}
    return environ, body
