"""S3 besides plain Get and Put: forms, keys of the customer's own, expected owners, ownership beside ACLs."""

import hashlib
import http.client
import json
from urllib.parse import urlsplit

import pytest

from .conftest import refused

BUCKET = "requests"
MINE = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"0" * 32}


@pytest.fixture
def s3(client):
    s3 = client("s3")
    s3.create_bucket(Bucket=BUCKET)
    return s3


@pytest.fixture
def under(client, s3):
    """The bucket's default key."""
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn}}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    return arn


def post(lab, fields, body=b"hi", kind=None):
    parts = "".join(
        f'--X\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()
    ).encode()
    end = b'--X\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\n\r\n' + body + b"\r\n--X--\r\n"
    line = http.client.HTTPConnection(urlsplit(lab.url).netloc, timeout=10)
    line.request("POST", f"/{BUCKET}", parts + end, {"Content-Type": kind or "multipart/form-data; boundary=X"})
    answer = line.getresponse()
    return answer.status, answer.read().decode(), answer.headers


def form(s3, key="a b/${filename}", conditions=(), **fields):
    """A presigned form whose policy names its fields."""
    named = [{name: value} for name, value in fields.items()]
    made = s3.generate_presigned_post(BUCKET, key, Fields=dict(fields), Conditions=[*named, *conditions])
    return made["fields"]


def test_a_form_uploads_in_its_signers_name(lab, client, s3, under):
    assert post(lab, form(s3))[0] == 204
    assert s3.get_object(Bucket=BUCKET, Key="a b/f.txt")["Body"].read() == b"hi"
    status, text, _ = post(lab, form(s3, key="k", success_action_status="201"))
    assert (status, "<Key>k</Key>" in text) == (201, True)
    status, _, headers = post(lab, form(s3, key="k", success_action_redirect="http://x/?a=b"))
    assert (status, headers["Location"].startswith(f"http://x/?a=b&bucket={BUCKET}&key=k&etag=%22")) == (303, True)
    client("kms").disable_key(KeyId=under)
    assert "<Code>KMS.DisabledException</Code>" in post(lab, form(s3))[1]


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_form_that_says_what_was_not_signed_is_refused(lab, client, s3, version):
    good = form(client("s3", signature_version=version), key="k")
    assert post(lab, good)[0] == 204
    sign = "signature" if version == "s3" else "x-amz-signature"
    assert post(lab, good | {"policy": good["policy"][:-8] + "AAAAAAAA"})[1].count("SignatureDoesNotMatch")
    status, text, _ = post(lab, {name: value for name, value in good.items() if name != sign})
    field = "Signature" if version == "s3" else "X-Amz-Signature"
    assert (status, f"a field named &#x27;{field}&#x27;" in text or f"a field named '{field}'" in text) == (400, True)
    assert "Policy Condition failed" in post(lab, good | {"key": "other"})[1]
    assert "Extra input fields: acl" in post(lab, good | {"acl": "public-read"})[1]
    assert post(lab, good, kind="application/json")[0] == 412
    assert post(lab, {"key": "nobody"})[0] == 403


def test_a_forms_conditions(lab, s3):
    sized = form(s3, key="k", conditions=[["content-length-range", 3, 4]])
    assert [post(lab, sized, body)[0] for body in (b"12", b"123", b"12345")] == [400, 204, 400]
    assert "EntityTooLarge" in post(lab, sized, b"12345")[1]
    begins = form(s3, key="k", conditions=[["starts-with", "$Content-Type", "image/"]])
    assert post(lab, begins | {"Content-Type": "image/png"})[0] == 204
    assert s3.head_object(Bucket=BUCKET, Key="k")["ContentType"] == "image/png"
    assert post(lab, begins | {"Content-Type": "text/html"})[0] == 403
    late = s3.generate_presigned_post(BUCKET, "k", ExpiresIn=-1)["fields"]
    assert "Policy expired." in post(lab, late)[1]


def test_customers_keys_are_no_affair_of_kms(client, s3, under):
    s3.put_object(Bucket=BUCKET, Key="c", Body=b"x", **MINE)
    client("kms").disable_key(KeyId=under)
    assert refused(s3.get_object, Bucket=BUCKET, Key="c")[::2] == ("InvalidRequest", 400)
    other = MINE | {"SSECustomerKey": b"1" * 32}
    assert refused(s3.get_object, Bucket=BUCKET, Key="c", **other)[::2] == ("AccessDenied", 403)
    got = s3.get_object(Bucket=BUCKET, Key="c", **MINE)
    assert (got["Body"].read(), got["SSECustomerAlgorithm"], got.get("ServerSideEncryption")) == (b"x", "AES256", None)
    source = {f"CopySource{name}": value for name, value in MINE.items()}
    copy = {"Bucket": BUCKET, "Key": "d", "CopySource": f"{BUCKET}/c", "ServerSideEncryption": "AES256"}
    assert refused(s3.copy_object, **copy)[0] == "InvalidRequest"
    s3.copy_object(**copy, **source)
    assert s3.get_object(Bucket=BUCKET, Key="d")["Body"].read() == b"x"


def test_what_a_request_may_not_say(s3):
    put = {"Bucket": BUCKET, "Key": "k", "Body": b"x"}
    assert refused(s3.put_object, **put, SSEKMSKeyId="alias/aws/s3")[0] == "InvalidArgument"
    assert refused(s3.put_object, **put, SSEKMSKeyId="x", ServerSideEncryption="AES256")[0] == "InvalidArgument"
    s3.put_object(**put)
    for owner, code in (("111122223333", "AccessDenied"), ("0000", "InvalidBucketOwnerAWSAccountID")):
        assert refused(s3.get_object, Bucket=BUCKET, Key="k", ExpectedBucketOwner=owner)[0] == code
    assert s3.get_object(Bucket=BUCKET, Key="k", ExpectedBucketOwner="123456789012")["Body"].read() == b"x"


def test_the_etag_under_a_key_is_no_md5(s3, under):
    plain = f'"{hashlib.md5(b"x", usedforsecurity=False).hexdigest()}"'
    told = [s3.put_object(Bucket=BUCKET, Key="k", Body=b"x")["ETag"] for _ in range(2)]
    assert plain not in told
    assert told[0] != told[1] == s3.head_object(Bucket=BUCKET, Key="k")["ETag"]
    assert s3.put_object(Bucket=BUCKET, Key="p", Body=b"x", ServerSideEncryption="AES256")["ETag"] == plain


def test_no_acl_for_others_beside_bucket_owner_enforced(client, s3):
    code = "InvalidBucketAclWithObjectOwnership"
    assert refused(s3.create_bucket, Bucket="new", ACL="public-read")[::2] == (code, 400)
    s3.create_bucket(Bucket="old", ObjectOwnership="ObjectWriter")
    s3.delete_public_access_block(Bucket="old")
    rules = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    s3.put_bucket_acl(Bucket="old", ACL="log-delivery-write")
    assert refused(s3.put_bucket_ownership_controls, Bucket="old", OwnershipControls=rules)[0] == code
    s3.put_bucket_acl(Bucket="old", ACL="private")
    s3.put_bucket_ownership_controls(Bucket="old", OwnershipControls=rules)


def test_anybody_writes_where_the_acl_says_so(lab, s3):
    s3.create_bucket(Bucket="open", ObjectOwnership="ObjectWriter")
    s3.delete_public_access_block(Bucket="open")
    line = http.client.HTTPConnection(urlsplit(lab.url).netloc, timeout=10)

    def put():
        line.request("PUT", "/open/o", b"x")
        answer = line.getresponse()
        answer.read()
        return answer.status

    assert put() == 403
    s3.put_bucket_acl(Bucket="open", ACL="public-read")
    assert put() == 403
    s3.put_bucket_acl(Bucket="open", ACL="public-read-write")
    assert put() == 200


def test_deny_unless_aws_kms(client, s3, under):
    """AWS's own example policy: what asks for aws:kms gets in, the rest does not."""
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    deny["Condition"] = {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    put = {"Bucket": BUCKET, "Key": "k", "Body": b"x"}
    assert refused(s3.put_object, **put)[0] == "AccessDenied"
    s3.put_object(**put, ServerSideEncryption="aws:kms")


def test_what_moto_has_not_is_said_and_is_no_500(client):
    """Moto raises NotImplementedError at this call."""
    code, message, status = refused(client("iam").get_organizations_access_report, JobId="x" * 36)
    assert (code, status) == ("NotImplemented", 501)
    assert "GetOrganizationsAccessReport" in message
