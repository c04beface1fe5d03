"""The few attributes of moto's objects that the hooks use, as protocols."""

from __future__ import annotations

from typing import Any, Protocol


class Grant(Protocol):
    """A KMS grant."""

    id: str
    token: str
    name: str
    grantee_principal: str
    retiring_principal: str
    operations: list[str]
    constraints: Any


class Key(Protocol):
    """A KMS key."""

    id: str
    arn: str
    region: str
    policy: str
    key_state: str
    key_usage: str
    key_spec: str
    origin: str
    multi_region: bool
    key_material: bytes
    key_rotation_status: bool
    creation_date: float
    key_manager: str
    enabled: bool
    deletion_date: Any
    grants: dict[str, Grant]
    aliases: dict[str, Any]

    def add_grant(
        self,
        name: str,
        grantee_principal: str,
        operations: list[str],
        constraints: Any,
        retiring_principal: str,
    ) -> Grant:
        """Make a grant."""

    def retire_grant(self, grant_id: str) -> None:
        """Take it away."""


class KmsBackend(Protocol):
    """KMS in one Region."""

    keys: dict[str, Key]

    def get_key_id_from_alias(self, alias_name: str) -> str | None:
        """The key behind an alias; the aliases of AWS' own keys are made when first asked for."""


class Bucket(Protocol):
    """An S3 bucket."""

    name: str
    policy: bytes | None
    acl: Any
    public_access_block: Any
    encryption: dict[str, Any] | None
    ownership_rule: Any
    region_name: str


class S3Object(Protocol):
    """An S3 object's version."""

    name: str
    encryption: str | None
    kms_key_id: str | None
    bucket_key_enabled: Any
    acl: Any


class State(Protocol):
    """An instance's state."""

    name: str
    code: int


class Instance(Protocol):
    """An EC2 instance."""

    id: str
    image_id: str
    root_device_name: str
    block_device_mapping: dict[str, Any]
    state_reason: Any
    disable_api_stop: bool
    lab_checks: str
    lab_mapped: list[str]
    """The devices that its launch mapped."""
    _state: State
    _reason: str

    @property
    def availability_zone(self) -> str | None:
        """Its zone."""

    def start(self) -> Any:
        """Make it run, in moto's eyes."""

    def stop(self) -> Any:
        """Make it stop, in moto's eyes."""

    def terminate(self) -> Any:
        """Make it end, in moto's eyes."""


class Volume(Protocol):
    """An EBS volume."""

    id: str
    encrypted: bool
    kms_key_id: str | None
    snapshot_id: str | None
    attachment: Any

    @property
    def availability_zone(self) -> str | None:
        """Its zone."""


class Image(Protocol):
    """A machine image."""

    id: str
    root_device_name: str


class Ec2Backend(Protocol):
    """EC2 in one Region."""

    volumes: dict[str, Volume]
    snapshots: dict[str, Any]
    amis: dict[str, Image]
    ebs_encryption_by_default: bool
    default_kms_key_id: str
    region_name: str

    def get_instance_by_id(self, instance_id: str) -> Instance | None:
        """An instance, or None."""

    def create_volume(self, size: int, zone_name: str, **about: Any) -> Volume:
        """Make a volume."""

    def attach_volume(
        self, volume_id: str, instance_id: str, device_path: str, delete_on_termination: bool = False
    ) -> Any:
        """Attach it."""

    def delete_volume(self, volume_id: str) -> Any:
        """Delete it."""
