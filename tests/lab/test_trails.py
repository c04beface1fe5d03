"""Trails and their log files."""

from __future__ import annotations

import gzip
import json
import re

import pytest


@pytest.fixture
def bucket(client):
    client("s3").create_bucket(Bucket="trail-bucket")
    return "trail-bucket"


def begin(client, bucket, **selectors):
    trail = client("cloudtrail")
    trail.create_trail(Name="audit", S3BucketName=bucket)
    if selectors:
        trail.put_event_selectors(
            TrailName="audit",
            EventSelectors=[{"ReadWriteType": "All", "IncludeManagementEvents": True, **selectors}],
        )
    trail.start_logging(Name="audit")
    return trail


def files(client, bucket):
    found = client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    return [one["Key"] for one in found]


def records(client, bucket):
    found = []
    for name in files(client, bucket):
        body = client("s3").get_object(Bucket=bucket, Key=name)["Body"].read()
        found += json.loads(gzip.decompress(body))["Records"]
    return found


def test_a_trail_writes_files(lab, client, bucket, key):
    begin(client, bucket)
    client("kms").disable_key(KeyId=key)
    assert files(client, bucket) == []
    lab.advance(5)
    (name,) = files(client, bucket)
    day = r"\d{4}/\d\d/\d\d"
    assert re.fullmatch(
        rf"AWSLogs/123456789012/CloudTrail/us-east-1/{day}/"
        r"123456789012_CloudTrail_us-east-1_\d{8}T\d{4}Z_[A-Za-z0-9]{16}\.json\.gz",
        name,
    )
    assert "DisableKey" in [r["eventName"] for r in records(client, bucket)]
    client("kms").enable_key(KeyId=key)
    lab.advance(5)
    names = [r["eventName"] for r in records(client, bucket)]
    assert (names.count("DisableKey"), names.count("EnableKey")) == (1, 1)


def test_files_wait_for_the_delay_and_end_with_logging(lab, client, bucket, key):
    lab.knobs(cloudtrail_delay=300)
    trail = begin(client, bucket)
    client("kms").disable_key(KeyId=key)
    lab.advance(100)
    assert files(client, bucket) == []
    lab.advance(205)
    assert "DisableKey" in [r["eventName"] for r in records(client, bucket)]
    trail.stop_logging(Name="audit")
    client("kms").enable_key(KeyId=key)
    lab.advance(1000)
    assert "EnableKey" not in [r["eventName"] for r in records(client, bucket)]


def test_a_trail_can_be_blind_to_kms(lab, client, bucket, key):
    begin(client, bucket, ExcludeManagementEventSources=["kms.amazonaws.com"])
    client("kms").disable_key(KeyId=key)
    client("ec2").create_volume(Size=1, AvailabilityZone="us-east-1a")
    lab.advance(5)
    sources = {r["eventSource"] for r in records(client, bucket)}
    assert "ec2.amazonaws.com" in sources
    assert "kms.amazonaws.com" not in sources
    look = client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "DisableKey"}]
    )
    assert look["Events"]


def test_data_events_when_selected(lab, client, bucket):
    begin(client, bucket, DataResources=[{"Type": "AWS::S3::Object", "Values": ["arn:aws:s3:::data/"]}])
    s3 = client("s3")
    s3.create_bucket(Bucket="data")
    s3.put_object(Bucket="data", Key="a", Body=b"")
    s3.get_object(Bucket="data", Key="a")
    lab.advance(5)
    data = [r["eventName"] for r in records(client, bucket) if r["eventCategory"] == "Data"]
    assert data == ["PutObject", "GetObject"]


def test_no_interval_writes_when_someone_reads(lab, client, bucket, key):
    lab.knobs(cloudtrail_file_interval=0)
    begin(client, bucket)
    client("kms").disable_key(KeyId=key)
    assert len(files(client, bucket)) == 1
