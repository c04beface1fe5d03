"""KMS' own tables: which call a key refuses in which state, of which origin, for which usage.

From the AWS KMS developer guide, "Key states of AWS KMS keys", and the API reference's errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .shapes import Key
from .wire import AwsError

if TYPE_CHECKING:
    from .call import Call

DELETED_LATER = frozenset({"PendingDeletion", "PendingReplicaDeletion"})
PENDING = {
    "PendingDeletion": "is pending deletion.",
    "PendingReplicaDeletion": "is pending replica deletion.",
    "PendingImport": "is pending import.",
}
NOT_BEFORE_DELETION = frozenset(
    {
        "EnableKey",
        "DisableKey",
        "ScheduleKeyDeletion",
        "UpdateKeyDescription",
        "TagResource",
        "UntagResource",
        "CreateAlias",
        "UpdateAlias",
        "GetParametersForImport",
        "ImportKeyMaterial",
        "ReplicateKey",
        "UpdatePrimaryRegion",
    }
)
"""What a key that waits for its deletion refuses, besides cryptography."""
NOT_BEFORE_IMPORT = frozenset({"EnableKey", "DisableKey", "ReplicateKey", "UpdatePrimaryRegion"})
"""What a key without its material refuses, besides cryptography."""
OF_IMPORTED_KEYS = frozenset({"GetParametersForImport", "ImportKeyMaterial", "DeleteImportedKeyMaterial"})
ROTATED_BY_KMS = frozenset({"EnableKeyRotation", "DisableKeyRotation", "GetKeyRotationStatus"})
USAGES = {
    "Encrypt": "ENCRYPT_DECRYPT",
    "Decrypt": "ENCRYPT_DECRYPT",
    "ReEncrypt": "ENCRYPT_DECRYPT",
    "GenerateDataKey": "ENCRYPT_DECRYPT",
    "GenerateDataKeyWithoutPlaintext": "ENCRYPT_DECRYPT",
    "GenerateDataKeyPair": "ENCRYPT_DECRYPT",
    "GenerateDataKeyPairWithoutPlaintext": "ENCRYPT_DECRYPT",
    "Sign": "SIGN_VERIFY",
    "Verify": "SIGN_VERIFY",
    "GenerateMac": "GENERATE_VERIFY_MAC",
    "VerifyMac": "GENERATE_VERIFY_MAC",
    "DeriveSharedSecret": "KEY_AGREEMENT",
}
DRY_RUNS = frozenset({*USAGES, "CreateGrant", "RevokeGrant", "RetireGrant"})


def state_refusal(key: Key, state: str) -> AwsError | None:
    """Why a key in this state can be used for nothing; None when it can."""
    if state == "Disabled":
        return AwsError("DisabledException", f"{key.arn} is disabled.")
    if state in PENDING:
        return AwsError("KMSInvalidStateException", f"{key.arn} {PENDING[state]}")
    return None


def check_kind(operation: str, key: Key) -> None:
    """Refuse what a key of this origin, spec or usage never does, whatever its state."""
    external = key.origin == "EXTERNAL"
    if (operation in OF_IMPORTED_KEYS and not external) or (operation in ROTATED_BY_KMS and external):
        raise AwsError(
            "UnsupportedOperationException", f"{key.arn} origin is {key.origin} which is not valid for this operation."
        )
    if operation in ROTATED_BY_KMS | {"RotateKeyOnDemand"} and key.key_spec != "SYMMETRIC_DEFAULT":
        raise AwsError("UnsupportedOperationException", f"{key.arn} key spec is {key.key_spec}; it cannot be rotated.")


def check_usage(operation: str, key: Key) -> None:
    """Refuse a cryptographic call that is none of the key's usage."""
    wanted = USAGES.get(operation)
    if wanted and key.key_usage and key.key_usage != wanted:
        raise AwsError(
            "InvalidKeyUsageException", f"{key.arn} key usage is {key.key_usage} which is not valid for {operation}."
        )


def check_state(operation: str, key: Key) -> None:
    """Refuse a call about the key itself that its state forbids; cryptography is ``Keys.refusal``'s."""
    state = key.key_state
    wait = state in DELETED_LATER and operation in NOT_BEFORE_DELETION
    if wait or (state == "PendingImport" and operation in NOT_BEFORE_IMPORT):
        raise AwsError("KMSInvalidStateException", f"{key.arn} {PENDING[state]}")
    if operation == "CancelKeyDeletion" and state not in DELETED_LATER:
        raise AwsError("KMSInvalidStateException", f"{key.arn} is not pending deletion.")


def check_dry_run(call: Call) -> None:
    """A dry run that came so far would have succeeded, which KMS says with an error.

    Raises:
        AwsError: DryRunOperationException, as KMS' API reference has it for ``DryRun``.
    """
    if call.operation in DRY_RUNS and call.params.get("DryRun") is True:
        raise AwsError(
            "DryRunOperationException", "The request would have succeeded, but the DryRun option is set.", 400
        )
