"""What a playbook writes becomes an ARN, or one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aws_rig import ACCOUNT, REGION

from gameday.aws.resolve import pin
from gameday.aws.session import Session
from gameday.errors import Refused
from gameday.faults.kms_disable_key import DisableKey
from gameday.lab import LabControl
from gameday.stages.ec2_instance import Ec2Instance
from probes.cloudtrail_event import CloudTrailEvent
from probes.ec2_boot import Ec2Boot
from probes.kms_state import KmsState
from probes.s3_read import S3Read


@pytest.mark.parametrize("form", ["alias", "alias_arn", "id", "arn"])
def test_a_key_in_every_form_becomes_its_arn(aws: Session, key: str, form: str) -> None:
    alias_arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/MyKMSKey"
    written = {"alias": "alias/MyKMSKey", "alias_arn": alias_arn, "id": key.rsplit("/", 1)[-1], "arn": key}[form]
    known: dict[str, str] = {}
    assert pin(KmsState(key=written), aws, known).key == key
    assert known == {written: key}


def test_a_value_is_looked_up_once(aws: Session, key: str, lab: LabControl) -> None:
    known: dict[str, str] = {}
    before = len(lab.calls("kms", "DescribeKey"))
    for part in (KmsState(key="alias/MyKMSKey"), DisableKey(key="alias/MyKMSKey"), KmsState(key="alias/MyKMSKey")):
        assert pin(part, aws, known).key == key  # type: ignore[attr-defined]
    assert len(lab.calls("kms", "DescribeKey")) == before + 1


def test_anything_becomes_what_another_field_became(aws: Session, key: str, instance: str) -> None:
    known: dict[str, str] = {}
    pin(KmsState(key="alias/MyKMSKey"), aws, known)
    pin(Ec2Boot(instance="LabInstance"), aws, known)
    tail = instance.rsplit("/", 1)[-1]
    for written, became in {
        "alias/MyKMSKey": key,
        "MyKMSKey": key,
        "LabInstance": instance,
        tail: instance,
        "gameday-clock": "gameday-clock",
        "": "",
    }.items():
        assert pin(CloudTrailEvent(name="Decrypt", about=written), aws, known).about == became


def test_a_part_without_references_stays_itself(aws: Session) -> None:
    part = S3Read(bucket="b", key="k")
    assert pin(part, aws, {}) == part


@pytest.mark.parametrize("form", ["name", "id", "arn"])
def test_an_instance_in_every_form_becomes_its_arn(aws: Session, instance: str, form: str) -> None:
    written = {"name": "LabInstance", "id": instance.rsplit("/", 1)[-1], "arn": instance}[form]
    pinned = pin(Ec2Boot(instance=written), aws, {})
    assert pinned.instance == instance
    assert pinned.steps()[0].resource == instance


def refused(part: Any, aws: Session) -> str:
    with pytest.raises(Refused) as caught:
        pin(part, aws, {})
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_there_is_no_such_key(aws: Session) -> None:
    text = refused(DisableKey(key="alias/Nothing"), aws)
    assert text == (
        "there is no key alias/Nothing in account 123456789012 in us-east-1: "
        "make it with gameday stage, or name another with --var"
    )


def test_an_alias_without_its_prefix_is_explained(aws: Session, key: str) -> None:
    assert "(an alias is written alias/MyKMSKey)" in refused(DisableKey(key="MyKMSKey"), aws)


def test_a_key_of_aws_cannot_be_disabled(aws: Session, client: Callable[[str], Any]) -> None:
    client("kms").describe_key(KeyId="alias/aws/s3")
    assert "is managed by AWS" in refused(DisableKey(key="alias/aws/s3"), aws)


def test_a_key_of_another_region(aws: Session, key: str) -> None:
    text = refused(KmsState(key=key.replace(REGION, "eu-west-1")), aws)
    assert "is in eu-west-1, but this run is in us-east-1" in text


def test_a_key_of_another_account_may_be_watched_and_not_broken(aws: Session, key: str) -> None:
    elsewhere = aws.but(account="210987654321")
    assert pin(KmsState(key=key), elsewhere, {}).key == key
    assert "belongs to account 123456789012" in refused(DisableKey(key=key), elsewhere)


def test_a_key_that_may_not_be_described(aws: Session, key: str, lab: LabControl) -> None:
    lab.trouble("refuse", service="kms", operation="DescribeKey", message="not authorized")
    assert "could not be looked up (AccessDeniedException: not authorized)" in refused(DisableKey(key=key), aws)


def test_there_is_no_such_instance(aws: Session, lab: LabControl) -> None:
    assert "there is no instance LabInstance in account" in refused(Ec2Boot(instance="LabInstance"), aws)
    assert "there is no instance i-0123456789abcdef0" in refused(Ec2Boot(instance="i-0123456789abcdef0"), aws)


def test_a_name_is_no_pattern(aws: Session, instance: str) -> None:
    assert "there is no instance Lab*" in refused(Ec2Boot(instance="Lab*"), aws)


def test_a_terminated_instance_does_not_count(aws: Session, instance: str, client: Callable[[str], Any]) -> None:
    client("ec2").terminate_instances(InstanceIds=[instance.rsplit("/", 1)[-1]])
    assert "there is no instance LabInstance" in refused(Ec2Boot(instance="LabInstance"), aws)
    Ec2Instance(name="LabInstance", root_volume_key="alias/MyKMSKey").make(aws)
    assert pin(Ec2Boot(instance="LabInstance"), aws, {}).instance != instance


def test_two_of_a_name(aws: Session, instance: str, client: Callable[[str], Any]) -> None:
    image = client("ec2").describe_images()["Images"][0]["ImageId"]
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "LabInstance"}]}]
    client("ec2").run_instances(ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=tags)
    text = refused(Ec2Boot(instance="LabInstance"), aws)
    assert text.startswith("2 instances are named LabInstance in account 123456789012 in us-east-1 (i-")
    assert text.endswith("name one by id")
