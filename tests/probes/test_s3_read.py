"""s3.read: what a reader of the object finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aws_rig import Rude, session_at

from gameday.aws.session import Session
from gameday.lab import LabControl
from gameday.sdk import Cause, Outcome
from gameday.stages.s3_object import S3Object
from probes.s3_read import S3Read

READ = S3Read(bucket="gameday-clock", key="clock.png")


def test_it_reads(aws: Session, clock: S3Object) -> None:
    seen = READ.observe(aws)
    assert (seen.cause, seen.code, seen.outcome) == (Cause.OK, "", Outcome.OK)
    assert seen.detail.endswith(" bytes")
    assert seen.request_id
    assert seen.latency > 0


def test_the_key_is_disabled_and_comes_back(
    aws: Session, clock: S3Object, key: str, client: Callable[[str], Any]
) -> None:
    client("kms").disable_key(KeyId=key)
    seen = READ.observe(aws)
    assert (seen.cause, seen.code, seen.detail) == (Cause.KEY_DISABLED, "KMS.DisabledException", f"{key} is disabled.")
    assert seen.request_id
    client("kms").enable_key(KeyId=key)
    assert READ.observe(aws).cause is Cause.OK


def test_the_key_is_pending_deletion(aws: Session, clock: S3Object, key: str, client: Callable[[str], Any]) -> None:
    client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    seen = READ.observe(aws)
    assert (seen.cause, seen.code) == (Cause.KEY_PENDING_DELETION, "KMS.KMSInvalidStateException")


def test_there_is_no_such_object(aws: Session, clock: S3Object) -> None:
    seen = S3Read(bucket="gameday-clock", key="nothing").observe(aws)
    assert (seen.cause, seen.code) == (Cause.NOT_FOUND, "NoSuchKey")


@pytest.mark.parametrize(
    ("kind", "cause"),
    [("throttle", Cause.THROTTLED), ("server_error", Cause.SERVER_ERROR), ("hang", Cause.UNREACHABLE)],
)
def test_trouble_is_seen_at_once_and_not_retried(lab: LabControl, clock: S3Object, kind: str, cause: Cause) -> None:
    lab.trouble(kind, service="s3", operation="GetObject", seconds=1)
    before = len(lab.calls("s3", "GetObject"))
    assert READ.observe(session_at(lab.url, read_timeout=0.3)).cause is cause
    assert len(lab.calls("s3", "GetObject")) <= before + 1


def test_an_answer_that_breaks_off_is_no_answer(rude: Rude) -> None:
    rude.behaviour, rude.body = "half", b"x" * 100_000
    seen = READ.observe(session_at(rude.url))
    assert seen.cause is Cause.UNREACHABLE
    assert seen.detail


def test_a_large_object_is_read_no_further_than_asked(rude: Rude) -> None:
    rude.body = b"x" * 1_000_000
    seen = S3Read(bucket="b", key="k", max_bytes=1000).observe(session_at(rude.url))
    assert (seen.cause, seen.detail) == (Cause.OK, "1000 bytes")


def test_nobody_there(nobody: str) -> None:
    seen = READ.observe(session_at(nobody))
    assert (seen.cause, seen.outcome) == (Cause.UNREACHABLE, Outcome.UNKNOWN)


def test_archived_objects_are_left_out_of_a_sample(aws: Session, client: Callable[[str], Any]) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="gameday-archive")
    for year, kind in ((2020, "GLACIER"), (2021, "DEEP_ARCHIVE"), (2022, "GLACIER_IR"), (2023, "STANDARD")):
        s3.put_object(Bucket="gameday-archive", Key=f"log/{year}", Body=b"x", StorageClass=kind)
    seen = S3Read(bucket="gameday-archive", prefix="log/").observe(aws)
    assert (seen.cause, seen.detail) == (Cause.OK, "read 2 of 2 under log/")
    archived = S3Read(bucket="gameday-archive", prefix="log/2020").observe(aws)
    assert archived.cause is Cause.NOT_FOUND
    assert archived.detail == "there is no object under log/2020 that can be read; 1 are archived"


@pytest.mark.parametrize("access", ["authenticated", "presigned"])
@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (403, b"<Error><Code>InvalidObjectState</Code><Message>archived</Message></Error>", "InvalidObjectState"),
        (403, b"<html>blocked by the proxy</html>", "403"),
        (400, b"<Error><Code>Unheard</Code></Error>", "Unheard"),
    ],
)
def test_a_refusal_that_is_no_denial_is_other(rude: Rude, access: str, status: int, body: bytes, code: str) -> None:
    rude.status, rude.body = status, body
    seen = S3Read.model_validate({"bucket": "b", "key": "k", "access": access}).observe(session_at(rude.url))
    assert (seen.cause, seen.code) == (Cause.OTHER, code)
