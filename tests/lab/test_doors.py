"""S3's doors: anonymous readers, Block Public Access, ACLs, presigned URLs."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from botocore.config import Config

from .conftest import refused, until

BUCKET = "gameday-clock"
PUBLIC = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{BUCKET}/*",
        }
    ],
}
BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


@pytest.fixture
def s3(client, key):
    made = client("s3")
    made.create_bucket(Bucket=BUCKET)
    made.put_object(Bucket=BUCKET, Key="plain.txt", Body=b"plain")
    made.put_object(Bucket=BUCKET, Key="clock.png", Body=b"tick", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    return made


def fetch(url, method="GET", data=None):
    """Status and body of a plain HTTP request."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def anonymous(lab, name):
    return fetch(f"{lab.url}/{BUCKET}/{name}")


def unblock(s3, **on):
    s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration={b: on.get(b, False) for b in BLOCKS})


def test_new_buckets_are_closed(lab, s3):
    block = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert block == dict.fromkeys(BLOCKS, True)
    rules = s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    status, body = anonymous(lab, "plain.txt")
    assert (status, "<Code>AccessDenied</Code>" in body) == (403, True)


def test_a_removed_block_is_not_found(s3):
    s3.delete_public_access_block(Bucket=BUCKET)
    assert refused(s3.get_public_access_block, Bucket=BUCKET)[0::2] == (
        "NoSuchPublicAccessBlockConfiguration",
        404,
    )


def test_acls_need_other_ownership_then_no_block(lab, s3):
    assert refused(s3.put_object_acl, Bucket=BUCKET, Key="plain.txt", ACL="public-read") == (
        "AccessControlListNotSupported",
        "The bucket does not allow ACLs",
        400,
    )
    assert refused(s3.put_object, Bucket=BUCKET, Key="x", Body=b"", ACL="public-read")[0] == (
        "AccessControlListNotSupported"
    )
    s3.put_object(Bucket=BUCKET, Key="x", Body=b"", ACL="bucket-owner-full-control")
    rule = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    s3.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls=rule)
    assert refused(s3.put_object_acl, Bucket=BUCKET, Key="plain.txt", ACL="public-read")[0::2] == (
        "AccessDenied",
        403,
    )
    unblock(s3, IgnorePublicAcls=True)
    s3.put_object_acl(Bucket=BUCKET, Key="plain.txt", ACL="public-read")
    assert anonymous(lab, "plain.txt")[0] == 403
    unblock(s3)
    assert anonymous(lab, "plain.txt") == (200, "plain")


def test_the_first_door_opened_the_second_holds(lab, s3):
    assert refused(s3.put_bucket_policy, Bucket=BUCKET, Policy=json.dumps(PUBLIC))[0::2] == (
        "AccessDenied",
        403,
    )
    unblock(s3)
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(PUBLIC))
    assert anonymous(lab, "plain.txt") == (200, "plain")
    status, body = anonymous(lab, "clock.png")
    assert (status, "<Code>InvalidArgument</Code>" in body) == (400, True)
    assert "AWS KMS managed keys require AWS Signature Version 4." in body
    unblock(s3, RestrictPublicBuckets=True)
    assert anonymous(lab, "plain.txt")[0] == 403
    lab.knobs(ignore_public_access_block=True)
    assert anonymous(lab, "plain.txt")[0] == 200


def test_get_for_all_is_not_put_for_all(lab, s3):
    unblock(s3)
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(PUBLIC))
    assert fetch(f"{lab.url}/{BUCKET}/new.txt", "PUT", b"x")[0] == 403
    assert fetch(f"{lab.url}/{BUCKET}/plain.txt", "DELETE")[0] == 403
    assert fetch(f"{lab.url}/{BUCKET}")[0] == 403


def test_the_accounts_block_counts_too(lab, s3, client):
    unblock(s3)
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(PUBLIC))
    control = client("s3control")
    control.meta.events.register("before-sign.s3-control", strip_account)
    control.put_public_access_block(
        AccountId="123456789012", PublicAccessBlockConfiguration=dict.fromkeys(BLOCKS, True)
    )
    assert anonymous(lab, "plain.txt")[0] == 403
    control.delete_public_access_block(AccountId="123456789012")
    assert anonymous(lab, "plain.txt")[0] == 200


def strip_account(request, **_):
    request.url = request.url.replace("://123456789012.", "://")


def test_malformed_bucket_policies(s3):
    assert refused(s3.put_bucket_policy, Bucket=BUCKET, Policy="{")[0] == "MalformedPolicy"
    other = json.loads(json.dumps(PUBLIC).replace(BUCKET, "other"))
    assert refused(s3.put_bucket_policy, Bucket=BUCKET, Policy=json.dumps(other))[0] == "MalformedPolicy"


def test_presigned_urls(lab, s3, client):
    url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "plain.txt"}, ExpiresIn=60)
    signer = client("s3", signature_version="s3v4")
    names = {"Bucket": BUCKET, "Key": "clock.png"}
    good = signer.generate_presigned_url("get_object", Params=names, ExpiresIn=60)
    assert fetch(good) == (200, "tick")
    for bad in (
        good.replace("clock.png", "plain.txt"),
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        good.replace("Expires=60", "Expires=6000"),
    ):
        status, body = fetch(bad)
        assert (status, "SignatureDoesNotMatch" in body) == (403, True)
    brief = signer.generate_presigned_url("get_object", Params=names, ExpiresIn=1)
    assert "Request has expired" in until(lambda: (found := fetch(brief))[0] == 403 and found[1])
    old = client("s3", signature_version="s3").generate_presigned_url("get_object", Params=names, ExpiresIn=60)
    status, body = fetch(old)
    assert (status, "Signature Version 4" in body) == (400, True)
    assert url and Config


def test_presigned_reads_need_the_key(s3, client, key):
    signer = client("s3", signature_version="s3v4")
    good = signer.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "clock.png"}, ExpiresIn=60)
    client("kms").disable_key(KeyId=key)
    status, body = fetch(good)
    assert (status, "<Code>KMS.DisabledException</Code>" in body) == (400, True)


@pytest.mark.parametrize(
    "host",
    [
        "closed.localhost",
        "closed.s3.localhost",
        "closed.s3.amazonaws.com",
        "closed.s3.eu-west-1.amazonaws.com",
        "closed.s3-us-west-2.amazonaws.com",
        "closed.s3.dualstack.us-east-1.amazonaws.com",
        "closed.s3.cn-north-1.amazonaws.com.cn",
        "closed.lab.internal:4566",
        "CLOSED.localhost",
    ],
)
def test_no_host_leads_past_the_door(lab, client, host):
    client("s3").create_bucket(Bucket="closed")
    client("s3").put_object(Bucket="closed", Key="a/b.txt", Body=b"private")
    asked = Request(f"{lab.url}/a/b.txt", headers={"Host": host})
    with pytest.raises(HTTPError) as refusal:
        urlopen(asked, timeout=10)
    assert refusal.value.code == 403
    client("s3").delete_public_access_block(Bucket="closed")
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::closed/*"}
    client("s3").put_bucket_policy(Bucket="closed", Policy=json.dumps({"Version": "2012-10-17", "Statement": allow}))
    with urlopen(asked, timeout=10) as answer:
        assert answer.read() == b"private"


@pytest.mark.parametrize(
    "statement",
    [
        {"Principal": "*", "Action": "s3:*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {"Principal": {"AWS": "arn:aws:iam::123456789012:user/leaver"}, "Action": "s3:GetObject"},
        {"Principal": "*", "Action": "s3:*", "Condition": {"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}},
        {"NotPrincipal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "s3:*"},
        {"Principal": "*", "NotAction": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]},
    ],
)
def test_a_deny_for_others_shuts_nobody_else_out(client, statement):
    s3 = client("s3")
    s3.create_bucket(Bucket="house")
    where = ["arn:aws:s3:::house", "arn:aws:s3:::house/*"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Resource": where, **statement}]}
    s3.put_bucket_policy(Bucket="house", Policy=json.dumps(policy))
    s3.put_object(Bucket="house", Key="o", Body=b"x")
    assert s3.get_object(Bucket="house", Key="o")["Body"].read() == b"x"
    s3.delete_object(Bucket="house", Key="o")


def test_a_bucket_that_takes_only_what_is_encrypted_with_kms(client, key):
    """AWS' own example: a Deny of PutObject unless the request says aws:kms."""
    s3 = client("s3")
    s3.create_bucket(Bucket="house")
    unless = {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::house/*"}
    policy = {"Version": "2012-10-17", "Statement": [{**deny, "Condition": unless}]}
    s3.put_bucket_policy(Bucket="house", Policy=json.dumps(policy))
    assert refused(s3.put_object, Bucket="house", Key="o", Body=b"x")[0] == "AccessDenied"
    s3.put_object(Bucket="house", Key="o", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
