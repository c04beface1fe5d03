"""Ask KMS what state a key is in."""

from __future__ import annotations

from typing import ClassVar

from gameday.sdk import AWS, Cause, KeyId, Observation, Probe

_CAUSES = {
    "Enabled": Cause.OK,
    "Disabled": Cause.KEY_DISABLED,
    "PendingDeletion": Cause.KEY_PENDING_DELETION,
    "PendingReplicaDeletion": Cause.KEY_PENDING_DELETION,
}


class KmsState(Probe):
    """Read a key's state, without using the key.

    It says what KMS has been told, not what S3 or EC2 do about it already: a key is off when its users are refused,
    and back when they are served, which is what ``s3.read`` and ``ec2.boot`` look at.
    """

    uses: ClassVar[str] = "kms.state"
    permissions: ClassVar[tuple[str, ...]] = ("kms:DescribeKey",)

    key: KeyId

    def observe(self, aws: AWS) -> Observation:
        """DescribeKey: ok when Enabled, ``key_unusable`` in a state without a word of its own."""
        state = ""
        with aws.answering() as answer:
            state = aws.client("kms").describe_key(KeyId=self.key)["KeyMetadata"].get("KeyState", "")
        if not answer.ok:
            return answer.observation()
        return answer.observation(state).model_copy(update={"cause": _CAUSES.get(state, Cause.KEY_UNUSABLE)})
