"""iam.deny: an inline policy of its own, on a role or a user; an independent client says what IAM holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from aws_rig import ACCOUNT, session_at
from botocore.exceptions import ClientError
from pydantic import ValidationError

from gameday.aws.made import Keys
from gameday.aws.session import Session
from gameday.errors import CannotInject
from gameday.faults.iam_deny import Deny
from gameday.lab import LabControl
from gameday.sdk import FAULTS, Drifted, Rank, Restored, Step, StillOurs, Unknown, rebuild_step

TRUST = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
USE = {"Effect": "Allow", "Action": ["kms:*", "iam:*"], "Resource": "*"}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture
def iam(client: Callable[[str], Any]) -> Any:
    found = client("iam")
    found.create_role(RoleName="app", Path="/team/", AssumeRolePolicyDocument=document(TRUST))
    found.put_role_policy(RoleName="app", PolicyName="use", PolicyDocument=document(USE))
    found.create_user(UserName="alice")
    found.put_user_policy(UserName="alice", PolicyName="use", PolicyDocument=document(USE))
    return found


@pytest.fixture
def app(iam: Any, lab: LabControl, client: Callable[[str], Any]) -> Session:
    """A session of the role that exists before the fault."""
    made = client("sts").assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/team/app", RoleSessionName="someone")[
        "Credentials"
    ]
    return session_at(lab.url, keys=Keys(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]))


@pytest.fixture
def alice(iam: Any, lab: LabControl) -> Session:
    made = iam.create_access_key(UserName="alice")["AccessKey"]
    return session_at(lab.url, keys=Keys(made["AccessKeyId"], made["SecretAccessKey"]))


@pytest.fixture
def policies(iam: Any) -> Callable[[], dict[str, Any]]:
    """Every inline policy of both, by its name."""

    def read() -> dict[str, Any]:
        of_role = iam.list_role_policies(RoleName="app")["PolicyNames"]
        of_user = iam.list_user_policies(UserName="alice")["PolicyNames"]
        return {
            **{f"app/{n}": iam.get_role_policy(RoleName="app", PolicyName=n)["PolicyDocument"] for n in of_role},
            **{f"alice/{n}": iam.get_user_policy(UserName="alice", PolicyName=n)["PolicyDocument"] for n in of_user},
        }

    return read


def step_of(key: str, principal: str = "role/team/app", **more: Any) -> Step:
    (step,) = Deny.model_validate({"principal": principal, "key": key, **more}).steps()
    return step


def may_encrypt(aws: Session, key: str) -> bool:
    with aws.answering() as answer:
        aws.client("kms").encrypt(KeyId=key, Plaintext=b"x")
    assert answer.ok or answer.code == "AccessDeniedException", answer.detail
    return answer.ok


@pytest.mark.parametrize("principal", ["role/team/app", f"arn:aws:iam::{ACCOUNT}:role/team/app", "user/alice"])
def test_it_is_one_step_on_the_role_or_user(key: str, principal: str) -> None:
    fault = FAULTS["iam.deny"].model_validate({"principal": principal, "key": key})
    (step,) = fault.steps()
    assert step.resource == f"arn:aws:iam::{ACCOUNT}:{principal.split(':')[-1]}"
    assert step.rank is Rank.POLICY
    assert rebuild_step("iam.deny", fault.model_dump(mode="json"), step.step) == step
    actions = {*step.calls.inject, *step.calls.undo, *step.calls.read}
    assert actions < set(fault.permissions)
    assert all(("User" if "user/" in principal else "Role") in action for action in actions)


@pytest.mark.parametrize("principal", ["role/team/app", "user/alice"])
def test_there_and_back(
    aws: Session,
    app: Session,
    alice: Session,
    key: str,
    policies: Callable[[], dict[str, Any]],
    principal: str,
) -> None:
    found, step = policies(), step_of(key, principal)
    denied, other = (app, alice) if "app" in principal else (alice, app)
    before = step.capture(aws)
    step.inject(aws, before)
    assert step.read_back(aws, before) == StillOurs(f"the inline policy {before['policy']} is there")
    assert [may_encrypt(one, key) for one in (denied, other, aws)] == [False, True, True]
    (ours,) = set(policies()) - set(found)
    (statement,) = policies()[ours]["Statement"]
    assert (statement["Effect"], statement["Resource"]) == ("Deny", [key])
    for _ in range(2):
        step.undo(aws, before)
        assert policies() == found
        assert may_encrypt(denied, key)
        assert step.read_back(aws, before) == Restored("without our inline policy")


def test_the_undo_always_calls(aws: Session, iam: Any, key: str, lab: LabControl) -> None:
    step = step_of(key)
    before = step.capture(aws)
    step.undo(aws, before)
    step.undo(aws, before)
    assert len(lab.calls("iam", "DeleteRolePolicy")) == 2


def test_what_someone_else_changes_survives(
    aws: Session, iam: Any, key: str, policies: Callable[[], dict[str, Any]]
) -> None:
    step = step_of(key)
    before = step.capture(aws)
    step.inject(aws, before)
    iam.put_role_policy(RoleName="app", PolicyName="theirs", PolicyDocument=document(USE))
    iam.put_role_policy(RoleName="app", PolicyName=before["policy"], PolicyDocument=document(USE))
    step.undo(aws, before)
    assert set(policies()) == {"app/use", "app/theirs", "alice/use"}
    assert isinstance(step.read_back(aws, before), Restored)


def test_other_resources_and_actions(aws: Session, app: Session, key: str) -> None:
    step = step_of(key, resources=("*",), actions=("kms:ListKeys",))
    step.inject(aws, step.capture(aws))
    assert may_encrypt(app, key)
    with pytest.raises(ClientError, match="ListKeys"):
        app.client("kms").list_keys()


def test_a_lost_response_leaves_it_open_and_the_undo_mends_it(
    aws: Session, iam: Any, key: str, lab: LabControl, policies: Callable[[], dict[str, Any]]
) -> None:
    found, step = policies(), step_of(key)
    before = step.capture(aws)
    lab.trouble("lost_response", service="iam", operation="PutRolePolicy", times=1)
    with pytest.raises(Exception):  # noqa: B017 - whichever of botocore's: the connection dropped
        step.inject(aws, before)
    assert policies() != found
    step.undo(aws, before)
    assert policies() == found


def test_never_whom_it_runs_as(app: Session, alice: Session, key: str) -> None:
    with pytest.raises(CannotInject, match="is who gameday runs as"):
        step_of(key).capture(app)
    with pytest.raises(CannotInject, match="is who gameday runs as"):
        step_of(key, "user/alice").capture(alice)
    assert step_of(key, "user/alice").capture(app)


def test_who_cannot_be_denied(aws: Session, iam: Any, key: str) -> None:
    with pytest.raises(CannotInject, match=r"could not be read \(NoSuchEntity"):
        step_of(key, "role/nobody").capture(aws)
    with pytest.raises(CannotInject, match="is in fact arn:aws:iam::123456789012:role/team/app"):
        step_of(key, "role/app").capture(aws)
    iam.create_role(RoleName="sso", Path="/aws-reserved/sso/", AssumeRolePolicyDocument=document(TRUST))
    with pytest.raises(CannotInject, match="IAM lets nobody change it"):
        step_of(key, "role/aws-reserved/sso/sso").capture(aws)
    step = step_of(key)
    step.inject(aws, step.capture(aws))
    with pytest.raises(CannotInject, match="has an inline policy gameday-deny-7f3a-"):
        step.capture(aws)


@pytest.mark.parametrize(
    "wrong",
    [
        {"principal": "app"},
        {"principal": "role/*"},
        {"principal": f"arn:aws:iam::{ACCOUNT}:root"},
        {"principal": f"arn:aws:sts::{ACCOUNT}:assumed-role/app/s"},
        {"principal": "role/app", "actions": []},
        {"principal": "role/app", "actions": ["Decrypt"]},
        {"principal": "role/app", "resources": ["bucket"]},
        {"principal": "group/app"},
    ],
)
def test_what_no_playbook_can_say(key: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Deny.model_validate({"key": key, **wrong})


def test_gone_and_silent(aws: Session, iam: Any, key: str, lab: LabControl) -> None:
    step = step_of(key, "user/alice")
    before = step.capture(aws)
    iam.delete_user_policy(UserName="alice", PolicyName="use")
    iam.delete_user(UserName="alice")
    step.undo(aws, before)
    assert isinstance(step.read_back(aws, before), Drifted)
    other = step_of(key)
    before = other.capture(aws)
    for operation in ("GetRolePolicy", "GetRole"):
        lab.trouble("throttle", service="iam", operation=operation)
        assert isinstance(other.read_back(aws, before), Unknown)
        lab.clear_trouble()


def test_the_rehearsal_changes_nothing_and_proves_the_permission(
    aws: Session, iam: Any, key: str, lab: LabControl, policies: Callable[[], dict[str, Any]]
) -> None:
    found = policies()
    for principal, operation in (("role/team/app", "DeleteRolePolicy"), ("user/alice", "DeleteUserPolicy")):
        step_of(key, principal).rehearse(aws)
        assert policies() == found
        lab.trouble("refuse", service="iam", operation=operation)
        with pytest.raises(ClientError):
            step_of(key, principal).rehearse(aws)
