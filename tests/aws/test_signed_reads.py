"""A read sees what a client of boto3's own sees, whatever is answered."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aws_rig import Rude, session_at
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gameday.aws.made import Keys
from gameday.aws.session import Session
from gameday.errors import Interrupted
from gameday.lab import LabControl
from gameday.sdk import Cause, Observation
from gameday.stages.s3_object import S3Object

MOST = 1 << 20
NOBODYS = Keys("AKIAIOSFODNN7EXAMPLE", "not-a-secret")


def by_boto3(aws: Session, bucket: str, key: str) -> Observation:
    with aws.answering() as answer:
        body = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
        try:
            read = 0
            while read < MOST and (chunk := body.read(min(65536, MOST - read))):
                read += len(chunk)
        finally:
            body.close()
    return answer.observation(f"{read} bytes" if answer.ok else "")


def signed(aws: Session, bucket: str, key: str) -> Observation:
    read = 0
    with aws.answering() as answer:
        read = aws.read_object(bucket, key, MOST)
    return answer.observation(f"{read} bytes" if answer.ok else "")


def plain(seen: Observation) -> tuple[object, ...]:
    return seen.cause, seen.code, seen.detail, bool(seen.request_id)


def same(aws: Session, bucket: str = "gameday-clock", key: str = "clock.png", ids: bool = False) -> Observation:
    """What both saw, ours twice."""
    wanted, first, second = by_boto3(aws, bucket, key), signed(aws, bucket, key), signed(aws, bucket, key)
    assert plain(first) == plain(wanted)
    assert plain(second) == plain(wanted)
    if ids:
        assert first.request_id == second.request_id == wanted.request_id
    return wanted


# Against the lab


def test_an_object_is_read(aws: Session, clock: S3Object) -> None:
    assert same(aws).cause is Cause.OK


@pytest.mark.parametrize("name", ["no such", "ünïcode/☃ + %20?&=#", "a//b/../c", "x" * 1000])
def test_any_name_is_asked_for_as_boto3_does(
    aws: Session, clock: S3Object, name: str, client: Callable[[str], Any]
) -> None:
    assert same(aws, key=name).code == "NoSuchKey"
    client("s3").put_object(Bucket="gameday-clock", Key=name, Body=b"here")
    assert same(aws, key=name).detail == "4 bytes"


def test_there_is_no_such_bucket(aws: Session, clock: S3Object) -> None:
    assert same(aws, bucket="gameday-none").code == "NoSuchBucket"


def test_an_invalid_bucket_is_not_even_asked_for(aws: Session) -> None:
    assert same(aws, bucket="not a bucket").cause is Cause.INVALID


def test_the_key_goes_and_comes_back(aws: Session, clock: S3Object, key: str, client: Callable[[str], Any]) -> None:
    kms = client("kms")
    assert same(aws).cause is Cause.OK
    kms.disable_key(KeyId=key)
    assert same(aws).cause is Cause.KEY_DISABLED
    kms.enable_key(KeyId=key)
    assert same(aws).cause is Cause.OK
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert same(aws).cause is Cause.KEY_PENDING_DELETION


def test_nobody_is_refused_at_the_door_and_then_at_the_key(
    aws: Session, clock: S3Object, client: Callable[[str], Any]
) -> None:
    s3, nobody = client("s3"), aws.anonymous()
    assert same(nobody).cause is Cause.ACCESS_DENIED
    s3.delete_public_access_block(Bucket="gameday-clock")
    policy = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::gameday-clock/*"}
    s3.put_bucket_policy(Bucket="gameday-clock", Policy=json.dumps({"Version": "2012-10-17", "Statement": [policy]}))
    assert same(nobody).cause is Cause.UNSIGNED_REQUEST


def test_an_unknown_access_key(lab: LabControl, clock: S3Object) -> None:
    same(session_at(lab.url, keys=NOBODYS))


def test_a_role_that_cannot_be_assumed(aws: Session, lab: LabControl, clock: S3Object) -> None:
    lab.trouble("refuse", service="sts", operation="AssumeRole", times=9)
    assert same(aws.as_role("role/nobody")).cause is Cause.CREDENTIALS


@pytest.mark.parametrize(
    ("kind", "cause"),
    [("throttle", Cause.THROTTLED), ("server_error", Cause.SERVER_ERROR), ("refuse", Cause.ACCESS_DENIED)],
)
def test_trouble(lab: LabControl, clock: S3Object, kind: str, cause: Cause) -> None:
    lab.trouble(kind, service="s3", operation="GetObject", times=9)
    assert same(session_at(lab.url)).cause is cause


def test_a_hang(lab: LabControl, clock: S3Object) -> None:
    lab.trouble("hang", service="s3", operation="GetObject", seconds=1, times=9)
    assert same(session_at(lab.url, read_timeout=0.1)).cause is Cause.UNREACHABLE


def test_cloudtrail_and_s3_are_told_the_run(aws: Session, rude: Rude) -> None:
    session = session_at(rude.url)
    signed(session, "b", "k")
    by_boto3(session, "b", "k")
    ours, theirs = rude.got
    own = {"x-amz-date", "authorization", "amz-sdk-invocation-id", "port"}
    assert {k: v for k, v in ours.items() if k not in own} == {k: v for k, v in theirs.items() if k not in own}
    assert "gameday/7f3a" in ours["user-agent"]
    assert ours["amz-sdk-invocation-id"] != theirs["amz-sdk-invocation-id"]
    signed_as = [each["authorization"].rpartition("Signature=")[0] for each in rude.got]
    assert signed_as[0] == signed_as[1]


# Against a server that says anything

CODES = st.sampled_from(
    [
        *("AccessDenied", "KMS.DisabledException", "InvalidArgument", "NoSuchKey", "SlowDown", "InternalError"),
        *("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "Nonsense", ""),
    ]
)
BODIES = st.one_of(
    st.binary(max_size=40),
    st.just(b"<html><body>503</body></html>"),
    st.builds(
        lambda code, said, tail: (
            f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{said}</Message>{tail}</Error>'.encode()
        ),
        CODES,
        st.sampled_from(["", "arn:aws:kms:us-east-1:1:key/2 is disabled.", "Please reduce your request rate."]),
        st.sampled_from(["", "<Region>eu-west-1</Region>", "<RequestId>R2</RequestId>", "<"]),
    ),
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "x-amz-request-id": st.just("R1"),
        "x-amz-bucket-region": st.just("eu-west-1"),
        "x-amz-checksum-crc32": st.sampled_from(["AAAAAA==", "nonsense"]),
        "location": st.just("http://127.0.0.1:1/elsewhere"),
        "content-type": st.just("application/xml"),
    },
)


@given(
    status=st.sampled_from([200, 206, 301, 302, 307, 400, 403, 404, 408, 409, 429, 500, 503]),
    body=BODIES,
    headers=HEADERS,
    behaviour=st.sampled_from(["ok", "ok", "ok", "half", "drop"]),
)
@example(status=300, body=b"", headers={}, behaviour="ok")
@example(status=503, body=b"", headers={"x-amz-request-id": "R1"}, behaviour="ok")
@example(status=200, body=b"x" * 100_000, headers={"x-amz-request-id": "R1"}, behaviour="half")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_answer_is_seen_as_boto3_sees_it(
    rude: Rude, status: int, body: bytes, headers: dict[str, str], behaviour: str
) -> None:
    rude.got.clear()
    if status >= 300:
        headers.pop("x-amz-checksum-crc32", None)  # boto3 trips over it in an error, and reads none
    rude.status, rude.body, rude.headers, rude.behaviour = status, body, headers, behaviour
    if 300 < status < 400 or b"Redirect" in body or b"Location" in body:
        rude.headers["x-amz-bucket-region"] = "eu-west-1"  # without it boto3 may recurse; see below
    if 300 < status < 400 or not body:
        rude.behaviour = "ok"  # which of several answers is cut, or whether nothing is, is up to the sockets' timing
    same(session_at(rude.url, read_timeout=2.0), "bucket", "key", ids=True)


@pytest.mark.parametrize("status", [301, 302, 307])
def test_an_address_that_redirects_everything_is_given_up(rude: Rude, status: int) -> None:
    """boto3 asks HeadBucket for the Region, and follows that one's redirect with another, until Python stops it."""
    rude.status, rude.headers = status, {"location": "https://elsewhere.example/"}
    seen = signed(session_at(rude.url), "bucket", "key")
    assert seen.cause is Cause.UNREACHABLE
    assert len(rude.got) < 200


def test_nobody_there(nobody: str) -> None:
    assert same(session_at(nobody)).cause is Cause.UNREACHABLE


def test_a_name_that_does_not_resolve() -> None:
    assert same(session_at("http://no.such.host.invalid")).cause is Cause.UNREACHABLE


def test_a_bucket_that_moved_is_found_and_not_asked_for_twice(rude: Rude) -> None:
    """After a redirect the bucket's own Region is what is signed for, without another detour."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            region = self.headers["authorization"].split("/")[2]
            asked.append((self.command, region))
            here = region == "eu-west-1"
            body = b"the object" if here else b"<Error><Code>PermanentRedirect</Code><Message>no</Message></Error>"
            self.send_response(200 if here else 301)
            self.send_header("x-amz-bucket-region", "eu-west-1")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - http.server's names

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        aws = session_at(f"http://127.0.0.1:{server.server_port}")
        assert signed(aws, "moved", "key").detail == "10 bytes"
        before = len(asked)
        assert signed(aws, "moved", "key").detail == "10 bytes"
        assert asked[before:] == [("GET", "eu-west-1")]
    finally:
        server.shutdown()
        server.server_close()


# The body


def test_an_error_that_never_ends_is_cut_off(rude: Rude) -> None:
    rude.status, rude.body = 500, b"<Error>" + b"x" * 50_000_000
    seen = signed(session_at(rude.url), "b", "k")
    assert (seen.cause, seen.code) == (Cause.SERVER_ERROR, "500")


def test_a_body_is_read_no_further_than_asked(rude: Rude) -> None:
    rude.body = b"x" * 50_000_000
    assert session_at(rude.url).read_object("b", "k", 1000) == 1000


def test_a_look_that_nobody_waits_for_stops_reading(rude: Rude) -> None:
    rude.body = b"x" * 1_000_000
    over = threading.Event()
    over.set()
    with pytest.raises(Interrupted):
        session_at(rude.url).but(stopping=over).read_object("b", "k", MOST)


def test_many_threads_read_at_once(rude: Rude) -> None:
    rude.body = b"seven b"
    aws, seen = session_at(rude.url), []
    threads = [
        threading.Thread(target=lambda n=n: seen.extend(signed(aws, "b", f"k{n}").detail for _ in range(10)))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == ["7 bytes"] * 80
