"""cloudtrail.event: the record that proves it, whatever shape it comes in."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aws_rig import Rude, session_at

from gameday.aws.session import Session
from gameday.lab import LabControl
from gameday.sdk import Cause, Outcome, TrailRecord
from gameday.stages.s3_object import S3Object
from probes.cloudtrail_event import CloudTrailEvent
from probes.ec2_boot import Ec2Boot
from probes.s3_read import S3Read

KEY = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
INSTANCE = "arn:aws:ec2:us-west-2:111122223333:instance/i-81e2f56c"
NOW = datetime.now(UTC).replace(microsecond=0)

# After the records in AWS's KMS developer guide (ct-ec2two, ct-decrypt), and the denied CreateGrant's known shape.
GRANTED: dict[str, Any] = {
    "userIdentity": {
        "type": "IAMUser",
        "arn": "arn:aws:iam::111122223333:user/Alice",
        "invokedBy": "ec2.amazonaws.com",
    },
    "eventTime": "2014-11-05T21:35:35Z",
    "eventSource": "kms.amazonaws.com",
    "eventName": "CreateGrant",
    "awsRegion": "us-west-2",
    "requestParameters": {
        "constraints": {"encryptionContextSubset": {"aws:ebs:id": "vol-f67bafb2"}},
        "granteePrincipal": "111122223333:aws:ec2-infrastructure:i-81e2f56c",
        "keyId": KEY,
    },
    "requestID": "41c4b4f7",
    "resources": [{"ARN": KEY, "accountId": "111122223333"}],
}
DECRYPTED: dict[str, Any] = {
    "userIdentity": {
        "type": "AssumedRole",
        "principalId": "111122223333:aws:ec2-infrastructure:i-81e2f56c",
        "arn": "arn:aws:sts::111122223333:assumed-role/aws:ec2-infrastructure/i-81e2f56c",
        "inScopeOf": {"issuerType": "AWS::EC2::Instance", "credentialsIssuedTo": INSTANCE},
    },
    "eventTime": "2014-11-05T21:35:47Z",
    "eventName": "Decrypt",
    "requestParameters": {"encryptionContext": {"aws:ebs:id": "vol-f67bafb2"}},
    "requestID": "b4b27883",
    "resources": [{"ARN": KEY}],
}
DENIED: dict[str, Any] = {
    "userIdentity": {
        "type": "AssumedRole",
        "arn": "arn:aws:sts::111122223333:assumed-role/me/x",
        "invokedBy": "AWS Internal",
    },
    "eventTime": NOW.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "eventName": "CreateGrant",
    "errorCode": "DisabledException",
    "errorMessage": f"{KEY} is disabled.",
    "requestParameters": None,
    "responseElements": None,
    "requestID": "5eed",
}
STARTED: dict[str, Any] = {
    "userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/me/x"},
    "eventTime": NOW.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "eventSource": "ec2.amazonaws.com",
    "eventName": "StartInstances",
    "requestParameters": {"instancesSet": {"items": [{"instanceId": "i-81e2f56c"}]}},
    "requestID": "5eed",
}


@pytest.mark.parametrize(
    ("raw", "about"),
    [
        (GRANTED, (KEY, "1234abcd-12ab-34cd-56ef-1234567890ab", INSTANCE, "i-81e2f56c", "vol-f67bafb2")),
        (DECRYPTED, (KEY, INSTANCE, "vol-f67bafb2")),
        (DENIED, (KEY,)),
        (STARTED, (INSTANCE, "i-81e2f56c")),
    ],
)
def test_a_record_mentions_what_it_is_about(raw: dict[str, Any], about: tuple[str, ...]) -> None:
    record = TrailRecord.read(raw)
    assert all(record.mentions(each) for each in about)
    assert not record.mentions("i-81e2f56")
    assert not record.mentions("i-00000000")
    assert not record.mentions("")


def test_an_object_is_not_known_by_its_last_name() -> None:
    record = TrailRecord.read(
        {"requestParameters": {"encryptionContext": {"aws:s3:arn": "arn:aws:s3:::one/clock.png"}}}
    )
    assert record.mentions("arn:aws:s3:::one/clock.png")
    assert record.mentions("arn:aws:s3:::one")
    assert not record.mentions("arn:aws:s3:::two/clock.png")


def test_what_a_record_says() -> None:
    grant, decrypt, denied = (TrailRecord.read(raw) for raw in (GRANTED, DECRYPTED, DENIED))
    assert grant.keys == decrypt.keys == denied.keys == (KEY,)
    assert (grant.instance, decrypt.instance, denied.instance) == ("i-81e2f56c", "i-81e2f56c", "")
    assert grant.context == decrypt.context == {"aws:ebs:id": "vol-f67bafb2"}
    assert (grant.principal, grant.invoked_by) == ("arn:aws:iam::111122223333:user/Alice", "ec2.amazonaws.com")
    assert (denied.error_code, denied.error_message) == ("DisabledException", f"{KEY} is disabled.")
    assert grant.time == datetime(2014, 11, 5, 21, 35, 35, tzinfo=UTC)
    assert grant.raw is GRANTED


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"userIdentity": None, "requestParameters": None, "resources": None, "eventTime": None},
        {
            "userIdentity": "?",
            "requestParameters": [1, None, {"a": [True]}],
            "resources": "x",
            "eventTime": "yesterday",
        },
        {"requestParameters": {"encryptionContext": "truncated", "constraints": 3}, "errorCode": 7},
    ],
)
def test_a_record_that_lacks_everything_is_read_all_the_same(raw: dict[str, Any]) -> None:
    record = TrailRecord.read(raw)
    assert (record.name, record.error_code, record.keys, record.instance) == ("", "", (), "")
    assert not record.mentions(KEY)


@pytest.mark.parametrize("text", ["[]", "3", "nonsense"])
def test_what_is_no_record(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        TrailRecord.parse(text)


GUN = CloudTrailEvent(name="CreateGrant", error="DisabledException")


def test_the_smoking_gun(aws: Session, instance: str, key: str, client: Callable[[str], Any], lab: LabControl) -> None:
    gun = GUN.model_copy(update={"about": instance})
    assert gun.observe(aws).cause is Cause.NOT_FOUND
    client("kms").disable_key(KeyId=key)
    Ec2Boot(instance=instance).observe(aws)
    seen = gun.observe(aws)
    assert (seen.cause, seen.outcome) == (Cause.FOUND, Outcome.OK)
    assert "via ec2.amazonaws.com" in seen.detail
    assert f"{key} is disabled." in seen.detail
    [record] = seen.records
    assert (record["errorCode"], record["requestID"]) == ("DisabledException", seen.request_id)
    assert GUN.model_copy(update={"about": key}).observe(aws).cause is Cause.FOUND
    assert GUN.observe(aws).cause is Cause.FOUND
    other = "arn:aws:ec2:us-east-1:123456789012:instance/i-0123456789abcdef0"
    assert GUN.model_copy(update={"about": other}).observe(aws).cause is Cause.NOT_FOUND
    assert GUN.model_copy(update={"source": "ec2.amazonaws.com"}).observe(aws).cause is Cause.NOT_FOUND
    assert GUN.model_copy(update={"error": "AccessDenied"}).observe(aws).cause is Cause.NOT_FOUND


def test_a_read_is_on_record_with_its_object(aws: Session, clock: S3Object, key: str) -> None:
    S3Read(bucket="gameday-clock", key="clock.png").observe(aws)
    for about in (key, "arn:aws:s3:::gameday-clock/clock.png", ""):
        assert CloudTrailEvent(name="Decrypt", about=about).observe(aws).cause is Cause.FOUND


def test_it_is_not_there_before_it_is_delivered(aws: Session, clock: S3Object, lab: LabControl) -> None:
    lab.knobs(cloudtrail_delay=300)
    S3Read(bucket="gameday-clock", key="clock.png").observe(aws)
    probe = CloudTrailEvent(name="Decrypt")
    assert probe.observe(aws).detail == "none of the 0 Decrypt records since the run began"
    lab.advance(301)
    assert probe.observe(aws).cause is Cause.FOUND


def test_what_happened_before_the_run_is_no_evidence(aws: Session, clock: S3Object) -> None:
    S3Read(bucket="gameday-clock", key="clock.png").observe(aws)
    later = aws.but(started=datetime.now(UTC) + timedelta(seconds=5))
    assert CloudTrailEvent(name="Decrypt").observe(later).cause is Cause.NOT_FOUND


def test_an_old_record_is_no_evidence_although_it_is_delivered(rude: Rude) -> None:
    old = dict(DENIED, eventTime="2014-11-05T21:35:35Z")
    rude.body = json.dumps({"Events": [{"CloudTrailEvent": json.dumps(old)}]}).encode()
    assert GUN.observe(session_at(rude.url, started=NOW)).cause is Cause.NOT_FOUND


def test_throttling_says_nothing(aws: Session, lab: LabControl) -> None:
    lab.trouble("throttle", service="cloudtrail")
    seen = GUN.observe(aws)
    assert (seen.cause, seen.outcome) == (Cause.THROTTLED, Outcome.UNKNOWN)
    assert len(lab.calls("cloudtrail", "LookupEvents")) <= 1


def test_it_asks_for_three_pages_at_most(rude: Rude) -> None:
    rude.body = json.dumps({"Events": [{"CloudTrailEvent": json.dumps(DENIED)}], "NextToken": "more"}).encode()
    seen = GUN.model_copy(update={"about": "i-00000000"}).observe(session_at(rude.url, started=NOW))
    assert seen.cause is Cause.NOT_FOUND
    assert len(rude.got) == 3


def test_the_instance_is_joined_by_the_request_id(rude: Rude) -> None:
    events = [{"CloudTrailEvent": json.dumps(each)} for each in (STARTED, DENIED)]
    rude.body = json.dumps({"Events": events}).encode()
    aws = session_at(rude.url, started=NOW)
    seen = GUN.model_copy(update={"about": INSTANCE}).observe(aws)
    assert (seen.cause, seen.request_id) == (Cause.FOUND, "5eed")
    assert seen.detail.startswith(
        "1 record; first by arn:aws:sts::111122223333:assumed-role/me/x via AWS Internal at 20"
    )


def test_at_most_five_records_are_shown_and_the_first_came_first(rude: Rude) -> None:
    newest_first = [dict(DENIED, requestID=f"r{number}") for number in range(9, 0, -1)]
    rude.body = json.dumps({"Events": [{"CloudTrailEvent": json.dumps(each)} for each in newest_first]}).encode()
    seen = GUN.observe(session_at(rude.url, started=NOW))
    assert [record["requestID"] for record in seen.records] == ["r1", "r2", "r3", "r4", "r5"]
    assert seen.detail.startswith("9 records; ")


@pytest.mark.parametrize(
    ("about", "parameters", "mentioned"),
    [
        ("alias/app", {"keyId": "alias/app/v2"}, False),
        ("alias/app", {"keyId": "arn:aws:kms:eu-central-1:111122223333:alias/app"}, True),
        ("arn:aws:kms:eu-central-1:111122223333:alias/app/v2", {"keyId": "v2"}, False),
        ("data", {"bucketName": "data.backup"}, False),
        ("data", {"policy": '{"Resource": "arn:aws:s3:::data/*"}'}, False),
        ("data", {"key": "some/data/here"}, False),
        ("data", {"encryptionContext": {"aws:s3:arn": "arn:aws:s3:::data/key"}}, True),
        ("arn:aws:s3:::data", {"encryptionContext": {"aws:s3:arn": "arn:aws:s3:::data.backup/key"}}, False),
        ("i-0123456789abcdef0", {"items": [{"instanceId": "i-0123456789abcdef01"}]}, False),
    ],
)
def test_a_record_mentions_whole_names_only(about: str, parameters: dict[str, object], mentioned: bool) -> None:
    raw: dict[str, Any] = {"eventName": "X", "requestParameters": parameters}
    assert TrailRecord.read(raw).mentions(about) is mentioned


def test_another_runs_call_is_not_this_ones() -> None:
    record = TrailRecord.read({"userAgent": "[Boto3/1.42 gameday/7f3ab]"})
    assert (record.made_by("7f3ab"), record.made_by("7f3a")) == (True, False)
