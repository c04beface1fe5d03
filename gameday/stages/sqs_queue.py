"""An encrypted queue for a playbook."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from gameday.errors import Refused
from gameday.sdk import AWS, Cause, StageStep
from gameday.stages._made import TAG, TAG_VALUE, demand, refuse_existing, said, tags


class SqsQueue(StageStep):
    """A standard queue whose messages are encrypted with a key (SSE-KMS).

    SQS keeps a data key for ``reuse`` and asks KMS only when that is over. So a disabled key shows within that time,
    and not at once. Source: SQS Developer Guide, "Encryption at rest", "Understanding the data key reuse period".
    """

    uses: ClassVar[str] = "sqs.queue"
    permissions: ClassVar[tuple[str, ...]] = (
        *("sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ListQueueTags"),
        *("sqs:CreateQueue", "sqs:TagQueue", "sqs:DeleteQueue", "kms:DescribeKey"),
    )

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,80}$")
    key: str
    """The key's alias, id or ARN."""
    reuse: int = Field(default=60, ge=60, le=86400)
    """Seconds for which SQS may use a data key again."""

    def scope(self, action: str, aws: AWS) -> tuple[str, ...]:
        """The queue."""
        if not action.startswith("sqs:"):
            return super().scope(action, aws)
        return (f"arn:{aws.partition}:sqs:{aws.region}:{aws.account}:{self.name}",)

    def check(self, aws: AWS) -> str:
        """The queue must be there, encrypted with the key, and ask for it within ``reuse``."""
        url = self._url(aws)
        return self._unfit(aws, url) if url else self._missing(aws)

    def make(self, aws: AWS) -> None:
        """CreateQueue, with its tags."""
        if url := self._url(aws):
            refuse_existing(self._unfit(aws, url), f"queue {self.name}")
        key = self._key(aws)
        with aws.answering() as answer:
            aws.changing("sqs").create_queue(
                QueueName=self.name,
                Attributes={"KmsMasterKeyId": key, "KmsDataKeyReusePeriodSeconds": str(self.reuse)},
                tags=tags(aws),
            )
        demand(answer, f"queue {self.name} could not be made", "SQS keeps a deleted queue's name for 60 seconds")

    def unmake(self, aws: AWS) -> str:
        """DeleteQueue, with all that is in it; only where its tag is ours."""
        url = self._url(aws)
        if not url:
            return self._missing(aws)
        found: dict[str, str] = {}
        with aws.answering() as answer:
            found = aws.client("sqs").list_queue_tags(QueueUrl=url).get("Tags", {})
        demand(answer, f"the tags of queue {self.name} could not be read")
        if found.get(TAG) != TAG_VALUE:
            return f"queue {self.name} was not made by gameday stage, and is left as it is"
        with aws.answering() as answer:
            aws.changing("sqs").delete_queue(QueueUrl=url)
        return f"queue {self.name} is removed" if answer.ok else f"queue {self.name} is kept: {said(answer)}"

    def _unfit(self, aws: AWS, url: str) -> str:
        names, has = ["KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds"], dict[str, str]()
        with aws.answering() as answer:
            has = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names).get("Attributes", {})
        demand(answer, f"queue {self.name} could not be looked at")
        used, key = has.get("KmsMasterKeyId", ""), self._key(aws)
        if not used or self._key(aws, used) != key:
            return f"queue {self.name} is encrypted with {used or 'no key of KMS'}, not with {self.key}"
        reuse = int(has.get("KmsDataKeyReusePeriodSeconds") or 300)
        if reuse > self.reuse:
            return f"queue {self.name} uses a data key for {reuse} s, and not for {self.reuse} s at most"
        return ""

    def _key(self, aws: AWS, key: str = "") -> str:
        """The key's ARN: SQS names it as it was told, by alias, id or ARN."""
        arn = ""
        with aws.answering() as answer:
            arn = aws.client("kms").describe_key(KeyId=key or self.key)["KeyMetadata"].get("Arn", "")
        if not answer.ok:
            raise Refused(f"key {key or self.key} could not be looked up: {said(answer)}")
        return arn

    def _url(self, aws: AWS) -> str:
        """The queue's URL, or ``""`` when there is none of that name."""
        url = ""
        with aws.answering() as answer:
            url = str(aws.client("sqs").get_queue_url(QueueName=self.name)["QueueUrl"])
        if answer.cause is not Cause.NOT_FOUND:
            demand(answer, f"queue {self.name} could not be looked up")
        return url

    def _missing(self, aws: AWS) -> str:
        return f"there is no queue {self.name} in account {aws.account} in {aws.region}"
