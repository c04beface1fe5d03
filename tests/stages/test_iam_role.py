"""iam.role: made with what it may do, tagged, and removed only when it is ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aws_rig import ACCOUNT

from gameday.aws.session import Session
from gameday.errors import Refused
from gameday.lab import LabControl
from gameday.sdk import STAGES
from gameday.stages.iam_role import IamRole

TRUST = (
    '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", '
    '"Principal": {"Service": "ec2.amazonaws.com"}}}'
)
ROLE = IamRole(name="clock-reader", actions=("kms:ListKeys",))


def test_made_used_and_removed(aws: Session, lab: LabControl) -> None:
    assert STAGES["iam.role"] is IamRole
    assert ROLE.check(aws) == f"there is no role clock-reader in account {ACCOUNT}"
    assert ROLE.unmake(aws) == ROLE.check(aws)
    ROLE.make(aws)
    assert ROLE.check(aws) == ""
    role = aws.as_role("role/clock-reader")
    assert role.client("kms").list_keys()["Keys"] == []
    with role.answering() as answer:
        role.client("s3").list_buckets()
    assert answer.code == "AccessDenied"
    with pytest.raises(Refused, match="never alters what exists"):
        ROLE.make(aws)
    assert ROLE.unmake(aws) == "role clock-reader is removed"
    assert ROLE.check(aws) != ""


def test_somebody_elses_role_is_left(aws: Session, client: Callable[[str], Any]) -> None:
    client("iam").create_role(RoleName="clock-reader", AssumeRolePolicyDocument=TRUST)
    assert ROLE.check(aws) == ""
    assert "was not made by gameday stage" in ROLE.unmake(aws)
    assert client("iam").get_role(RoleName="clock-reader")


def test_no_half_of_it_is_left_behind(aws: Session, lab: LabControl) -> None:
    lab.trouble("refuse", service="iam", operation="PutRolePolicy", times=1)
    with pytest.raises(Refused, match="removed again"):
        ROLE.make(aws)
    assert ROLE.check(aws) != ""
    lab.trouble("refuse", service="iam", operation="GetRole", times=1)
    with pytest.raises(Refused, match="could not be looked up"):
        ROLE.check(aws)
