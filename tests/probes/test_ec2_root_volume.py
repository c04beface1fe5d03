"""ec2.root_volume: what an instance boots from, and whether it is up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gameday.aws.session import Session
from gameday.lab import LabControl
from gameday.sdk import PROBES, Cause
from gameday.stages.ec2_instance import Ec2Instance
from probes.ec2_root_volume import Ec2RootVolume

Client = Callable[[str], Any]


@pytest.fixture
def probe(instance: str, key: str) -> Ec2RootVolume:
    return Ec2RootVolume(instance=instance, key=key)


def test_encrypted_and_healthy_is_ok(aws: Session, probe: Ec2RootVolume, lab: LabControl) -> None:
    assert PROBES["ec2.root_volume"] is Ec2RootVolume
    already = len(lab.calls("ec2"))
    seen = probe.observe(aws)
    assert seen.cause is Cause.OK
    assert seen.detail.endswith("is encrypted with the key")
    assert all(call["operation"].startswith("Describe") for call in lab.calls("ec2")[already:])


def test_an_instance_that_is_down_is_unhealthy_unless_that_is_fine(
    aws: Session, probe: Ec2RootVolume, client: Client, lab: LabControl
) -> None:
    which = probe.instance.rsplit("/", 1)[-1]
    client("ec2").stop_instances(InstanceIds=[which])
    assert probe.observe(aws).cause is Cause.UNHEALTHY
    assert probe.model_copy(update={"boots": False}).observe(aws).cause is Cause.OK
    lab.knobs(status_check_seconds=60)
    client("ec2").start_instances(InstanceIds=[which])
    assert probe.observe(aws).detail.endswith("the instance is running and its checks are initializing")


def test_no_encryption_another_key_and_no_volume(aws: Session, probe: Ec2RootVolume, client: Client, key: str) -> None:
    Ec2Instance(name="plain").make(aws)
    named = [{"Name": "tag:Name", "Values": ["plain"]}]
    plain = client("ec2").describe_instances(Filters=named)["Reservations"][0]["Instances"][0]["InstanceId"]
    seen = Ec2RootVolume(instance=f"arn:aws:ec2:us-east-1:123456789012:instance/{plain}", key=key).observe(aws)
    assert (seen.cause, seen.detail.endswith("is not encrypted")) == (Cause.UNENCRYPTED, True)
    other = probe.model_copy(update={"key": client("kms").create_key()["KeyMetadata"]["Arn"]}).observe(aws)
    assert (other.cause, key in other.detail) == (Cause.CONFLICT, True)
    which = probe.instance.rsplit("/", 1)[-1]
    client("ec2").stop_instances(InstanceIds=[which])
    at = [{"Name": "attachment.instance-id", "Values": [which]}]
    client("ec2").detach_volume(VolumeId=client("ec2").describe_volumes(Filters=at)["Volumes"][0]["VolumeId"])
    assert probe.observe(aws).cause is Cause.NOT_FOUND


@pytest.mark.parametrize(("operation"), ["DescribeInstances", "DescribeVolumes"])
def test_what_ec2_refuses_is_said(aws: Session, probe: Ec2RootVolume, lab: LabControl, operation: str) -> None:
    lab.trouble("throttle", service="ec2", operation=operation)
    assert probe.observe(aws).cause is Cause.THROTTLED
