"""What EC2 asks of KMS for its volumes: data keys for new ones, grants to open them, and the grants back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gameday.partitions import partition

from .access import Access
from .kms import Keys
from .shapes import Instance, Key, Volume
from .trail import Infrastructure
from .wire import AwsError
from .world import World

if TYPE_CHECKING:
    from .call import Call

AGENT = "ec2.amazonaws.com"


class VolumeKeys:
    """EC2's dealings with KMS; each leaves its record in the trail."""

    def __init__(self, world: World, keys: Keys, access: Access) -> None:
        self._world = world
        self._keys = keys
        self._access = access

    def key_of(self, call: Call, volume: Volume) -> Key | None:
        """The key that a volume is encrypted with."""
        if not volume.encrypted or not volume.kms_key_id:
            return None
        return self._keys.find(call.region, volume.kms_key_id, call.who.account)

    def refusal(self, call: Call, key: Key, operation: str, volume: Volume) -> AwsError | None:
        """Why KMS refuses this for a volume: the policies first, then the key's state."""
        denied = self._access.kms(call, key, operation, "ec2", {"aws:ebs:id": volume.id})
        return denied or self._keys.refusal(key)

    def off(self, call: Call, volume: Volume) -> bool:
        """Whether it is the key's state that keeps a volume shut, not a policy."""
        key = self.key_of(call, volume)
        return key is not None and self._keys.refusal(key) is not None

    def generate_key(self, call: Call, volume: Volume) -> bool:
        """A new encrypted volume needs a data key; False when KMS refused."""
        key = self.key_of(call, volume)
        if key is None:
            return True
        refusal = self.refusal(call, key, "GenerateDataKeyWithoutPlaintext", volume)
        context = {"aws:ebs:id": volume.id}
        parameters = {"encryptionContext": context, "keyId": key.arn, "numberOfBytes": 64}
        self._world.trail.on_behalf(
            call,
            "GenerateDataKeyWithoutPlaintext",
            AGENT,
            key_arn="" if refusal else key.arn,
            parameters=None if refusal else parameters,
            error=(refusal.code, refusal.message) if refusal else None,
        )
        return refusal is None

    def grant(self, call: Call, volume: Volume, instance: Instance) -> bool:
        """EC2 needs a grant on the key to open a volume for an instance; False when KMS refused."""
        key = self.key_of(call, volume)
        if key is None:
            return True
        refusal = self.refusal(call, key, "CreateGrant", volume)
        if refusal:
            # The smoking gun: a denied forwarded call has no parameters and no resources.
            self._world.trail.on_behalf(
                call,
                "CreateGrant",
                AGENT,
                key_arn="",
                parameters=None,
                error=(refusal.code, refusal.message),
                read_only=False,
            )
            return False
        session = f"assumed-role/aws:ec2-infrastructure/{instance.id}"
        grantee = f"arn:{partition(call.region)}:sts::{call.who.account}:{session}"
        constraints = {"EncryptionContextSubset": {"aws:ebs:id": volume.id}}
        made = self._world.moto.add_grant(key, "", grantee, ["Decrypt"], constraints)
        self._world.trail.on_behalf(
            call,
            "CreateGrant",
            AGENT,
            key_arn=key.arn,
            read_only=False,
            parameters={
                "constraints": {"encryptionContextSubset": {"aws:ebs:id": volume.id}},
                "granteePrincipal": grantee,
                "keyId": key.arn,
                "operations": ["Decrypt"],
            },
            response={"grantId": made.id, "keyId": key.arn},
        )
        return True

    def decrypt(self, call: Call, volume: Volume, instance: Instance) -> None:
        """EC2's infrastructure opens the volume's data key under its grant."""
        key = self.key_of(call, volume)
        if key is not None:
            about = Infrastructure(call.who.account, call.region, instance.id, volume.id, key.arn)
            self._world.trail.by_infrastructure("Decrypt", about)

    def grants_of(self, instance: Instance, volume: str = "") -> list[tuple[Key, Any]]:
        """EC2's grants for an instance, or for one volume of it."""
        suffix = f":assumed-role/aws:ec2-infrastructure/{instance.id}"
        region = str(instance.availability_zone)[:-1]
        return [
            (key, grant)
            for key in self._world.moto.kms(region).keys.values()
            for grant in list(key.grants.values())
            if str(grant.grantee_principal).endswith(suffix)
            and volume in ("", grant.constraints["EncryptionContextSubset"]["aws:ebs:id"])
        ]

    def retire(self, region: str, grants: list[tuple[Key, Any]]) -> None:
        """EC2 gives its grants back when an instance has stopped."""
        for key, grant in grants:
            key.retire_grant(grant.id)
            parts = str(grant.grantee_principal)
            volume = grant.constraints["EncryptionContextSubset"]["aws:ebs:id"]
            about = Infrastructure(
                parts.split(":")[4], region, parts.rsplit("/", 1)[1], volume, key.arn, grant.id, AGENT
            )
            self._world.trail.by_infrastructure("RetireGrant", about)
