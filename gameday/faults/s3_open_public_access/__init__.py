"""Open objects of a bucket to the world."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from gameday.faults.s3_open_public_access.acl import acl_step
from gameday.faults.s3_open_public_access.block import BlockPublicAccess
from gameday.faults.s3_open_public_access.ownership import Ownership
from gameday.faults.s3_open_public_access.policy import BucketPolicy
from gameday.sdk import AWS, Fault, Partition, Step, s3_resources


class OpenPublicAccess(Fault):
    """Let everybody on the internet read some objects of a bucket, door after door; close the doors again, backwards.

    ``how: acl``: object ownership becomes BucketOwnerPreferred where ACLs are off, the bucket's BlockPublicAcls and
    IgnorePublicAcls are turned off, and each object's ACL gets one grant more, READ to AllUsers. ``how: policy``: the
    bucket's BlockPublicPolicy and RestrictPublicBuckets are turned off, and the bucket policy gets one statement with a
    Sid of its own. The question is whether the next layer holds: S3 asks an anonymous reader of an SSE-KMS object for a
    signature, and refuses.

    ``shut: true`` grants and does not open: only the switch that refuses the grant is turned off (BlockPublicAcls, or
    BlockPublicPolicy), and the one that ignores grants which are there stays on. Nothing becomes public unless that
    switch does not hold, which is then the question.

    Every step has its own undo, which takes away what was put there and leaves what someone else changed, as drift:
    that grant, that statement, those switches. A policy that was not set is not set afterwards; a door that was open,
    or never configured, is not touched. Objects in a versioned bucket: the version that is current at the start.

    **While it lasts the named objects are public; name nothing that must not be.** And turning the switches off bares
    what they covered: other objects that have a public ACL already, or a public bucket policy. S3 has no
    compare-and-set: a change that someone makes in the moment between a read and its write is lost.

    Refused: Block Public Access of the whole account (or organisation) that would hold, since it is not ours to open;
    objects that are public already; a policy that has a statement of gameday's, or would grow beyond 20 KB.

    Source: S3 User Guide, "Blocking public access to your Amazon S3 storage", "Controlling ownership of objects and
    disabling ACLs"; S3 API Reference, PutObjectAcl, PutBucketPolicy, PutPublicAccessBlock.
    """

    uses: ClassVar[str] = "s3.open_public_access"
    permissions: ClassVar[tuple[str, ...]] = (
        *("s3:GetAccountPublicAccessBlock", "s3:GetBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
        *("s3:GetBucketOwnershipControls", "s3:PutBucketOwnershipControls"),
        *("s3:GetObject", "s3:GetObjectAcl", "s3:PutObjectAcl", "s3:GetObjectVersionAcl", "s3:PutObjectVersionAcl"),
        *("s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"),
    )

    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    keys: tuple[Annotated[str, StringConstraints(min_length=1, max_length=1024)], ...] = Field(
        min_length=1, max_length=20
    )
    """The objects, each in full."""
    how: Literal["acl", "policy"] = "acl"
    """By which door: each object's ACL, or the bucket's policy."""

    shut: bool = False
    """Grant, and leave the switch on that ignores it."""
    partition: Partition = "aws"
    """Of the bucket's ARN: filled in from the target, whatever is written here."""

    @model_validator(mode="after")
    def _opens_what_it_names(self) -> Self:
        if len(set(self.keys)) < len(self.keys):
            raise ValueError("keys names an object twice")
        if self.how == "policy" and (wild := next((key for key in self.keys if set(key) & set("*?$")), "")):
            raise ValueError(f"{wild!r} has *, ? or $, which in a bucket policy mean more than that object")
        return self

    def scope(self, action: str, aws: AWS) -> tuple[str, ...]:
        """The bucket and any of its objects."""
        return s3_resources(action, aws.partition, self.bucket, "*")

    def steps(self) -> tuple[Step, ...]:
        """The bucket's doors, then the objects: undone the other way round."""
        here = {"bucket": self.bucket, "partition": self.partition}
        block = BlockPublicAccess(**here, how=self.how, shut=self.shut)
        if self.how == "policy":
            return (block, BucketPolicy(**here, keys=self.keys))
        acls = (acl_step(number)(**here, key=key) for number, key in enumerate(self.keys, 1))
        return (Ownership(**here), block, *acls)
