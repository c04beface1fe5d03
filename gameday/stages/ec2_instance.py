"""An instance for a playbook, booting from an encrypted volume, or on purpose from one that is not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from gameday.errors import Refused
from gameday.sdk import AWS, Duration, StageStep, format_duration
from gameday.stages._made import TAG, TAG_VALUE, demand, refuse_existing, tags

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import FilterTypeDef, ImageTypeDef, InstanceTypeDef, TagTypeDef

_GONE = ("terminated", "shutting-down")
_AMAZON_LINUX = "al2023-ami-2023.*-x86_64"


class Ec2Instance(StageStep):
    """One instance of that name, whose root volume is encrypted with the key, or not at all where none is named.

    With a ``count`` there may be several of that name: so many are made where there is none.

    Made in the default subnet unless one is named, with the instance metadata service closed to version 1.
    """

    uses: ClassVar[str] = "ec2.instance"
    permissions: ClassVar[tuple[str, ...]] = (
        *("ec2:DescribeInstances", "ec2:DescribeInstanceStatus", "ec2:DescribeVolumes", "ec2:DescribeImages"),
        *("ec2:RunInstances", "ec2:CreateTags", "ec2:TerminateInstances"),
        *("ec2:DescribeSnapshots", "ec2:DeleteVolume", "ec2:DeleteSnapshot"),
        *("kms:DescribeKey", "kms:CreateGrant", "kms:GenerateDataKeyWithoutPlaintext", "kms:Decrypt"),
    )

    name: str = Field(min_length=1, max_length=255)
    root_volume_key: str = ""
    """The key's alias, id or ARN; without it the root volume must not be encrypted."""
    count: int = Field(default=1, gt=0, le=20)
    """How many are made. With more than one, however many there are will do, as long as each is fit."""
    image: str = ""
    """An image's id; without it, the newest Amazon Linux 2023 for x86_64."""
    instance_type: str = "t3.micro"
    subnet: str = ""
    ready_within: Duration = timedelta(minutes=10)

    def check(self, aws: AWS) -> str:
        """Exactly one must live, and boot from a volume encrypted with the key."""
        alive = self._alive(aws)
        return self._unfit(aws, alive) if alive else self._missing(aws)

    def _unfit(self, aws: AWS, alive: list[InstanceTypeDef]) -> str:
        if len(alive) > 1 and self.count == 1:
            return f"{len(alive)} instances are named {self.name}: there must be one"
        wanted, used = "", dict.fromkeys((_root(each) for each in alive), "")
        if "" in used:
            return f"instance {self.name} has no root volume on EBS"
        with aws.answering() as answer:
            for volume in aws.client("ec2").describe_volumes(VolumeIds=[*used])["Volumes"]:
                used[volume["VolumeId"]] = volume.get("KmsKeyId", "")
            if self.root_volume_key:
                wanted = aws.client("kms").describe_key(KeyId=self.root_volume_key)["KeyMetadata"]["Arn"]
        demand(answer, f"the root volume of instance {self.name} could not be compared")
        other = next((key for key in used.values() if key != wanted), None)
        if other is None:
            return ""
        now = f"encrypted with {other}" if other else "not encrypted"
        must = f"be with {self.root_volume_key}" if self.root_volume_key else "not be encrypted"
        return f"the root volume of instance {self.name} is {now}, where it must {must}"

    def make(self, aws: AWS) -> None:
        """RunInstances, and wait until it is healthy."""
        alive = self._alive(aws)
        if alive:
            refuse_existing(self._unfit(aws, alive), f"instance {self.name}")
        image = self._image(aws)
        labels = [{"Key": key, "Value": value} for key, value in {"Name": self.name, **tags(aws)}.items()]
        device = image.get("RootDeviceName", "/dev/xvda")
        sizes = [
            each["Ebs"].get("VolumeSize", 8) for each in image["BlockDeviceMappings"] if each["DeviceName"] == device
        ]
        keyed = {"Encrypted": True, "KmsKeyId": self.root_volume_key} if self.root_volume_key else {}
        root = {**keyed, "VolumeSize": max(sizes, default=8)}
        request: dict[str, Any] = {
            "ImageId": image["ImageId"],
            "InstanceType": self.instance_type,
            "MinCount": self.count,
            "MaxCount": self.count,
            "BlockDeviceMappings": [{"DeviceName": device, "Ebs": {**root, "DeleteOnTermination": True}}],
            "MetadataOptions": {"HttpTokens": "required"},
            "TagSpecifications": [{"ResourceType": kind, "Tags": labels} for kind in ("instance", "volume")],
        }
        if self.subnet:
            request["SubnetId"] = self.subnet
        made: list[str] = []
        with aws.answering() as answer:
            started = aws.changing("ec2").run_instances(**request)
            made = [each["InstanceId"] for each in started["Instances"]]
        demand(answer, f"instance {self.name} could not be launched", "name a subnet if there is no default one")
        for instance in made:
            self._wait(aws, instance)

    def unmake(self, aws: AWS) -> str:
        """TerminateInstances, only where the tag is ours; its volume goes with it, and what a run has kept of it."""
        alive = self._alive(aws)
        ours = [each["InstanceId"] for each in alive if {"Key": TAG, "Value": TAG_VALUE} in each.get("Tags", [])]
        if not ours:
            left = f"instance {self.name} was not made by gameday stage, and is left as it is"
            return left + self._kept(aws, alive) if alive else self._missing(aws)
        with aws.answering() as answer:
            aws.changing("ec2").terminate_instances(InstanceIds=ours)
        demand(answer, f"instance {self.name} could not be terminated")
        gone = self._delete_kept(aws, ours)
        return f"instance {self.name} ({', '.join(ours)}) is being terminated" + (f"; deleted {gone}" if gone else "")

    def _kept(self, aws: AWS, alive: list[InstanceTypeDef]) -> str:
        """The old root volumes that runs with ``keep: true`` left: somebody's data, so a human deletes them."""
        volumes: list[str] = []
        with aws.answering():
            volumes, _ = _left_by_runs(aws, [each["InstanceId"] for each in alive])
        return f"; its old root volume is kept as {', '.join(volumes)}: delete it when you are sure" if volumes else ""

    def _delete_kept(self, aws: AWS, instances: list[str]) -> str:
        """DeleteVolume and DeleteSnapshot for what runs with ``keep: true`` left of an instance that gameday made."""
        volumes: list[str] = []
        snapshots: list[str] = []
        with aws.answering() as answer:
            volumes, snapshots = _left_by_runs(aws, instances)
            for volume in volumes:
                aws.changing("ec2").delete_volume(VolumeId=volume)
            for snapshot in snapshots:
                aws.changing("ec2").delete_snapshot(SnapshotId=snapshot)
        demand(answer, f"what runs have kept of instance {self.name} could not be deleted")
        return ", ".join(volumes + snapshots)

    def _alive(self, aws: AWS) -> list[InstanceTypeDef]:
        """The instances of that name that are not gone."""
        found: list[InstanceTypeDef] = []
        with aws.answering() as answer:
            pages = aws.client("ec2").get_paginator("describe_instances")
            for page in pages.paginate(Filters=[{"Name": "tag:Name", "Values": [self.name]}]):
                found += [each for group in page["Reservations"] for each in group["Instances"]]
        demand(answer, f"instance {self.name} could not be looked up in account {aws.account} in {aws.region}")
        named = {"Key": "Name", "Value": self.name}  # the filter reads * and ? as wildcards
        return [each for each in found if each["State"]["Name"] not in _GONE and named in each.get("Tags", [])]

    def _missing(self, aws: AWS) -> str:
        return f"there is no instance {self.name} in account {aws.account} in {aws.region}"

    def _image(self, aws: AWS) -> ImageTypeDef:
        found: list[ImageTypeDef] = []
        with aws.answering() as answer:
            if self.image:
                found = aws.client("ec2").describe_images(ImageIds=[self.image])["Images"]
            else:
                wanted = {"name": _AMAZON_LINUX, "root-device-type": "ebs", "state": "available"}
                found = aws.client("ec2").describe_images(
                    Owners=["amazon"], Filters=[{"Name": name, "Values": [value]} for name, value in wanted.items()]
                )["Images"]
        demand(answer, "the image could not be looked up", "name one with image:")
        if not found:
            raise Refused(f"there is no image {self.image or _AMAZON_LINUX} in {aws.region}: name one with image:")
        return max(found, key=lambda image: image.get("CreationDate", ""))

    def _wait(self, aws: AWS, instance: str) -> None:
        until, state, health = time.monotonic() + self.ready_within.total_seconds(), "pending", {"initializing"}
        pause = 0.1
        while time.monotonic() < until:
            with aws.answering():
                found = aws.client("ec2").describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
                state = found["State"]["Name"]
                if state in _GONE:
                    why = found.get("StateReason", {})
                    raise Refused(f"instance {self.name} did not start: {why.get('Code')}: {why.get('Message')}")
                checks = aws.client("ec2").describe_instance_status(InstanceIds=[instance])["InstanceStatuses"]
                health = {each[kind]["Status"] for each in checks for kind in ("SystemStatus", "InstanceStatus")}
                if state == "running" and health == {"ok"}:
                    return
            aws.wait(pause)
            pause = min(pause * 1.5, 5.0)
        limit = format_duration(self.ready_within)
        raise Refused(
            f"instance {self.name} ({instance}) is {state} and not healthy after {limit}: look at its console"
        )


def _root(instance: InstanceTypeDef) -> str:
    """The id of the root volume, or ``""`` where it is not on EBS."""
    root = instance.get("RootDeviceName")
    volumes = (each["Ebs"]["VolumeId"] for each in instance["BlockDeviceMappings"] if each["DeviceName"] == root)
    return next(volumes, "")


def _left_by_runs(aws: AWS, instances: list[str]) -> tuple[list[str], list[str]]:
    """The old root volumes and the snapshots that ``ec2.encrypt_root_volume`` was asked to keep."""
    ec2 = aws.client("ec2")
    of: FilterTypeDef = {"Name": "tag:gameday:root-of", "Values": instances}
    detached: list[FilterTypeDef] = [of, {"Name": "tag-key", "Values": ["gameday:kept-by-run"]}]
    detached += [{"Name": "status", "Values": ["available"]}]

    def left(tags: Sequence[TagTypeDef]) -> bool:  # what is listed here is deleted, and not every endpoint filters
        return any(tag["Key"] == "gameday:root-of" and tag["Value"] in instances for tag in tags)

    found = [v for page in ec2.get_paginator("describe_volumes").paginate(Filters=detached) for v in page["Volumes"]]
    by_run = {"gameday:kept-by-run"}
    kept = [
        volume["VolumeId"]
        for volume in found
        if volume["State"] == "available"
        and left(volume.get("Tags", []))
        and by_run & {tag["Key"] for tag in volume.get("Tags", [])}
    ]
    pages = ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=[of])
    snapshots = [each["SnapshotId"] for page in pages for each in page["Snapshots"] if left(each.get("Tags", []))]
    return kept, snapshots
