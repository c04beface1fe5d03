"""KMS: the rows of LAB.md's table."""

from __future__ import annotations

import json

import pytest

from .conftest import refused

CRYPTO = {
    "encrypt": {"Plaintext": b"x"},
    "generate_data_key": {"KeySpec": "AES_256"},
    "generate_data_key_without_plaintext": {"KeySpec": "AES_256"},
    "create_grant": {"GranteePrincipal": "arn:aws:iam::123456789012:root", "Operations": ["Decrypt"]},
}


@pytest.mark.parametrize("operation", CRYPTO)
@pytest.mark.parametrize("spelling", ["id", "arn", "alias"])
def test_a_disabled_key_refuses_crypto(client, key, operation, spelling):
    kms = client("kms")
    kms.disable_key(KeyId=key)
    name = {"id": key.rsplit("/", 1)[-1], "arn": key, "alias": "alias/MyKMSKey"}[spelling]
    error = refused(getattr(kms, operation), KeyId=name, **CRYPTO[operation])
    assert error == ("DisabledException", f"{key} is disabled.", 400)


def test_decrypt_and_reencrypt_find_the_key_in_the_ciphertext(client, key):
    kms = client("kms")
    other = kms.create_key()["KeyMetadata"]["Arn"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    kms.disable_key(KeyId=key)
    assert refused(kms.decrypt, CiphertextBlob=blob)[0] == "DisabledException"
    assert refused(kms.re_encrypt, CiphertextBlob=blob, DestinationKeyId=other)[0] == "DisabledException"
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


@pytest.mark.parametrize("operation", CRYPTO)
def test_a_key_pending_deletion_refuses_crypto(client, key, operation):
    kms = client("kms")
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    error = refused(getattr(kms, operation), KeyId=key, **CRYPTO[operation])
    assert error == ("KMSInvalidStateException", f"{key} is pending deletion.", 400)


@pytest.mark.parametrize("operation", ["enable_key", "disable_key"])
def test_enable_and_disable_refuse_a_key_pending_deletion(client, key, operation):
    kms = client("kms")
    kms.schedule_key_deletion(KeyId=key)
    assert refused(getattr(kms, operation), KeyId=key)[0] == "KMSInvalidStateException"


@pytest.mark.parametrize("spelling", ["id", "arn"])
def test_enable_and_disable_take_id_and_arn(client, key, spelling):
    kms = client("kms")
    about = kms.describe_key(KeyId=key)["KeyMetadata"]
    name = about["Arn"] if spelling == "arn" else about["KeyId"]
    kms.disable_key(KeyId=name)
    assert kms.describe_key(KeyId="alias/MyKMSKey")["KeyMetadata"]["KeyState"] == "Disabled"
    kms.enable_key(KeyId=name)
    assert kms.describe_key(KeyId="alias/MyKMSKey")["KeyMetadata"]["KeyState"] == "Enabled"


def test_disable_takes_no_alias(client, key):
    assert refused(client("kms").disable_key, KeyId="alias/MyKMSKey")[0] == "NotFoundException"


def test_deletion_has_a_window_and_cancelling_leaves_the_key_disabled(client, key):
    kms = client("kms")
    for days in (1, 6, 31):
        assert refused(kms.schedule_key_deletion, KeyId=key, PendingWindowInDays=days)[0] == "ValidationException"
    answer = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=8)
    assert (answer["KeyId"], answer["KeyState"], answer["PendingWindowInDays"]) == (key, "PendingDeletion", 8)
    assert refused(kms.schedule_key_deletion, KeyId=key)[0] == "KMSInvalidStateException"
    assert kms.cancel_key_deletion(KeyId=key)["KeyId"] == key
    about = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (about["KeyState"], about["Enabled"]) == ("Disabled", False)
    assert refused(kms.encrypt, KeyId=key, Plaintext=b"x")[0] == "DisabledException"
    kms.enable_key(KeyId=key)
    kms.encrypt(KeyId=key, Plaintext=b"x")


def test_unknown_keys_are_not_found(client, key):
    kms = client("kms")
    unknown = "134f2428-cec1-4b25-a1ae-9048164dba47"
    arn = f"arn:aws:kms:us-east-1:123456789012:key/{unknown}"
    for operation in ("disable_key", "enable_key", "describe_key", "get_key_policy"):
        assert refused(getattr(kms, operation), KeyId=unknown) == (
            "NotFoundException",
            f"Key '{arn}' does not exist",
            400,
        )
    assert refused(kms.describe_key, KeyId="fake")[:2] == ("NotFoundException", "Invalid keyId 'fake'")
    assert refused(kms.describe_key, KeyId="alias/none")[1].startswith("Alias arn:aws:kms")


def test_others_notice_after_the_propagation_delay(lab, client, key):
    kms = client("kms")
    lab.knobs(kms_propagation=60)
    kms.disable_key(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    kms.encrypt(KeyId=key, Plaintext=b"x")
    lab.advance(60)
    assert refused(kms.encrypt, KeyId=key, Plaintext=b"x")[0] == "DisabledException"
    kms.enable_key(KeyId=key)
    assert refused(kms.encrypt, KeyId=key, Plaintext=b"x")[0] == "DisabledException"
    lab.advance(60)
    kms.encrypt(KeyId=key, Plaintext=b"x")


def test_the_lab_can_be_told_not_to_enforce_the_key(lab, client, key):
    kms = client("kms")
    lab.knobs(enforce_key=False)
    kms.disable_key(KeyId=key)
    kms.encrypt(KeyId=key, Plaintext=b"x")
    assert json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])["Version"]
