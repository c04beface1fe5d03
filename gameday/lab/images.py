"""What is handed on under a key: images, copies of snapshots, and the account's default key for EBS."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .kms import Keys
from .shapes import Key
from .volumekeys import VolumeKeys
from .wire import Answer, AwsError
from .world import World

if TYPE_CHECKING:
    from .call import Call

IMAGE_ID = re.compile(rb"<imageId>(ami-[0-9a-f]+)</imageId>")
SNAPSHOT_ID = re.compile(rb"<snapshotId>(snap-[0-9a-f]+)</snapshotId>")
IMAGE_OPERATIONS = frozenset({"CopySnapshot", "CreateImage", "RegisterImage", "CopyImage"})


def default_key(world: World, call: Call) -> str:
    """The account's key for EBS in this Region."""
    return world.moto.ec2(call.region).default_kms_key_id or "alias/aws/ebs"


def find_key(keys: Keys, call: Call, name: str) -> Key:
    """The key that EC2 is told of; raises what EC2 says of one that is not there."""
    try:
        return keys.find(call.region, name, call.who.account)
    except AwsError as error:
        raise AwsError("InvalidParameterValue", f"Invalid value '{name}' for kmsKeyId. {error.message}") from error


class HandedOn:
    """Images and copies keep the keys of what they were made from; ``ebs`` calls this."""

    def __init__(self, world: World, keys: Keys, asks: VolumeKeys) -> None:
        self._world = world
        self._keys = keys
        self._asks = asks

    def after(self, call: Call, answer: Answer) -> None:
        """A new image or copy has been made."""
        if call.operation == "CopySnapshot":
            self._copied(call, answer)
        else:
            self._remember_image(call, answer)

    def _copied(self, call: Call, answer: Answer) -> None:
        """A copy whose keys cannot be used ends in the state error, as EC2 finds out later."""
        snapshots = self._world.moto.ec2(call.region).snapshots
        source = self._world.moto.ec2(call.text("SourceRegion", call.region)).snapshots.get(
            call.text("SourceSnapshotId")
        )
        for raw in SNAPSHOT_ID.findall(answer.body):
            copied = snapshots[raw.decode()]
            copied.kms_key_id = copied.kms_key_id or getattr(source, "kms_key_id", None)
            copied.encrypted = bool(copied.kms_key_id)
            if self._asks.off(call, copied) or (source is not None and self._asks.off(call, source)):
                copied.status = "error"

    def _remember_image(self, call: Call, answer: Answer) -> None:
        """What an image maps, for those who launch it: moto keeps one unencrypted snapshot."""
        found = IMAGE_ID.search(answer.body)
        image = self._world.moto.ec2(call.region).amis.get(found.group(1).decode()) if found else None
        if image is None:
            return
        make = {"CopyImage": self._of_image, "CreateImage": self._of_instance}.get(call.operation, self._of_snapshots)
        root, mapped = make(call)
        image.root_device_name = root or image.root_device_name
        if mapped:
            self._world.moto.launches.images[call.region, image.id] = mapped

    def _of_image(self, call: Call) -> tuple[str, list[dict[str, Any]]]:
        there, name = call.text("SourceRegion", call.region), call.text("SourceImageId")
        source = self._world.moto.ec2(there).amis.get(name)
        old = self._world.moto.launches.images.get((there, name), [])
        mapped = [{**one, "Ebs": dict(one["Ebs"])} for one in old]
        if call.text("Encrypted").lower() == "true" or call.text("KmsKeyId"):
            key = find_key(self._keys, call, call.text("KmsKeyId") or default_key(self._world, call)).arn
            for one in mapped:
                one["Ebs"] |= {"Encrypted": True, "KmsKeyId": key}
        return source.root_device_name if source else "", mapped

    def _of_instance(self, call: Call) -> tuple[str, list[dict[str, Any]]]:
        instance = self._world.moto.instance(call.region, call.text("InstanceId"))
        if instance is None:
            return "", []
        devices = instance.block_device_mapping.items()
        mapped = [{"DeviceName": name, "Ebs": self._mapping_of(call.region, one.volume_id)} for name, one in devices]
        return instance.root_device_name, mapped

    def _of_snapshots(self, call: Call) -> tuple[str, list[dict[str, Any]]]:
        mapped: list[dict[str, Any]] = []
        for name in [name for name in call.params if name.endswith(".DeviceName")]:
            ebs = name.removesuffix("DeviceName") + "Ebs."
            snapshot = self._world.moto.ec2(call.region).snapshots.get(call.text(f"{ebs}SnapshotId"))
            if snapshot is not None:
                about = {"SnapshotId": snapshot.id, "DeleteOnTermination": True}
                secret = {"Encrypted": True, "KmsKeyId": snapshot.kms_key_id} if snapshot.kms_key_id else {}
                mapped.append({"DeviceName": call.params[name], "Ebs": about | secret})
        return call.text("RootDeviceName"), mapped

    def _mapping_of(self, region: str, volume_id: str) -> dict[str, Any]:
        """A volume as an image maps it, through a snapshot."""
        backend: Any = self._world.moto.ec2(region)
        volume = backend.volumes[volume_id]
        snapshot = backend.create_snapshot(volume_id, "of an image", backend.account_id)
        snapshot.kms_key_id = volume.kms_key_id
        about = {"SnapshotId": snapshot.id, "VolumeSize": volume.size, "DeleteOnTermination": True}
        about |= {"VolumeType": volume.volume_type, "Iops": volume.iops, "Throughput": volume.throughput}
        return about | ({"Encrypted": True, "KmsKeyId": volume.kms_key_id} if volume.kms_key_id else {})
