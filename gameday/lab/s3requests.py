"""S3: what is wrong with a request whoever makes it, keys of the customer's own, and what S3 says of what it stored."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from .client import ACCOUNT
from .postform import answer_form
from .wire import Answer, AwsError
from .world import Behaviour, World

if TYPE_CHECKING:
    from .call import Call

SSE = "x-amz-server-side-encryption"
CUSTOMER = f"{SSE}-customer-"
SOURCE_CUSTOMER = "x-amz-copy-source-server-side-encryption-customer-"
KMS_KINDS = frozenset({"aws:kms", "aws:kms:dsse"})
WRITES = frozenset({"PutObject", "CopyObject", "CreateMultipartUpload"})
READS = frozenset({"GetObject", "HeadObject", "GetObjectAttributes"})
ENFORCED = "BucketOwnerEnforced"
NEEDS_KEY = (
    "The object was stored using a form of Server Side Encryption. "
    "The correct parameters must be provided to retrieve the object."
)


class S3Requests:
    """S3's hooks about the request itself; they come after the doors and before the keys."""

    behaviours: tuple[Behaviour, ...] = (
        Behaviour("s3", "x-amz-expected-bucket-owner of another account: 403; no account id: 400", "recorded"),
        Behaviour("s3", "a key's id without aws:kms, or with AES256; an SSE header on GET: 400", "observed"),
        Behaviour("s3", "SSE-C: KMS is not asked, and reading needs the customer's key", "documented"),
        Behaviour("s3", "the ETag of an SSE-KMS object is not the MD5 of what was written", "recorded"),
        Behaviour("s3", "ownership BucketOwnerEnforced beside an ACL that grants to others: 400", "documented"),
        Behaviour("s3", "CreateBucket with a public ACL: 400 InvalidBucketAclWithObjectOwnership", "documented"),
    )

    def __init__(self, world: World) -> None:
        self._world = world

    def reset(self) -> None:
        """Nothing to forget."""

    def before(self, call: Call) -> Answer | None:
        """Refuse what S3 refuses to everybody."""
        _check_owner(call)
        if call.operation in {"CreateBucket", "PutBucketOwnershipControls"}:
            self._check_ownership(call)
        if call.operation in WRITES:
            _check_headers(call)
        if call.operation == "GetObject" and call.header(SSE):
            raise _argument(SSE, call.header(SSE), f"{SSE} header is not supported for this operation.")
        self._check_customer_keys(call)
        return None

    def after(self, call: Call, answer: Answer) -> None:
        """Say what kind of encryption an object has, and give it the ETag that this makes."""
        if answer.status >= 300:
            return
        if call.operation == "PutBucketPolicy":
            answer.status = 204
        if call.operation not in {*READS, "PutObject", "CopyObject"}:
            return
        found: Any = self._world.moto.s3_object(call.region, call.bucket, call.key, call.query.get("versionId"))
        if found is None:
            return
        if call.operation in {"PutObject", "CopyObject"}:
            self._stored(call, answer, found)
        if customers := self._world.moto.customer_key(found):
            answer.headers = [(k, v) for k, v in answer.headers if not k.lower().startswith(SSE)]
            answer.set_header(f"{CUSTOMER}algorithm", "AES256")
            answer.set_header(f"{CUSTOMER}key-MD5", customers)
        if "form" in call.notes:
            answer_form(call, answer)

    def _stored(self, call: Call, answer: Answer, found: Any) -> None:
        md5 = call.header(f"{CUSTOMER}key-md5") if call.header(f"{CUSTOMER}algorithm") else ""
        if md5:
            self._world.moto.under_customer_key(found, md5)
        if not md5 and found.encryption not in KMS_KINDS:
            return
        old = str(found.etag).strip('"')
        # As AWS, the ETag of what is encrypted under a key is a hash of no plain text, and new with each write.
        new = hashlib.md5(f"{call.request_id}{old}".encode(), usedforsecurity=False).hexdigest()
        self._world.moto.set_etag(found, new)
        answer.headers = [(k, v.replace(old, new) if k.lower() == "etag" else v) for k, v in answer.headers]
        answer.body = answer.body.replace(old.encode(), new.encode())

    def _check_customer_keys(self, call: Call) -> None:
        if call.operation in READS:
            found = self._world.moto.s3_object(call.region, call.bucket, call.key, call.query.get("versionId"))
            self._check_customer_key(call, found, CUSTOMER)
        if call.header("x-amz-copy-source"):
            source, _, version = call.header("x-amz-copy-source").partition("?versionId=")
            bucket, _, key = unquote(source).lstrip("/").partition("/")
            self._check_customer_key(
                call, self._world.moto.s3_object(call.region, bucket, key, version or None), SOURCE_CUSTOMER
            )

    def _check_customer_key(self, call: Call, found: Any, prefix: str) -> None:
        stored = "" if found is None else self._world.moto.customer_key(found)
        given = call.header(f"{prefix}key-md5")
        if stored and not given:
            raise AwsError("InvalidRequest", NEEDS_KEY, 400)
        if stored and given != stored:
            raise AwsError("AccessDenied", "Access Denied", 403)
        if found is not None and not stored and given:
            text = "The encryption parameters are not applicable to this object."
            raise AwsError("InvalidRequest", text, 400)

    def _check_ownership(self, call: Call) -> None:
        public = call.header("x-amz-acl") not in {"", "private"} or any(
            call.header(f"x-amz-grant-{kind}") for kind in ("read", "write", "read-acp", "write-acp", "full-control")
        )
        if call.operation == "CreateBucket":
            chosen = call.header("x-amz-object-ownership") or ENFORCED
            refused = public and chosen == ENFORCED
        else:
            refused = ENFORCED.encode() in call.body and self._world.moto.grants_to_others(call.region, call.bucket)
        if refused:
            text = f"Bucket cannot have ACLs set with ObjectOwnership's {ENFORCED} setting"
            raise AwsError("InvalidBucketAclWithObjectOwnership", text, 400)


def _check_owner(call: Call) -> None:
    for header in ("x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"):
        given = call.header(header)
        if given and not re.fullmatch(r"\d{12}", given):
            text = f"The value of the expected bucket owner parameter must be an AWS Account ID... [{given}]"
            raise AwsError("InvalidBucketOwnerAWSAccountID", text, 400)
        if given and given != ACCOUNT:
            raise AwsError("AccessDenied", "Access Denied", 403)


def _check_headers(call: Call) -> None:
    kind, key = call.header(SSE), call.header(f"{SSE}-aws-kms-key-id")
    if kind not in {"", "AES256", *KMS_KINDS}:
        raise _argument(SSE, kind, "The encryption method specified is not supported")
    if key and kind not in KMS_KINDS:
        text = f"Server Side Encryption with AWS KMS managed key requires HTTP header {SSE} : aws:kms"
        raise _argument(SSE, kind, text)
    if not call.header(f"{CUSTOMER}algorithm"):
        return
    if kind:
        text = "Server Side Encryption with Customer provided key is incompatible with the encryption method specified"
        raise _argument(SSE, kind, text)
    if call.header(f"{CUSTOMER}algorithm") != "AES256":
        text = "The requested encryption algorithm is not valid, must be AES256."
        raise AwsError("InvalidEncryptionAlgorithmError", text, 400)
    try:
        secret = base64.b64decode(call.header(f"{CUSTOMER}key"), validate=True)
    except (ValueError, binascii.Error):
        secret = b""
    if len(secret) != 32:
        raise _argument(f"{CUSTOMER}key", "null", "The secret key was invalid for the specified algorithm.")
    md5 = base64.b64encode(hashlib.md5(secret, usedforsecurity=False).digest()).decode()
    if call.header(f"{CUSTOMER}key-md5") != md5:
        text = "The calculated MD5 hash of the key did not match the hash that was provided."
        raise _argument(f"{CUSTOMER}key-MD5", call.header(f"{CUSTOMER}key-md5"), text)


def _argument(name: str, value: str, text: str) -> AwsError:
    return AwsError("InvalidArgument", text, 400, ArgumentName=name, ArgumentValue=value)
