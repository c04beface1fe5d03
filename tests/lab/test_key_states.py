"""KMS' table of operations and key states, and what a key is made of."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

from .conftest import refused

TRUST = (
    '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", '
    '"Principal": {"Service": "ec2.amazonaws.com"}}}'
)

ACCOUNT = "123456789012"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
STATE, UNSUPPORTED, OFF = "KMSInvalidStateException", "UnsupportedOperationException", "DisabledException"
CRYPTO = {
    "encrypt": {"Plaintext": b"x"},
    "generate_data_key": {"KeySpec": "AES_256"},
    "generate_data_key_without_plaintext": {"KeySpec": "AES_256"},
    "generate_data_key_pair": {"KeyPairSpec": "ECC_NIST_P256"},
    "generate_data_key_pair_without_plaintext": {"KeyPairSpec": "ECC_NIST_P256"},
    "create_grant": {"GranteePrincipal": ROOT, "Operations": ["Decrypt"]},
}
CELLS = [
    *((name, about, ("ok", OFF, STATE, STATE)) for name, about in CRYPTO.items()),
    ("create_alias", {}, ("ok", "ok", "ok", STATE)),
    ("update_alias", {}, ("ok", "ok", "ok", STATE)),
    ("tag_resource", {"Tags": [{"TagKey": "a", "TagValue": "b"}]}, ("ok", "ok", "ok", STATE)),
    ("untag_resource", {"TagKeys": ["a"]}, ("ok", "ok", "ok", STATE)),
    ("update_key_description", {"Description": "x"}, ("ok", "ok", "ok", STATE)),
    ("describe_key", {}, ("ok", "ok", "ok", "ok")),
    ("get_key_policy", {}, ("ok", "ok", "ok", "ok")),
    ("list_grants", {}, ("ok", "ok", "ok", "ok")),
    ("list_resource_tags", {}, ("ok", "ok", "ok", "ok")),
    ("get_key_rotation_status", {}, ("ok", "ok", UNSUPPORTED, "ok")),
    ("enable_key_rotation", {}, ("ok", OFF, UNSUPPORTED, STATE)),
    ("disable_key_rotation", {}, ("ok", OFF, UNSUPPORTED, STATE)),
    ("delete_imported_key_material", {}, (UNSUPPORTED, UNSUPPORTED, "ok", UNSUPPORTED)),
    (
        "get_parameters_for_import",
        {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"},
        (UNSUPPORTED, UNSUPPORTED, "ok", UNSUPPORTED),
    ),
    ("cancel_key_deletion", {}, (STATE, STATE, STATE, "ok")),
    ("enable_key", {}, ("ok", "ok", STATE, STATE)),
    ("disable_key", {}, ("ok", "ok", STATE, STATE)),
    ("schedule_key_deletion", {}, ("ok", "ok", "ok", STATE)),
]


@pytest.mark.parametrize(
    ("column", "state"), list(enumerate(["Enabled", "Disabled", "PendingImport", "PendingDeletion"]))
)
def test_the_table_of_key_states(client, column, state):
    kms = client("kms")
    wrong = []
    kms.create_alias(AliasName="alias/moved", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    for turn, (name, about, said) in enumerate(CELLS):
        key = kms.create_key(Origin="EXTERNAL" if state == "PendingImport" else "AWS_KMS")["KeyMetadata"]["KeyId"]
        if state == "Disabled":
            kms.disable_key(KeyId=key)
        elif state == "PendingDeletion":
            kms.schedule_key_deletion(KeyId=key)
        assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == state
        named = {"KeyId": key}
        if name.endswith("_alias"):
            alias = f"alias/{state}-{turn}" if name == "create_alias" else "alias/moved"
            named = {"AliasName": alias, "TargetKeyId": key}
        try:
            getattr(kms, name)(**named, **about)
            code = "ok"
        except ClientError as error:
            code = error.response["Error"]["Code"]
        if code != said[column]:
            wrong.append((name, code, said[column]))
    assert wrong == []


def importing(kms, key, material, **more):
    given = kms.get_parameters_for_import(KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    wrapped = load_der_public_key(given["PublicKey"]).encrypt(material, oaep)
    return {"KeyId": key, "ImportToken": given["ImportToken"], "EncryptedKeyMaterial": wrapped, **more}


def test_imported_material_comes_goes_and_must_be_the_same_again(client, lab):
    kms, never = client("kms"), {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    key = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    kms.import_key_material(**importing(kms, key, b"m" * 32, **never))
    about = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (about["KeyState"], about["ExpirationModel"]) == ("Enabled", "KEY_MATERIAL_DOES_NOT_EXPIRE")
    sealed = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    kms.delete_imported_key_material(KeyId=key)
    assert refused(kms.decrypt, CiphertextBlob=sealed)[0] == STATE
    assert (
        refused(kms.import_key_material, **importing(kms, key, b"n" * 32, **never))[0]
        == "IncorrectKeyMaterialException"
    )
    until = datetime.now(UTC) + timedelta(hours=1)
    kms.import_key_material(**importing(kms, key, b"m" * 32, ExpirationModel="KEY_MATERIAL_EXPIRES", ValidTo=until))
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"secret"
    lab.advance(3601)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingImport"


def test_a_decryption_that_names_another_key(client):
    kms = client("kms")
    one, two = (kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
    sealed = kms.encrypt(KeyId=one, Plaintext=b"x")["CiphertextBlob"]
    assert refused(kms.decrypt, CiphertextBlob=sealed, KeyId=two)[0] == "IncorrectKeyException"
    assert refused(kms.re_encrypt, CiphertextBlob=sealed, SourceKeyId=two, DestinationKeyId=two)[0] == (
        "IncorrectKeyException"
    )


def test_a_dry_run_is_said_after_the_checks(client):
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    said = "The request would have succeeded, but the DryRun option is set."
    for name, about in CRYPTO.items():
        error = refused(getattr(kms, name), KeyId=key, DryRun=True, **about)
        assert error == ("DryRunOperationException", said, 400), name
    assert kms.list_grants(KeyId=key)["Grants"] == []
    kms.disable_key(KeyId=key)
    assert refused(kms.generate_data_key, KeyId=key, KeySpec="AES_256", DryRun=True)[0] == OFF


def test_what_describe_key_has(client):
    kms = client("kms")
    about = kms.create_key()["KeyMetadata"]
    assert (about["KeyUsage"], about["MultiRegion"], len(about["CurrentKeyMaterialId"])) == (
        "ENCRYPT_DECRYPT",
        False,
        64,
    )
    assert "SigningAlgorithms" not in about
    assert kms.describe_key(KeyId=about["KeyId"])["KeyMetadata"] == about
    signing = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    assert refused(kms.encrypt, KeyId=signing["KeyId"], Plaintext=b"x")[0] == "InvalidKeyUsageException"


def test_rotation_has_a_period_and_ten_turns(client):
    kms = client("kms")
    made = kms.create_key()["KeyMetadata"]
    key, material = made["KeyId"], made["CurrentKeyMaterialId"]
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    status = kms.get_key_rotation_status(KeyId=key)
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 90)
    assert 89 <= (status["NextRotationDate"] - datetime.now(UTC)).days <= 90
    for _ in range(10):
        assert kms.rotate_key_on_demand(KeyId=key)["KeyId"] == made["Arn"]
    assert refused(kms.rotate_key_on_demand, KeyId=key)[0] == "LimitExceededException"
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"] != material


def test_a_data_key_pair_opens_again(client):
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    pair = kms.generate_data_key_pair(KeyId=key, KeyPairSpec="ECC_NIST_P384", EncryptionContext={"a": "b"})
    opened = kms.decrypt(CiphertextBlob=pair["PrivateKeyCiphertextBlob"], EncryptionContext={"a": "b"})
    assert opened["Plaintext"] == pair["PrivateKeyPlaintext"]


def test_a_primary_waits_for_its_replica(client, lab):
    kms = client("kms")
    primary = kms.create_key(MultiRegion=True)["KeyMetadata"]
    replica = kms.replicate_key(KeyId=primary["KeyId"], ReplicaRegion="eu-west-1")["ReplicaKeyMetadata"]
    assert (replica["KeyId"], replica["KeyState"]) == (primary["KeyId"], "Creating")
    assert replica["MultiRegionConfiguration"]["MultiRegionKeyType"] == "REPLICA"
    again = {"KeyId": primary["KeyId"], "ReplicaRegion": "eu-west-1"}
    assert refused(kms.replicate_key, **again)[0] == "AlreadyExistsException"
    kms.disable_key(KeyId=primary["KeyId"])
    assert kms.schedule_key_deletion(KeyId=primary["KeyId"])["KeyState"] == "PendingReplicaDeletion"
    lab.advance(40 * 86_400)
    assert kms.describe_key(KeyId=primary["KeyId"])["KeyMetadata"]["KeyState"] == "PendingReplicaDeletion"


def test_a_key_is_gone_when_its_time_is_over(client, lab):
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    lab.advance(7 * 86_400 + 1)
    assert refused(kms.describe_key, KeyId=key)[0] == "NotFoundException"


@pytest.mark.parametrize(
    "nobody", [f"arn:aws:iam::{ACCOUNT}:role/pay", f"arn:aws:iam::{ACCOUNT}:user/none", "AIDAGONE"]
)
def test_a_key_policy_names_nobody_who_is_not_there(client, nobody):
    kms, iam = client("kms"), client("iam")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    iam.create_role(RoleName="pay", Path="/apps/", AssumeRolePolicyDocument=TRUST)
    allow = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}

    def put(principal):
        deny = {"Effect": "Deny", "Principal": {"AWS": principal}, "Action": "kms:Decrypt", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow, deny]})
        return {"KeyId": key, "PolicyName": "default", "Policy": policy}

    assert refused(kms.put_key_policy, **put(nobody)) == (
        "MalformedPolicyDocumentException",
        "Policy contains a statement with one or more invalid principals.",
        400,
    )
    kms.put_key_policy(**put(f"arn:aws:iam::{ACCOUNT}:role/apps/pay"))
