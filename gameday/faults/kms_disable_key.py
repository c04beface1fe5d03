"""Disable a key."""

from __future__ import annotations

from typing import ClassVar

from gameday.errors import CannotInject
from gameday.sdk import (
    AWS,
    Before,
    Calls,
    Cause,
    CloudCall,
    Drifted,
    KeyId,
    Rank,
    ReadBack,
    Restored,
    StepFault,
    StillOurs,
    Unknown,
    cli_command,
    unlike,
)


class DisableKey(StepFault):
    """Disable a customer-managed KMS key; enabling it is the undo.

    From then on KMS refuses every cryptographic operation with the key: objects and secrets under it cannot be
    read, volumes cannot be attached, instances that boot from it do not boot. What holds a data key in memory goes
    on working (an attached volume; S3 with a Bucket Key, for a while). The change is eventually consistent: seconds,
    at times minutes.

    The key must be enabled and customer-managed. A multi-Region key is disabled in this Region only; its replicas
    have states of their own. Not everything comes back by itself when the key is enabled again (RDS, DynamoDB).

    An organisation may deny ``kms:DisableKey`` on keys in recent use (condition ``kms:TrailingDaysWithoutKeyUsage``):
    then the fault is refused by AWS and nothing has happened.
    """

    uses: ClassVar[str] = "kms.disable_key"
    permissions: ClassVar[tuple[str, ...]] = ("kms:DescribeKey", "kms:DisableKey", "kms:EnableKey")
    step: ClassVar[str] = "disable"
    rank: ClassVar[Rank] = Rank.KEY
    calls: ClassVar[Calls] = Calls(inject=("kms:DisableKey",), undo=("kms:EnableKey",), read=("kms:DescribeKey",))

    key: KeyId

    @property
    def resource(self) -> str:
        """The key's ARN, which is what ``key`` was pinned to."""
        return self.key

    def capture(self, aws: AWS) -> Before:
        """The key must be enabled: a disabled one is not ours to enable."""
        manager = state = ""
        with aws.answering() as answer:
            found = aws.client("kms").describe_key(KeyId=self.key)["KeyMetadata"]
            manager, state = found.get("KeyManager", ""), found.get("KeyState", "")
        if not answer.ok:
            raise CannotInject(f"key {self.key} could not be read ({answer.code or answer.cause}: {answer.detail})")
        if manager != "CUSTOMER":
            raise CannotInject(f"key {self.key} is managed by AWS: nobody can disable it")
        if state == "Disabled":
            raise CannotInject(f"key {self.key} is already disabled: not ours to enable")
        if state != "Enabled":
            raise CannotInject(f"key {self.key} is {state}, not Enabled: it could not be put back so")
        return {"state": state}

    def mismatch(self, run: str, before: Before) -> str:
        """The key was enabled, or it would have been refused."""
        return unlike(before, state="Enabled")

    def inject(self, aws: AWS, before: Before) -> None:
        """DisableKey, once."""
        aws.changing("kms").disable_key(KeyId=self.key)

    def undo(self, aws: AWS, before: Before) -> None:
        """EnableKey; harmless on an enabled key, so it is always called."""
        aws.changing("kms").enable_key(KeyId=self.key)

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """What DescribeKey says, which KMS's own answer is consistent with at once."""
        state = ""
        with aws.answering() as answer:
            state = aws.client("kms").describe_key(KeyId=self.key)["KeyMetadata"].get("KeyState", "")
        if answer.cause is Cause.NOT_FOUND:
            return Drifted("the key is gone: someone deleted it")
        if not answer.ok:
            return Unknown(f"{answer.code or answer.cause}: {answer.detail}")
        if state == "Enabled":
            return Restored("Enabled", state)
        if state == "Disabled":
            return StillOurs("Disabled", state)
        return Drifted(f"the key is {state}: someone else changed it meanwhile", state)

    @property
    def by_hand(self) -> tuple[str, ...]:
        """EnableKey."""
        return (cli_command("kms", "enable-key", self.key),)

    def in_cloud(self, aws: AWS) -> tuple[CloudCall, ...]:
        """EnableKey: the key was enabled, or it would not have been ours to disable."""
        return (
            CloudCall(service="kms", action="enableKey", parameters={"KeyId": self.key}, permission="kms:EnableKey"),
        )

    def rehearse(self, aws: AWS) -> None:
        """EnableKey on the still enabled key: nothing changes, and the permission is proved."""
        aws.changing("kms").enable_key(KeyId=self.key)
