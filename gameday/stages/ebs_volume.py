"""A spare volume for a playbook, encrypted with a key, beside an instance."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from gameday.errors import Refused
from gameday.sdk import AWS, StageStep
from gameday.stages._made import TAG, TAG_VALUE, demand, refuse_existing, tags

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import TagTypeDef, VolumeTypeDef

READY_WITHIN = 60.0
"""Seconds; an empty volume is available at once."""


class EbsVolume(StageStep):
    """One volume of that name, encrypted with the key, in the Availability Zone of an instance."""

    uses: ClassVar[str] = "ebs.volume"
    permissions: ClassVar[tuple[str, ...]] = (
        *("ec2:DescribeVolumes", "ec2:DescribeInstances", "ec2:CreateVolume", "ec2:CreateTags", "ec2:DeleteVolume"),
        *("kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:CreateGrant"),
    )

    name: str = Field(min_length=1, max_length=255)
    key: str
    """The key's alias, id or ARN."""
    beside: str
    """The Name tag of the instance in whose zone it is made."""
    size: int = Field(1, ge=1, le=16384)
    """GiB."""

    def check(self, aws: AWS) -> str:
        """Exactly one must be there, encrypted with the key, in the instance's zone."""
        found = self._found(aws)
        if not found:
            return f"there is no volume {self.name} in account {aws.account} in {aws.region}"
        return self._unfit(aws, found)

    def _unfit(self, aws: AWS, found: list[VolumeTypeDef]) -> str:
        if len(found) > 1:
            return f"{len(found)} volumes are named {self.name}: there must be one"
        if found[0].get("KmsKeyId", "") != self._key(aws):
            return f"volume {self.name} is encrypted with {found[0].get('KmsKeyId', 'nothing')}, not with {self.key}"
        zone = self._zone(aws)
        if found[0]["AvailabilityZone"] != zone:
            return f"volume {self.name} is in {found[0]['AvailabilityZone']}, and instance {self.beside} in {zone}"
        return ""

    def make(self, aws: AWS) -> None:
        """CreateVolume, and wait until it is available."""
        found = self._found(aws)
        if found:
            refuse_existing(self._unfit(aws, found), f"volume {self.name}")
        zone, key = self._zone(aws), self._key(aws)
        labels: list[TagTypeDef] = [
            {"Key": name, "Value": value} for name, value in {"Name": self.name, **tags(aws)}.items()
        ]
        made = ""
        with aws.answering() as answer:
            made = aws.changing("ec2").create_volume(
                AvailabilityZone=zone,
                Size=self.size,
                VolumeType="gp3",
                Encrypted=True,
                KmsKeyId=key,
                TagSpecifications=[{"ResourceType": "volume", "Tags": labels}],
            )["VolumeId"]
        demand(answer, f"volume {self.name} could not be made")
        until, state = time.monotonic() + READY_WITHIN, ""
        while state != "available":
            with aws.answering():
                state = aws.client("ec2").describe_volumes(VolumeIds=[made])["Volumes"][0]["State"]
            if state == "error" or time.monotonic() > until:
                raise Refused(f"volume {self.name} ({made}) is {state or 'not there yet'}: may EC2 use {self.key}?")
            if state != "available":
                aws.wait(0.2)

    def unmake(self, aws: AWS) -> str:
        """DeleteVolume, only where the tag is ours."""
        found = self._found(aws)
        ours = [one["VolumeId"] for one in found if {"Key": TAG, "Value": TAG_VALUE} in one.get("Tags", [])]
        if not ours:
            there = f"volume {self.name} was not made by gameday stage, and is left as it is"
            return there if found else f"there is no volume {self.name}"
        with aws.answering() as answer:
            for volume in ours:
                aws.changing("ec2").delete_volume(VolumeId=volume)
        demand(answer, f"volume {self.name} could not be deleted")
        return f"volume {self.name} ({', '.join(ours)}) is deleted"

    def _found(self, aws: AWS) -> list[VolumeTypeDef]:
        found: list[VolumeTypeDef] = []
        with aws.answering() as answer:
            pages = aws.client("ec2").get_paginator("describe_volumes")
            for page in pages.paginate(Filters=[{"Name": "tag:Name", "Values": [self.name]}]):
                found += page["Volumes"]
        demand(answer, f"volume {self.name} could not be looked up in account {aws.account} in {aws.region}")
        named = {"Key": "Name", "Value": self.name}  # the filter reads * and ? as wildcards
        return [one for one in found if named in one.get("Tags", []) and one["State"] not in ("deleting", "deleted")]

    def _key(self, aws: AWS) -> str:
        arn = ""
        with aws.answering() as answer:
            arn = aws.client("kms").describe_key(KeyId=self.key)["KeyMetadata"]["Arn"]
        demand(answer, f"key {self.key} could not be read")
        return arn

    def _zone(self, aws: AWS) -> str:
        zones: list[str] = []
        with aws.answering() as answer:
            groups = aws.client("ec2").describe_instances(Filters=[{"Name": "tag:Name", "Values": [self.beside]}])
            alive = [one for group in groups["Reservations"] for one in group["Instances"]]
            zones = [
                one["Placement"]["AvailabilityZone"]
                for one in alive
                if one["State"]["Name"] not in ("terminated", "shutting-down")
            ]
        demand(answer, f"instance {self.beside} could not be looked up")
        if not zones:
            raise Refused(f"there is no instance {self.beside} in account {aws.account} in {aws.region}")
        return zones[0]
