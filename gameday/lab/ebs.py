"""EBS: volumes carry their key's ARN, are reached through grants on it, and know their zone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from .access import Access
from .images import IMAGE_OPERATIONS, HandedOn, default_key, find_key
from .kms import Keys
from .shapes import Instance, Volume
from .volumekeys import VolumeKeys
from .wire import Answer, AwsError
from .world import Behaviour, World

if TYPE_CHECKING:
    from .call import Call

VOLUME_ID = re.compile(rb"<volumeId>(vol-[0-9a-f]+)</volumeId>")
SNAPSHOT_ID = re.compile(rb"<snapshotId>(snap-[0-9a-f]+)</snapshotId>")
EBS_MAPPING = re.compile(r"(BlockDeviceMappings?\.\d+\.Ebs\.)(KmsKeyId|Encrypted)")
THROUGHPUT = re.compile(r"(BlockDeviceMappings?\.\d+\.)Ebs\.Throughput")
FLEET_TEMPLATE = re.compile(
    r".*LaunchTemplateConfigs\.1\.LaunchTemplateSpecification\.(LaunchTemplate(?:Id|Name)|Version)"
)


class Ebs:
    """EBS' hooks, and EC2's dealings with KMS; both called by ``ec2``."""

    behaviours: tuple[Behaviour, ...] = (
        Behaviour("ebs", "AttachVolume across zones: InvalidVolume.ZoneMismatch", "documented"),
        Behaviour("ebs", "AttachVolume onto an occupied device: InvalidParameterValue", "documented"),
        Behaviour("ebs", "AttachVolume with the key unusable: Client.CustomerKeyHasBeenRevoked", "recorded"),
        Behaviour("ebs", "DetachVolume works without InstanceId", "documented"),
        Behaviour("ebs", "volumes and snapshots carry the key's ARN; snapshots pass it on", "documented"),
        Behaviour("ebs", "encryption by default, and its default key, for new volumes and launches", "documented"),
        Behaviour("ebs", "a launch keeps Iops and Throughput; images hand on their snapshots' keys", "documented"),
        Behaviour("ebs", "CopySnapshot with a key that is off ends in the state error, at once", "documented"),
        Behaviour("ebs", "CreateVolume with the key unusable succeeds, and the volume vanishes", "documented"),
        Behaviour("ebs", "a start records CreateGrant, Decrypt; a stop records RetireGrant", "recorded"),
        Behaviour("ebs", "DetachVolume retires the grant that an attachment to a running instance made", "inferred"),
        Behaviour("ebs", "a refused CreateGrant's record: no parameters, no resources", "inferred"),
        Behaviour("ebs", "an already stopped instance's root may be attached and detached freely", "documented"),
    )

    def __init__(self, world: World, keys: Keys, access: Access) -> None:
        self._world = world
        self.asks = VolumeKeys(world, keys, access)
        self._keys = keys
        self.images: dict[str, str] = {}
        self._handed_on = HandedOn(world, keys, self.asks)

    # --- hooks

    def before(self, call: Call) -> Answer | None:
        """Refuse impossible attachments, and spell keys as ARNs before moto stores them."""
        if call.operation == "AttachVolume":
            self._check_attach(call)
        elif call.operation == "DetachVolume":
            self._name_instance(call)
        elif call.operation in {"CreateVolume", "RunInstances", "CopySnapshot"}:
            self._spell_keys(call)
        launches = self._world.moto.launches
        for name, value in call.params.items():
            if found := THROUGHPUT.fullmatch(name):
                launches.throughput[call.text(f"{found.group(1)}DeviceName")] = int(str(value))
            elif found := FLEET_TEMPLATE.fullmatch(name):
                launches.template.setdefault(found.group(1), value)
        return None

    def after(self, call: Call, answer: Answer) -> None:
        """Hand keys on between volumes and snapshots."""
        if call.operation == "CreateVolume":
            found = VOLUME_ID.search(answer.body)
            volume = self._world.moto.volume(call.region, found.group(1).decode()) if found else None
            if volume is not None:
                self._settle_volume(call, volume)
        elif call.operation in {"CreateSnapshot", "CreateSnapshots"}:
            for raw in SNAPSHOT_ID.findall(answer.body):
                snapshot = self._world.moto.ec2(call.region).snapshots[raw.decode()]
                snapshot.kms_key_id = snapshot.volume.kms_key_id
        elif call.operation in IMAGE_OPERATIONS:
            self._handed_on.after(call, answer)
        elif call.operation == "AttachVolume":
            volume = self._world.moto.volume(call.region, call.text("VolumeId"))
            instance = self._world.moto.instance(call.region, call.text("InstanceId"))
            if volume is not None and instance is not None and instance._state.name == "running":
                self.asks.grant(call, volume, instance)
                self.asks.decrypt(call, volume, instance)
        elif call.operation == "DetachVolume" and answer.status < 400:
            instance = self._world.moto.instance(call.region, call.text("InstanceId"))
            if instance is not None:
                self.asks.retire(call.region, self.asks.grants_of(instance, call.text("VolumeId")))

    def _check_attach(self, call: Call) -> None:
        volume = self._world.moto.volume(call.region, call.text("VolumeId"))
        instance = self._world.moto.instance(call.region, call.text("InstanceId"))
        device = call.text("Device")
        if volume is None or instance is None:
            return  # moto names the unknown one
        if volume.attachment is not None:
            owner = volume.attachment.instance.id
            raise AwsError("VolumeInUse", f"{volume.id} is already attached to an instance ({owner})")
        if volume.availability_zone != instance.availability_zone:
            raise AwsError(
                "InvalidVolume.ZoneMismatch",
                f"The volume '{volume.id}' is not in the same availability zone as instance '{instance.id}'",
            )
        if instance._state.name not in {"running", "stopped"}:
            raise AwsError("IncorrectState", f"Instance '{instance.id}' is not 'running'.")
        if device in instance.block_device_mapping:
            raise AwsError(
                "InvalidParameterValue",
                f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use",
            )
        key = self.asks.key_of(call, volume)
        if key is not None and self.asks.refusal(call, key, "CreateGrant", volume) is not None:
            raise AwsError(
                "Client.CustomerKeyHasBeenRevoked",
                f"Volume {volume.id} cannot be attached. The encrypted volume was unable to access the KMS key.",
            )

    def _name_instance(self, call: Call) -> None:
        volume = self._world.moto.volume(call.region, call.text("VolumeId"))
        if volume is None or volume.attachment is None:
            return
        instance = volume.attachment.instance
        if volume.attachment.device == instance.root_device_name and instance._state.name == "running":
            raise AwsError(
                "OperationNotPermitted",
                f"Unable to detach root volume '{volume.id}' from instance '{instance.id}'",
            )
        if not call.text("InstanceId"):
            self._rewrite(call, {"InstanceId": instance.id})

    def _spell_keys(self, call: Call) -> None:
        """Key ids, aliases and the default key become the key's ARN, as DescribeVolumes shows it."""
        spelled: dict[str, str] = {}
        prefixes = {m.group(1) for m in map(EBS_MAPPING.fullmatch, call.params) if m}
        if call.operation != "RunInstances":
            prefixes = {""}
        for prefix in prefixes:
            name = call.text(f"{prefix}KmsKeyId")
            encrypted = call.text(f"{prefix}Encrypted").lower() == "true"
            if call.operation == "CreateVolume" and self._world.moto.ec2(call.region).ebs_encryption_by_default:
                encrypted, spelled[f"{prefix}Encrypted"] = True, "true"
            if not self._world.knobs.encrypt_volumes and call.operation == "CreateVolume":
                spelled[f"{prefix}Encrypted"] = "false"
                spelled[f"{prefix}KmsKeyId"] = ""
            elif name or encrypted:
                key = find_key(self._keys, call, name or default_key(self._world, call))
                spelled[f"{prefix}KmsKeyId"] = key.arn
        if spelled:
            self._rewrite(call, spelled)

    def _rewrite(self, call: Call, changes: dict[str, str]) -> None:
        call.params |= changes
        call.params = {name: value for name, value in call.params.items() if not (name in changes and value == "")}
        call.set_body(urlencode({"Action": call.operation, **call.params}).encode())

    # --- volumes and their keys

    def volumes_of(self, region: str, instance: Instance) -> list[Volume]:
        """What is attached to an instance."""
        volumes = self._world.moto.ec2(region).volumes
        ids = [device.volume_id for device in instance.block_device_mapping.values()]
        return [volumes[name] for name in ids if name in volumes]

    def settle_root(self, call: Call, instance: Instance) -> None:
        """Let the root volume stand at the image's root device, as moto does not."""
        devices = instance.block_device_mapping
        listed = instance.image_id in self._world.moto.ec2(call.region).amis
        asked = instance.lab_mapped
        if not listed:
            # An image that the lab does not know: its root device is whatever the caller mapped first.
            if asked:
                instance.root_device_name = asked[0]
        elif not asked and instance.root_device_name not in devices:
            old, device = next(iter(devices.items()))
            del devices[old]
            devices[instance.root_device_name] = device
            volume = self._world.moto.volume(call.region, device.volume_id)
            if volume is not None:
                volume.attachment.device = instance.root_device_name
        elif instance.root_device_name not in devices:
            backend = self._world.moto.ec2(call.region)
            volume = backend.create_volume(8, str(instance.availability_zone))
            backend.attach_volume(volume.id, instance.id, instance.root_device_name, True)
        root = devices.get(instance.root_device_name)
        if root is not None and not any(name.endswith("DeleteOnTermination") for name in call.params):
            root.delete_on_termination = True  # images ask for it; moto forgets
        for volume in self.volumes_of(call.region, instance):
            self._inherit(call, volume)

    def _settle_volume(self, call: Call, volume: Volume) -> None:
        self._inherit(call, volume)
        if not self.asks.generate_key(call, volume):
            backend = self._world.moto.ec2(call.region)

            def vanish() -> None:
                if volume.id in backend.volumes and volume.attachment is None:
                    backend.delete_volume(volume.id)

            self._world.agenda.after(0, vanish)

    def _inherit(self, call: Call, volume: Volume) -> None:
        """A volume made from an encrypted snapshot is encrypted with the snapshot's key."""
        snapshot = self._world.moto.ec2(call.region).snapshots.get(volume.snapshot_id or "")
        if volume.encrypted and not volume.kms_key_id:
            inherited = getattr(snapshot, "kms_key_id", None)
            volume.kms_key_id = inherited or default_key(self._world, call)
        if volume.kms_key_id and not volume.kms_key_id.startswith("arn:"):
            volume.kms_key_id = find_key(self._keys, call, volume.kms_key_id).arn


def root_volume(world: World, region: str, instance: Instance) -> Volume | None:
    """The volume at an instance's root device."""
    device = instance.block_device_mapping.get(instance.root_device_name)
    return world.moto.volume(region, device.volume_id) if device is not None else None
