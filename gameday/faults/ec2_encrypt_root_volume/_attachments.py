"""Swapping the volumes at the root device, and keeping what happens to them when the instance is terminated."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from gameday.errors import CannotInject
from gameday.faults.ec2_encrypt_root_volume import _fit, _look
from gameday.faults.ec2_encrypt_root_volume._copies import Volume
from gameday.faults.ec2_encrypt_root_volume._step import DELETE, DEVICE, RootStep, born
from gameday.sdk import AWS, Before, Calls, Drifted, ReadBack, Restored, StillOurs

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import InstanceTypeDef, VolumeTypeDef


class Detach(RootStep):
    """Takes the old volume from the root device; attaching it again, as it was, is the undo."""

    step: ClassVar[str] = "detach"
    calls: ClassVar[Calls] = Calls(
        inject=("ec2:DetachVolume",),
        undo=("ec2:AttachVolume", "ec2:ModifyInstanceAttribute"),
        read=("ec2:DescribeInstances", "ec2:DescribeVolumes"),
    )

    def capture(self, aws: AWS) -> Before:
        """Waits until the new volume is there, and is what was asked for: from here on the instance has no root."""
        new = self._available(aws)
        machine, old = _look.known_instance(aws, self.instance), self.marked(aws)
        _fit.check_copy(machine, new, self.key)
        device = machine["RootDeviceName"]
        mapping = _look.at(machine, device)
        if machine["State"]["Name"] != "stopped" or not mapping or mapping["Ebs"]["VolumeId"] != old["VolumeId"]:
            raise CannotInject(f"instance {self.id} is no longer stopped with {old['VolumeId']} at {device}")
        delete = mapping["Ebs"].get("DeleteOnTermination", False)
        return {"old": old["VolumeId"], "new": new["VolumeId"], "device": device, "delete": delete}

    def mismatch(self, run: str, before: Before) -> str:
        """Ids of volumes, and a device."""
        return _look.no_volume(before, "old", "new") or _look.no_device(before)

    def inject(self, aws: AWS, before: Before) -> None:
        """DetachVolume, once."""
        aws.changing("ec2").detach_volume(VolumeId=str(before["old"]), InstanceId=self.id)

    def undo(self, aws: AWS, before: Before) -> None:
        """AttachVolume at its device, and its delete-on-termination, which an attachment loses.

        A volume that is attached already answers VolumeInUse; then only the attribute is left to be put back. That
        answer is passed on, since a volume that is still being detached gives the same.
        """
        device = str(before["device"])
        try:
            aws.changing("ec2").attach_volume(VolumeId=str(before["old"]), InstanceId=self.id, Device=device)
        finally:
            machine = _look.instance(aws, self.instance)
            mapping = _look.at(machine, device) if machine else None
            if mapping and mapping["Ebs"]["VolumeId"] == before["old"]:
                _keep_or_delete(aws, self.id, device, delete=bool(before["delete"]))

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """Restored when it is attached at its device, with delete-on-termination as captured."""
        device, machine = str(before["device"]), _look.instance(aws, self.instance)
        if machine is None:
            return Drifted("the instance is gone: someone terminated it")
        old = _look.volume(aws, str(before["old"]))
        if old is None:
            return Drifted(f"{before['old']} is gone: someone deleted it")
        held, mapping = _look.attachment(old), _look.at(machine, device)
        if held is not None and (held.get("InstanceId"), held.get("Device")) != (self.id, device):
            return Drifted(f"someone else attached {before['old']} to {held.get('InstanceId')} as {held.get('Device')}")
        there = mapping["Ebs"]["VolumeId"] if mapping else ""
        if there not in ("", before["old"], before["new"]):
            return Drifted(f"someone else attached {there} as {device}")
        if mapping is None or held is None or held.get("State") != "attached" or there != before["old"]:
            return StillOurs(f"{before['old']} is {held.get('State') if held else old['State']}")
        if mapping["Ebs"].get("DeleteOnTermination", False) != before["delete"]:
            return StillOurs(f"{before['old']} is attached, but its delete-on-termination is not as it was")
        return Restored(f"{before['old']} is attached as {device}")

    def dry_runs(self, aws: AWS, machine: InstanceTypeDef, root: str) -> dict[str, Callable[[], Any]]:
        """DetachVolume and AttachVolume."""
        ec2, device = aws.changing("ec2"), machine["RootDeviceName"]
        return {
            "ec2:DetachVolume": lambda: ec2.detach_volume(VolumeId=root, InstanceId=self.id, DryRun=True),
            "ec2:AttachVolume": lambda: ec2.attach_volume(
                VolumeId=root, InstanceId=self.id, Device=device, DryRun=True
            ),
        }

    def _available(self, aws: AWS) -> VolumeTypeDef:
        wait, seen = _look.Wait(aws, self.within, f"the new volume for {self.id} was not available"), [False]

        def look() -> VolumeTypeDef | None:
            found = _look.volumes(aws, born(aws, self.id, Volume.step))
            if found and found[0]["State"] == "error":
                raise _fit.not_made(aws, self.key, f"the new volume {found[0]['VolumeId']} is in error")
            if not found and (seen[0] or wait.should_be_listed):
                raise _fit.not_made(aws, self.key, f"the new volume for {self.id} vanished")
            seen[0] = bool(found)
            return found[0] if found and found[0]["State"] == "available" else None

        return wait.until(look)


class Attach(RootStep):
    """Attaches the new volume as the root device; detaching it is the undo."""

    step: ClassVar[str] = "attach"
    calls: ClassVar[Calls] = Calls(
        inject=("ec2:AttachVolume",), undo=("ec2:DetachVolume",), read=("ec2:DescribeVolumes",)
    )

    def capture(self, aws: AWS) -> Before:
        """Waits until the old volume is off, and the device free."""

        def look() -> VolumeTypeDef | None:
            old = self.marked(aws)
            return old if old["State"] == "available" else None

        old = _look.Wait(aws, self.within, f"the old root volume of {self.id} was not detached").until(look)
        return {"new": _new(aws, self.id)["VolumeId"], "device": _look.tags_of(old)[DEVICE]}

    def mismatch(self, run: str, before: Before) -> str:
        """Ids of volumes, and a device."""
        return _look.no_volume(before, "new") or _look.no_device(before)

    def inject(self, aws: AWS, before: Before) -> None:
        """AttachVolume, once."""
        new, device = str(before["new"]), str(before["device"])
        aws.changing("ec2").attach_volume(VolumeId=new, InstanceId=self.id, Device=device)

    def undo(self, aws: AWS, before: Before) -> None:
        """DetachVolume; on a volume that is attached nowhere EC2 refuses, which proves nothing while a call is late."""
        aws.changing("ec2").detach_volume(VolumeId=str(before["new"]), InstanceId=self.id)

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """Restored when it is attached nowhere."""
        new = _look.volume(aws, str(before["new"]))
        if new is None:
            return Restored(f"{before['new']} is gone")
        held = _look.attachment(new)
        if held is not None and held.get("InstanceId") != self.id:
            return Drifted(f"someone else attached {before['new']} to {held.get('InstanceId')}")
        if new["State"] == "in-use":
            return StillOurs(f"{before['new']} is {held.get('State') if held else 'in use'}")
        return Restored(f"{before['new']} is {new['State']}")


class DeleteOnTermination(RootStep):
    """Lets the new volume go with the instance if the old one did."""

    step: ClassVar[str] = "delete-on-termination"
    calls: ClassVar[Calls] = Calls(
        inject=("ec2:ModifyInstanceAttribute",), undo=("ec2:ModifyInstanceAttribute",), read=("ec2:DescribeInstances",)
    )

    def capture(self, aws: AWS) -> Before:
        """Waits until the new volume is attached; what to set stands in the old volume's tags."""
        tags = _look.tags_of(self.marked(aws))
        new, device = _new(aws, self.id)["VolumeId"], tags[DEVICE]

        def look() -> bool | None:
            found = _look.volume(aws, new)
            held = _look.attachment(found) if found else None
            mapping = _look.at(_look.known_instance(aws, self.instance), device)
            if mapping is None or held is None or held.get("State") != "attached" or mapping["Ebs"]["VolumeId"] != new:
                return None
            return mapping["Ebs"].get("DeleteOnTermination", False)

        now = _look.Wait(aws, self.within, f"the new volume {new} was not attached to {self.id}").until(look)
        return {"new": new, "device": device, "was": now, "wanted": tags[DELETE] == "true"}

    def mismatch(self, run: str, before: Before) -> str:
        """Ids of volumes, and a device."""
        return _look.no_volume(before, "new") or _look.no_device(before)

    def inject(self, aws: AWS, before: Before) -> None:
        """ModifyInstanceAttribute, once."""
        _keep_or_delete(aws, self.id, str(before["device"]), delete=bool(before["wanted"]))

    def undo(self, aws: AWS, before: Before) -> None:
        """ModifyInstanceAttribute, unless another volume is there by now."""
        machine = _look.instance(aws, self.instance)
        mapping = _look.at(machine, str(before["device"])) if machine else None
        if mapping and mapping["Ebs"]["VolumeId"] == before["new"]:
            _keep_or_delete(aws, self.id, str(before["device"]), delete=bool(before["was"]))

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """Restored when it is as it was, or the volume no longer there: the attribute goes with the attachment."""
        machine = _look.instance(aws, self.instance)
        mapping = _look.at(machine, str(before["device"])) if machine else None
        if mapping is None or mapping["Ebs"]["VolumeId"] != before["new"]:
            return Restored(f"{before['new']} is not attached as {before['device']}")
        is_so = mapping["Ebs"].get("DeleteOnTermination", False)
        detail = f"delete-on-termination of {before['new']} is {'on' if is_so else 'off'}"
        return Restored(detail) if is_so == before["was"] else StillOurs(detail)

    def dry_runs(self, aws: AWS, machine: InstanceTypeDef, root: str) -> dict[str, Callable[[], Any]]:
        """ModifyInstanceAttribute."""
        mapping: Any = [{"DeviceName": machine["RootDeviceName"], "Ebs": {"DeleteOnTermination": True}}]
        return {
            "ec2:ModifyInstanceAttribute": lambda: aws.changing("ec2").modify_instance_attribute(
                InstanceId=self.id, BlockDeviceMappings=mapping, DryRun=True
            )
        }


def _new(aws: AWS, instance_id: str) -> VolumeTypeDef:
    found = _look.volumes(aws, born(aws, instance_id, Volume.step))
    if not found:
        raise CannotInject(f"the new volume for {instance_id} is gone: someone deleted it")
    return found[0]


def _keep_or_delete(aws: AWS, instance_id: str, device: str, *, delete: bool) -> None:
    aws.changing("ec2").modify_instance_attribute(
        InstanceId=instance_id, BlockDeviceMappings=[{"DeviceName": device, "Ebs": {"DeleteOnTermination": delete}}]
    )
