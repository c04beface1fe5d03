"""A bucket's Block Public Access."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import JsonValue

from gameday.errors import CannotInject
from gameday.faults.s3_open_public_access.common import OfBucket, said
from gameday.sdk import AWS, Before, Calls, CloudCall, Drifted, ReadBack, Restored, StillOurs, Unknown

Switch = Literal["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"]
SWITCHES: tuple[Switch, ...] = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
OPENED: dict[str, tuple[Switch, ...]] = {
    "acl": ("BlockPublicAcls", "IgnorePublicAcls"),
    "policy": ("BlockPublicPolicy", "RestrictPublicBuckets"),
}
"""The first refuses what is new, the second ignores what is there."""


class BlockPublicAccess(OfBucket):
    """Those of its four switches that stand in the way."""

    step: ClassVar[str] = "public access block"
    calls: ClassVar[Calls] = Calls(
        inject=("s3:PutBucketPublicAccessBlock",),
        undo=("s3:GetBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
        read=("s3:GetBucketPublicAccessBlock", "s3:GetAccountPublicAccessBlock"),
    )

    how: Literal["acl", "policy"]
    shut: bool = False
    """Only the switch that refuses a new grant is turned off; the one that ignores it stays on."""

    @property
    def _opened(self) -> tuple[Switch, ...]:
        return OPENED[self.how][:1] if self.shut else OPENED[self.how]

    def capture(self, aws: AWS) -> Before:
        """All four switches, or None when none was ever set; the account's must not refuse."""
        self._refuse_account(aws)
        found: dict[Switch, bool] | None = None
        with aws.answering() as answer:
            found = self._read(aws)
        if not answer.ok:
            raise CannotInject(f"the public access block of bucket {self.bucket} could not be read ({said(answer)})")
        if self.shut and not (found or {}).get(OPENED[self.how][1]):
            raise CannotInject(
                f"bucket {self.bucket} has no {OPENED[self.how][1]}: nothing would keep the world out; leave shut "
                "away, or turn that switch on"
            )
        return {"block": None if found is None else {str(name): on for name, on in found.items()}}

    def mismatch(self, run: str, before: Before) -> str:
        """Four switches or none. Only those that were on are turned on again, so that a lie can open nothing."""
        found = before.get("block")
        if found is None and "block" in before:
            return ""
        names = set(found) if isinstance(found, dict) else set()
        whole = isinstance(found, dict) and all(isinstance(on, bool) for on in found.values())
        return "" if whole and names == set(SWITCHES) else f"its block is {found!r}, which are not four switches"

    def inject(self, aws: AWS, before: Before) -> None:
        """PutPublicAccessBlock with the switches off, where one is on."""
        found = _switches(before)
        if self._closed(found):
            self._put(aws, {name: on and name not in self._opened for name, on in found.items()})

    def undo(self, aws: AWS, before: Before) -> None:
        """PutPublicAccessBlock with our switches as captured and the others as they are now."""
        found = _switches(before)
        if not self._closed(found):
            return
        now = self._read(aws)
        if now is not None:  # someone deleted the whole configuration: that is drift
            self._put(aws, {name: found[name] if name in self._closed(found) else on for name, on in now.items()})

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """Whether all four are as captured, and if not, whether that is our doing."""
        now: dict[Switch, bool] | None = None
        with aws.answering() as answer:
            now = self._read(aws)
        if answer.code == "NoSuchBucket":
            return Drifted("the bucket is gone: someone deleted it")
        if not answer.ok:
            return Unknown(said(answer))
        found = _switches(before)
        if now == (found or None):
            return Restored("Block Public Access is as found" if found else "no Block Public Access, as found")
        if now is None:
            return Drifted("someone else deleted the public access block meanwhile")
        if still := [name for name in self._closed(found) if not now[name]]:
            return StillOurs(f"{' and '.join(still)} still off")
        return Drifted(f"someone else changed the public access block meanwhile: {now}")

    def in_cloud(self, aws: AWS) -> tuple[CloudCall, ...]:
        """PutPublicAccessBlock with all four switches on, which is exact only where all four are on now.

        It shuts every door at once; the ACLs and the policy that stand open behind it open nothing any more.
        """
        now: dict[Switch, bool] | None = None
        with aws.answering() as answer:
            now = self._read(aws)
        if not answer.ok:
            raise CannotInject(f"the public access block of bucket {self.bucket} could not be read ({said(answer)})")
        if now is None or not all(now.values()):
            raise CannotInject(
                f"bucket {self.bucket} does not have all four switches of Block Public Access on, so that putting them "
                "back from the cloud would change what was not ours to change"
            )
        switches: dict[str, JsonValue] = dict.fromkeys(SWITCHES, True)
        return (
            CloudCall(
                service="s3",
                action="putPublicAccessBlock",
                parameters={"Bucket": self.bucket, "PublicAccessBlockConfiguration": switches},
                permission="s3:PutBucketPublicAccessBlock",
            ),
        )

    def rehearse(self, aws: AWS) -> None:
        """PutPublicAccessBlock of the switches as they are, where one is on; elsewhere there is nothing to undo."""
        now = self._read(aws)
        if now is not None and self._closed(now):
            self._put(aws, now)

    def _closed(self, found: dict[Switch, bool]) -> list[Switch]:
        """The switches that we turn off."""
        return [name for name in self._opened if found.get(name)]

    def _refuse_account(self, aws: AWS) -> None:
        s3control = aws.client("s3control")
        on: list[Switch] = []
        with aws.answering() as answer:
            found = s3control.get_public_access_block(AccountId=aws.account)["PublicAccessBlockConfiguration"]
            on = [name for name in self._opened if found.get(name)]
        if not answer.ok and answer.code != "NoSuchPublicAccessBlockConfiguration":
            raise CannotInject(f"the public access block of account {aws.account} could not be read ({said(answer)})")
        if on:
            raise CannotInject(
                f"account {aws.account} has {' and '.join(on)} on for all its buckets: bucket {self.bucket} would stay "
                "closed, and the account's setting is not ours to open"
            )

    def _read(self, aws: AWS) -> dict[Switch, bool] | None:
        s3 = aws.client("s3")
        try:
            found = s3.get_public_access_block(Bucket=self.bucket, ExpectedBucketOwner=aws.account)
        except s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchPublicAccessBlockConfiguration":
                raise
            return None
        return {name: found["PublicAccessBlockConfiguration"].get(name, False) for name in SWITCHES}

    def _put(self, aws: AWS, switches: dict[Switch, bool]) -> None:
        aws.changing("s3").put_public_access_block(
            Bucket=self.bucket,
            ExpectedBucketOwner=aws.account,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": switches["BlockPublicAcls"],
                "IgnorePublicAcls": switches["IgnorePublicAcls"],
                "BlockPublicPolicy": switches["BlockPublicPolicy"],
                "RestrictPublicBuckets": switches["RestrictPublicBuckets"],
            },
        )


def _switches(before: Before) -> dict[Switch, bool]:
    """What was captured; empty when none was set."""
    found = before["block"]
    return {name: bool(found[name]) for name in SWITCHES} if isinstance(found, dict) else {}
