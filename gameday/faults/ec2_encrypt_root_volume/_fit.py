"""Why an instance's root volume must not be swapped for an encrypted one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gameday.errors import CannotInject
from gameday.faults.ec2_encrypt_root_volume import _look
from gameday.faults.ec2_encrypt_root_volume._step import DELETE, DEVICE, KEPT_BY, POWER, ROOT_OF
from gameday.sdk import AWS, stop_harm

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import InstanceTypeDef, VolumeTypeDef


def check_instance(aws: AWS, machine: InstanceTypeDef) -> None:
    """Raises CannotInject, in one sentence, where a stop or another root volume would harm it."""
    if why := stop_harm(aws, machine):
        raise CannotInject(f"instance {machine['InstanceId']} {why}")


def check_root(machine: InstanceTypeDef, root: VolumeTypeDef) -> None:
    """Raises CannotInject where the root volume is encrypted already, or is not simply this instance's."""
    name, tags = f"the root volume {root['VolumeId']} of instance {machine['InstanceId']}", _look.tags_of(root)
    if root.get("Encrypted"):
        raise CannotInject(f"{name} is already encrypted, with {root.get('KmsKeyId', 'a key that EC2 does not name')}")
    if root["AvailabilityZone"] != machine["Placement"]["AvailabilityZone"]:
        raise CannotInject(f"{name} is in {root['AvailabilityZone']}, and the instance is not")
    if root.get("MultiAttachEnabled"):
        raise CannotInject(f"{name} may be attached to several instances at once")
    ours = sorted({KEPT_BY, ROOT_OF, DEVICE, POWER, DELETE} & set(tags))
    if ours:
        raise CannotInject(f"{name} carries the tag {ours[0]} ({tags[ours[0]]}) of an earlier run: remove it first")


def check_key(aws: AWS, key: str) -> None:
    """Raises CannotInject unless the key may encrypt a volume now."""
    found = aws.client("kms").describe_key(KeyId=key)["KeyMetadata"]
    if found.get("KeyState") != "Enabled":
        raise CannotInject(f"key {key} is {found.get('KeyState')}, not Enabled: no volume could be encrypted with it")
    if found.get("KeySpec", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
        raise CannotInject(f"key {key} is {found.get('KeySpec')}: volumes take symmetric keys only")


def check_copy(machine: InstanceTypeDef, new: VolumeTypeDef, key: str) -> None:
    """Raises CannotInject where the new volume is not what was asked for: nothing has been detached yet."""
    name, zone = f"the new volume {new['VolumeId']}", machine["Placement"]["AvailabilityZone"]
    if new["AvailabilityZone"] != zone:
        raise CannotInject(f"{name} is in {new['AvailabilityZone']}, and instance {machine['InstanceId']} in {zone}")
    if not new.get("Encrypted"):
        raise CannotInject(f"{name} came up unencrypted, although it was asked for with {key}")
    if new.get("KmsKeyId") != key:
        raise CannotInject(f"{name} is encrypted with {new.get('KmsKeyId')}, not with {key}")


def not_made(aws: AWS, key: str, why: str) -> CannotInject:
    """EC2 says nowhere why an encrypted volume did not come: it is the key, as good as always."""
    return CannotInject(
        f"{why}: EC2 could not use {key} for this caller; allow kms:CreateGrant, kms:Decrypt, kms:DescribeKey, "
        f"kms:GenerateDataKeyWithoutPlaintext and kms:ReEncrypt* on it "
        f"through ec2.{aws.region}.{aws.dns_suffix}"
    )
