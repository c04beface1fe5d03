"""kms.revoke_grant: the grant goes and comes back as it was; what is not ours to take away is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from aws_rig import ACCOUNT

from gameday.aws.session import Session
from gameday.errors import CannotInject
from gameday.faults.kms_revoke_grant import RevokeGrant
from gameday.lab import LabControl
from gameday.sdk import FAULTS, Drifted, Restored, StillOurs, Unknown, rebuild_step

TRUSTED = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT}}
TRUST = json.dumps({"Version": "2012-10-17", "Statement": TRUSTED})
ROLE = f"arn:aws:iam::{ACCOUNT}:role/reader"
GRANT = {
    "GranteePrincipal": ROLE,
    "RetiringPrincipal": f"arn:aws:iam::{ACCOUNT}:role/owner",
    "Operations": ["Decrypt", "DescribeKey"],
    "Constraints": {"EncryptionContextSubset": {"team": "payments"}},
}


@pytest.fixture
def granted(client: Callable[[str], Any], key: str) -> str:
    for name in ("reader", "owner"):
        client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    return str(client("kms").create_grant(KeyId=key, Name="reading", **GRANT)["GrantId"])


@pytest.fixture
def grants(client: Callable[[str], Any], key: str) -> Callable[[], list[dict[str, Any]]]:
    return lambda: list(client("kms").list_grants(KeyId=key)["Grants"])


@pytest.fixture
def fault(key: str) -> RevokeGrant:
    return RevokeGrant(key=key, grant="reading")


def told(grant: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in grant.items() if name in (*GRANT, "Name")}


def test_there_and_back(
    aws: Session, fault: RevokeGrant, granted: str, grants: Callable[[], list[dict[str, Any]]]
) -> None:
    assert FAULTS["kms.revoke_grant"] is RevokeGrant
    assert rebuild_step(fault.uses, fault.model_dump(mode="json"), fault.step) == fault
    was = told(grants()[0])
    before = fault.capture(aws)
    assert fault.read_back(aws, before) == Restored("the grant is there")
    fault.inject(aws, before)
    assert grants() == []
    assert isinstance(fault.read_back(aws, before), StillOurs)
    fault.undo(aws, before)
    assert [told(each) for each in grants()] == [was]
    back = fault.read_back(aws, before)
    assert back == Restored(f"the grant is there, as {grants()[0]['GrantId']}")


def test_the_undo_may_come_twice_and_too_early(
    aws: Session, fault: RevokeGrant, granted: str, grants: Callable[[], list[dict[str, Any]]], lab: LabControl
) -> None:
    before = fault.capture(aws)
    fault.undo(aws, before)
    assert [each["GrantId"] for each in grants()] == [granted]
    fault.inject(aws, before)
    fault.undo(aws, before)
    fault.undo(aws, before)
    assert len(grants()) == 1
    assert len(lab.calls("kms", "CreateGrant")) == 4  # the test's own first


def test_the_rehearsal_makes_nothing(
    aws: Session, fault: RevokeGrant, granted: str, grants: Callable[[], list[dict[str, Any]]], lab: LabControl
) -> None:
    fault.rehearse(aws)
    assert [each["GrantId"] for each in grants()] == [granted]
    lab.trouble("refuse", service="kms", operation="CreateGrant", times=1)
    with pytest.raises(CannotInject, match="could not be rehearsed: AccessDenied"):
        fault.rehearse(aws)


def test_another_grant_of_that_name_is_left(
    aws: Session, fault: RevokeGrant, granted: str, key: str, client: Callable[[str], Any]
) -> None:
    before = fault.capture(aws)
    fault.inject(aws, before)
    client("kms").create_grant(KeyId=key, Name="reading", GranteePrincipal=ROLE, Operations=["Encrypt"])
    assert isinstance(fault.read_back(aws, before), Drifted)


def test_one_that_does_not_answer_is_not_known(aws: Session, fault: RevokeGrant, granted: str, lab: LabControl) -> None:
    before = fault.capture(aws)
    lab.trouble("throttle", service="kms", operation="ListGrants", times=1)
    assert isinstance(fault.read_back(aws, before), Unknown)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"GranteePrincipal": "ec2.us-east-1.amazonaws.com"}, "grants of AWS services"),
        ({"RetiringPrincipal": "rds.amazonaws.com"}, "grants of AWS services"),
        ({"GranteePrincipal": f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/x.amazonaws.com/X"}, "service role"),
        ({"GranteePrincipal": f"arn:aws:sts::{ACCOUNT}:assumed-role/aws:ec2-infrastructure/i-1"}, "service role"),
        ({"GranteePrincipal": "arn:aws:iam::999999999999:role/reader"}, "another account"),
    ],
)
def test_what_is_not_ours_to_take_away(fault: RevokeGrant, changes: dict[str, str], why: str) -> None:
    with pytest.raises(CannotInject, match=why):
        fault._refuse({**GRANT, "Name": "reading", "GrantId": "1", **changes})


def test_a_name_must_be_there_and_mean_one(aws: Session, key: str, granted: str, client: Callable[[str], Any]) -> None:
    with pytest.raises(CannotInject, match="has 0 grants with the name nobody"):
        RevokeGrant(key=key, grant="nobody").capture(aws)
    client("kms").create_grant(KeyId=key, Name="reading", GranteePrincipal=ROLE, Operations=["Encrypt"])
    with pytest.raises(CannotInject, match="has 2 grants with the name reading"):
        RevokeGrant(key=key, grant="reading").capture(aws)


def test_the_cloud_can_undo_it(aws: Session, fault: RevokeGrant, granted: str, key: str) -> None:
    call = fault.in_cloud(aws)[0]
    assert (call.action, call.permission) == ("createGrant", "kms:CreateGrant")
    assert call.parameters["KeyId"] == key
    assert call.parameters["Name"] == "reading"
