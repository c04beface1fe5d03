"""CloudTrail: what is recorded, in which shape, and when it can be looked up."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from .conftest import refused
from .test_ec2 import launch


def look(client, **attribute):
    found = [{"AttributeKey": k, "AttributeValue": v} for k, v in attribute.items()]
    pages = client("cloudtrail").get_paginator("lookup_events").paginate(LookupAttributes=found)
    return [json.loads(event["CloudTrailEvent"]) for page in pages for event in page["Events"]]


@pytest.fixture
def clock(client, key):
    s3 = client("s3")
    s3.create_bucket(Bucket="gameday-clock")
    s3.put_object(
        Bucket="gameday-clock", Key="clock.png", Body=b"tick", ServerSideEncryption="aws:kms", SSEKMSKeyId=key
    )
    return s3


def test_s3_asks_kms_in_the_callers_name(client, clock, key):
    clock.get_object(Bucket="gameday-clock", Key="clock.png")
    (made,) = look(client, EventName="GenerateDataKey")
    assert made["requestParameters"]["keyId"] == key
    (read,) = look(client, EventName="Decrypt")
    assert read["requestParameters"]["encryptionContext"] == {"aws:s3:arn": "arn:aws:s3:::gameday-clock/clock.png"}
    assert "keyId" not in read["requestParameters"]
    assert [r["ARN"] for r in read["resources"]] == [key]
    assert (read["userIdentity"]["type"], read["userIdentity"]["invokedBy"]) == ("Root", "AWS Internal")
    assert look(client, EventName="GetObject") == []
    assert look(client, EventName="PutObject") == []
    assert look(client, EventName="CreateBucket")[0]["requestParameters"]["bucketName"] == "gameday-clock"


def test_a_refused_read_is_recorded_without_parameters(client, clock, key):
    client("kms").disable_key(KeyId=key)
    refused(clock.get_object, Bucket="gameday-clock", Key="clock.png")
    (read,) = look(client, EventName="Decrypt")
    assert (read["errorCode"], read["errorMessage"]) == ("DisabledException", f"{key} is disabled.")
    assert read["requestParameters"] is None
    assert "resources" not in read


def test_records_carry_the_request_id_and_the_true_user_agent(client, key):
    kms = client("kms", user_agent_extra="gameday/7f3a")
    answer = kms.disable_key(KeyId=key)
    (found,) = look(client, EventName="DisableKey")
    assert found["requestID"] == answer["ResponseMetadata"]["RequestId"]
    assert "gameday/7f3a" in found["userAgent"]
    assert found["requestParameters"] == {"keyId": key}
    assert found["resources"] == [{"accountId": "123456789012", "type": "AWS::KMS::Key", "ARN": key}]
    assert (found["readOnly"], found["eventType"], found["managementEvent"]) == (False, "AwsApiCall", True)
    assert found["userIdentity"]["arn"] == "arn:aws:iam::123456789012:root"


def test_a_boot_records_what_ec2_asks_of_kms(client, key):
    ec2 = client("ec2")
    instance = launch(ec2, key)
    volume = ec2.describe_instances()["Reservations"][0]["Instances"][0]["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    (run,) = look(client, EventName="RunInstances")
    (grant,) = look(client, EventName="CreateGrant")
    assert grant["requestID"] == run["requestID"]
    assert grant["userIdentity"]["invokedBy"] == "ec2.amazonaws.com"
    assert grant["requestParameters"]["constraints"] == {"encryptionContextSubset": {"aws:ebs:id": volume}}
    assert grant["requestParameters"]["granteePrincipal"].endswith(f"aws:ec2-infrastructure/{instance}")
    (data,) = look(client, EventName="GenerateDataKeyWithoutPlaintext")
    assert data["requestParameters"]["encryptionContext"] == {"aws:ebs:id": volume}
    (read,) = look(client, EventName="Decrypt")
    assert read["requestID"] != run["requestID"]
    assert read["userIdentity"]["principalId"].endswith(f":aws:ec2-infrastructure:{instance}")
    assert read["userIdentity"]["inScopeOf"]["credentialsIssuedTo"].endswith(f"instance/{instance}")
    items = run["responseElements"]["instancesSet"]["items"]
    assert items[0]["instanceId"] == instance
    ec2.stop_instances(InstanceIds=[instance])
    ec2.describe_instances()
    (retired,) = look(client, EventName="RetireGrant")
    assert retired["additionalEventData"]["grantId"] == grant["responseElements"]["grantId"]


def test_the_smoking_gun(client, key):
    ec2 = client("ec2")
    instance = launch(ec2, key)
    ec2.stop_instances(InstanceIds=[instance])
    client("kms").disable_key(KeyId=key)
    started = ec2.start_instances(InstanceIds=[instance])["ResponseMetadata"]["RequestId"]
    gun, _ = look(client, EventName="CreateGrant")
    assert (gun["errorCode"], gun["errorMessage"]) == ("DisabledException", f"{key} is disabled.")
    assert (gun["requestParameters"], gun["responseElements"]) == (None, None)
    assert "resources" not in gun
    assert gun["requestID"] == started
    (start,) = look(client, EventName="StartInstances")
    assert start["requestID"] == started
    assert start["requestParameters"]["instancesSet"]["items"] == [{"instanceId": instance}]


def test_events_are_delivered_late(lab, client, key):
    lab.knobs(cloudtrail_delay=300)
    client("kms").disable_key(KeyId=key)
    assert look(client, EventName="DisableKey") == []
    lab.advance(300)
    assert len(look(client, EventName="DisableKey")) == 1


def test_a_silent_trail(lab, client, key):
    lab.knobs(record_trail=False)
    client("kms").disable_key(KeyId=key)
    assert look(client, EventName="DisableKey") == []


def test_pages_newest_first(client, key):
    kms = client("kms")
    for _ in range(60):
        kms.describe_key(KeyId=key)
    trail = client("cloudtrail")
    first = trail.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "DescribeKey"}])
    assert len(first["Events"]) == 50
    rest = trail.lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "DescribeKey"}],
        NextToken=first["NextToken"],
    )
    assert len(rest["Events"]) == 10
    assert "NextToken" not in rest
    times = [e["EventTime"] for e in first["Events"] + rest["Events"]]
    assert times == sorted(times, reverse=True)


def test_lookup_by_other_attributes_and_time(client, key):
    client("kms").disable_key(KeyId=key)
    trail = client("cloudtrail")
    assert {e["eventName"] for e in look(client, ResourceName=key)} >= {"CreateKey", "DisableKey"}
    assert {e["eventSource"] for e in look(client, EventSource="kms.amazonaws.com")} == {"kms.amazonaws.com"}
    assert look(client, Username="nobody") == []
    assert look(client, ReadOnly="false")
    now = dt.datetime.now(dt.UTC)
    assert trail.lookup_events(StartTime=now - dt.timedelta(minutes=1), EndTime=now)["Events"]
    assert not trail.lookup_events(StartTime=now - dt.timedelta(hours=2), EndTime=now - dt.timedelta(hours=1))["Events"]
    two = [
        {"AttributeKey": "EventName", "AttributeValue": "x"},
        {"AttributeKey": "ReadOnly", "AttributeValue": "true"},
    ]
    assert refused(trail.lookup_events, LookupAttributes=two)[0] == "InvalidLookupAttributesException"


def test_the_third_look_at_once_is_throttled(lab, client, key):
    lab.knobs(lookup_interval=3600)
    ask = client("cloudtrail").lookup_events
    assert ask()["Events"]
    assert ask()["Events"]
    assert refused(ask) == ("ThrottlingException", "Rate exceeded", 400)
    lab.advance(3601)
    assert ask()["Events"]
