"""The snapshot of the old root volume, and the encrypted volume made from it; both found again by their tags."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from gameday.errors import CannotInject
from gameday.faults.ec2_encrypt_root_volume import _look
from gameday.faults.ec2_encrypt_root_volume._step import DELETE, DEVICE, KEPT_BY, POWER, ROOT_OF, RootStep, born
from gameday.sdk import AWS, Before, Calls, Drifted, ReadBack, Restored, StillOurs

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import InstanceTypeDef, SnapshotTypeDef, TagSpecificationTypeDef, VolumeTypeDef

_NOT_CARRIED = ("gameday:run", "gameday:step", KEPT_BY, ROOT_OF, DEVICE, POWER, DELETE)
"""Tags of the old volume that the new one does not get: AWS's own, and what speaks of a run."""
_WITH_IOPS = ("gp3", "io1", "io2")


class Snapshot(RootStep):
    """Takes a snapshot of the stopped instance's root volume; deleting it is the undo."""

    step: ClassVar[str] = "snapshot"
    calls: ClassVar[Calls] = Calls(
        inject=("ec2:CreateSnapshot", "ec2:CreateTags"), undo=("ec2:DeleteSnapshot",), read=("ec2:DescribeSnapshots",)
    )

    def capture(self, aws: AWS) -> Before:
        """Waits until the instance has stopped, so that the snapshot is whole."""

        def look() -> str | None:
            state = _look.known_instance(aws, self.instance)["State"]["Name"]
            if state not in ("running", "stopping", "stopped"):
                raise CannotInject(f"instance {self.id} is {state}: someone else started it")
            return state if state == "stopped" else None

        _look.Wait(aws, self.within, f"instance {self.id} did not stop").until(look)
        return {"old": self.marked(aws)["VolumeId"]}

    def inject(self, aws: AWS, before: Before) -> None:
        """CreateSnapshot, once."""
        aws.changing("ec2").create_snapshot(
            VolumeId=str(before["old"]),
            Description=f"gameday run {aws.run}: root volume of {self.id} before it was encrypted",
            TagSpecifications=[_labels("snapshot", born(aws, self.id, self.step))],
        )

    def undo(self, aws: AWS, before: Before) -> None:
        """DeleteSnapshot for whatever carries the run's tags; allowed while it is still being taken.

        Raises LookupError where none is listed: EC2's lists lag, so that alone does not prove that none was made.
        """
        found = _look.snapshots(aws, born(aws, self.id, self.step))
        for each in found:
            aws.changing("ec2").delete_snapshot(SnapshotId=each["SnapshotId"])
        if not found:
            raise LookupError(f"EC2 lists no snapshot of run {aws.run} for {self.id}")

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """Restored when no snapshot carries the run's tags."""
        found = _look.snapshots(aws, born(aws, self.id, self.step))
        if found:
            return StillOurs(f"{found[0]['SnapshotId']} is {found[0]['State']}")
        return Restored("no snapshot of this run is left")

    def dry_runs(self, aws: AWS, machine: InstanceTypeDef, root: str) -> dict[str, Callable[[], Any]]:
        """CreateSnapshot and DeleteSnapshot."""
        ec2, labels = aws.changing("ec2"), [_labels("snapshot", born(aws, self.id, self.step))]
        return {
            "ec2:CreateSnapshot": lambda: ec2.create_snapshot(VolumeId=root, TagSpecifications=labels, DryRun=True),
            "ec2:DeleteSnapshot": lambda: ec2.delete_snapshot(SnapshotId="snap-00000000000000000", DryRun=True),
        }


def _is_carried(name: str) -> bool:
    """Only whole names are gameday's: ``gameday:runbook`` is the user's; nobody but AWS may write ``aws:…``."""
    return name not in _NOT_CARRIED and not name.startswith("aws:")


class Volume(RootStep):
    """Makes the encrypted volume from the snapshot, in the instance's own zone; deleting it is the undo."""

    step: ClassVar[str] = "volume"
    calls: ClassVar[Calls] = Calls(
        # EC2 asks KMS in the caller's name, and says nowhere that it was refused: the volume vanishes.
        inject=(
            *("ec2:CreateVolume", "ec2:CreateTags", "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey"),
            *("kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"),
        ),
        undo=("ec2:DeleteVolume",),
        read=("ec2:DescribeVolumes",),
    )

    def capture(self, aws: AWS) -> Before:
        """Waits until the snapshot is complete; the old volume's type, size, speed and tags are carried over."""
        snapshot = self._complete(aws)
        old, machine = self.marked(aws), _look.known_instance(aws, self.instance)
        tags = {name: value for name, value in _look.tags_of(old).items() if _is_carried(name)}
        request: dict[str, Any] = {
            "SnapshotId": snapshot,
            "AvailabilityZone": machine["Placement"]["AvailabilityZone"],
            "VolumeType": old["VolumeType"],
            "Size": old["Size"],
        }
        if old["VolumeType"] in _WITH_IOPS and old.get("Iops"):
            request["Iops"] = old["Iops"]
        if old["VolumeType"] == "gp3" and old.get("Throughput"):
            request["Throughput"] = old["Throughput"]
        return {"request": request, "tags": dict(tags)}

    def inject(self, aws: AWS, before: Before) -> None:
        """CreateVolume, once; its client token makes a second one of the same run the same volume."""
        request, tags = before["request"], before["tags"]
        assert isinstance(request, dict) and isinstance(tags, dict)
        labels = {**{name: str(value) for name, value in tags.items()}, **born(aws, self.id, self.step)}
        found: dict[str, Any] = dict(request)
        aws.changing("ec2").create_volume(
            **found,
            Encrypted=True,
            KmsKeyId=self.key,
            ClientToken=f"gameday-{aws.run}-{self.id}"[:64],
            TagSpecifications=[_labels("volume", labels)],
        )

    def undo(self, aws: AWS, before: Before) -> None:
        """DeleteVolume for whatever carries the run's tags; raises LookupError where none is listed, see Snapshot."""
        found = self._ours(aws)
        for each in found:
            aws.changing("ec2").delete_volume(VolumeId=each["VolumeId"])
        if not found:
            raise LookupError(f"EC2 lists no volume of run {aws.run} for {self.id}")

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """Restored when no volume carries the run's tags."""
        for each in self._ours(aws):
            held = _look.attachment(each)
            if held is not None and held.get("InstanceId") != self.id:
                return Drifted(f"someone else attached {each['VolumeId']} to {held.get('InstanceId')}")
            return StillOurs(f"{each['VolumeId']} is {each['State']}")
        return Restored("no volume of this run is left")

    def dry_runs(self, aws: AWS, machine: InstanceTypeDef, root: str) -> dict[str, Callable[[], Any]]:
        """CreateVolume and DeleteVolume."""
        ec2, zone = aws.changing("ec2"), machine["Placement"]["AvailabilityZone"]
        labels = [_labels("volume", born(aws, self.id, self.step))]
        return {
            "ec2:CreateVolume": lambda: ec2.create_volume(
                AvailabilityZone=zone,
                Size=1,
                Encrypted=True,
                KmsKeyId=self.key,
                TagSpecifications=labels,
                DryRun=True,
            ),
            "ec2:DeleteVolume": lambda: ec2.delete_volume(VolumeId="vol-00000000000000000", DryRun=True),
        }

    def _ours(self, aws: AWS) -> list[VolumeTypeDef]:
        return _look.volumes(aws, born(aws, self.id, self.step))

    def _complete(self, aws: AWS) -> str:
        wait = _look.Wait(aws, self.within, f"the snapshot of {self.id}'s root volume was not complete")

        def look() -> str | None:
            found: list[SnapshotTypeDef] = _look.snapshots(aws, born(aws, self.id, Snapshot.step))
            if not found and wait.should_be_listed:
                raise CannotInject(f"the snapshot of {self.id}'s root volume was not made")
            if found and found[0]["State"] == "error":
                raise CannotInject(f"snapshot {found[0]['SnapshotId']} failed: {found[0].get('StateMessage', '')}")
            return found[0]["SnapshotId"] if found and found[0]["State"] == "completed" else None

        return wait.until(look)


def _labels(kind: Any, tags: dict[str, str]) -> TagSpecificationTypeDef:
    return {"ResourceType": kind, "Tags": _look.as_tags(tags)}
