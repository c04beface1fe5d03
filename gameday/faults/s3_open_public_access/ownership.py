"""Who owns a bucket's objects; with BucketOwnerEnforced, ACLs are off."""

from __future__ import annotations

from typing import ClassVar, Literal

from gameday.errors import CannotInject
from gameday.faults.s3_open_public_access.common import OfBucket, said
from gameday.sdk import AWS, Before, Calls, CloudCall, Drifted, ReadBack, Restored, StillOurs, Unknown, unlike

ENFORCED: Literal["BucketOwnerEnforced"] = "BucketOwnerEnforced"
PREFERRED: Literal["BucketOwnerPreferred"] = "BucketOwnerPreferred"


def read_ownership(aws: AWS, bucket: str) -> str:
    """The bucket's rule, or ``""`` when none is set, which means ObjectWriter; raises what else S3 says."""
    s3 = aws.client("s3")
    try:
        found = s3.get_bucket_ownership_controls(Bucket=bucket, ExpectedBucketOwner=aws.account)
        return found["OwnershipControls"]["Rules"][0]["ObjectOwnership"]
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "OwnershipControlsNotFoundError":
            raise
        return ""


class Ownership(OfBucket):
    """BucketOwnerEnforced refuses every ACL, and hides those that objects have."""

    step: ClassVar[str] = "ownership controls"
    calls: ClassVar[Calls] = Calls(
        inject=("s3:PutBucketOwnershipControls",),
        undo=("s3:GetBucketOwnershipControls", "s3:PutBucketOwnershipControls"),
        read=("s3:GetBucketOwnershipControls",),
    )

    def capture(self, aws: AWS) -> Before:
        """The rule; ``""`` when none is set."""
        found = ""
        with aws.answering() as answer:
            found = read_ownership(aws, self.bucket)
        if not answer.ok:
            raise CannotInject(f"the ownership controls of bucket {self.bucket} could not be read ({said(answer)})")
        return {"ownership": found}

    def mismatch(self, run: str, before: Before) -> str:
        """One of the rules that S3 has, or none."""
        return unlike(before, ownership=(ENFORCED, PREFERRED, "ObjectWriter", ""))

    def in_cloud(self, aws: AWS) -> tuple[CloudCall, ...]:
        """Nothing: behind the bucket's public access block, put back, it opens nothing."""
        return ()

    def inject(self, aws: AWS, before: Before) -> None:
        """BucketOwnerPreferred, where ACLs are off."""
        if before["ownership"] == ENFORCED:
            self._put(aws, PREFERRED)

    def undo(self, aws: AWS, before: Before) -> None:
        """BucketOwnerEnforced, unless someone has chosen a third rule meanwhile."""
        if before["ownership"] == ENFORCED and read_ownership(aws, self.bucket) in (PREFERRED, ENFORCED):
            self._put(aws, ENFORCED)

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """Whether the rule is as captured, ours, or a third one."""
        found = ""
        with aws.answering() as answer:
            found = read_ownership(aws, self.bucket)
        if answer.code == "NoSuchBucket":
            return Drifted("the bucket is gone: someone deleted it")
        if not answer.ok:
            return Unknown(said(answer))
        if found == before["ownership"]:
            return Restored(f"object ownership {found or 'not set'}")
        if (before["ownership"], found) == (ENFORCED, PREFERRED):
            return StillOurs(f"object ownership {found}")
        return Drifted(f"someone else set object ownership to {found or 'nothing'} meanwhile")

    def rehearse(self, aws: AWS) -> None:
        """PutBucketOwnershipControls of BucketOwnerEnforced where it is so; elsewhere there is nothing to undo."""
        if read_ownership(aws, self.bucket) == ENFORCED:
            self._put(aws, ENFORCED)

    def _put(self, aws: AWS, rule: Literal["BucketOwnerEnforced", "BucketOwnerPreferred"]) -> None:
        aws.changing("s3").put_bucket_ownership_controls(
            Bucket=self.bucket,
            ExpectedBucketOwner=aws.account,
            OwnershipControls={"Rules": [{"ObjectOwnership": rule}]},
        )
