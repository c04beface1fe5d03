"""kms.disable_key: what it finds, breaks, mends and reads back; an independent client says what KMS holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aws_rig import session_at
from botocore.exceptions import ClientError

from gameday.aws.errors import certain
from gameday.aws.session import Session
from gameday.errors import CannotInject, Interrupted
from gameday.faults.kms_disable_key import DisableKey
from gameday.lab import LabControl
from gameday.sdk import FAULTS, Drifted, Rank, Restored, StillOurs, Unknown, rebuild_step


@pytest.fixture
def state(client: Callable[[str], Any], key: str) -> Callable[[], str]:
    return lambda: str(client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"])


@pytest.fixture
def fault(key: str) -> DisableKey:
    return DisableKey(key=key)


def test_it_is_one_step_of_its_own_on_the_key(fault: DisableKey, key: str) -> None:
    assert FAULTS["kms.disable_key"] is DisableKey
    assert fault.steps() == (fault,)
    assert (fault.resource, fault.rank) == (key, Rank.KEY)
    assert rebuild_step("kms.disable_key", fault.model_dump(mode="json"), fault.step) == fault


def test_there_and_back(aws: Session, fault: DisableKey, state: Callable[[], str]) -> None:
    before = fault.capture(aws)
    assert before == {"state": "Enabled"}
    assert fault.read_back(aws, before) == Restored("Enabled")
    fault.inject(aws, before)
    assert state() == "Disabled"
    assert fault.read_back(aws, before) == StillOurs("Disabled")
    fault.undo(aws, before)
    assert state() == "Enabled"
    assert fault.read_back(aws, before) == Restored("Enabled")


def test_the_undo_always_calls(aws: Session, fault: DisableKey, lab: LabControl) -> None:
    before = fault.capture(aws)
    fault.undo(aws, before)
    fault.undo(aws, before)
    assert len(lab.calls("kms", "EnableKey")) == 2
    assert fault.read_back(aws, before) == Restored("Enabled")


def test_the_rehearsal_changes_nothing_and_proves_the_permission(
    aws: Session, fault: DisableKey, lab: LabControl, state: Callable[[], str]
) -> None:
    fault.rehearse(aws)
    assert state() == "Enabled"
    lab.trouble("refuse", service="kms", operation="EnableKey")
    with pytest.raises(ClientError):
        fault.rehearse(aws)


def test_a_disabled_key_is_not_ours_to_enable(
    aws: Session, fault: DisableKey, client: Callable[[str], Any], lab: LabControl, state: Callable[[], str]
) -> None:
    client("kms").disable_key(KeyId=fault.key)
    with pytest.raises(CannotInject, match="already disabled: not ours to enable"):
        fault.capture(aws)
    assert state() == "Disabled"


def test_a_key_pending_deletion_is_refused_and_is_drift(
    aws: Session, fault: DisableKey, client: Callable[[str], Any]
) -> None:
    client("kms").schedule_key_deletion(KeyId=fault.key, PendingWindowInDays=7)
    with pytest.raises(CannotInject, match="is PendingDeletion, not Enabled"):
        fault.capture(aws)
    assert isinstance(fault.read_back(aws, {"state": "Enabled"}), Drifted)


def test_a_key_that_is_gone(aws: Session) -> None:
    gone = DisableKey(key="arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000")
    with pytest.raises(CannotInject, match="could not be read"):
        gone.capture(aws)
    assert isinstance(gone.read_back(aws, {"state": "Enabled"}), Drifted)


@pytest.mark.parametrize("kind", ["refuse", "server_error", "throttle", "hang"])
def test_no_answer_is_not_known(lab: LabControl, fault: DisableKey, kind: str) -> None:
    lab.trouble(kind, service="kms", operation="DescribeKey", seconds=1)
    impatient = session_at(lab.url, read_timeout=0.3)
    assert isinstance(fault.read_back(impatient, {"state": "Enabled"}), Unknown)


def test_a_run_that_lost_its_fence_disables_nothing(
    lab: LabControl, fault: DisableKey, state: Callable[[], str]
) -> None:
    with pytest.raises(Interrupted):
        fault.inject(session_at(lab.url, fence=lambda: False), {"state": "Enabled"})
    assert state() == "Enabled"


def test_a_lost_response_leaves_it_open_and_the_undo_mends_it(
    aws: Session, lab: LabControl, fault: DisableKey, state: Callable[[], str]
) -> None:
    before = fault.capture(aws)
    lab.trouble("lost_response", service="kms", operation="DisableKey", times=1)
    with pytest.raises(Exception) as caught:
        fault.inject(aws, before)
    assert not certain(caught.value)
    assert len(lab.calls("kms", "DisableKey")) == 1
    assert state() == "Disabled"
    fault.undo(aws, before)
    assert state() == "Enabled"
