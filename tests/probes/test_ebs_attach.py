"""ebs.attach: a spare volume comes and goes, and does not when the key is away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gameday.aws.resolve import pin
from gameday.aws.session import Session
from gameday.errors import CannotInject, Refused
from gameday.lab import LabControl
from gameday.sdk import Cause, Drifted, Restored, StillOurs
from gameday.stages.ebs_volume import EbsVolume
from probes.ebs_attach import EbsAttach


@pytest.fixture
def spare(aws: Session, instance: str) -> EbsVolume:
    step = EbsVolume(name="gameday-spare", key="alias/MyKMSKey", beside="LabInstance")
    assert "there is no volume gameday-spare" in step.check(aws)
    step.make(aws)
    assert step.check(aws) == ""
    return step


@pytest.fixture
def probe(aws: Session, spare: EbsVolume) -> EbsAttach:
    return pin(EbsAttach(volume="gameday-spare", instance="LabInstance"), aws, {})


def volume(client: Callable[[str], Any]) -> dict[str, Any]:
    found = client("ec2").describe_volumes(Filters=[{"Name": "tag:Name", "Values": ["gameday-spare"]}])["Volumes"]
    return dict(found[0])


def test_it_attaches_and_leaves_the_volume_free(
    aws: Session, probe: EbsAttach, lab: LabControl, client: Callable[[str], Any]
) -> None:
    assert probe.volume.endswith(f":volume/{volume(client)['VolumeId']}")
    assert probe.refusal(aws) == ""
    assert probe.observe(aws).cause is Cause.OK
    assert volume(client)["State"] == "available"
    assert [call["operation"] for call in lab.calls() if call["operation"].endswith("chVolume")] == [
        "AttachVolume",
        "DetachVolume",
    ]


def test_a_disabled_key_is_named(aws: Session, probe: EbsAttach, key: str, client: Callable[[str], Any]) -> None:
    client("kms").disable_key(KeyId=key)
    seen = probe.observe(aws)
    assert (seen.cause, seen.code) == (Cause.KEY_DISABLED, "Client.CustomerKeyHasBeenRevoked")
    assert volume(client)["State"] == "available"
    client("kms").enable_key(KeyId=key)
    assert probe.observe(aws).cause is Cause.OK


def test_its_step_takes_off_what_is_left(aws: Session, probe: EbsAttach, client: Callable[[str], Any]) -> None:
    [step] = probe.steps()
    before = step.capture(aws)
    assert step.read_back(aws, before) == Restored("available")
    step.rehearse(aws)
    assert volume(client)["State"] == "available", "a rehearsal changes nothing"
    step.inject(aws, before)
    assert isinstance(step.read_back(aws, before), StillOurs)
    with pytest.raises(CannotInject, match="in-use"):
        step.capture(aws)
    step.undo(aws, before)
    step.undo(aws, before)
    assert step.read_back(aws, before) == Restored("available")


def test_what_it_is_left_attached_to_is_detached_first(
    aws: Session, probe: EbsAttach, client: Callable[[str], Any]
) -> None:
    probe.steps()[0].inject(aws, {})
    assert probe.observe(aws).cause is Cause.OK
    assert volume(client)["State"] == "available"


def test_on_another_instance_it_is_somebody_elses(aws: Session, probe: EbsAttach, client: Callable[[str], Any]) -> None:
    ec2 = client("ec2")
    image = ec2.describe_instances()["Reservations"][0]["Instances"][0]["ImageId"]
    zone = volume(client)["AvailabilityZone"]
    other = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, Placement={"AvailabilityZone": zone})
    other_id = other["Instances"][0]["InstanceId"]
    ec2.attach_volume(VolumeId=volume(client)["VolumeId"], InstanceId=other_id, Device="/dev/sdx")
    [step] = probe.steps()
    assert step.read_back(aws, {}) == Drifted(f"someone attached it to {other_id} meanwhile")
    assert volume(client)["State"] == "in-use"


def test_a_volume_without_encryption_or_in_another_zone_is_refused(
    aws: Session, instance: str, client: Callable[[str], Any]
) -> None:
    ec2 = client("ec2")
    zone = ec2.describe_instances()["Reservations"][0]["Instances"][0]["Placement"]["AvailabilityZone"]
    plain = ec2.create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]
    far = ec2.create_volume(AvailabilityZone="us-east-1f", Size=1, Encrypted=True)["VolumeId"]
    assert "is not encrypted" in pin(EbsAttach(volume=plain, instance=instance), aws, {}).refusal(aws)
    assert "is in us-east-1f" in pin(EbsAttach(volume=far, instance=instance), aws, {}).refusal(aws)
    with pytest.raises(Refused, match="there is no volume nowhere"):
        pin(EbsAttach(volume="nowhere", instance=instance), aws, {})


def test_the_stage_removes_what_it_made_and_nothing_else(
    aws: Session, spare: EbsVolume, client: Callable[[str], Any]
) -> None:
    with pytest.raises(Refused, match="never alters"):
        spare.make(aws)
    assert "is deleted" in spare.unmake(aws)
    assert "there is no volume" in spare.unmake(aws)
    zone = client("ec2").describe_instances()["Reservations"][0]["Instances"][0]["Placement"]["AvailabilityZone"]
    tags = [{"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": "gameday-spare"}]}]
    client("ec2").create_volume(AvailabilityZone=zone, Size=1, TagSpecifications=tags)
    assert "is encrypted with nothing" in spare.check(aws)
    assert "was not made by gameday stage" in spare.unmake(aws)
    assert volume(client)["State"] == "available"
