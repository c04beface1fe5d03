"""sqs.send: the message goes, comes back where that is asked for, and what SQS says of the key is understood."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from aws_rig import Rude, session_at

from gameday.aws.session import Session
from gameday.lab import LabControl
from gameday.sdk import PROBES, Cause
from probes.sqs_send import SqsSend

SEND, BOTH = SqsSend(queue="orders"), SqsSend(queue="orders", receive=True)


@pytest.fixture
def url(client: Callable[[str], Any], key: str) -> str:
    made = client("sqs").create_queue(QueueName="orders", Attributes={"KmsMasterKeyId": key})
    return str(made["QueueUrl"])


def waiting(client: Callable[[str], Any], url: str) -> int:
    has = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(has["Attributes"]["ApproximateNumberOfMessages"])


def test_a_message_is_sent_and_bears_the_run(aws: Session, url: str, client: Callable[[str], Any]) -> None:
    assert PROBES["sqs.send"] is SqsSend
    seen = SEND.observe(aws)
    assert (seen.cause, seen.detail) == (Cause.OK, "sent")
    assert seen.request_id
    got = client("sqs").receive_message(QueueUrl=url, MessageAttributeNames=["gameday"])["Messages"][0]
    assert got["MessageAttributes"]["gameday"]["StringValue"].startswith("7f3a ")


def test_only_its_own_message_is_taken_back(aws: Session, url: str, client: Callable[[str], Any]) -> None:
    client("sqs").send_message(QueueUrl=url, MessageBody="an order")
    seen = BOTH.observe(aws)
    assert (seen.cause, seen.detail) == (Cause.OK, "sent, received and deleted")
    left = client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    assert [each["Body"] for each in left] == ["an order"]


def test_there_is_none(aws: Session) -> None:
    assert SEND.observe(aws).cause is Cause.NOT_FOUND


def test_what_it_needs_follows_from_what_it_does() -> None:
    assert "sqs:ReceiveMessage" in BOTH.needs
    assert "sqs:ReceiveMessage" not in SEND.needs


@pytest.mark.parametrize(
    ("code", "sentence", "cause"),
    [
        ("KmsDisabled", "arn:aws:kms:us-east-1:123456789012:key/1 is disabled.", Cause.KEY_DISABLED),
        ("KMS.DisabledException", "arn:aws:kms:us-east-1:123456789012:key/1 is disabled.", Cause.KEY_DISABLED),
        (
            "KmsInvalidState",
            "arn:aws:kms:us-east-1:123456789012:key/1 is pending deletion.",
            Cause.KEY_PENDING_DELETION,
        ),
        ("KmsInvalidState", "The state of the key does not allow it.", Cause.KEY_UNUSABLE),
        ("KmsAccessDenied", "The caller doesn't have the required KMS access.", Cause.KEY_POLICY_DENIED),
        ("KmsNotFound", "The key was not found.", Cause.KEY_UNUSABLE),
        ("KmsThrottled", "Slow down.", Cause.THROTTLED),
        ("AccessDenied", "User is not authorized to perform: sqs:sendmessage", Cause.ACCESS_DENIED),
        ("AWS.SimpleQueueService.NonExistentQueue", "The queue does not exist.", Cause.NOT_FOUND),
    ],
)
def test_what_sqs_says(rude: Rude, code: str, sentence: str, cause: Cause) -> None:
    rude.status, rude.body = 400, json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": sentence}).encode()
    seen = SEND.observe(session_at(rude.url))
    assert (seen.cause, seen.detail) == (cause, sentence)
    assert len(rude.got) == 1, "a probe does not retry"


@pytest.mark.parametrize(
    ("kind", "cause"),
    [("throttle", Cause.THROTTLED), ("server_error", Cause.SERVER_ERROR), ("refuse", Cause.ACCESS_DENIED)],
)
@pytest.mark.parametrize("operation", ["GetQueueUrl", "SendMessage", "ReceiveMessage"])
def test_trouble(lab: LabControl, aws: Session, url: str, operation: str, kind: str, cause: Cause) -> None:
    lab.trouble(kind, service="sqs", operation=operation, times=1)
    assert BOTH.observe(aws).cause is cause
