"""kms.schedule_deletion: both halves of its undo, in any order of failures."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from aws_rig import Rude, session_at
from botocore.exceptions import ClientError

from gameday.aws.session import Session
from gameday.errors import CannotInject
from gameday.faults.kms_disable_key import DisableKey
from gameday.faults.kms_schedule_deletion import ScheduleDeletion
from gameday.lab import LabControl
from gameday.sdk import FAULTS, Drifted, Rank, Restored, StillOurs, Unknown, rebuild_step


@pytest.fixture
def described(client: Callable[[str], Any], key: str) -> Callable[[], dict[str, Any]]:
    return lambda: dict(client("kms").describe_key(KeyId=key)["KeyMetadata"])


@pytest.fixture
def fault(key: str) -> ScheduleDeletion:
    return ScheduleDeletion(key=key)


def test_it_is_one_step_that_needs_the_switch(fault: ScheduleDeletion, key: str) -> None:
    assert FAULTS["kms.schedule_deletion"] is ScheduleDeletion
    assert (fault.resource, fault.rank, fault.steps()) == (key, Rank.KEY, (fault,))
    assert rebuild_step("kms.schedule_deletion", fault.model_dump(mode="json"), fault.step) == fault
    assert ScheduleDeletion.needs_switch
    assert not DisableKey.needs_switch


def test_there_and_back(aws: Session, fault: ScheduleDeletion, described: Callable[[], dict[str, Any]]) -> None:
    found = described()
    before = fault.capture(aws)
    fault.inject(aws, before)
    pending = described()
    assert (pending["KeyState"], pending["DeletionDate"] > found["CreationDate"]) == ("PendingDeletion", True)
    assert fault.read_back(aws, before) == StillOurs("PendingDeletion")
    for _ in range(2):
        fault.undo(aws, before)
        assert described() == found
        assert fault.read_back(aws, before) == Restored("Enabled")


def test_the_window_is_the_shortest(aws: Session, fault: ScheduleDeletion, lab: LabControl) -> None:
    fault.inject(aws, fault.capture(aws))
    assert len(lab.calls("kms", "ScheduleKeyDeletion")) == 1
    days = session_at(lab.url).client("kms").describe_key(KeyId=fault.key)["KeyMetadata"]
    assert (days["DeletionDate"] - days["CreationDate"]).days == 7


def test_a_cancelled_deletion_alone_is_not_restored(
    aws: Session, fault: ScheduleDeletion, lab: LabControl, described: Callable[[], dict[str, Any]]
) -> None:
    before = fault.capture(aws)
    fault.inject(aws, before)
    lab.trouble("server_error", service="kms", operation="EnableKey", times=1)
    with pytest.raises(ClientError):
        fault.undo(aws, before)
    assert fault.read_back(aws, before) == StillOurs("Disabled")
    fault.undo(aws, before)
    assert fault.read_back(aws, before) == Restored("Enabled")


def test_a_cancel_that_is_refused_is_not_taken_for_done(aws: Session, fault: ScheduleDeletion, lab: LabControl) -> None:
    before = fault.capture(aws)
    fault.inject(aws, before)
    lab.trouble("refuse", service="kms", operation="CancelKeyDeletion", times=1)
    with pytest.raises(ClientError, match="CancelKeyDeletion"):
        fault.undo(aws, before)
    assert fault.read_back(aws, before) == StillOurs("PendingDeletion")


def test_someone_else_cancelled_it(aws: Session, fault: ScheduleDeletion, client: Callable[[str], Any]) -> None:
    before = fault.capture(aws)
    fault.inject(aws, before)
    client("kms").cancel_key_deletion(KeyId=fault.key)
    fault.undo(aws, before)
    assert fault.read_back(aws, before) == Restored("Enabled")


@pytest.mark.parametrize("state", ["Disabled", "PendingDeletion"])
def test_a_key_that_is_not_enabled_is_not_ours(
    aws: Session, fault: ScheduleDeletion, client: Callable[[str], Any], state: str
) -> None:
    if state == "Disabled":
        client("kms").disable_key(KeyId=fault.key)
    else:
        client("kms").schedule_key_deletion(KeyId=fault.key)
    with pytest.raises(CannotInject, match=f"is {state}, not Enabled"):
        fault.capture(aws)


@pytest.mark.parametrize(
    ("kind", "replicas", "refused"),
    [("PRIMARY", 1, True), ("PRIMARY", 0, False), ("REPLICA", 1, False)],
)
def test_a_primary_key_would_wait_for_its_replicas(
    rude: Rude, fault: ScheduleDeletion, kind: str, replicas: int, refused: bool
) -> None:
    others = [{"Arn": fault.key, "Region": "eu-west-1"}] * replicas
    regions = {"MultiRegionKeyType": kind, "ReplicaKeys": others}
    about = {"KeyId": "k", "KeyManager": "CUSTOMER", "KeyState": "Enabled", "MultiRegionConfiguration": regions}
    rude.body = json.dumps({"KeyMetadata": about}).encode()
    with pytest.raises(CannotInject, match="with replicas") if refused else nullcontext():
        assert fault.capture(session_at(rude.url)) == {"state": "Enabled"}


def test_gone_and_silent(aws: Session, fault: ScheduleDeletion, lab: LabControl) -> None:
    gone = ScheduleDeletion(key="arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000")
    with pytest.raises(CannotInject, match="could not be read"):
        gone.capture(aws)
    assert isinstance(gone.read_back(aws, {"state": "Enabled"}), Drifted)
    lab.trouble("throttle", service="kms", operation="DescribeKey")
    assert isinstance(fault.read_back(aws, {"state": "Enabled"}), Unknown)


def test_the_rehearsal_proves_one_half(
    aws: Session, fault: ScheduleDeletion, lab: LabControl, described: Callable[[], dict[str, Any]]
) -> None:
    found = described()
    fault.rehearse(aws)
    assert described() == found
    lab.trouble("refuse", service="kms", operation="EnableKey")
    with pytest.raises(ClientError):
        fault.rehearse(aws)
