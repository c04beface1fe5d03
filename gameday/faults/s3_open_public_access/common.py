"""What the steps share."""

from __future__ import annotations

from typing import ClassVar

from gameday.sdk import Answer, Rank, Step


def said(answer: Answer) -> str:
    """AWS's words in a few."""
    return f"{answer.code or answer.cause}: {answer.detail}"


class OfBucket(Step):
    """A step on the bucket itself."""

    rank: ClassVar[Rank] = Rank.POLICY

    bucket: str
    partition: str = "aws"

    @property
    def resource(self) -> str:
        """The bucket's ARN, by which it is held; its name is the bucket's whole identity."""
        return f"arn:{self.partition}:s3:::{self.bucket}"
