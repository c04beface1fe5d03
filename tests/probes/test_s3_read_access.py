"""s3.read as somebody, with a link, as anybody; warm and fresh; one object or a sample."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from aws_rig import ACCOUNT, REGION, Rude, session_at
from pydantic import ValidationError

from gameday.aws.made import Keys
from gameday.aws.session import Session
from gameday.lab import LabControl
from gameday.sdk import Cause
from gameday.stages.s3_object import S3Object
from probes.s3_read import S3Read

BUCKET, KEY = "gameday-clock", "clock.png"
SIGV4 = "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS Signature Version 4."

LOUD = (
    b"<Error><Code>SignatureDoesNotMatch</Code><Message>not http://x/?X-Amz-Signature=77 X-Amz-Signature=88</Message>"
    b"<CanonicalRequest>X-Amz-Signature=99</CanonicalRequest></Error>"
)


def read(**how: Any) -> S3Read:
    return S3Read(**{"bucket": BUCKET, "key": KEY, **how})


def open_doors(client: Callable[[str], Any], *keys: str) -> None:
    """Ownership controls, Block Public Access, ACL: the three doors, in this order."""
    s3 = client("s3")
    s3.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    s3.delete_public_access_block(Bucket=BUCKET)
    for key in keys:
        s3.put_object_acl(Bucket=BUCKET, Key=key, ACL="public-read")


def role(client: Callable[[str], Any], name: str, *actions: str) -> str:
    """A role that the account may assume, with these actions allowed on everything."""
    iam = client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]["Arn"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
    iam.put_role_policy(RoleName=name, PolicyName="may", PolicyDocument=json.dumps(policy))
    return str(arn)


# --- anybody


def test_anybody_is_refused_at_the_first_door(lab: LabControl, aws: Session, clock: S3Object) -> None:
    seen = read(access="anonymous").observe(aws)
    assert (seen.cause, seen.code) == (Cause.PUBLIC_ACCESS_BLOCKED, "AccessDenied")
    assert seen.request_id


def test_behind_the_open_door_the_key_holds(
    aws: Session, clock: S3Object, client: Callable[[str], Any], key: str
) -> None:
    client("s3").put_object(Bucket=BUCKET, Key="plain.txt", Body=b"open", ServerSideEncryption="AES256")
    assert read(access="anonymous", key="plain.txt").observe(aws).cause is Cause.PUBLIC_ACCESS_BLOCKED
    open_doors(client, KEY, "plain.txt")
    seen = read(access="anonymous").observe(aws)
    assert (seen.cause, seen.code, seen.detail) == (Cause.UNSIGNED_REQUEST, "InvalidArgument", SIGV4)
    control = read(access="anonymous", key="plain.txt").observe(aws)
    assert (control.cause, control.detail) == (Cause.OK, "4 bytes")
    for access in ("authenticated", "presigned"):
        assert read(access=access).observe(aws).cause is Cause.OK


def test_anybody_sends_no_signature(rude: Rude) -> None:
    read(access="anonymous").observe(session_at(rude.url))
    assert "authorization" not in rude.got[0]
    assert "?" not in rude.got[0]["path"]
    assert "gameday/7f3a" in rude.got[0]["user-agent"]


def test_to_anybody_an_object_may_be_missing(rude: Rude) -> None:
    rude.status, rude.body = 404, b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>"
    assert read(access="anonymous").observe(session_at(rude.url)).cause is Cause.NOT_FOUND


# --- a presigned link


def test_a_link_opens_it_until_the_key_is_off(
    aws: Session, clock: S3Object, client: Callable[[str], Any], key: str
) -> None:
    seen = read(access="presigned").observe(aws)
    assert (seen.cause, seen.code) == (Cause.OK, "")
    assert seen.detail.endswith(" bytes")
    assert seen.request_id
    assert seen.latency > 0
    client("kms").disable_key(KeyId=key)
    seen = read(access="presigned").observe(aws)
    assert (seen.cause, seen.code, seen.detail) == (Cause.KEY_DISABLED, "KMS.DisabledException", f"{key} is disabled.")
    assert seen.request_id


def test_a_link_of_one_who_may_not_decrypt(aws: Session, clock: S3Object, client: Callable[[str], Any]) -> None:
    reader = aws.as_role(role(client, "no-key", "s3:GetObject"))
    seen = read(access="presigned").observe(reader)
    assert (seen.cause, seen.code) == (Cause.KEY_POLICY_DENIED, "AccessDenied")
    assert read().observe(reader).cause is Cause.KEY_POLICY_DENIED
    other = aws.as_role(role(client, "with-key", "s3:GetObject", "kms:Decrypt"))
    assert read(access="presigned").observe(other).cause is Cause.OK


def test_who_may_not_list_does_not_learn_that_an_object_is_missing(
    aws: Session, clock: S3Object, client: Callable[[str], Any]
) -> None:
    """So ListBucket is printed for a prefix, and not for a key: least privilege, and its price."""
    assert read().needs == ("s3:GetObject", "kms:Decrypt")
    assert S3Read(bucket=BUCKET, prefix="c").needs == ("s3:GetObject", "s3:ListBucket", "kms:Decrypt")
    reader = aws.as_role(role(client, "reads", *read().needs))
    assert read().observe(reader).cause is Cause.OK
    assert read(key="nothing").observe(reader).cause is Cause.ACCESS_DENIED
    lister = aws.as_role(role(client, "lists", "s3:GetObject", "s3:ListBucket", "kms:Decrypt"))
    assert read(key="nothing").observe(lister).cause is Cause.NOT_FOUND


def test_a_link_to_nothing(aws: Session, clock: S3Object) -> None:
    seen = read(access="presigned", key="nothing here & there").observe(aws)
    assert (seen.cause, seen.code) == (Cause.NOT_FOUND, "NoSuchKey")


def test_a_link_is_got_without_credentials(rude: Rude) -> None:
    rude.body = b"x" * 5000
    seen = read(access="presigned", max_bytes=1000).observe(session_at(rude.url))
    assert (seen.cause, seen.detail) == (Cause.OK, "1000 bytes")
    [got] = rude.got
    assert "authorization" not in got
    assert "X-Amz-Expires=60" in got["path"]
    assert "gameday/7f3a" in got["user-agent"]


@pytest.mark.parametrize("behaviour", ["drop", "half"])
def test_a_link_without_a_whole_answer(rude: Rude, behaviour: str) -> None:
    rude.behaviour, rude.body = behaviour, b"x" * 100_000
    assert read(access="presigned").observe(session_at(rude.url)).cause is Cause.UNREACHABLE
    assert len(rude.got) == 1


def test_nobody_behind_the_link(nobody: str) -> None:
    assert read(access="presigned").observe(session_at(nobody)).cause is Cause.UNREACHABLE


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"ok"),
        (403, LOUD),
        (403, b"X-Amz-Signature=77 is no XML"),
        (500, b"<html>X-Amz-Signature=77</html>"),
        (307, b""),
    ],
)
def test_the_link_itself_is_told_to_no_one(
    rude: Rude, status: int, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    aws = session_at(rude.url, keys=Keys("AKIAHUSH", "hush"))
    rude.status, rude.body, rude.headers = status, body, {"location": f"{rude.url}/?X-Amz-Signature=55"}
    seen = read(access="presigned").observe(aws)
    assert (seen.cause is Cause.OK) == (status == 200)
    signature = rude.got[0]["path"].split("X-Amz-Signature=")[1]
    logged = "".join(record.getMessage() for record in caplog.records if not record.name.startswith("botocore"))
    for text in (seen.model_dump_json(), logged):
        assert "X-Amz-Signature" not in text
        assert signature not in text
    assert len(rude.got) == 1, "a redirect is not followed"


def test_links_are_made_for_the_regions_own_host() -> None:
    """Those for s3.amazonaws.com are redirected when the bucket is young, and the signature is for one host."""
    aws = Session(region="eu-west-1", run="1", keys=Keys("AKIA", "x"))
    url = aws.client("s3").generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": KEY})
    assert url.startswith(f"https://{BUCKET}.s3.eu-west-1.amazonaws.com/{KEY}?")


# --- warm and fresh


def test_a_role_that_is_warm_goes_on_reading_and_a_fresh_session_is_refused(
    lab: LabControl, aws: Session, clock: S3Object, client: Callable[[str], Any], key: str
) -> None:
    lab.knobs(bucket_key_ttl=300)
    client("s3").put_object(
        Bucket=BUCKET, Key="warm", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key, BucketKeyEnabled=True
    )
    reader = aws.as_role(role(client, "reader", "s3:GetObject", "kms:Decrypt"))
    warm, fresh = read(key="warm"), read(key="warm", session="fresh")
    assert warm.observe(reader).cause is Cause.OK
    client("kms").disable_key(KeyId=key)
    assert warm.observe(reader).cause is Cause.OK
    assert fresh.observe(reader).cause is Cause.KEY_DISABLED
    assert warm.observe(reader).cause is Cause.OK


def test_each_fresh_look_assumes_the_role_anew(
    lab: LabControl, aws: Session, clock: S3Object, client: Callable[[str], Any]
) -> None:
    reader = aws.as_role(role(client, "reader", "s3:GetObject", "kms:Decrypt"))

    def assumed() -> int:
        return len(lab.calls("sts", "AssumeRole"))

    for _ in range(2):
        assert read().observe(reader).cause is Cause.OK
    assert assumed() == 1
    for access in ("authenticated", "presigned"):
        assert read(session="fresh", access=access).observe(reader).cause is Cause.OK
    assert assumed() == 3


@pytest.mark.parametrize("access", ["authenticated", "anonymous"])
def test_fresh_is_a_new_connection(rude: Rude, access: str) -> None:
    aws = session_at(rude.url)
    for how in ("warm", "warm", "fresh", "fresh"):
        read(access=access, session=how).observe(aws.but(fence=lambda: True))
    ports = [got["port"] for got in rude.got]
    assert ports[0] == ports[1]
    assert len(set(ports)) == 3


# --- a sample


def put(client: Callable[[str], Any], key: str, *names: str) -> None:
    for name in names:
        client("s3").put_object(Bucket=BUCKET, Key=name, Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)


def test_a_sample_is_the_same_at_every_look_and_says_what_it_is(
    lab: LabControl, aws: Session, clock: S3Object, client: Callable[[str], Any], key: str
) -> None:
    put(client, key, "photos/", *(f"photos/{number:02}" for number in range(40)))
    probe = S3Read(bucket=BUCKET, prefix="photos/")
    for _ in range(2):
        seen = probe.observe(aws)
        assert (seen.cause, seen.detail) == (Cause.OK, "read 3 of 40 under photos/")
    records = client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "Decrypt"}]
    )["Events"]
    contexts = [json.loads(each["CloudTrailEvent"])["requestParameters"]["encryptionContext"] for each in records]
    assert {each["aws:s3:arn"].rsplit("/", 1)[1] for each in contexts} == {"00", "13", "26"}
    few = S3Read(bucket=BUCKET, prefix="photos/0", sample=100).observe(aws)
    assert few.detail == "read 10 of 10 under photos/0"


def test_the_first_of_a_sample_that_fails_is_what_was_seen(
    aws: Session, clock: S3Object, client: Callable[[str], Any], key: str
) -> None:
    other = client("kms").create_key()["KeyMetadata"]["Arn"]
    put(client, key, "photos/a")
    put(client, other, "photos/b")
    client("kms").disable_key(KeyId=other)
    seen = S3Read(bucket=BUCKET, prefix="photos/").observe(aws)
    assert (seen.cause, seen.code) == (Cause.KEY_DISABLED, "KMS.DisabledException")
    assert seen.detail == f"photos/b, number 2 of the 2 of 2 under photos/: {other} is disabled."


def test_a_sample_of_nothing(aws: Session, clock: S3Object) -> None:
    assert S3Read(bucket=BUCKET, prefix="photos/").observe(aws).cause is Cause.NOT_FOUND
    assert S3Read(bucket="no-such-bucket", prefix="photos/").observe(aws).code == "NoSuchBucket"


@pytest.mark.parametrize(
    "wrong", [{}, {"key": "a", "prefix": "b"}, {"key": "a", "sample": 3}, {"prefix": "a", "sample": 0}]
)
def test_what_it_does_not_take(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        S3Read(bucket=BUCKET, **wrong)


# --- another identity


def test_a_role_that_may_not_be_assumed_says_nothing_about_the_object(
    aws: Session, clock: S3Object, client: Callable[[str], Any], caplog: pytest.LogCaptureFixture
) -> None:
    for access in ("authenticated", "presigned"):
        seen = read(access=access).observe(aws.as_role("role/nobody"))
        assert seen.cause is Cause.CREDENTIALS
        assert f"arn:aws:iam::{ACCOUNT}:role/nobody" in seen.detail
    assert not caplog.records


def test_a_role_carries_the_run_in_its_sessions_name(
    aws: Session, clock: S3Object, client: Callable[[str], Any]
) -> None:
    arn = role(client, "app-reader", "s3:GetObject", "kms:Decrypt")
    reader = aws.as_role("role/app-reader")
    assert reader.client("sts").get_caller_identity()["Arn"] == (
        f"arn:aws:sts::{ACCOUNT}:assumed-role/app-reader/gameday-7f3a"
    )
    assert aws.client("sts").get_caller_identity()["Arn"].endswith(":root"), "the runner stays itself"
    assert aws.as_role(arn).client("s3") is reader.client("s3"), "one identity, one warm session"
    assert (reader.account, reader.region, reader.run) == (ACCOUNT, REGION, "7f3a")
