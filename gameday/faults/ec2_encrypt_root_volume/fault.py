"""Encrypt the root volume of an instance."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from gameday.faults.ec2_encrypt_root_volume._attachments import Attach, DeleteOnTermination, Detach
from gameday.faults.ec2_encrypt_root_volume._copies import Snapshot, Volume
from gameday.faults.ec2_encrypt_root_volume._power import Mark, Start, Stop
from gameday.sdk import Duration, Fault, InstanceId, KeyId, Step


class EncryptRootVolume(Fault):
    """Give an instance whose root volume is not encrypted one that is, under the key; undone in reverse order.

    The instance is stopped, a snapshot taken, an encrypted volume made from it **in the instance's own Availability
    Zone**, the old volume detached, the new one attached as the root device, and the instance started if it ran.
    Delete-on-termination, volume type, size, IOPS, throughput, tags and device name carry over.

    The undo boots the instance from its old volume again and deletes the new volume and the snapshot: **what was
    written meanwhile is lost**. With ``keep: true`` the result stays when all went as expected; then the old volume
    is kept, tagged ``gameday:kept-by-run`` and ``gameday:root-of``, and so is the snapshot.

    A public address that is not an Elastic IP changes with every stop. Refused are instances that a stop would harm
    (Auto Scaling, spot, instance store, hibernation, stop protection), root volumes that are encrypted already, and
    keys that are not enabled. The caller needs the key through EC2: a new volume that does not come up for want of
    it is said so before the old one is detached.
    """

    uses: ClassVar[str] = "ec2.encrypt_root_volume"
    permissions: ClassVar[tuple[str, ...]] = (
        *("ec2:DescribeInstances", "ec2:DescribeVolumes", "ec2:DescribeSnapshots", "ec2:DescribeInstanceTypes"),
        *("ec2:DescribeInstanceAttribute", "autoscaling:DescribeAutoScalingInstances"),
        *("ec2:CreateTags", "ec2:DeleteTags", "ec2:StopInstances", "ec2:StartInstances"),
        *("ec2:CreateSnapshot", "ec2:DeleteSnapshot", "ec2:CreateVolume", "ec2:DeleteVolume"),
        *("ec2:DetachVolume", "ec2:AttachVolume", "ec2:ModifyInstanceAttribute"),
        *("kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext"),
        *("kms:ReEncryptFrom", "kms:ReEncryptTo"),
    )

    instance: InstanceId
    key: KeyId
    """What the new volume is encrypted with."""
    stop_within: Duration = timedelta(minutes=5)
    snapshot_within: Duration = timedelta(minutes=30)
    """The first snapshot of a large volume takes long; ``max_fault`` must leave room for it."""
    volume_within: Duration = timedelta(minutes=5)
    attach_within: Duration = timedelta(minutes=2)
    """For detaching the old volume, and for attaching the new one."""

    def steps(self) -> tuple[Step, ...]:
        """Each makes one change; the one after it waits for the effect."""
        of = {"instance": self.instance, "key": self.key}
        return (
            Mark(**of, within=self.attach_within),
            Stop(**of, within=self.stop_within),
            Snapshot(**of, within=self.stop_within),
            Volume(**of, within=self.snapshot_within),
            Detach(**of, within=self.volume_within),
            Attach(**of, within=self.attach_within),
            DeleteOnTermination(**of, within=self.attach_within),
            Start(**of, within=self.attach_within),
        )
