"""ec2.instance without a key: its root volume is not encrypted; and what a run has kept of it goes with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gameday.aws.session import Session
from gameday.stages.ec2_instance import Ec2Instance

Client = Callable[[str], Any]
PLAIN = Ec2Instance(name="LabInstance-plain")


def keep_a_root(client: Client, aws: Session) -> tuple[str, str]:
    """What a run with keep leaves: the old root volume, detached and tagged, and the snapshot."""
    ec2 = client("ec2")
    named = [{"Name": "tag:Name", "Values": ["LabInstance-plain"]}]
    which = ec2.describe_instances(Filters=named)["Reservations"][0]["Instances"][0]["InstanceId"]
    tags = [{"Key": "gameday:kept-by-run", "Value": aws.run}, {"Key": "gameday:root-of", "Value": which}]
    old = ec2.create_volume(
        AvailabilityZone="us-east-1a", Size=8, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}]
    )["VolumeId"]
    ec2.create_volume(AvailabilityZone="us-east-1a", Size=8)
    copy = ec2.create_snapshot(VolumeId=old, TagSpecifications=[{"ResourceType": "snapshot", "Tags": tags}])
    return old, copy["SnapshotId"]


def test_it_is_made_without_encryption(aws: Session, client: Client) -> None:
    assert PLAIN.check(aws).startswith("there is no instance LabInstance-plain")
    PLAIN.make(aws)
    assert PLAIN.check(aws) == ""
    assert [each["Encrypted"] for each in client("ec2").describe_volumes()["Volumes"]] == [False]


def test_one_with_an_encrypted_root_is_not_fit(aws: Session, instance: str) -> None:
    assert Ec2Instance(name="LabInstance").check(aws).endswith(", where it must not be encrypted")


def test_what_a_run_has_kept_goes_with_it(aws: Session, client: Client) -> None:
    PLAIN.make(aws)
    old, copy = keep_a_root(client, aws)
    assert PLAIN.unmake(aws).endswith(f"is being terminated; deleted {old}, {copy}")
    tagged = [{"Name": "tag-key", "Values": ["gameday:kept-by-run"]}]
    assert client("ec2").describe_volumes(Filters=tagged)["Volumes"] == []
    assert client("ec2").describe_snapshots(Filters=tagged)["Snapshots"] == []
    assert [each["Size"] for each in client("ec2").describe_volumes()["Volumes"] if not each["Attachments"]] == [8]


def test_of_somebody_elses_instance_nothing_is_deleted(aws: Session, client: Client) -> None:
    PLAIN.make(aws)
    old, _ = keep_a_root(client, aws)
    client("ec2").delete_tags(
        Resources=[each["InstanceId"] for each in _instances(client)], Tags=[{"Key": "gameday:stage"}]
    )
    said = PLAIN.unmake(aws)
    assert said.endswith(f"is left as it is; its old root volume is kept as {old}: delete it when you are sure")
    assert client("ec2").describe_volumes(VolumeIds=[old])["Volumes"]


def _instances(client: Client) -> list[dict[str, Any]]:
    return [each for group in client("ec2").describe_instances()["Reservations"] for each in group["Instances"]]
