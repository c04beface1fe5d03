"""Read a secret, and forget it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from gameday.sdk import AWS, Cause, Observation, Probe

_SAID_OF_THE_KEY = {"DecryptionFailure": Cause.KEY_UNUSABLE, "AccessDeniedException": Cause.KEY_POLICY_DENIED}


class SecretsManagerRead(Probe):
    """Read a secret; Secrets Manager asks KMS to decrypt it in the caller's name.

    The value is dropped where it arrives: neither it nor its length is told to anyone. Of a key that does not serve,
    Secrets Manager may say less than KMS: ``key_disabled`` where it repeats KMS's sentence, ``key_unusable`` for its
    own DecryptionFailure ("can't decrypt the protected secret text using the provided KMS key", API reference), and
    ``key_policy_denied`` for "Access to KMS is not allowed", which practitioners report. Expect all three.
    """

    uses: ClassVar[str] = "secretsmanager.read"
    permissions: ClassVar[tuple[str, ...]] = ("secretsmanager:GetSecretValue", "kms:Decrypt")

    secret: str = Field(min_length=1, max_length=2048)
    """Its name or ARN."""
    version_stage: str = "AWSCURRENT"

    def scope(self, action: str, aws: AWS) -> tuple[str, ...]:
        """The secret; to its name Secrets Manager adds six characters of its own."""
        if not action.startswith("secretsmanager:"):
            return super().scope(action, aws)
        here = f"arn:{aws.partition}:secretsmanager:{aws.region}:{aws.account}:secret"
        return (self.secret if self.secret.startswith("arn:") else f"{here}:{self.secret}-*",)

    def observe(self, aws: AWS) -> Observation:
        """GetSecretValue: ok when there was a value, else what Secrets Manager says."""
        with aws.answering() as answer:
            aws.client("secretsmanager").get_secret_value(SecretId=self.secret, VersionStage=self.version_stage)
        said = answer.observation(f"secret {self.secret} is readable" if answer.ok else "")
        cause = said.cause
        if cause in (Cause.ACCESS_DENIED, Cause.INVALID, Cause.OTHER) and "KMS" in said.detail:
            cause = _SAID_OF_THE_KEY.get(said.code, cause)
        return said.model_copy(update={"cause": cause})
