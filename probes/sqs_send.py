"""Send a message to a queue."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from pydantic import Field

from gameday.sdk import AWS, Cause, Observation, Probe

_MARK = "gameday"
_PUT_BACK_AT_ONCE = 0


class SqsSend(Probe):
    """Send one small message to a queue; with SSE-KMS, SQS asks KMS for a data key in the caller's name.

    **What it leaves behind**: the message. Whoever receives from the queue gets it; its attribute ``gameday`` holds the
    run's id, so that a consumer can drop it. With ``receive`` the probe receives its own message again and deletes
    it: only for a queue that nobody else uses, since any other message that it meets is put back at once and counts
    as received (a redrive policy counts it too).

    SQS uses a data key again for 1 minute to 24 hours (``KmsDataKeyReusePeriodSeconds``, 5 minutes by default), so
    with the key disabled it goes on for as long: give the fault phase a ``within`` beyond that.

    Source: SQS API Reference, SendMessage, ReceiveMessage ("Errors"); SQS Developer Guide, "Encryption at rest".
    """

    uses: ClassVar[str] = "sqs.send"
    permissions: ClassVar[tuple[str, ...]] = (
        *("sqs:GetQueueUrl", "sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage"),
        *("sqs:ChangeMessageVisibility", "kms:GenerateDataKey", "kms:Decrypt"),
    )

    queue: str = Field(pattern=r"^[A-Za-z0-9_-]{1,80}$")
    """The name of a standard queue of this account and Region."""
    receive: bool = False
    """Receive the message again, which needs ``kms:Decrypt``, and delete it."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Receiving needs more than sending; for both, SQS asks for a data key and for its decryption."""
        sends = ("sqs:GetQueueUrl", "sqs:SendMessage", "kms:GenerateDataKey", "kms:Decrypt")
        return self.permissions if self.receive else sends

    def scope(self, action: str, aws: AWS) -> tuple[str, ...]:
        """The queue."""
        if not action.startswith("sqs:"):
            return super().scope(action, aws)
        return (f"arn:{aws.partition}:sqs:{aws.region}:{aws.account}:{self.queue}",)

    def observe(self, aws: AWS) -> Observation:
        """SendMessage, and ReceiveMessage where that is asked for: ok when SQS took the message and gave it back."""
        url, mark = "", f"{aws.run} {uuid.uuid4()}"
        with aws.answering() as answer:
            url = aws.client("sqs").get_queue_url(QueueName=self.queue)["QueueUrl"]
            aws.changing("sqs").send_message(
                QueueUrl=url,
                MessageBody="sent by gameday to see whether it can be; may be deleted",
                MessageAttributes={_MARK: {"DataType": "String", "StringValue": mark}},
            )
        if not answer.ok or not self.receive:
            return answer.observation("sent" if answer.ok else "")
        return self._take_back(aws, url, mark)

    def _take_back(self, aws: AWS, url: str, mark: str) -> Observation:
        """Receive until the own message comes; SQS may give another one first, and a few times none at all."""
        sqs = aws.changing("sqs")
        for _ in range(5):
            found: list[dict[str, Any]] = []
            with aws.answering() as answer:
                found = sqs.receive_message(
                    QueueUrl=url, MessageAttributeNames=[_MARK], MaxNumberOfMessages=10, WaitTimeSeconds=1
                ).get("Messages", [])
            if not answer.ok:
                return answer.observation()
            ours = [each for each in found if _mark(each) == mark]
            for each in found:
                with aws.answering():  # what is not put back comes back by itself when its visibility ends
                    if each in ours:
                        sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
                    else:
                        sqs.change_message_visibility(
                            QueueUrl=url, ReceiptHandle=each["ReceiptHandle"], VisibilityTimeout=_PUT_BACK_AT_ONCE
                        )
            if ours:
                return answer.observation("sent, received and deleted" if answer.ok else "")
        seen = answer.observation("sent, but not received again: does somebody else receive from this queue?")
        return seen.model_copy(update={"cause": Cause.NOT_FOUND})


def _mark(message: dict[str, Any]) -> str:
    return str(message.get("MessageAttributes", {}).get(_MARK, {}).get("StringValue", ""))
