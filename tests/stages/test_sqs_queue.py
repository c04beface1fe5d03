"""sqs.queue: made encrypted and tagged, and removed only when it is ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aws_rig import ACCOUNT, REGION

from gameday.aws.session import Session
from gameday.errors import Refused
from gameday.lab import LabControl
from gameday.sdk import STAGES
from gameday.stages.sqs_queue import SqsQueue

QUEUE = SqsQueue(name="orders", key="alias/MyKMSKey")


def test_made_checked_and_removed(aws: Session, key: str, client: Callable[[str], Any]) -> None:
    assert STAGES["sqs.queue"] is SqsQueue
    assert QUEUE.check(aws) == f"there is no queue orders in account {ACCOUNT} in {REGION}"
    assert QUEUE.unmake(aws) == QUEUE.check(aws)
    QUEUE.make(aws)
    assert QUEUE.check(aws) == ""
    url = client("sqs").get_queue_url(QueueName="orders")["QueueUrl"]
    has = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (has["KmsMasterKeyId"], has["KmsDataKeyReusePeriodSeconds"]) == (key, "60")
    with pytest.raises(Refused, match="never alters what exists"):
        QUEUE.make(aws)
    assert QUEUE.unmake(aws) == "queue orders is removed"
    assert QUEUE.check(aws) != ""


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({}, "queue orders is encrypted with no key of KMS, not with alias/MyKMSKey"),
        (
            {"KmsMasterKeyId": "alias/MyKMSKey", "KmsDataKeyReusePeriodSeconds": "3600"},
            "queue orders uses a data key for 3600 s, and not for 60 s at most",
        ),
    ],
)
def test_one_that_does_not_fit(
    aws: Session, key: str, client: Callable[[str], Any], attributes: dict[str, str], why: str
) -> None:
    client("sqs").create_queue(QueueName="orders", Attributes=attributes)
    assert QUEUE.check(aws) == why
    assert "was not made by gameday stage" in QUEUE.unmake(aws)
    assert client("sqs").get_queue_url(QueueName="orders")


def test_a_look_up_that_is_refused_is_no_missing_queue(aws: Session, lab: LabControl, key: str) -> None:
    lab.trouble("refuse", service="sqs", operation="GetQueueUrl", times=1)
    with pytest.raises(Refused, match="queue orders could not be looked up"):
        QUEUE.check(aws)
