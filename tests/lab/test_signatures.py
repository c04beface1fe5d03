"""Signature Version 4 is verified: what botocore signs passes, and what nobody signed so is refused in AWS' words."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from gameday.lab import LabControl
from tests.lab.conftest import refused

NAMES = ["clock.png", "with space+plus", "a%20b", "ünïcode/☃", "a//b/../c", "~!*'()&=?#", "/leading", "x" * 900]
ASK: list[tuple[str, str, dict[str, Any]]] = [
    ("kms", "list_keys", {}),
    ("ec2", "describe_instances", {}),
    ("iam", "list_roles", {}),
    ("sts", "get_caller_identity", {}),
    ("cloudtrail", "lookup_events", {}),
    ("secretsmanager", "list_secrets", {}),
    ("sqs", "list_queues", {}),
    ("cloudwatch", "describe_alarms", {}),
    ("scheduler", "list_schedules", {"NamePrefix": "a b"}),
    ("lambda", "list_functions", {}),
    ("s3", "list_buckets", {}),
]
WRONG = {
    "s3": ("SignatureDoesNotMatch", 403),
    "ec2": ("AuthFailure", 401),
    "iam": ("SignatureDoesNotMatch", 403),
    "sts": ("SignatureDoesNotMatch", 403),
    "kms": ("InvalidSignatureException", 400),
    "cloudtrail": ("InvalidSignatureException", 400),
    "secretsmanager": ("InvalidSignatureException", 400),
    "lambda": ("InvalidSignatureException", 403),
}


@pytest.fixture
def bucket(client: Callable[..., Any]) -> str:
    client("s3").create_bucket(Bucket="signed")
    return "signed"


@pytest.mark.parametrize(("service", "operation", "parameters"), ASK, ids=[service for service, _, _ in ASK])
def test_what_boto3_signs_passes(
    client: Callable[..., Any], service: str, operation: str, parameters: dict[str, Any]
) -> None:
    getattr(client(service), operation)(**parameters)


@pytest.mark.parametrize("service", WRONG)
def test_a_wrong_secret_is_refused(client: Callable[..., Any], service: str) -> None:
    operation, parameters = next((o, p) for s, o, p in ASK if s == service)
    code, _, status = refused(getattr(client(service, secret="another"), operation), **parameters)
    assert (code, status) == WRONG[service]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_an_object(client: Callable[..., Any], bucket: str, name: str) -> None:
    s3 = client("s3")
    s3.put_object(Bucket=bucket, Key=name, Body=b"here", Metadata={"two": "a  b"})
    assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == b"here"
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix=name)["Contents"]] == [name]


def test_a_body_that_is_streamed(client: Callable[..., Any], bucket: str) -> None:
    """boto3 sends it in chunks with a checksum behind them; its hash is not in the signature."""
    client("s3").put_object(Bucket=bucket, Key="big", Body=io.BytesIO(b"x" * 300_000), ChecksumAlgorithm="SHA256")
    assert client("s3").get_object(Bucket=bucket, Key="big")["ContentLength"] == 300_000


def test_a_user_signs_with_his_own_secret(client: Callable[..., Any]) -> None:
    iam = client("iam")
    iam.create_user(UserName="ann")
    made = iam.create_access_key(UserName="ann")["AccessKey"]
    sts = client("sts", key=made["AccessKeyId"], secret=made["SecretAccessKey"])
    assert sts.get_caller_identity()["Arn"].endswith(":user/ann")
    assert refused(client("sts", key=made["AccessKeyId"], secret="another").get_caller_identity)[0] == (
        "SignatureDoesNotMatch"
    )


def test_an_access_key_that_nobody_made(client: Callable[..., Any], lab: LabControl) -> None:
    assert client("sts", key="AKIANOBODY", secret="x").get_caller_identity()["Arn"].endswith(":root")
    lab.knobs(known_access_keys_only=True)
    for service, code in (
        ("s3", "InvalidAccessKeyId"),
        ("sts", "InvalidClientTokenId"),
        ("kms", "UnrecognizedClientException"),
        ("ec2", "AuthFailure"),
    ):
        operation, parameters = next((o, p) for s, o, p in ASK if s == service)
        found = refused(getattr(client(service, key="AKIANOBODY", secret="x"), operation), **parameters)
        assert found[0] == code


def _sent(lab: LabControl, *, at: datetime, service: str, after: Callable[[AWSRequest], None] | None = None) -> str:
    """The lab's answer to a request that was signed at another time, or changed after it was signed."""
    kind, target = {"s3": ("GET", "/"), "sts": ("POST", "/")}[service]
    body = b"Action=GetCallerIdentity&Version=2011-06-15" if service == "sts" else b""
    request = AWSRequest(method=kind, url=f"{lab.url}{target}", data=body)
    if service == "sts":
        request.headers["Content-Type"] = "application/x-www-form-urlencoded"
    else:
        request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
    signer = SigV4Auth(Credentials("test", "test"), service, "us-east-1")
    request.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    request.headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, "
        f"SignedHeaders={signer.signed_headers(signer.headers_to_sign(request))}, Signature="
        f"{signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)}"
    )
    if after:
        after(request)
    made = request.prepare()
    asked = Request(made.url, data=body or None, headers={k: str(v) for k, v in made.headers.items()}, method=kind)
    try:
        with urlopen(asked, timeout=10) as answer:
            return str(answer.read().decode())
    except OSError as error:
        return str(error.read().decode())  # type: ignore[attr-defined]  # HTTPError has a body


@pytest.mark.parametrize("minutes", [-14, 0, 14])
def test_a_clock_that_is_a_little_off(lab: LabControl, minutes: int) -> None:
    assert "ListAllMyBucketsResult" in _sent(lab, at=datetime.now(UTC) + timedelta(minutes=minutes), service="s3")


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_that_is_too_far_off(lab: LabControl, minutes: int) -> None:
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    assert "<Code>RequestTimeTooSkewed</Code>" in _sent(lab, at=at, service="s3")
    said = _sent(lab, at=at, service="sts")
    assert "<Code>SignatureDoesNotMatch</Code>" in said
    assert ("Signature expired: " if minutes < 0 else "Signature not yet current: ") in said


def test_what_is_changed_after_it_was_signed(lab: LabControl) -> None:
    def later(request: AWSRequest) -> None:
        request.url += "?prefix=a"

    assert "<Code>SignatureDoesNotMatch</Code>" in _sent(lab, at=datetime.now(UTC), service="s3", after=later)


@pytest.mark.parametrize(("service", "code"), [("s3", "AuthorizationHeaderMalformed"), ("sts", "IncompleteSignature")])
def test_an_authorization_that_cannot_be_read_is_not_anonymous(lab: LabControl, service: str, code: str) -> None:
    def later(request: AWSRequest) -> None:
        request.headers.replace_header("Authorization", "AWS4-HMAC-SHA256 Credential=test/no/scope")

    assert f"<Code>{code}</Code>" in _sent(lab, at=datetime.now(UTC), service=service, after=later)


def test_nobody_lists_buckets(lab: LabControl) -> None:
    with pytest.raises(HTTPError) as refusal:
        urlopen(lab.url, timeout=10)
    assert refusal.value.code == 403


def test_what_the_dummy_key_signed_for_a_proxy_may_be_rewritten_there(lab: LabControl) -> None:
    def later(request: AWSRequest) -> None:
        request.headers["Host"] = "127.0.0.1:1"

    assert "ListAllMyBucketsResult" in _sent(lab, at=datetime.now(UTC), service="s3", after=later)


def test_time_of_the_lab_is_no_time_of_the_wall(client: Callable[..., Any], lab: LabControl) -> None:
    lab.advance(7 * 86400)
    client("kms").list_keys()
