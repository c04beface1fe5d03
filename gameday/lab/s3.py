"""S3 with SSE-KMS: it asks KMS for every object, in the caller's name, and fails when KMS refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .access import Access, s3_arn
from .kms import Keys
from .shapes import Key, S3Object
from .wire import Answer, AwsError
from .world import Behaviour, World

if TYPE_CHECKING:
    from .call import Call

SSE = "x-amz-server-side-encryption"
SSE_KEY = "x-amz-server-side-encryption-aws-kms-key-id"
SSE_BUCKET_KEY = "x-amz-server-side-encryption-bucket-key-enabled"
KMS_KINDS = frozenset({"aws:kms", "aws:kms:dsse"})
WRITES = frozenset({"PutObject", "CopyObject", "CreateMultipartUpload"})
READS = frozenset({"GetObject", "SelectObjectContent"})
AGENT = "AWS Internal"
AES256: dict[str, Any] = {
    "Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": "false"}
}


class S3:
    """S3's hooks about keys; who may open which door is in ``s3doors``."""

    behaviours: tuple[Behaviour, ...] = (
        Behaviour("s3", "Get, Put, Copy with the key disabled: 400 KMS.DisabledException", "recorded"),
        Behaviour("s3", "Get with the key pending deletion: 400 KMS.KMSInvalidStateException", "recorded"),
        Behaviour("s3", "Put with an unknown key: 400 KMS.NotFoundException", "recorded"),
        Behaviour("s3", "HeadObject does not ask KMS, unless checksum mode asks for decryption", "inferred"),
        Behaviour("s3", "aws:kms without a key uses alias/aws/s3; objects report the key's ARN", "documented"),
        Behaviour("s3", "a warm bucket key outlives DisableKey for bucket_key_ttl per principal", "observed"),
        Behaviour("s3", "multipart: CreateMultipartUpload asks for the data key, parts decrypt it", "documented"),
        Behaviour("s3", "KMS events of S3 have invokedBy 'AWS Internal' and S3's own request id", "inferred"),
    )

    def __init__(self, world: World, keys: Keys, access: Access) -> None:
        self._world = world
        self._access = access
        self._keys = keys
        self._warm: dict[tuple[str, str, str], float] = {}

    def reset(self) -> None:
        """Forget everything."""
        self._warm.clear()

    def before(self, call: Call) -> Answer | None:
        """Ask KMS, as S3 does, before moto reads or writes."""
        if call.operation in WRITES:
            if call.operation == "CopyObject":
                self._read_source(call)
            self._write(call)
        elif call.operation in READS or (call.operation == "HeadObject" and _checksum_mode(call)):
            found = self._world.moto.s3_object(call.region, call.bucket, call.key, call.query.get("versionId"))
            self._read(call, found, call.bucket, call.key)
        elif call.operation in {"UploadPart", "UploadPartCopy", "CompleteMultipartUpload"}:
            if call.operation == "UploadPartCopy":
                self._read_source(call)
            self._upload(call)
        return None

    def after(self, call: Call, answer: Answer) -> None:
        """Give new buckets AWS' defaults."""
        if answer.status >= 400:
            return
        if call.operation in {"CreateBucket", "DeleteBucketEncryption"}:
            bucket = self._world.moto.bucket(call.region, call.bucket)
            if bucket is not None and bucket.encryption is None:
                bucket.encryption = {"Rule": dict(AES256["Rule"])}

    def _write(self, call: Call) -> None:
        bucket = self._world.moto.bucket(call.region, call.bucket)
        if bucket is None or call.header(f"{SSE}-customer-algorithm"):
            return  # with a key of the customer's own S3 does not ask KMS
        rule = (bucket.encryption or AES256)["Rule"]
        default = rule["ApplyServerSideEncryptionByDefault"]
        kind = call.header(SSE) or str(default["SSEAlgorithm"])
        if kind not in KMS_KINDS:
            return
        inherited = default.get("KMSMasterKeyID") if default["SSEAlgorithm"] in KMS_KINDS else None
        name = call.header(SSE_KEY) or str(inherited or "alias/aws/s3")
        try:
            key = self._keys.find(bucket.region_name, name, call.who.account)
        except AwsError as error:
            raise AwsError(f"KMS.{error.code}", error.message) from error
        bucket_key = (call.header(SSE_BUCKET_KEY) or str(rule.get("BucketKeyEnabled", "false"))).lower() == "true"
        self._ask(call, "GenerateDataKey", key, call.bucket, call.key, bucket_key)
        call.set_header(SSE, kind)
        call.set_header(SSE_KEY, key.arn)

    def _read_source(self, call: Call) -> None:
        from urllib.parse import unquote

        source, _, version = call.header("x-amz-copy-source").partition("?versionId=")
        bucket, _, key = unquote(source).lstrip("/").partition("/")
        self._read(call, self._world.moto.s3_object(call.region, bucket, key, version or None), bucket, key)

    def _read(self, call: Call, found: S3Object | None, bucket: str, key_name: str) -> None:
        if found is None or getattr(found, "encryption", None) not in KMS_KINDS:
            return
        home = self._world.moto.bucket(call.region, bucket)
        region = home.region_name if home is not None else call.region
        try:
            key = self._keys.find(region, found.kms_key_id or "alias/aws/s3", call.who.account)
        except AwsError as error:
            raise AwsError(f"KMS.{error.code}", error.message) from error
        bucket_key = str(found.bucket_key_enabled).lower() == "true"
        self._ask(call, "Decrypt", key, bucket, key_name, bucket_key)

    def _upload(self, call: Call) -> None:
        bucket = self._world.moto.bucket(call.region, call.bucket)
        upload = getattr(bucket, "multiparts", {}).get(call.query.get("uploadId", ""))
        if upload is None or upload.sse_encryption not in KMS_KINDS or bucket is None:
            return
        key = self._keys.find(bucket.region_name, upload.kms_key_id, call.who.account)
        self._ask(call, "Decrypt", key, call.bucket, call.key, bucket_key=False)

    def _ask(self, call: Call, operation: str, key: Key, bucket: str, name: str, bucket_key: bool) -> None:
        """Call KMS in the caller's name: refused as KMS refuses, and recorded either way."""
        warm_until = self._world.knobs.bucket_key_ttl + self._world.agenda.now()
        warmth = (call.who.arn + call.who.access_key, bucket, key.arn)
        if bucket_key and self._warm.get(warmth, 0.0) > self._world.agenda.now():
            return
        arn = s3_arn(call.region, bucket, "" if bucket_key else name)
        context = {"aws:s3:arn": arn}
        denied = self._access.kms(call, key, operation, "s3", context)
        refusal = denied or self._keys.refusal(key)
        parameters: dict[str, Any] = {"encryptionContext": context}
        if operation == "GenerateDataKey":
            parameters |= {"keyId": key.arn, "keySpec": "AES_256"}
        else:
            parameters |= {"encryptionAlgorithm": "SYMMETRIC_DEFAULT"}
        self._world.trail.on_behalf(
            call,
            operation,
            AGENT,
            key_arn="" if refusal else key.arn,
            parameters=None if refusal else parameters,
            error=(refusal.code, refusal.message) if refusal else None,
        )
        if denied:
            raise AwsError("AccessDenied", denied.message, 403)
        if refusal:
            raise AwsError(f"KMS.{refusal.code}", refusal.message)
        if bucket_key:
            self._warm[warmth] = warm_until


def _checksum_mode(call: Call) -> bool:
    return call.header("x-amz-checksum-mode").upper() == "ENABLED"
