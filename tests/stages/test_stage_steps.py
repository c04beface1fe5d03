"""Stage steps: made when missing, never altered when there, removed only when ours."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from aws_rig import ACCOUNT, session_at
from pydantic import ValidationError

from gameday.aws.session import Session
from gameday.errors import Refused
from gameday.lab import LabControl
from gameday.sdk import STAGES
from gameday.stages.ebs_volume import EbsVolume
from gameday.stages.ec2_instance import Ec2Instance
from gameday.stages.iam_role import IamRole
from gameday.stages.kms_key import KmsKey
from gameday.stages.s3_object import S3Object, clock_png
from gameday.stages.sqs_queue import SqsQueue

Client = Callable[[str], Any]
KEY = KmsKey(alias="alias/MyKMSKey", administrators=("role/voclabs",), users=("role/voclabs", "user/alice"))
CLOCK = S3Object(bucket="gameday-clock", key="clock.png", sse_kms_key="alias/MyKMSKey")
LAB = Ec2Instance(name="LabInstance", root_volume_key="alias/MyKMSKey")


def tags(listed: list[dict[str, str]]) -> dict[str, str]:
    return {next(iter(each.values())): list(each.values())[1] for each in listed}


OURS = {"gameday:stage": "gameday", "gameday:run": "7f3a"}


def test_they_are_found_by_name() -> None:
    assert {name: STAGES[name] for name in STAGES} == {
        "kms.key": KmsKey,
        "s3.object": S3Object,
        "ec2.instance": Ec2Instance,
        "iam.role": IamRole,
        "ebs.volume": EbsVolume,
        "sqs.queue": SqsQueue,
    }


# --- kms.key


@pytest.fixture
def people(client: Client) -> None:
    """Whom the key's policy names: KMS refuses a policy that names nobody who is there."""
    client("iam").create_user(UserName="alice")


@pytest.mark.usefixtures("people")
def test_a_key_is_made_as_the_console_makes_it(aws: Session, client: Client) -> None:
    assert KEY.check(aws) == f"there is no alias/MyKMSKey in account {ACCOUNT} in us-east-1"
    KEY.make(aws)
    assert KEY.check(aws) == ""
    kms = client("kms")
    key = kms.describe_key(KeyId="alias/MyKMSKey")["KeyMetadata"]
    assert (key["KeyState"], key["KeyManager"], key["KeySpec"]) == ("Enabled", "CUSTOMER", "SYMMETRIC_DEFAULT")
    assert tags(kms.list_resource_tags(KeyId=key["KeyId"])["Tags"]) == OURS
    policy = json.loads(kms.get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"])
    root, administer, use, grant = policy["Statement"]
    assert root["Principal"]["AWS"] == [f"arn:aws:iam::{ACCOUNT}:root"]
    assert administer["Principal"]["AWS"] == [f"arn:aws:iam::{ACCOUNT}:role/voclabs"]
    assert use["Principal"]["AWS"] == [f"arn:aws:iam::{ACCOUNT}:role/voclabs", f"arn:aws:iam::{ACCOUNT}:user/alice"]
    assert grant["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


def test_a_key_that_is_there_is_not_altered(aws: Session, key: str, client: Client) -> None:
    with pytest.raises(Refused, match="alias/MyKMSKey is there; gameday never alters what exists already"):
        KEY.make(aws)
    client("kms").disable_key(KeyId=key)
    assert KEY.check(aws) == "alias/MyKMSKey is Disabled: enable it, or name another alias"
    with pytest.raises(Refused, match="is Disabled: enable it"):
        KEY.make(aws)
    assert len(client("kms").list_keys()["Keys"]) == 1


def test_an_asymmetric_key_is_not_fit(aws: Session, client: Client) -> None:
    made = client("kms").create_key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]
    client("kms").create_alias(AliasName="alias/MyKMSKey", TargetKeyId=made["KeyId"])
    assert KEY.check(aws) == "alias/MyKMSKey is not a symmetric key but RSA_2048: name another alias"


@pytest.mark.usefixtures("people")
def test_a_key_that_gets_no_alias_is_not_left_behind(aws: Session, client: Client, lab: LabControl) -> None:
    lab.trouble("refuse", service="kms", operation="CreateAlias", message="no")
    with pytest.raises(Refused, match="AccessDeniedException: no"):
        KEY.make(aws)
    [made] = client("kms").list_keys()["Keys"]
    assert client("kms").describe_key(KeyId=made["KeyId"])["KeyMetadata"]["KeyState"] == "PendingDeletion"


@pytest.mark.usefixtures("people")
def test_our_key_is_removed_and_another_is_not(aws: Session, client: Client) -> None:
    assert KEY.unmake(aws).startswith("there is no alias/MyKMSKey")
    KEY.make(aws)
    key = client("kms").describe_key(KeyId="alias/MyKMSKey")["KeyMetadata"]["KeyId"]
    assert "will be deleted in 7 days" in KEY.unmake(aws)
    assert client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    assert KEY.check(aws).startswith("there is no alias/MyKMSKey")
    theirs = client("kms").create_key()["KeyMetadata"]["KeyId"]
    client("kms").create_alias(AliasName="alias/MyKMSKey", TargetKeyId=theirs)
    assert "was not made by gameday stage" in KEY.unmake(aws)
    assert KEY.check(aws) == ""


@pytest.mark.parametrize("alias", ["MyKMSKey", "alias/", "alias/aws/s3", "alias/a b"])
def test_what_cannot_be_an_alias(alias: str) -> None:
    with pytest.raises(ValidationError, match="cannot be an alias"):
        KmsKey(alias=alias)


# --- s3.object


def test_an_object_is_made_with_its_bucket(aws: Session, key: str, client: Client) -> None:
    s3 = client("s3")
    assert CLOCK.check(aws) == "there is no bucket gameday-clock"
    CLOCK.make(aws)
    assert CLOCK.check(aws) == ""
    found = s3.get_object(Bucket="gameday-clock", Key="clock.png")
    assert (found["SSEKMSKeyId"], found["ContentType"]) == (key, "image/png")
    assert found["Body"].read() == clock_png()
    assert all(s3.get_public_access_block(Bucket="gameday-clock")["PublicAccessBlockConfiguration"].values())
    assert tags(s3.get_bucket_tagging(Bucket="gameday-clock")["TagSet"]) == OURS
    assert tags(s3.get_object_tagging(Bucket="gameday-clock", Key="clock.png")["TagSet"]) == OURS


def test_a_bucket_that_is_there_is_used_and_not_altered(aws: Session, key: str, client: Client) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="gameday-clock")
    s3.put_object(Bucket="gameday-clock", Key="theirs", Body=b"x")
    assert CLOCK.check(aws) == "there is no object clock.png in bucket gameday-clock"
    CLOCK.make(aws)
    assert CLOCK.check(aws) == ""
    said = CLOCK.unmake(aws)
    assert (
        said == "object clock.png is removed; bucket gameday-clock was not made by gameday stage, and is left as it is"
    )
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="gameday-clock")["Contents"]] == ["theirs"]


def test_an_object_under_another_key_is_not_altered(aws: Session, key: str, client: Client) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="gameday-clock")
    s3.put_object(Bucket="gameday-clock", Key="clock.png", Body=b"theirs")
    assert "is encrypted with a key of S3's own, not with alias/MyKMSKey" in CLOCK.check(aws)
    with pytest.raises(Refused, match="never alters what exists"):
        CLOCK.make(aws)
    assert "was not made by gameday stage" in CLOCK.unmake(aws)
    assert s3.get_object(Bucket="gameday-clock", Key="clock.png")["Body"].read() == b"theirs"


def test_our_bucket_is_removed_when_it_holds_nothing_else(aws: Session, key: str, client: Client) -> None:
    CLOCK.make(aws)
    client("s3").put_object(Bucket="gameday-clock", Key="theirs", Body=b"x")
    assert CLOCK.unmake(aws) == "object clock.png is removed; bucket gameday-clock holds more than that, and is kept"
    client("s3").delete_object(Bucket="gameday-clock", Key="theirs")
    assert CLOCK.unmake(aws) == "there is no object clock.png; bucket gameday-clock is removed"
    assert client("s3").list_buckets()["Buckets"] == []
    assert CLOCK.unmake(aws) == "there is no object clock.png; there is no bucket gameday-clock"


def test_a_bucket_with_others_tags_is_kept_although_it_is_empty(aws: Session, key: str, client: Client) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="gameday-clock")
    s3.put_bucket_tagging(Bucket="gameday-clock", Tagging={"TagSet": [{"Key": "team", "Value": "clocks"}]})
    CLOCK.make(aws)
    assert "bucket gameday-clock was not made by gameday stage" in CLOCK.unmake(aws)
    assert len(s3.list_buckets()["Buckets"]) == 1


def test_an_object_without_its_key_is_refused_in_one_sentence(aws: Session) -> None:
    with pytest.raises(
        Refused, match=r"alias/MyKMSKey could not be looked up: NotFoundException.*stage the key before"
    ):
        CLOCK.make(aws)


def test_the_picture_is_a_picture() -> None:
    picture = clock_png()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    place, kinds = 8, []
    while place < len(picture):
        [size] = struct.unpack(">I", picture[place : place + 4])
        kind, data = picture[place + 4 : place + 8], picture[place + 8 : place + 8 + size]
        assert struct.unpack(">I", picture[place + 8 + size : place + 12 + size]) == (zlib.crc32(kind + data),)
        kinds.append(kind)
        place += 12 + size
    assert kinds == [b"IHDR", b"IDAT", b"IEND"]


# --- ec2.instance


def test_an_instance_is_made_and_healthy(aws: Session, key: str, client: Client, lab: LabControl) -> None:
    lab.knobs(boot_seconds=0.2, status_check_seconds=0.2)
    assert LAB.check(aws) == f"there is no instance LabInstance in account {ACCOUNT} in us-east-1"
    LAB.make(aws)
    assert LAB.check(aws) == ""
    ec2 = client("ec2")
    [group] = ec2.describe_instances()["Reservations"]
    [made] = group["Instances"]
    assert made["State"]["Name"] == "running"
    assert tags(made["Tags"]) == {"Name": "LabInstance", **OURS}
    [volume] = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [made["InstanceId"]]}])[
        "Volumes"
    ]
    assert (volume["Encrypted"], volume["KmsKeyId"]) == (True, key)
    assert tags(volume["Tags"]) == {"Name": "LabInstance", **OURS}


def test_several_of_a_name_are_made_where_several_will_do(aws: Session, key: str, client: Client) -> None:
    fleet = LAB.model_copy(update={"count": 2})
    fleet.make(aws)
    assert fleet.check(aws) == ""
    assert LAB.check(aws) == "2 instances are named LabInstance: there must be one"
    plain = client("ec2").describe_images()["Images"][0]["ImageId"]
    named = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "LabInstance"}]}]
    client("ec2").run_instances(ImageId=plain, MinCount=1, MaxCount=1, TagSpecifications=named)
    assert "is not encrypted, where it must be with alias/MyKMSKey" in fleet.check(aws), "each must be fit"
    assert fleet.unmake(aws).count("i-") == 2, "the third is not ours"


def test_one_of_a_name_will_do_where_several_may_be(aws: Session, instance: str) -> None:
    assert LAB.model_copy(update={"count": 2}).check(aws) == ""


def test_an_instance_that_is_there_is_not_altered(aws: Session, key: str, client: Client) -> None:
    image = client("ec2").describe_images()["Images"][0]["ImageId"]
    named = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "LabInstance"}]}]
    client("ec2").run_instances(ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=named)
    assert (
        LAB.check(aws)
        == "the root volume of instance LabInstance is not encrypted, where it must be with alias/MyKMSKey"
    )
    with pytest.raises(Refused, match="never alters what exists"):
        LAB.make(aws)
    assert LAB.unmake(aws) == "instance LabInstance was not made by gameday stage, and is left as it is"
    client("ec2").run_instances(ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=named)
    assert LAB.check(aws) == "2 instances are named LabInstance: there must be one"


def test_an_instance_under_a_disabled_key_is_refused_with_ec2s_reason(aws: Session, key: str, client: Client) -> None:
    client("kms").disable_key(KeyId=key)
    with pytest.raises(Refused, match="instance LabInstance"):
        LAB.make(aws)


def test_an_instance_that_takes_too_long(aws: Session, key: str, lab: LabControl) -> None:
    lab.knobs(boot_seconds=600)
    slow = LAB.model_copy(update={"ready_within": timedelta(seconds=0.3)})
    with pytest.raises(Refused, match="is pending and not healthy after 300ms"):
        slow.make(aws)


def test_our_instance_is_terminated(aws: Session, key: str, client: Client) -> None:
    LAB.make(aws)
    assert "is being terminated" in LAB.unmake(aws)
    [group] = client("ec2").describe_instances()["Reservations"]
    assert group["Instances"][0]["State"]["Name"] in ("shutting-down", "terminated")
    assert LAB.unmake(aws).startswith("there is no instance LabInstance")


@pytest.mark.parametrize("step", [KEY, CLOCK, LAB])
def test_what_cannot_be_looked_up_is_refused_in_one_sentence(
    nobody: str, step: KmsKey | S3Object | Ec2Instance
) -> None:
    for look in (step.check, step.make):
        with pytest.raises(Refused) as caught:
            look(session_at(nobody))
        assert "could not be looked up" in str(caught.value)
        assert "unreachable" in str(caught.value)
