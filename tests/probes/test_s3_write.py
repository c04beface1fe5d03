"""s3.write: it writes, says how that went, and leaves nothing behind for long."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from aws_rig import Rude, session_at

from gameday.aws.session import Session
from gameday.errors import Interrupted
from gameday.lab import LabControl
from gameday.sdk import Cause
from gameday.stages.s3_object import S3Object
from probes.s3_write import S3Write

BUCKET = "gameday-clock"


def written(key: str) -> S3Write:
    return S3Write(bucket=BUCKET, sse_kms_key=key)


def contents(client: Callable[[str], Any]) -> list[str]:
    return [each["Key"] for each in client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def test_it_writes_and_leaves_nothing(aws: Session, clock: S3Object, key: str, client: Callable[[str], Any]) -> None:
    seen = written(key).observe(aws)
    assert (seen.cause, seen.detail) == (Cause.OK, "60 bytes to gameday-probe/s3.write")
    assert seen.request_id
    assert contents(client) == ["clock.png"]


def test_kms_was_asked_for_a_data_key(aws: Session, clock: S3Object, key: str, client: Callable[[str], Any]) -> None:
    written(key).observe(aws)
    records = client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "GenerateDataKey"}]
    )["Events"]
    contexts = [json.loads(each["CloudTrailEvent"])["requestParameters"]["encryptionContext"] for each in records]
    assert {"aws:s3:arn": f"arn:aws:s3:::{BUCKET}/gameday-probe/s3.write"} in contexts


def test_the_key_is_disabled(aws: Session, clock: S3Object, key: str, client: Callable[[str], Any]) -> None:
    client("kms").disable_key(KeyId=key)
    seen = written(key).observe(aws)
    assert (seen.cause, seen.code, seen.detail) == (Cause.KEY_DISABLED, "KMS.DisabledException", f"{key} is disabled.")
    assert S3Write(bucket=BUCKET).observe(aws).cause is Cause.OK, "the bucket's own default asks for no key"
    assert contents(client) == ["clock.png"]


def test_what_a_lost_delete_left_is_cleaned_by_the_next_look(
    lab: LabControl, aws: Session, clock: S3Object, key: str, client: Callable[[str], Any]
) -> None:
    lab.trouble("server_error", service="s3", operation="DeleteObject")
    seen = written(key).observe(aws)
    assert seen.cause is Cause.OK
    assert "the delete was refused or lost" in seen.detail
    assert contents(client) == ["clock.png", "gameday-probe/s3.write"]
    lab.clear_trouble()
    client("kms").disable_key(KeyId=key)
    assert written(key).observe(aws).cause is Cause.KEY_DISABLED
    assert contents(client) == ["clock.png"], "even by one whose write is refused"


def test_no_versions_pile_up(aws: Session, clock: S3Object, key: str, client: Callable[[str], Any]) -> None:
    s3 = client("s3")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=BUCKET, Key="gameday-probe/s3.write", Body=b"left by another run")
    s3.put_object(Bucket=BUCKET, Key="gameday-probe/s3.write.mine", Body=b"somebody's")
    assert written(key).observe(aws).cause is Cause.OK
    left = s3.list_object_versions(Bucket=BUCKET, Prefix="gameday-probe/")
    assert [each["Key"] for each in left.get("Versions", [])] == ["gameday-probe/s3.write.mine"]
    assert not left.get("DeleteMarkers")


def test_it_does_not_begin_behind_a_closed_fence(rude: Rude) -> None:
    with pytest.raises(Interrupted):
        S3Write(bucket=BUCKET).observe(session_at(rude.url, fence=lambda: False))
    assert rude.got == []


def test_a_fence_that_closes_meanwhile_leaves_nothing_behind(rude: Rude) -> None:
    open_ = threading.Event()
    open_.set()

    def fence() -> bool:
        was = open_.is_set()
        open_.clear()
        return was

    S3Write(bucket=BUCKET).observe(session_at(rude.url, fence=fence))
    assert [got["method"] for got in rude.got] == ["PUT", "DELETE"]


def test_silence_is_not_retried(rude: Rude) -> None:
    rude.behaviour = "drop"
    assert S3Write(bucket=BUCKET).observe(session_at(rude.url)).cause is Cause.UNREACHABLE
    assert [got["method"] for got in rude.got] == ["PUT", "DELETE"]
