"""A bucket's policy."""

from __future__ import annotations

from typing import ClassVar

from gameday.errors import CannotInject
from gameday.faults import _policy
from gameday.faults.s3_open_public_access.common import OfBucket, said
from gameday.sdk import AWS, Before, Calls, CloudCall, Drifted, ReadBack, Restored, StillOurs, Unknown, unlike

SID = "GamedayOpen"
LONGEST = 20480
"""Bytes; S3 takes no longer bucket policy."""


class BucketPolicy(OfBucket):
    """One statement more in the bucket's policy: everybody may get the objects."""

    step: ClassVar[str] = "bucket policy"
    calls: ClassVar[Calls] = Calls(
        inject=("s3:GetBucketPolicy", "s3:PutBucketPolicy"),
        undo=("s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"),
        read=("s3:GetBucketPolicy",),
    )

    keys: tuple[str, ...]

    def capture(self, aws: AWS) -> Before:
        """The policy as it is, ``""`` for none, and the Sid that our statement will have."""
        text = ""
        with aws.answering() as answer:
            text = self._read(aws)
        if not answer.ok:
            raise CannotInject(f"the policy of bucket {self.bucket} could not be read ({said(answer)})")
        if _policy.has(text, f"{SID}*"):
            raise CannotInject(f"the policy of bucket {self.bucket} has a statement {SID}… of another run already")
        sid = self._sid(aws.run)
        if (size := len(_policy.added(text, self._statement(aws, sid)).encode())) > LONGEST:
            raise CannotInject(f"the policy of bucket {self.bucket} would have {size} bytes, and S3 takes {LONGEST}")
        return {"policy": text, "sid": sid}

    def mismatch(self, run: str, before: Before) -> str:
        """The statement's Sid, which only this run and these parameters have."""
        return unlike(before, sid=self._sid(run))

    def _sid(self, run: str) -> str:
        return _policy.own_sid(SID, run, self.model_dump_json())

    def in_cloud(self, aws: AWS) -> tuple[CloudCall, ...]:
        """Nothing: behind the bucket's public access block, put back, it opens nothing."""
        return ()

    def inject(self, aws: AWS, before: Before) -> None:
        """PutBucketPolicy, once, of what was read immediately before and the statement."""
        self._write(aws, _policy.added(self._read(aws), self._statement(aws, str(before["sid"]))))

    def undo(self, aws: AWS, before: Before) -> None:
        """PutBucketPolicy of what was read immediately before, without the statement; DeleteBucketPolicy for nothing.

        Also where the statement was not found: a bucket's configuration is eventually consistent, see ``kms.deny``.
        """
        self._write(aws, _policy.removed(self._read(aws), str(before["sid"]), str(before["policy"])))

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """Whether the statement is there, and whether the others are as they were found."""
        text = ""
        with aws.answering() as answer:
            text = self._read(aws)
        if answer.code == "NoSuchBucket":
            return Drifted("the bucket is gone: someone deleted it")
        if not answer.ok:
            return Unknown(said(answer))
        if _policy.has(text, str(before["sid"])):
            return StillOurs(f"statement {before['sid']} is in the bucket policy")
        if _policy.same(text, str(before["policy"])):
            return Restored("the bucket policy is as found" if text else "no bucket policy, as found")
        return Drifted("our statement is gone; someone else changed others in the bucket policy, which stay so")

    def rehearse(self, aws: AWS) -> None:
        """PutBucketPolicy of the policy as it is, or DeleteBucketPolicy of none: nothing changes."""
        self._write(aws, self._read(aws))

    def _read(self, aws: AWS) -> str:
        s3 = aws.client("s3")
        try:
            return s3.get_bucket_policy(Bucket=self.bucket, ExpectedBucketOwner=aws.account)["Policy"]
        except s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
                raise
            return ""

    def _write(self, aws: AWS, text: str) -> None:
        s3 = aws.changing("s3")
        if text:
            s3.put_bucket_policy(Bucket=self.bucket, ExpectedBucketOwner=aws.account, Policy=text)
        else:
            s3.delete_bucket_policy(Bucket=self.bucket, ExpectedBucketOwner=aws.account)

    def _statement(self, aws: AWS, sid: str) -> _policy.Statement:
        objects = [f"arn:{aws.partition}:s3:::{self.bucket}/{key}" for key in self.keys]
        return {"Sid": sid, "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": [*objects]}
