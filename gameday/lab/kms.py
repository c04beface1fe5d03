"""KMS: a key that is off refuses, and says so in the trail and to the services that ask for it."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Any

from gameday.partitions import partition

from .access import Access
from .keymaterial import KeyMaterial
from .keypolicies import check_policy
from .keystates import check_dry_run, check_kind, check_state, check_usage, state_refusal
from .shapes import Grant, Key
from .wire import Answer, AwsError, json_answer
from .world import Behaviour, World

if TYPE_CHECKING:
    from .call import Call

CRYPTO = frozenset(
    {
        "Encrypt",
        "Decrypt",
        "ReEncrypt",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateMac",
        "VerifyMac",
        "Sign",
        "Verify",
        "GetPublicKey",
        "DeriveSharedSecret",
        "CreateGrant",
        "RotateKeyOnDemand",
        "EnableKeyRotation",
        "DisableKeyRotation",
    }
)
NO_USE = frozenset({"CreateGrant", "GetPublicKey", "RotateKeyOnDemand", "EnableKeyRotation", "DisableKeyRotation"})
"""Refused on a key that is off, but no use of it as GetKeyLastUsage counts them."""
BY_KEY_ONLY = frozenset(
    {
        "EnableKey",
        "DisableKey",
        "ScheduleKeyDeletion",
        "CancelKeyDeletion",
        "GetKeyPolicy",
        "PutKeyPolicy",
        "EnableKeyRotation",
        "DisableKeyRotation",
        "UpdateKeyDescription",
        "TagResource",
        "UntagResource",
        "GetParametersForImport",
        "ImportKeyMaterial",
        "DeleteImportedKeyMaterial",
        "GetKeyRotationStatus",
        "RotateKeyOnDemand",
        "ReplicateKey",
        "UpdatePrimaryRegion",
    }
)
"""Operations that take a key id or key ARN, but no alias."""
KEY_ID = re.compile(r"(mrk-[0-9a-f-]{32,36}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)
KEY_ARN = re.compile(r"arn:([\w-]+):kms:([a-z0-9-]+):(\d{12}):(key|alias)/(.+)")


class Keys:
    """Keys as everyone else sees them: found by any name, in a state that lags behind KMS' own."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen: dict[str, str] = {}

    def find(self, region: str, name: str, account: str) -> Key:
        """The key that an id, ARN, alias or alias ARN names; raises what KMS says otherwise."""
        parts, where = KEY_ARN.fullmatch(name), partition(region)
        if name.startswith("arn:"):
            if parts is None or parts.group(1) != where:
                raise AwsError("NotFoundException", f"Invalid arn {name}")
            if parts.group(2) != region:
                raise AwsError("NotFoundException", f"Invalid arn {parts.group(2)}")
            name = parts.group(5) if parts.group(4) == "key" else f"alias/{parts.group(5)}"
        backend = self._world.moto.kms(region)
        if name.startswith("alias/"):
            key_id = backend.get_key_id_from_alias(name)
            if key_id is None:
                arn = f"arn:{where}:kms:{region}:{account}:{name}"
                raise AwsError("NotFoundException", f"Alias {arn} is not found.")
            key = backend.keys[key_id]
            if name.startswith("alias/aws/"):
                key.key_manager = "AWS"
            return key
        if not KEY_ID.fullmatch(name):
            raise AwsError("NotFoundException", f"Invalid keyId '{name}'")
        if name not in backend.keys:
            arn = f"arn:{where}:kms:{region}:{account}:key/{name}"
            raise AwsError("NotFoundException", f"Key '{arn}' does not exist")
        return backend.keys[name]

    def refusal(self, key: Key) -> AwsError | None:
        """Why a cryptographic call on this key is refused now; None when it is not."""
        if not self._world.knobs.enforce_key:
            return None
        return state_refusal(key, self._seen.get(key.arn, key.key_state))

    def changed(self, key: Key, old: str) -> None:
        """A key's state changed from ``old``: the others notice after the propagation delay."""
        delay = self._world.knobs.kms_propagation
        new = key.key_state
        if delay <= 0:
            self._seen.pop(key.arn, None)
            return
        self._seen.setdefault(key.arn, old)

        def noticed() -> None:
            self._seen[key.arn] = new

        self._world.agenda.after(delay, noticed)

    def reset(self) -> None:
        """Forget what was seen."""
        self._seen.clear()


class Kms:
    """KMS' hooks."""

    behaviours: tuple[Behaviour, ...] = (
        Behaviour("kms", "crypto and CreateGrant on a disabled key: 400 DisabledException", "documented"),
        Behaviour("kms", "CreateGrant with the name and parameters of a grant that is there: its id", "documented"),
        Behaviour("kms", "the same pending deletion: 400 KMSInvalidStateException", "documented"),
        Behaviour("kms", "EnableKey, DisableKey pending deletion: KMSInvalidStateException", "documented"),
        Behaviour("kms", "Enable- and DisableKey take a key id or key ARN, never an alias", "documented"),
        Behaviour("kms", "ScheduleKeyDeletion: 7 to 30 days, KeyState in the answer", "documented"),
        Behaviour("kms", "CancelKeyDeletion leaves the key Disabled", "documented"),
        Behaviour("kms", "PutKeyPolicy refuses malformed and lock-out policies", "documented"),
        Behaviour(
            "kms", "a key policy names principals that exist in the account, and has 32 KiB at most", "documented"
        ),
        Behaviour("kms", "pending deletion: no tags, no alias, no description", "documented"),
        Behaviour("kms", "Decrypt and ReEncrypt that name another key: IncorrectKeyException", "documented"),
        Behaviour("kms", "DryRun of crypto and grants: DryRunOperationException after all checks", "recorded"),
        Behaviour("kms", "a key of another usage: InvalidKeyUsageException", "recorded"),
        Behaviour("kms", "others notice a change after kms_propagation, DescribeKey at once", "documented"),
        Behaviour("kms", "a policy may name role/voclabs, the people of the lab, though nobody made it", "invented"),
        Behaviour("kms", "GetKeyLastUsage: the last successful cryptographic call, at once", "invented"),
        Behaviour("kms", "propagation is one fixed delay for all services and principals", "invented"),
        Behaviour("kms", "CancelKeyDeletion on a key that is not pending: message text", "inferred"),
    )

    def __init__(self, world: World, keys: Keys, access: Access) -> None:
        self._world = world
        self._keys = keys
        self._access = access
        self._material = KeyMaterial(world)

    def reset(self) -> None:
        """Forget everything."""
        self._keys.reset()
        self._material.reset()

    def before(self, call: Call) -> Answer | None:
        """Find the key, refuse what its state forbids, and spell its id as moto can read it."""
        key = self._key_of(call)
        self._access.check(call, key)
        if call.text("Policy"):
            check_policy(call, self._world.moto)
        if call.operation == "CreateKey":
            call.set_params({"KeyUsage": "ENCRYPT_DECRYPT", "MultiRegion": False, **call.params})
        if key is None:
            check_dry_run(call)
            return None
        call.notes |= {"policy": key.policy, "key": key, "state": key.key_state}
        check_kind(call.operation, key)
        self._check_named(call)
        if call.operation in CRYPTO:
            for used in self._used_keys(call, key):
                refusal = self._keys.refusal(used)
                if refusal:
                    raise refusal
        check_usage(call.operation, key)
        check_state(call.operation, key)
        if call.operation == "ScheduleKeyDeletion":
            _check_window(call)
        check_dry_run(call)
        return self._own_answer(call, key)

    def _check_named(self, call: Call) -> None:
        """The key that a decryption names is the ciphertext's, or a relative of it."""
        name = {"Decrypt": "KeyId", "ReEncrypt": "SourceKeyId"}.get(call.operation, "")
        named, sealed = call.text(name) if name else "", self._key_of_ciphertext(call) if name else None
        if named and sealed and self._keys.find(call.region, named, call.who.account).id != sealed.id:
            raise AwsError(
                "IncorrectKeyException",
                "The key ID in the request does not identify a CMK that can perform this operation.",
            )

    def _own_answer(self, call: Call, key: Key) -> Answer | None:
        """What moto has no answer to, or None once it can read the key's name."""
        if call.operation == "GetKeyLastUsage":
            return json_answer(self._last_usage(key))
        if call.operation == "CreateGrant" and (same := _same_grant(call, key)):
            return json_answer({"GrantId": same.id, "GrantToken": same.token})
        if answer := self._material.answer(call, key):
            return self._noticed(call, key, answer)
        if call.operation in BY_KEY_ONLY:
            named = {"PolicyName": "default"} if call.operation in {"GetKeyPolicy", "PutKeyPolicy"} else {}
            call.set_params({**named, **call.params, "KeyId": key.id})
        return None

    def _noticed(self, call: Call, key: Key, answer: Answer) -> Answer:
        if key.key_state != call.notes["state"]:
            self._keys.changed(key, call.notes["state"])
        return answer

    def _made(self, call: Call, answer: Answer) -> None:
        """A new key whose material is to be imported waits for it."""
        data: Any = answer.json()
        key = self._world.moto.kms(call.region).keys[data["KeyMetadata"]["KeyId"]]
        if key.origin == "EXTERNAL":
            key.key_state, key.enabled = "PendingImport", False
            data["KeyMetadata"] |= {"KeyState": key.key_state, "Enabled": False}
        self._material.complete(data["KeyMetadata"], key)
        answer.body = json.dumps(data).encode()

    def _complete(self, call: Call, key: Key, answer: Answer) -> None:
        """The fields that AWS' answers have and moto's lack."""
        data: Any = answer.json()
        if call.operation == "DescribeKey":
            self._material.complete(data["KeyMetadata"], key)
        elif call.operation in {"Encrypt", "Decrypt"}:
            data.setdefault("EncryptionAlgorithm", call.text("EncryptionAlgorithm", "SYMMETRIC_DEFAULT"))
        elif call.operation == "ReEncrypt":
            for side in ("Source", "Destination"):
                name = f"{side}EncryptionAlgorithm"
                data.setdefault(name, call.text(name, "SYMMETRIC_DEFAULT"))
        elif call.operation in {"RotateKeyOnDemand", "GetPublicKey"}:
            data["KeyId"] = key.arn
        elif not call.operation.startswith("GenerateDataKey"):
            return
        material = self._material.id_of(key)
        if material and call.operation.startswith(("Decrypt", "GenerateDataKey")):
            data["KeyMaterialId"] = material
        answer.body = json.dumps(data).encode()

    def after(self, call: Call, answer: Answer) -> None:
        """Give moto's answers the fields that AWS has, and tell the others of a changed state."""
        key: Key | None = call.notes.get("key")
        if call.operation == "CreateKey" and answer.status < 400:
            self._made(call, answer)
        if key is None or answer.status >= 400:
            return
        self._complete(call, key, answer)
        if call.operation == "ScheduleKeyDeletion":
            self._material.scheduled(key, int(call.params.get("PendingWindowInDays", 30)))
            data = answer.json()
            data |= {
                "KeyId": key.arn,
                "KeyState": key.key_state,
                "PendingWindowInDays": call.params.get("PendingWindowInDays", 30),
            }
            answer.body = json.dumps(data).encode()
        elif call.operation == "ListGrants":
            _settle_grants(key, answer, call.who.account)
        elif call.operation == "CancelKeyDeletion":
            key.enabled = False
            if key.origin == "EXTERNAL" and not self._material.of(key).imported:
                key.key_state = "PendingImport"
            answer.body = json.dumps({"KeyId": key.arn}).encode()
        if key.key_state != call.notes["state"]:
            self._keys.changed(key, call.notes["state"])
        if call.operation == "PutKeyPolicy":
            self._access.policy_changed(key, call.notes["policy"])

    def _last_usage(self, key: Key) -> dict[str, Any]:
        """The last successful cryptographic call, from the trail; AWS' own record of it lags."""
        for event in reversed(self._world.trail.events):
            record = event.record
            named = any(resource.get("ARN") == key.arn for resource in record.get("resources") or [])
            if (
                named
                and record["eventName"] in CRYPTO
                and record["eventName"] not in NO_USE
                and "errorCode" not in record
            ):
                usage = {
                    "Operation": record["eventName"],
                    "Timestamp": event.time.timestamp(),
                    "CloudTrailEventId": record["eventID"],
                    "KmsRequestId": record["requestID"],
                }
                return {"KeyId": key.arn, "KeyLastUsage": usage}
        return {"KeyId": key.arn, "KeyLastUsage": {}}

    def _key_of(self, call: Call) -> Key | None:
        name = call.text("KeyId") or call.text("TargetKeyId") or call.text("DestinationKeyId")
        account = call.who.account
        if not name:
            return self._key_of_ciphertext(call)
        if call.operation in BY_KEY_ONLY and "alias/" in name:
            raise AwsError("NotFoundException", f"Invalid keyId '{name}'")
        return self._keys.find(call.region, name, account)

    def _key_of_ciphertext(self, call: Call) -> Key | None:
        blob = call.text("CiphertextBlob")
        if not blob:
            return None
        try:
            return self._world.moto.key_of_ciphertext(call.region, base64.b64decode(blob))
        except binascii.Error:
            return None

    def _used_keys(self, call: Call, key: Key) -> list[Key]:
        source = self._key_of_ciphertext(call) if call.operation in {"ReEncrypt", "Decrypt"} else None
        return [k for k in (source, key) if k is not None]


def _check_window(call: Call) -> None:
    days = call.params.get("PendingWindowInDays", 30)
    if not isinstance(days, int) or not 7 <= days <= 30:
        raise AwsError(
            "ValidationException",
            f"1 validation error detected: Value '{days}' at 'pendingWindowInDays' failed to satisfy constraint: "
            "Member must be between 7 and 30, inclusive",
        )


def _settle_grants(key: Key, answer: Answer, account: str) -> None:
    """Grants name their key by ARN, and leave out what they do not have."""
    data = answer.json()
    grants = data.get("Grants")
    if isinstance(grants, list):
        told = [{n: v for n, v in grant.items() if v not in (None, "")} for grant in grants]
        data["Grants"] = [{**grant, "KeyId": key.arn, "IssuingAccount": account} for grant in told]
        answer.body = json.dumps(data).encode()


def _same_grant(call: Call, key: Key) -> Grant | None:
    """The grant of that name with the same parameters, which a CreateGrant that comes again does not make twice."""
    asked = call.params
    wanted = (
        asked.get("GranteePrincipal"),
        asked.get("RetiringPrincipal") or "",
        sorted(asked.get("Operations") or []),
        asked.get("Constraints") or {},
    )
    for grant in key.grants.values():
        given = (
            grant.grantee_principal,
            grant.retiring_principal or "",
            sorted(grant.operations),
            grant.constraints or {},
        )
        if asked.get("Name") and grant.name == asked["Name"] and given == wanted:
            return grant
    return None


def trail_view(call: Call, answer: Answer) -> tuple[dict[str, Any] | None, dict[str, Any] | None, str]:
    """What a record of a KMS call says: request parameters, response elements, and the key's ARN."""
    key: Key | None = call.notes.get("key")
    hidden = {"Plaintext", "CiphertextBlob", "Message", "Signature", "Mac", "EncryptedKeyMaterial", "ImportToken"}
    asked = call.notes.get("asked", call.params)
    parameters = {n[:1].lower() + n[1:]: v for n, v in asked.items() if n not in hidden}
    data = answer.json() if answer.status < 400 else {}
    response: dict[str, Any] | None = None
    arn = key.arn if key is not None else ""
    if call.operation == "CreateKey" and isinstance(data.get("KeyMetadata"), dict):
        response = {"keyMetadata": _lowered(data["KeyMetadata"])}
        arn = str(response["keyMetadata"].get("arn", ""))
    elif call.operation == "CreateGrant":
        response = {"grantId": data.get("GrantId"), "keyId": arn}
    elif call.operation in {"EnableKey", "DisableKey"}:
        response = {"keyId": arn}
    elif call.operation in {"ScheduleKeyDeletion", "CancelKeyDeletion"}:
        response = _lowered(data)
    return parameters or None, response, arn


def _lowered(data: Any) -> dict[str, Any]:
    return {name[:1].lower() + name[1:]: value for name, value in data.items()} if isinstance(data, dict) else {}
