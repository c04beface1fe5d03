"""A read over an open connection: its signature is botocore's, and whatever comes back is seen as boto3 sees it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
from aws_rig import Rude, session_at
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_signed_reads import by_boto3, signed

from gameday.aws import signed as signed_module
from gameday.aws.resigned import STAMP, Resigned
from gameday.aws.session import Session
from gameday.sdk import Cause, Observation

TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


# The signature


def by_botocore(url: str, auth: S3SigV4Auth, at: datetime) -> AWSRequest:
    request = AWSRequest("GET", url, headers={"User-Agent": "gameday/7f3a", "x-amz-checksum-mode": "ENABLED"})
    with mock.patch("botocore.auth.get_current_datetime", return_value=at):
        auth.add_auth(request)
    return request


@given(
    path=st.text(st.sampled_from("ab/~%2F%C3%BC.-_"), max_size=30),
    secret=TEXT,
    token=st.none() | TEXT,
    region=st.sampled_from(["us-east-1", "eu-west-1"]),
    day=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)).map(lambda at: at.replace(hour=0, minute=0, second=0)),
    seconds=st.tuples(*[st.integers(0, 86_399)] * 2),
)
@settings(deadline=None, max_examples=60)
def test_every_second_of_a_day_is_signed_as_botocore_signs_it(
    path: str, secret: str, token: str | None, region: str, day: datetime, seconds: tuple[int, int]
) -> None:
    auth = S3SigV4Auth(ReadOnlyCredentials("AKIAIOSFODNN7EXAMPLE", secret, token, None), "s3", region)
    first, later = (day.replace(tzinfo=UTC) + timedelta(seconds=second) for second in seconds)
    url = f"https://bucket.s3.amazonaws.com/{path}"
    again = Resigned(by_botocore(url, auth, first), auth, f"/{path}", "bucket.s3.amazonaws.com")
    wire = again.at(later.strftime(STAMP), auth)
    assert wire is not None
    lines = wire.decode().split("\r\n")
    wanted = by_botocore(url, auth, later)
    assert lines[0] == f"GET /{path} HTTP/1.1"
    assert {f"{name}: {value}" for name, value in wanted.headers.items()} <= {*lines}


def test_another_day_and_other_credentials_are_signed_anew() -> None:
    one, other = (
        S3SigV4Auth(ReadOnlyCredentials("AKIA", "secret", token, None), "s3", "us-east-1") for token in ("a", "b")
    )
    at = datetime(2026, 11, 24, 23, 59, 59, tzinfo=UTC)
    again = Resigned(by_botocore("https://h/k", one, at), one, "/k", "h")
    assert again.at("20261124T235959Z", one)
    assert again.at("20261125T000000Z", one) is None
    assert again.at("20261124T235959Z", other) is None


def test_credentials_that_are_renewed_are_used_at_once(rude: Rude, monkeypatch: pytest.MonkeyPatch) -> None:
    aws = session_at(rude.url)
    client = aws.client("s3")
    for n in range(3):
        assert signed(aws, "b", "k").code == ""
        monkeypatch.setattr(client._request_signer, "_credentials", _Credentials(f"AKIA{n}"))
    names = [each["authorization"].split("Credential=")[1].split("/")[0] for each in rude.got]
    assert names == ["test", "AKIA0", "AKIA1"]
    assert len({each["port"] for each in rude.got}) == 1, "over the same connection"


class _Credentials:
    def __init__(self, name: str) -> None:
        self._frozen = ReadOnlyCredentials(name, "secret", None, None)

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        return self._frozen


# The answer


class Raw:
    """A server that answers the first request of a connection well, and the second with ``says`` in pieces."""

    def __init__(self) -> None:
        self.says, self.pieces, self.hangs = b"", 1, False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked = 0
        self.over = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._request(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx-amz-request-id: R0\r\n\r\nok")
            self._request(connection)
            size = len(self.says) // self.pieces + 1
            for start in range(0, len(self.says), size):
                connection.sendall(self.says[start : start + size])
            if self.hangs:
                self.over.wait(10)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)

    def _request(self, connection: socket.socket) -> None:
        got = b""
        while b"\r\n\r\n" not in got and (more := connection.recv(65536)):
            got += more
        self.asked += 1

    def close(self) -> None:
        self.over.set()
        self._listener.close()


@pytest.fixture
def raw() -> Iterator[Raw]:
    server = Raw()
    yield server
    server.close()


def warmed(raw: Raw, **more: float) -> Session:
    """A session whose next read is the second over its connection."""
    aws = session_at(raw.url, **more)
    raw.asked = 0
    assert signed(aws, "b", "warm-up").detail == "2 bytes"
    return aws


def boto3_warmed(raw: Raw, **more: float) -> Session:
    aws = session_at(raw.url, **more)
    assert by_boto3(aws, "b", "warm-up").detail == "2 bytes"
    return aws


def told(seen: Observation) -> tuple[object, ...]:
    """What both must say; how a broken answer broke is said in urllib3's words or in http.client's."""
    detail = seen.detail if seen.cause is Cause.OK or seen.code else ""
    return seen.cause, seen.code, detail, bool(seen.request_id)


FIRST = st.sampled_from(
    [
        *(b"HTTP/1.1 200 OK", b"HTTP/1.1 206 Partial", b"HTTP/1.0 200 OK", b"HTTP/1.1 200", b"HTTP/1.1 403 No"),
        *(b"HTTP/1.1 503 Slow Down", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK", b"nonsense", b"HTTP/1.1 abc no"),
    ]
)
LENGTH = st.sampled_from(
    [b"Content-Length: 7", b"content-length:7", b"Content-Length: 9", b"Transfer-Encoding: chunked", b"X: y"]
)
MORE = st.lists(
    st.sampled_from(
        [
            *(b"Connection: close", b"x-amz-request-id: R1", b"x-amz-checksum-crc32: AAAAAA==", b"X: a\r\n folded"),
            *(b"X: a", b"X: b", b"no colon", b"Etag: \xff", b"Content-Encoding: gzip"),
        ]
    ),
    max_size=3,
)
CONTENT = st.sampled_from(
    [b"7 bytes", b"7\r\n7 bytes\r\n0\r\n\r\n", b"7\r\n7 by", b"", b"7 bytes and more", b"<Error><Code>SlowDown</Code>"]
)


@given(first=FIRST, length=LENGTH, more=MORE, content=CONTENT, pieces=st.integers(1, 4))
@example(first=b"HTTP/1.1 200 OK", length=b"Content-Length: 7", more=[], content=b"7 bytes", pieces=1)
@example(first=b"HTTP/1.1 200 OK", length=b"Transfer-Encoding: chunked", more=[], content=b"7\r\n7 by", pieces=2)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_answer_over_an_open_connection_is_seen_as_boto3_sees_it(
    raw: Raw, first: bytes, length: bytes, more: list[bytes], content: bytes, pieces: int
) -> None:
    if first[9:12] >= b"300":
        more = [line for line in more if b"checksum" not in line]  # boto3 trips over it in an error, and reads none
    raw.says, raw.pieces = b"\r\n".join([first, length, *more, b"", content]), pieces
    if not content and length != b"X: y":
        raw.says += b"\r\n"
    theirs = by_boto3(boto3_warmed(raw, read_timeout=2.0), "b", "k")
    ours = signed(warmed(raw, read_timeout=2.0), "b", "k")
    assert told(ours) == told(theirs)
    assert raw.asked == 2


def test_a_connection_on_which_more_came_than_was_announced_is_not_used_again(raw: Raw) -> None:
    raw.says = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"
    aws = warmed(raw)
    assert [signed(aws, "b", "k").detail for _ in range(2)] == ["2 bytes"] * 2


def test_a_head_that_never_ends_is_cut_off(raw: Raw) -> None:
    raw.says = b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 10_000_000
    assert told(signed(warmed(raw), "b", "k")) == told(by_boto3(boto3_warmed(raw), "b", "k"))


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n7 by"])
def test_silence_in_the_middle_is_waited_for_no_longer_than_it_was_said(raw: Raw, says: bytes) -> None:
    raw.says, raw.hangs = says, True
    theirs = by_boto3(boto3_warmed(raw, read_timeout=0.2), "b", "k")
    assert told(signed(warmed(raw, read_timeout=0.2), "b", "k")) == told(theirs)


def test_a_connection_goes_back_and_is_used_again(rude: Rude) -> None:
    rude.body = b"x" * 50_000
    aws = session_at(rude.url)
    for status in (200, 200, 403, 200, 500):
        rude.status = status
        signed(aws, "b", "k")
    assert len({each["port"] for each in rude.got}) == 1


def test_over_an_open_connection_botocore_sends_nothing(rude: Rude, monkeypatch: pytest.MonkeyPatch) -> None:
    aws = session_at(rude.url)
    for _ in range(2):
        signed(aws, "b", "k")
    monkeypatch.delattr(signed_module._Drawing, "request")
    assert signed(aws, "b", "k").code == ""
