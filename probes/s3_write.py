"""Write an object to S3, and take it away again."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from gameday.sdk import AWS, Answer, KeyId, Observation, Probe, s3_resources

_NAME = "s3.write"
_BODY = b"written by gameday to see whether it can be; may be deleted\n"


class S3Write(Probe):
    """Write one small object and delete it; with SSE-KMS this exercises ``kms:GenerateDataKey``.

    Its object has one name under a prefix of its own, so that nothing else is ever written or deleted, and so that
    what a lost delete left behind is overwritten and deleted by the next look, be it another run's. In a bucket with
    versions the versions of that name are deleted, not just covered by a marker. Where the last look of a run loses
    its delete, the object stays until somebody looks again. A bucket with Object Lock keeps what is written: do not
    point this at one.
    """

    uses: ClassVar[str] = "s3.write"
    permissions: ClassVar[tuple[str, ...]] = (
        *("s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:ListBucketVersions"),
        "kms:GenerateDataKey",
    )

    bucket: str = Field(min_length=1)
    prefix: str = Field(default="gameday-probe/", min_length=1, max_length=900)
    """What it writes has the key `<prefix>s3.write`."""
    sse_kms_key: KeyId = ""
    """Encrypt with this key; without it, as the bucket's default encryption says."""

    def scope(self, action: str, aws: AWS) -> tuple[str, ...]:
        """The bucket, and what is written below the prefix."""
        if not action.startswith("s3:"):
            return super().scope(action, aws)
        return s3_resources(action, aws.partition, self.bucket, f"{self.prefix}*")

    def observe(self, aws: AWS) -> Observation:
        """PutObject, then DeleteObject whatever came of it: what is told is how the write went."""
        version = ""
        with aws.answering() as put:
            encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.sse_kms_key}
            version = (
                aws.changing("s3")
                .put_object(
                    Bucket=self.bucket,
                    Key=self.prefix + _NAME,
                    Body=_BODY,
                    ContentType="text/plain",
                    **(encryption if self.sse_kms_key else {}),  # type: ignore[arg-type]  # texts, each of its own kind
                )
                .get("VersionId", "")
            )
        written = put.observation(f"{len(_BODY)} bytes to {self.prefix}{_NAME}" if put.ok else "")
        left = self._delete(aws, versions=version not in ("", "null"))
        if left.ok:
            return written
        why = f"the delete was refused or lost ({left.code or left.cause}), and is left to the next look"
        return written.model_copy(update={"detail": f"{written.detail}; {why}"})

    def _delete(self, aws: AWS, *, versions: bool) -> Answer:
        # Through a client that no fence stops: nobody but this probe has an object of that name, and a rollback that
        # comes between the write and the delete is no reason to leave it there.
        s3, key = aws.client("s3"), self.prefix + _NAME
        with aws.answering() as answer:
            if not versions:
                s3.delete_object(Bucket=self.bucket, Key=key)
                return answer
            page = s3.list_object_versions(Bucket=self.bucket, Prefix=key)
            for each in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
                if each["Key"] == key:
                    s3.delete_object(Bucket=self.bucket, Key=key, VersionId=each["VersionId"])
        return answer
