"""What a key is made of: material that is imported, rotated, shared with replicas, and data key pairs."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from .keystates import DELETED_LATER
from .shapes import Key
from .wire import Answer, AwsError, json_answer
from .world import Behaviour, World

if TYPE_CHECKING:
    from .call import Call

DAY = 86_400
ROTATIONS = 10
PAIR_OPERATIONS = frozenset({"GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"})
PERIODS = (90, 2560)


@dataclass(slots=True)
class Material:
    """What the lab knows of a key's material, beside moto's bytes."""

    turn: int = 0
    """How often it was rotated on demand."""
    period: int = 365
    imports: dict[str, Any] = field(default_factory=dict)
    """Import tokens that were given out, with the private key to unwrap with and the algorithm."""
    imported: str = ""
    """The digest of the material that was imported: no other may follow it."""
    expires: float | None = None
    primary: bool = True
    started: float | None = None


class KeyMaterial:
    """KMS' calls about material; ``kms`` asks it before moto."""

    behaviours: tuple[Behaviour, ...] = (
        Behaviour(
            "kms", "Origin EXTERNAL: PendingImport until ImportKeyMaterial; only the same material again", "documented"
        ),
        Behaviour("kms", "imported material that expires is gone at its time, on the lab's clock", "documented"),
        Behaviour("kms", "GenerateDataKeyPair, with and without plaintext, for RSA and elliptic curves", "documented"),
        Behaviour("kms", "RotationPeriodInDays and NextRotationDate; ten rotations on demand", "recorded"),
        Behaviour("kms", "replicas share id and material; their state, policy and grants are their own", "documented"),
        Behaviour(
            "kms", "a primary whose deletion is scheduled waits for its replicas: PendingReplicaDeletion", "documented"
        ),
        Behaviour("kms", "a key is gone when its waiting period is over, on the lab's clock", "documented"),
        Behaviour("kms", "KeyMaterialId is a digest that changes with each rotation on demand", "invented"),
        Behaviour("kms", "imports of asymmetric and HMAC keys take any bytes that unwrap", "invented"),
    )

    def __init__(self, world: World) -> None:
        self._world = world
        self._known: dict[str, Material] = {}

    def reset(self) -> None:
        """Forget everything."""
        self._known.clear()

    def of(self, key: Key) -> Material:
        """What is known of a key's material."""
        return self._known.setdefault(key.arn, Material())

    def id_of(self, key: Key) -> str:
        """The id of the material in use; "" where AWS tells none."""
        known = self.of(key)
        if key.key_spec != "SYMMETRIC_DEFAULT" or (key.origin == "EXTERNAL" and not known.imported):
            return ""
        return hashlib.sha256(f"{key.id}/{known.turn}/{known.imported}".encode()).hexdigest()

    # --- calls

    def answer(self, call: Call, key: Key) -> Answer | None:
        """The answer to a call about material; None for all others."""
        if call.operation in PAIR_OPERATIONS:
            return self._pair(call, key)
        own = {
            "GetParametersForImport": self._parameters,
            "ImportKeyMaterial": self._import,
            "DeleteImportedKeyMaterial": self._delete,
            "GetKeyRotationStatus": self._rotation,
            "EnableKeyRotation": self._enable_rotation,
            "RotateKeyOnDemand": self._rotate,
            "ReplicateKey": self._replicate,
            "UpdatePrimaryRegion": self._move_primary,
        }.get(call.operation)
        return own(call, key) if own else None

    def _parameters(self, call: Call, key: Key) -> Answer:
        wrapping, public = self._world.moto.wrapping_key(call.text("WrappingKeySpec"))
        token = hashlib.sha256(public).digest() * 4
        self.of(key).imports[base64.b64encode(token).decode()] = (wrapping, call.text("WrappingAlgorithm"))
        until = datetime.now(UTC) + timedelta(days=1)
        text = {"ImportToken": base64.b64encode(token).decode(), "PublicKey": base64.b64encode(public).decode()}
        return json_answer({"KeyId": key.arn, **text, "ParametersValidTo": until.timestamp()})

    def _import(self, call: Call, key: Key) -> Answer:
        known = self.of(key)
        held = known.imports.get(call.text("ImportToken"))
        if held is None:
            raise AwsError("InvalidImportTokenException", "The import token is not one that KMS gave for this key.")
        until = call.params.get("ValidTo")
        if (call.text("ExpirationModel", "KEY_MATERIAL_EXPIRES") == "KEY_MATERIAL_EXPIRES") != (until is not None):
            raise AwsError(
                "ValidationException", "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES"
            )
        raw = self._world.moto.unwrapped(held[0], held[1], base64.b64decode(call.text("EncryptedKeyMaterial")))
        if raw is None or (key.key_spec == "SYMMETRIC_DEFAULT" and len(raw) != 32):
            raise AwsError("IncorrectKeyMaterialException", "The key material is not one that this key can have.")
        digest = hashlib.sha256(raw).hexdigest()
        if known.imported not in {"", digest}:
            raise AwsError("IncorrectKeyMaterialException", "Another key material was imported into this key before.")
        known.imported, known.expires = digest, float(until) if until is not None else None
        key.key_material = raw
        if key.key_state == "PendingImport":
            key.key_state, key.enabled = "Enabled", True
        if (when := known.expires) is not None:
            left = max(0.0, when - datetime.now(UTC).timestamp())
            self._world.agenda.after(left, lambda: self._expire(key, when))
        return json_answer({"KeyId": key.arn, "KeyMaterialId": self.id_of(key)})

    def _expire(self, key: Key, when: float) -> None:
        if self.of(key).expires == when and key.key_state in {"Enabled", "Disabled"}:
            key.key_state, key.enabled = "PendingImport", False

    def _delete(self, call: Call, key: Key) -> Answer:
        if key.key_state in {"Enabled", "Disabled"}:
            key.key_state, key.enabled = "PendingImport", False
        return json_answer({"KeyId": key.arn, "KeyMaterialId": self.id_of(key)})

    def _rotation(self, _call: Call, key: Key) -> Answer:
        known = self.of(key)
        data: dict[str, Any] = {"KeyId": key.id, "KeyRotationEnabled": bool(key.key_rotation_status)}
        if key.key_rotation_status:
            data["RotationPeriodInDays"] = known.period
            data["NextRotationDate"] = (known.started or key.creation_date) + known.period * DAY
        return json_answer(data)

    def _enable_rotation(self, call: Call, key: Key) -> None:
        days = call.params.get("RotationPeriodInDays", 365)
        if not isinstance(days, int) or not PERIODS[0] <= days <= PERIODS[1]:
            raise AwsError(
                "ValidationException",
                f"1 validation error detected: Value '{days}' at 'rotationPeriodInDays' failed to satisfy constraint: "
                f"Member must be between {PERIODS[0]} and {PERIODS[1]}, inclusive",
            )
        self.of(key).period, self.of(key).started = days, datetime.now(UTC).timestamp()

    def _rotate(self, _call: Call, key: Key) -> None:
        known = self.of(key)
        if known.turn >= ROTATIONS:
            raise AwsError(
                "LimitExceededException",
                "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can "
                f"be performed for this key: {key.arn}",
            )
        if key.origin == "EXTERNAL":
            raise AwsError(
                "KMSInvalidStateException", f"No available key material pending rotation for the key: {key.arn}."
            )
        known.turn += 1

    def _pair(self, call: Call, key: Key) -> Answer:
        spec = call.text("KeyPairSpec")
        if key.key_spec != "SYMMETRIC_DEFAULT":
            raise AwsError("InvalidKeyUsageException", f"{key.arn} key spec is {key.key_spec}, not SYMMETRIC_DEFAULT.")
        made = self._world.moto.key_pair(spec)
        if made is None:
            raise AwsError("UnsupportedOperationException", f"The lab makes no key pairs of KeyPairSpec {spec}.")
        private, public = made
        sealed = self._world.moto.encrypt(call.region, key, private, call.params.get("EncryptionContext") or {})
        data = {
            "KeyId": key.arn,
            "KeyPairSpec": spec,
            "KeyMaterialId": self.id_of(key),
            "PublicKey": base64.b64encode(public).decode(),
            "PrivateKeyCiphertextBlob": base64.b64encode(sealed).decode(),
        }
        if call.operation == "GenerateDataKeyPair":
            data["PrivateKeyPlaintext"] = base64.b64encode(private).decode()
        return json_answer(data)

    # --- multi-Region keys

    def family(self, key: Key) -> list[Key]:
        """A multi-Region key and its relatives, in all Regions; else the key alone."""
        return self._world.moto.keys_with_id(key.id) if key.multi_region else [key]

    def _replicate(self, call: Call, key: Key) -> Answer:
        region = call.text("ReplicaRegion")
        if not key.multi_region or not self.of(key).primary:
            raise AwsError("UnsupportedOperationException", f"{key.arn} is not a multi-Region primary key.")
        if any(other.region == region for other in self.family(key)):
            raise AwsError("AlreadyExistsException", f"A related multi-Region key exists in {region}: {key.id}")
        replica = self._world.moto.replicate(key, region, call.text("Policy"), call.text("Description"))
        known = self.of(replica)
        known.primary, known.turn, known.imported = False, self.of(key).turn, ""
        if key.origin == "EXTERNAL":
            replica.key_state, replica.enabled = "PendingImport", False
        about = self._world.moto.metadata(replica)
        self.complete(about, replica)
        about |= {"KeyState": "Creating", "Enabled": False}
        return json_answer({"ReplicaKeyMetadata": about, "ReplicaPolicy": replica.policy, "ReplicaTags": []})

    def _move_primary(self, call: Call, key: Key) -> Answer:
        region = call.text("PrimaryRegion")
        found = [other for other in self.family(key) if other.region == region]
        if not self.of(key).primary or not key.multi_region:
            raise AwsError("UnsupportedOperationException", f"{key.arn} is not a multi-Region primary key.")
        if not found or found[0] is key:
            raise AwsError("NotFoundException", f"No replica of {key.arn} in {region}.")
        self.of(key).primary, self.of(found[0]).primary = False, True
        return Answer(200, [("Content-Type", "application/x-amz-json-1.1")], b"")

    def scheduled(self, key: Key, days: int) -> None:
        """A deletion was scheduled: the key goes when its time, and that of its replicas, has come."""
        if any(other is not key for other in self.family(key)) and self.of(key).primary:
            key.key_state = "PendingReplicaDeletion"
        when = key.deletion_date

        def gone() -> None:
            if key.key_state == "PendingDeletion" and key.deletion_date == when:
                family = self.family(key)
                self._world.moto.forget_key(key)
                left = [other for other in family if other is not key]
                if len(left) == 1 and left[0].key_state == "PendingReplicaDeletion":
                    left[0].key_state = "PendingDeletion"
                    self.scheduled(left[0], days)

        self._world.agenda.after(days * DAY, gone)

    # --- what DescribeKey tells

    def complete(self, about: dict[str, Any], key: Key) -> None:
        """Give a key's metadata the fields that AWS has, and take away those that it has not."""
        algorithms = {
            "ENCRYPT_DECRYPT": "EncryptionAlgorithms",
            "SIGN_VERIFY": "SigningAlgorithms",
            "GENERATE_VERIFY_MAC": "MacAlgorithms",
            "KEY_AGREEMENT": "KeyAgreementAlgorithms",
        }
        if key.key_usage == "GENERATE_VERIFY_MAC":
            about["MacAlgorithms"] = [f"HMAC_SHA_{key.key_spec.rsplit('_', 1)[-1]}"]
        for name in set(algorithms.values()) - {algorithms.get(key.key_usage, "")}:
            about.pop(name, None)
        about["MultiRegion"] = bool(key.multi_region)
        if material := self.id_of(key):
            about["CurrentKeyMaterialId"] = material
        if key.key_state == "PendingReplicaDeletion":
            about["PendingDeletionWindowInDays"] = 30
        known = self.of(key)
        if key.origin == "EXTERNAL" and known.imported and key.key_state not in {"PendingImport", *DELETED_LATER}:
            about["ExpirationModel"] = "KEY_MATERIAL_" + ("EXPIRES" if known.expires else "DOES_NOT_EXPIRE")
            if known.expires:
                about["ValidTo"] = known.expires
        if key.multi_region:
            family = [{"Arn": other.arn, "Region": other.region} for other in self.family(key)]
            primary = next((one.arn for one in self.family(key) if self.of(one).primary), key.arn)
            about["MultiRegionConfiguration"] = {
                "MultiRegionKeyType": "PRIMARY" if known.primary else "REPLICA",
                "PrimaryKey": next(one for one in family if one["Arn"] == primary),
                "ReplicaKeys": [one for one in family if one["Arn"] != primary],
            }
