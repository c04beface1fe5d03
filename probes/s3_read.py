"""Read an object of S3."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from gameday.sdk import AWS, Observation, Probe

_CHUNK = 65536


class S3Read(Probe):
    """Read one object as the run's identity; with SSE-KMS this also exercises ``kms:Decrypt``.

    S3 asks KMS for every GetObject, unless the bucket has a Bucket Key that this identity has warmed. HeadObject is
    no substitute: it needs no decryption, and succeeds with the key disabled.
    """

    uses: ClassVar[str] = "s3.read"
    permissions: ClassVar[tuple[str, ...]] = ("s3:GetObject", "kms:Decrypt")

    bucket: str = Field(min_length=1)
    key: str = Field(min_length=1)
    max_bytes: int = Field(default=1 << 20, gt=0)
    """The body is read up to here, so that an answer that breaks off is seen; a large object costs no more."""

    def observe(self, aws: AWS) -> Observation:
        """GetObject and its body: ok when they came, else what S3 says."""
        read = 0
        with aws.answering() as answer:
            body = aws.client("s3").get_object(Bucket=self.bucket, Key=self.key)["Body"]
            try:
                while read < self.max_bytes and (chunk := body.read(min(_CHUNK, self.max_bytes - read))):
                    read += len(chunk)
            finally:
                body.close()
        return answer.observation(f"{read} bytes" if answer.ok else "")
