"""S3 with SSE-KMS: the rows of LAB.md's table."""

from __future__ import annotations

import pytest

from .conftest import refused


@pytest.fixture
def s3(client):
    made = client("s3")
    made.create_bucket(Bucket="gameday-clock")
    return made


def put(s3, key, name="clock.png", **about):
    return s3.put_object(
        Bucket="gameday-clock",
        Key=name,
        Body=b"tick",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=key,
        **about,
    )


def test_reads_and_writes_fail_while_the_key_is_disabled(client, s3, key):
    assert put(s3, "alias/MyKMSKey")["SSEKMSKeyId"] == key
    read = s3.get_object(Bucket="gameday-clock", Key="clock.png")
    assert (read["Body"].read(), read["SSEKMSKeyId"]) == (b"tick", key)
    client("kms").disable_key(KeyId=key)
    expected = ("KMS.DisabledException", f"{key} is disabled.", 400)
    assert refused(s3.get_object, Bucket="gameday-clock", Key="clock.png") == expected
    assert (
        refused(
            s3.put_object,
            Bucket="gameday-clock",
            Key="x",
            Body=b"",
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=key,
        )
        == expected
    )
    assert refused(s3.copy_object, Bucket="gameday-clock", Key="y", CopySource="gameday-clock/clock.png") == expected
    assert (
        refused(
            s3.create_multipart_upload,
            Bucket="gameday-clock",
            Key="z",
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=key,
        )[0]
        == "KMS.DisabledException"
    )
    client("kms").enable_key(KeyId=key)
    assert s3.get_object(Bucket="gameday-clock", Key="clock.png")["Body"].read() == b"tick"


def test_pending_deletion_and_unknown_keys(client, s3, key):
    put(s3, key)
    client("kms").schedule_key_deletion(KeyId=key)
    assert refused(s3.get_object, Bucket="gameday-clock", Key="clock.png") == (
        "KMS.KMSInvalidStateException",
        f"{key} is pending deletion.",
        400,
    )
    assert refused(put, s3=s3, key="fake-key-id") == (
        "KMS.NotFoundException",
        "Invalid keyId 'fake-key-id'",
        400,
    )
    unknown = "134f2428-cec1-4b25-a1ae-9048164dba47"
    assert refused(put, s3=s3, key=unknown)[1] == (
        f"Key 'arn:aws:kms:us-east-1:123456789012:key/{unknown}' does not exist"
    )


def test_head_is_no_probe_unless_checksum_mode_asks(client, s3, key):
    put(s3, key)
    client("kms").disable_key(KeyId=key)
    assert s3.head_object(Bucket="gameday-clock", Key="clock.png")["SSEKMSKeyId"] == key
    assert refused(s3.head_object, Bucket="gameday-clock", Key="clock.png", ChecksumMode="ENABLED")[2] == 400


def test_bucket_default_encryption_counts(client, s3, key):
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/MyKMSKey"}}
    s3.put_bucket_encryption(Bucket="gameday-clock", ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert s3.put_object(Bucket="gameday-clock", Key="a", Body=b"a")["SSEKMSKeyId"] == key
    client("kms").disable_key(KeyId=key)
    assert refused(s3.get_object, Bucket="gameday-clock", Key="a")[0] == "KMS.DisabledException"
    assert refused(s3.put_object, Bucket="gameday-clock", Key="b", Body=b"")[0] == "KMS.DisabledException"
    s3.put_object(Bucket="gameday-clock", Key="c", Body=b"", ServerSideEncryption="AES256")
    assert s3.get_object(Bucket="gameday-clock", Key="c")["ServerSideEncryption"] == "AES256"


def test_kms_without_a_key_uses_the_managed_one(client, s3):
    answer = s3.put_object(Bucket="gameday-clock", Key="a", Body=b"a", ServerSideEncryption="aws:kms")
    about = client("kms").describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    assert answer["SSEKMSKeyId"] == about["Arn"]
    assert about["KeyManager"] == "AWS"


def test_new_buckets_encrypt_with_aes256(s3):
    rules = s3.get_bucket_encryption(Bucket="gameday-clock")["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert s3.put_object(Bucket="gameday-clock", Key="a", Body=b"a")["ServerSideEncryption"] == "AES256"


def test_multipart_keeps_the_key(client, s3, key):
    upload = s3.create_multipart_upload(
        Bucket="gameday-clock", Key="big", ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/MyKMSKey"
    )["UploadId"]
    names = {"Bucket": "gameday-clock", "Key": "big", "UploadId": upload}
    part = s3.upload_part(**names, PartNumber=1, Body=b"x" * 100)
    client("kms").disable_key(KeyId=key)
    assert refused(s3.upload_part, **names, PartNumber=2, Body=b"y")[0] == "KMS.DisabledException"
    client("kms").enable_key(KeyId=key)
    parts = [{"ETag": part["ETag"], "PartNumber": 1}]
    assert s3.complete_multipart_upload(**names, MultipartUpload={"Parts": parts})["ETag"]
    assert s3.head_object(Bucket="gameday-clock", Key="big")["SSEKMSKeyId"] == key


def test_a_warm_bucket_key_outlives_the_disabled_key(lab, client, s3, key):
    lab.knobs(bucket_key_ttl=300)
    put(s3, key, BucketKeyEnabled=True)
    s3.get_object(Bucket="gameday-clock", Key="clock.png")
    client("kms").disable_key(KeyId=key)
    s3.get_object(Bucket="gameday-clock", Key="clock.png")
    fresh = client("s3", key="another", secret="another")
    assert refused(fresh.get_object, Bucket="gameday-clock", Key="clock.png")[0] == "KMS.DisabledException"
    lab.advance(301)
    assert refused(s3.get_object, Bucket="gameday-clock", Key="clock.png")[0] == "KMS.DisabledException"


def test_copying_by_parts_reads_the_source_with_its_key(client, s3, key):
    put(s3, key)
    upload = s3.create_multipart_upload(Bucket="gameday-clock", Key="copy")["UploadId"]
    names = {"Bucket": "gameday-clock", "Key": "copy", "UploadId": upload, "PartNumber": 1}
    source = {"Bucket": "gameday-clock", "Key": "clock.png"}
    s3.upload_part_copy(**names, CopySource=source)
    client("kms").disable_key(KeyId=key)
    assert refused(s3.upload_part_copy, **names, CopySource=source)[0] == "KMS.DisabledException"


def test_names_with_spaces_and_other_alphabets(client, s3, key):
    put(s3, key, "sp ace/ü+%.txt")
    assert s3.get_object(Bucket="gameday-clock", Key="sp ace/ü+%.txt")["Body"].read() == b"tick"
    client("kms").disable_key(KeyId=key)
    assert refused(s3.get_object, Bucket="gameday-clock", Key="sp ace/ü+%.txt")[0] == "KMS.DisabledException"


def test_another_region_has_other_keys(client, s3, key):
    other = key.replace("us-east-1", "eu-west-1")
    assert refused(put, s3=s3, key=other)[:2] == ("KMS.NotFoundException", "Invalid arn eu-west-1")
