"""Schedule the deletion of a key."""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

from pydantic import JsonValue

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

WINDOW = 7
"""Days; the shortest that KMS takes. What is left of them is how long somebody has to notice a failed rollback."""


class ScheduleDeletion(StepFault):
    """Schedule a customer-managed KMS key for deletion in 7 days; cancelling it **and** enabling the key is the undo.

    From then on the key is ``PendingDeletion``, and KMS refuses every cryptographic operation with it (S3 says
    ``KMS.KMSInvalidStateException``). The change is eventually consistent, as that of ``kms.disable_key``.

    CancelKeyDeletion leaves the key Disabled, so the undo makes both calls, and is over only when the key is Enabled.
    A key whose deletion somebody else scheduled meanwhile cannot be told from ours: it is enabled too. Aliases, grants,
    key policy and rotation outlast it.

    **After 7 days the key and all that it protects are lost for good.** On a real account this runs with the dead
    man's switch armed, and not without. The rehearsal proves EnableKey only: CancelKeyDeletion cannot be called
    without effect, and has no dry run. The key must be enabled; a multi-Region primary key that has replicas is
    refused, since it would wait for them (``PendingReplicaDeletion``) instead.

    Source: AWS KMS API Reference, ScheduleKeyDeletion and CancelKeyDeletion; KMS Developer Guide, "Deleting AWS KMS
    keys".
    """

    uses: ClassVar[str] = "kms.schedule_deletion"
    permissions: ClassVar[tuple[str, ...]] = (
        *("kms:DescribeKey", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion", "kms:EnableKey"),
    )
    needs_switch: ClassVar[bool] = True
    step: ClassVar[str] = "schedule deletion"
    rank: ClassVar[Rank] = Rank.KEY
    calls: ClassVar[Calls] = Calls(
        inject=("kms:ScheduleKeyDeletion",), undo=("kms:CancelKeyDeletion", "kms:EnableKey"), read=("kms:DescribeKey",)
    )

    key: KeyId

    @property
    def resource(self) -> str:
        """The key's ARN, which is what ``key`` was pinned to."""
        return self.key

    def capture(self, aws: AWS) -> Before:
        """The key must be enabled, customer-managed, and have no replicas."""
        manager = state = ""
        replicas = 0
        with aws.answering() as answer:
            found = aws.client("kms").describe_key(KeyId=self.key)["KeyMetadata"]
            manager, state = found.get("KeyManager", ""), found.get("KeyState", "")
            regions = found.get("MultiRegionConfiguration", {})
            replicas = len(regions.get("ReplicaKeys", [])) if regions.get("MultiRegionKeyType") == "PRIMARY" else 0
        if not answer.ok:
            raise CannotInject(f"key {self.key} could not be read ({answer.code or answer.cause}: {answer.detail})")
        if manager != "CUSTOMER":
            raise CannotInject(f"key {self.key} is managed by AWS: nobody can delete it")
        if state != "Enabled":
            raise CannotInject(f"key {self.key} is {state}, not Enabled: it could not be put back so")
        if replicas:
            raise CannotInject(f"key {self.key} is a multi-Region primary key with replicas: its deletion would wait")
        return {"state": state}

    def mismatch(self, run: str, before: Before) -> str:
        """The key was enabled, or it would have been refused."""
        return unlike(before, state="Enabled")

    def inject(self, aws: AWS, before: Before) -> None:
        """ScheduleKeyDeletion, once."""
        aws.changing("kms").schedule_key_deletion(KeyId=self.key, PendingWindowInDays=WINDOW)

    def undo(self, aws: AWS, before: Before) -> None:
        """CancelKeyDeletion and EnableKey, always both; KMS refuses to cancel where nothing is pending, which is fine.

        When the first call works and the second does not, the key reads back as Disabled: still ours, and again both.
        """
        kms = aws.changing("kms")
        with suppress(kms.exceptions.KMSInvalidStateException):
            kms.cancel_key_deletion(KeyId=self.key)
        kms.enable_key(KeyId=self.key)

    @property
    def by_hand(self) -> tuple[str, ...]:
        """CancelKeyDeletion and EnableKey."""
        return tuple(cli_command("kms", call, self.key) for call in ("cancel-key-deletion", "enable-key"))

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """What DescribeKey says: ours until it is Enabled, since a cancelled deletion leaves it Disabled."""
        state = ""
        with aws.answering() as answer:
            state = aws.client("kms").describe_key(KeyId=self.key)["KeyMetadata"].get("KeyState", "")
        if answer.cause is Cause.NOT_FOUND:
            return Drifted("the key is gone")
        if not answer.ok:
            return Unknown(f"{answer.code or answer.cause}: {answer.detail}")
        if state == "Enabled":
            return Restored("Enabled", state)
        if state in ("PendingDeletion", "Disabled"):
            return StillOurs(state, state)
        return Drifted(f"the key is {state}: someone else changed it meanwhile", state)

    def in_cloud(self, aws: AWS) -> tuple[CloudCall, ...]:
        """CancelKeyDeletion, which leaves the key Disabled, and then EnableKey; each tried again until it works."""
        key: dict[str, JsonValue] = {"KeyId": self.key}
        return (
            CloudCall(service="kms", action="cancelKeyDeletion", parameters=key, permission="kms:CancelKeyDeletion"),
            CloudCall(service="kms", action="enableKey", parameters=key, permission="kms:EnableKey"),
        )

    def rehearse(self, aws: AWS) -> None:
        """EnableKey on the still enabled key: one half of the undo, and the only one that changes nothing."""
        aws.changing("kms").enable_key(KeyId=self.key)
