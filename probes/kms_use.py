"""Encrypt and decrypt with a key."""

from __future__ import annotations

import secrets
from typing import ClassVar

from pydantic import Field

from gameday.sdk import AWS, Cause, KeyId, Observation, Probe


class KmsUse(Probe):
    """Encrypt a few random bytes with a key and decrypt them again, as an application does that calls KMS itself.

    It says whether KMS serves this identity, at once and without a cache between. It says nothing about services that
    hold a data key already: S3 with a Bucket Key, SQS, DynamoDB.
    """

    uses: ClassVar[str] = "kms.use"
    permissions: ClassVar[tuple[str, ...]] = ("kms:Encrypt", "kms:Decrypt")

    key: KeyId = Field(min_length=1)
    """A symmetric key."""
    encryption_context: dict[str, str] = Field(default={})
    """Stands in CloudTrail in clear text, and in key policies as `kms:EncryptionContext:…`."""

    def observe(self, aws: AWS) -> Observation:
        """Encrypt, then Decrypt: ok when the same bytes came back, else what KMS says of the first that failed."""
        given, back = secrets.token_bytes(16), b""
        with aws.answering() as answer:
            kms, context = aws.client("kms"), self.encryption_context
            sealed = kms.encrypt(KeyId=self.key, Plaintext=given, EncryptionContext=context)["CiphertextBlob"]
            back = kms.decrypt(KeyId=self.key, CiphertextBlob=sealed, EncryptionContext=context)["Plaintext"]
        if answer.ok and back != given:
            return answer.observation("KMS decrypted something else").model_copy(update={"cause": Cause.OTHER})
        return answer.observation("encrypted and decrypted" if answer.ok else "")
