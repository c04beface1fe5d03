"""KMS: a key that is off refuses, and says so in the trail and to the services that ask for it."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Any

from .access import Access, context_of
from .policy import MalformedError, Request, judge, parse
from .shapes import Key
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
    }
)
"""Operations that take a key id or key ARN, but no alias."""
NOT_WHILE_PENDING = frozenset({"EnableKey", "DisableKey", "ScheduleKeyDeletion", "UpdateKeyDescription"})
KEY_ID = re.compile(r"(mrk-[0-9a-f-]{32,36}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)
KEY_ARN = re.compile(r"arn:aws:kms:([a-z0-9-]+):(\d{12}):(key|alias)/(.+)")


class Keys:
    """Keys as everyone else sees them: found by any name, in a state that lags behind KMS' own."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen: dict[str, str] = {}

    def find(self, region: str, name: str, account: str) -> Key:
        """The key that an id, ARN, alias or alias ARN names; raises what KMS says otherwise."""
        parts = KEY_ARN.fullmatch(name)
        if name.startswith("arn:"):
            if parts is None or parts.group(1) != region:
                raise AwsError("NotFoundException", f"Invalid arn {parts.group(1) if parts else name}")
            name = parts.group(4) if parts.group(3) == "key" else f"alias/{parts.group(4)}"
        backend = self._world.moto.kms(region)
        if name.startswith("alias/"):
            key_id = backend.get_key_id_from_alias(name)
            if key_id is None:
                arn = f"arn:aws:kms:{region}:{account}:{name}"
                raise AwsError("NotFoundException", f"Alias {arn} is not found.")
            key = backend.keys[key_id]
            if name.startswith("alias/aws/"):
                key.key_manager = "AWS"
            return key
        if not KEY_ID.fullmatch(name):
            raise AwsError("NotFoundException", f"Invalid keyId '{name}'")
        if name not in backend.keys:
            arn = f"arn:aws:kms:{region}:{account}:key/{name}"
            raise AwsError("NotFoundException", f"Key '{arn}' does not exist")
        return backend.keys[name]

    def refusal(self, key: Key) -> AwsError | None:
        """Why a cryptographic call on this key is refused now; None when it is not."""
        if not self._world.knobs.enforce_key:
            return None
        state = self._seen.get(key.arn, key.key_state)
        if state == "Disabled":
            return AwsError("DisabledException", f"{key.arn} is disabled.")
        if state == "PendingDeletion":
            return AwsError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
        if state == "PendingImport":
            return AwsError("KMSInvalidStateException", f"{key.arn} is pending import.")
        return None

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
        Behaviour("kms", "the same pending deletion: 400 KMSInvalidStateException", "documented"),
        Behaviour("kms", "EnableKey, DisableKey pending deletion: KMSInvalidStateException", "documented"),
        Behaviour("kms", "Enable- and DisableKey take a key id or key ARN, never an alias", "documented"),
        Behaviour("kms", "ScheduleKeyDeletion: 7 to 30 days, KeyState in the answer", "documented"),
        Behaviour("kms", "CancelKeyDeletion leaves the key Disabled", "documented"),
        Behaviour("kms", "PutKeyPolicy refuses malformed and lock-out policies", "documented"),
        Behaviour("kms", "others notice a change after kms_propagation, DescribeKey at once", "documented"),
        Behaviour("kms", "GetKeyLastUsage: the last successful cryptographic call, at once", "invented"),
        Behaviour("kms", "propagation is one fixed delay for all services and principals", "invented"),
        Behaviour("kms", "CancelKeyDeletion on a key that is not pending: message text", "inferred"),
    )

    def __init__(self, world: World, keys: Keys, access: Access) -> None:
        self._world = world
        self._keys = keys
        self._access = access

    def reset(self) -> None:
        """Forget everything."""
        self._keys.reset()

    def before(self, call: Call) -> Answer | None:
        """Find the key, refuse what its state forbids, and spell its id as moto can read it."""
        key = self._key_of(call)
        self._access.check(call, key)
        if call.text("Policy"):
            _check_policy(call)
        if key is None:
            return None
        call.notes["policy"] = key.policy
        call.notes["key"] = key
        call.notes["state"] = key.key_state
        if call.operation in CRYPTO:
            for used in self._used_keys(call, key):
                refusal = self._keys.refusal(used)
                if refusal:
                    raise refusal
        if call.operation in NOT_WHILE_PENDING and key.key_state == "PendingDeletion":
            raise AwsError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
        if call.operation == "CancelKeyDeletion" and key.key_state != "PendingDeletion":
            raise AwsError("KMSInvalidStateException", f"{key.arn} is not pending deletion.")
        if call.operation == "ScheduleKeyDeletion":
            _check_window(call)
        return self._own_answer(call, key)

    def _own_answer(self, call: Call, key: Key) -> Answer | None:
        """What moto has no answer to, or None once it can read the key's name."""
        if call.operation == "GetKeyLastUsage":
            return json_answer(self._last_usage(key))
        if call.operation in BY_KEY_ONLY:
            call.set_params({**call.params, "KeyId": key.id})
        return None

    def after(self, call: Call, answer: Answer) -> None:
        """Give moto's answers the fields that AWS has, and tell the others of a changed state."""
        key: Key | None = call.notes.get("key")
        if key is None or answer.status >= 400:
            return
        if call.operation == "ScheduleKeyDeletion":
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


LOCKED_OUT = "The new key policy will not allow you to update the key policy in the future."


def _check_policy(call: Call) -> None:
    """Refuse a key policy that is none, or that would lock out whoever sets it."""
    text = call.text("Policy")
    context = context_of(call) | {"kms:CallerAccount": call.who.account}
    request = Request("kms:PutKeyPolicy", "", call.who, context)
    try:
        parse(text, resource_policy=True)
        said = judge(text, request, resource_policy=True)
    except MalformedError as error:
        raise AwsError("MalformedPolicyDocumentException", f"Policy is malformed: {error}.") from error
    if call.params.get("BypassPolicyLockoutSafetyCheck") is True:
        return
    if said.denied or not (said.allowed or said.delegated):
        raise AwsError("MalformedPolicyDocumentException", LOCKED_OUT)


def trail_view(call: Call, answer: Answer) -> tuple[dict[str, Any] | None, dict[str, Any] | None, str]:
    """What a record of a KMS call says: request parameters, response elements, and the key's ARN."""
    key: Key | None = call.notes.get("key")
    hidden = {"Plaintext", "CiphertextBlob", "Message", "Signature", "Mac"}
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
