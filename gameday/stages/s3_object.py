"""An encrypted object for a playbook, in a bucket."""

from __future__ import annotations

import struct
import zlib
from typing import Any, ClassVar

from pydantic import Field

from gameday.errors import Refused
from gameday.sdk import AWS, Cause, StageStep, s3_resources
from gameday.stages._made import TAG, TAG_VALUE, demand, refuse_existing, said, tags

_OF_S3 = "a key of S3's own"


class S3Object(StageStep):
    """An object encrypted with a key (SSE-KMS), or without one, and its bucket, private, when that is missing.

    The bucket's own default encryption stays what S3 gives it; the key is asked for with the object. One without a
    key (SSE-S3) is the control beside it: it shows what the key alone accounts for.
    """

    uses: ClassVar[str] = "s3.object"
    permissions: ClassVar[tuple[str, ...]] = (
        *("s3:ListBucket", "s3:GetObject", "s3:CreateBucket", "s3:PutBucketPublicAccessBlock", "s3:PutBucketTagging"),
        *("s3:PutObject", "s3:PutObjectTagging", "s3:GetBucketTagging", "s3:GetObjectTagging"),
        *("s3:DeleteObject", "s3:DeleteBucket", "kms:DescribeKey", "kms:GenerateDataKey", "kms:Decrypt"),
    )

    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    key: str = Field(min_length=1, max_length=1024)
    sse_kms_key: str = ""
    """The key's alias, id or ARN; without it, a key of S3's own (SSE-S3)."""
    body: str = ""
    """What it holds; without it, a small picture of a clock."""

    def scope(self, action: str, aws: AWS) -> tuple[str, ...]:
        """The bucket and the object."""
        if not action.startswith("s3:"):
            return super().scope(action, aws)
        return s3_resources(action, aws.partition, self.bucket, self.key)

    def check(self, aws: AWS) -> str:
        """The bucket must be this account's, and the object there and encrypted with the key."""
        if not self._has_bucket(aws):
            return f"there is no bucket {self.bucket}"
        if not self._encrypted_with(aws):
            return f"there is no object {self.key} in bucket {self.bucket}"
        return self._unfit(aws)

    def _unfit(self, aws: AWS) -> str:
        used = self._encrypted_with(aws)
        if used == self._key_arn(aws):
            return ""
        wanted = self.sse_kms_key or _OF_S3
        return f"object {self.key} in bucket {self.bucket} is encrypted with {used}, not with {wanted}"

    def make(self, aws: AWS) -> None:
        """CreateBucket where it is missing, closed to the public; PutObject with the key."""
        if not self._has_bucket(aws):
            self._make_bucket(aws)
        elif self._encrypted_with(aws):
            refuse_existing(self._unfit(aws), f"object {self.key} in bucket {self.bucket}")
        sse: dict[str, Any] = {"ServerSideEncryption": "AES256"}
        if self.sse_kms_key:
            sse = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._key_arn(aws)}
        tagging = "&".join(f"{name.replace(':', '%3A')}={value}" for name, value in tags(aws).items())
        with aws.answering() as answer:
            aws.changing("s3").put_object(
                Bucket=self.bucket,
                Key=self.key,
                Body=self.body.encode() or clock_png(),
                ContentType="text/plain; charset=utf-8" if self.body else "image/png",
                **sse,
                Tagging=tagging,
                ExpectedBucketOwner=aws.account,
            )
        demand(answer, f"object {self.key} could not be put into bucket {self.bucket}")

    def unmake(self, aws: AWS) -> str:
        """DeleteObject and DeleteBucket, each only where its tag is ours; a bucket that holds more is kept."""
        done = []
        with aws.answering() as answer:
            s3 = aws.client("s3")
            if _ours(
                s3.get_object_tagging(Bucket=self.bucket, Key=self.key, ExpectedBucketOwner=aws.account)["TagSet"]
            ):
                aws.changing("s3").delete_object(Bucket=self.bucket, Key=self.key, ExpectedBucketOwner=aws.account)
                done.append(f"object {self.key} is removed")
            else:
                done.append(f"object {self.key} was not made by gameday stage, and is left as it is")
        if not answer.ok:
            missing = answer.cause is Cause.NOT_FOUND
            done.append(f"there is no object {self.key}" if missing else f"object {self.key} is kept: {said(answer)}")
        return f"{'; '.join(done)}; {self._unmake_bucket(aws)}"

    def _unmake_bucket(self, aws: AWS) -> str:
        ours = False
        with aws.answering() as answer:
            listed = aws.client("s3").get_bucket_tagging(Bucket=self.bucket, ExpectedBucketOwner=aws.account)["TagSet"]
            ours = _ours(listed)
            if ours:
                aws.changing("s3").delete_bucket(Bucket=self.bucket, ExpectedBucketOwner=aws.account)
        if answer.code == "NoSuchBucket":
            return f"there is no bucket {self.bucket}"
        if answer.code == "BucketNotEmpty":
            return f"bucket {self.bucket} holds more than that, and is kept"
        if answer.ok and ours:
            return f"bucket {self.bucket} is removed"
        if answer.ok or answer.code == "NoSuchTagSet":
            return f"bucket {self.bucket} was not made by gameday stage, and is left as it is"
        return f"bucket {self.bucket} is kept: {said(answer)}"

    def _has_bucket(self, aws: AWS) -> bool:
        """Whether there is a bucket of that name that is ours; another account's is refused."""
        with aws.answering() as answer:
            aws.client("s3").head_bucket(Bucket=self.bucket, ExpectedBucketOwner=aws.account)
        if answer.cause is Cause.ACCESS_DENIED:
            raise Refused(f"bucket {self.bucket} is not account {aws.account}'s, or may not be listed: name another")
        if answer.cause is not Cause.NOT_FOUND:
            demand(answer, f"bucket {self.bucket} could not be looked up")
        return answer.ok

    def _encrypted_with(self, aws: AWS) -> str:
        """The ARN of the object's key, or a word for S3's own; ``""`` when there is no such object."""
        used = ""
        with aws.answering() as answer:
            head = aws.client("s3").head_object(Bucket=self.bucket, Key=self.key, ExpectedBucketOwner=aws.account)
            used = head.get("SSEKMSKeyId", _OF_S3)
        if answer.cause is not Cause.NOT_FOUND:
            demand(answer, f"object {self.key} in bucket {self.bucket} could not be looked up")
        return used

    def _make_bucket(self, aws: AWS) -> None:
        # us-east-1 is the one Region that must not be named as a location constraint.
        where: dict[str, Any] = {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
        s3 = aws.changing("s3")
        with aws.answering() as answer:
            s3.create_bucket(Bucket=self.bucket, **({} if aws.region == "us-east-1" else where))
        demand(answer, f"bucket {self.bucket} could not be made", "bucket names are shared by all accounts")
        with aws.answering() as answer:
            labels = [{"Key": name, "Value": value} for name, value in tags(aws).items()]
            s3.put_bucket_tagging(Bucket=self.bucket, Tagging={"TagSet": labels})  # type: ignore[typeddict-item]  # a dict as it is
            s3.put_public_access_block(
                Bucket=self.bucket,
                PublicAccessBlockConfiguration={
                    "BlockPublicAcls": True,
                    "IgnorePublicAcls": True,
                    "BlockPublicPolicy": True,
                    "RestrictPublicBuckets": True,
                },
            )
        demand(answer, f"bucket {self.bucket} was made, but could not be tagged and closed", "remove it by hand")

    def _key_arn(self, aws: AWS) -> str:
        if not self.sse_kms_key:
            return _OF_S3
        arn = ""
        with aws.answering() as answer:
            arn = aws.client("kms").describe_key(KeyId=self.sse_kms_key)["KeyMetadata"]["Arn"]
        demand(answer, f"key {self.sse_kms_key} could not be looked up", "stage the key before the object")
        return arn


def _ours(listed: Any) -> bool:
    return {"Key": TAG, "Value": TAG_VALUE} in listed


def clock_png(size: int = 64) -> bytes:
    """A picture of a clock at three, in the fewest bytes of PNG: one grey byte a pixel, one chunk each."""
    middle = size // 2

    def shade(x: int, y: int) -> int:
        away = (x - middle) ** 2 + (y - middle) ** 2
        hand = (x == middle and 8 < y <= middle) or (y == middle and middle <= x < size - 16)
        rim = (middle - 4) ** 2 < away < (middle - 1) ** 2
        return 0 if hand or rim else 255

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(shade(x, y) for x in range(size)) for y in range(size))
    header = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
