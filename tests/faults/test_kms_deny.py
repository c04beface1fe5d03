"""kms.deny: one statement in, the same statement out, whatever else happens to the policy."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_rig import ACCOUNT, session_at
from botocore.exceptions import ClientError
from pydantic import ValidationError

from gameday.aws.session import Session
from gameday.errors import CannotInject
from gameday.faults.kms_deny import Deny
from gameday.lab import LabControl
from gameday.sdk import FAULTS, Drifted, Rank, Restored, StillOurs, Unknown, rebuild_step
from gameday.stages.s3_object import S3Object

ROOT = f"arn:aws:iam::{ACCOUNT}:root"
ALLOWED = {"Sid": "allowed", "Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}
FOUND = json.dumps({"Version": "2012-10-17", "Id": "theirs", "Statement": [ALLOWED]}, indent=1)
FOREIGN = {"Sid": "foreign", "Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:List*", "Resource": "*"}


@pytest.fixture
def kms(client: Callable[[str], Any], key: str) -> Any:
    found = client("kms")
    found.put_key_policy(KeyId=key, PolicyName="default", Policy=FOUND)
    return found


@pytest.fixture
def policy(kms: Any, key: str) -> Callable[[], str]:
    return lambda: str(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])


@pytest.fixture
def write(kms: Any, key: str) -> Callable[..., None]:
    def write(*statements: dict[str, Any]) -> None:
        text = json.dumps({"Version": "2012-10-17", "Id": "theirs", "Statement": list(statements)})
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=text)

    return write


@pytest.fixture
def role(kms: Any, client: Callable[..., Any], lab: LabControl) -> Callable[[str], Session]:
    """A session as a role that may use every key."""

    def make(name: str) -> Session:
        trust = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        path, _, last = name.rpartition("/")
        arn = client("iam").create_role(
            RoleName=last, Path=f"/{path}/" if path else "/", AssumeRolePolicyDocument=document
        )["Role"]["Arn"]
        allow = {"Effect": "Allow", "Action": ["kms:*", "s3:*"], "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        client("iam").put_role_policy(RoleName=last, PolicyName="use", PolicyDocument=document)
        return session_at(lab.url).as_role(arn)

    return make


@pytest.fixture
def fault(key: str, kms: Any) -> Deny:
    return Deny(key=key, services=("s3",))


def statements(text: str) -> list[dict[str, Any]]:
    return list(json.loads(text)["Statement"])


def readable(aws: Session, clock: S3Object) -> bool:
    with aws.answering() as answer:
        aws.client("s3").get_object(Bucket=clock.bucket, Key=clock.key)
    assert answer.ok or answer.cause == "key_policy_denied", answer.detail
    return answer.ok


def test_it_is_one_step_of_its_own_on_the_key(fault: Deny, key: str) -> None:
    assert FAULTS["kms.deny"] is Deny
    assert (fault.resource, fault.rank, fault.steps()) == (key, Rank.POLICY, (fault,))
    assert rebuild_step("kms.deny", fault.model_dump(mode="json"), fault.step) == fault


def test_there_and_back_to_the_letter(
    aws: Session, fault: Deny, clock: S3Object, policy: Callable[[], str], lab: LabControl
) -> None:
    before = fault.capture(aws)
    assert before["policy"] == FOUND
    assert readable(aws, clock)
    fault.inject(aws, before)
    assert fault.read_back(aws, before) == StillOurs(f"statement {before['sid']} is in the key policy")
    assert not readable(aws, clock)
    theirs, ours = statements(policy())
    assert theirs == ALLOWED
    assert (ours["Sid"], ours["Effect"], ours["Principal"]) == (before["sid"], "Deny", {"AWS": "*"})
    assert ours["Condition"] == {"StringEquals": {"kms:ViaService": ["s3.us-east-1.amazonaws.com"]}}
    for _ in range(2):
        fault.undo(aws, before)
        assert policy() == FOUND
        assert readable(aws, clock)
        assert fault.read_back(aws, before) == Restored("the key policy is as found")
    assert all("Bypass" not in json.dumps(call) for call in lab.calls("kms", "PutKeyPolicy"))


def test_named_principals_and_nobody_else(
    key: str, clock: S3Object, role: Callable[[str], Session], aws: Session, client: Callable[[str], Any]
) -> None:
    app, other = role("team/app"), role("other")
    client("iam").create_user(UserName="alice")
    fault = Deny(key=key, principals=("role/team/app", "user/alice"))
    before = fault.capture(aws)
    fault.inject(aws, before)
    assert [readable(one, clock) for one in (app, other, aws)] == [False, True, True]
    fault.undo(aws, before)
    assert readable(app, clock)


def test_principals_through_services_only(
    key: str, clock: S3Object, role: Callable[[str], Session], aws: Session
) -> None:
    app, other = role("app"), role("other")
    fault = Deny(key=key, principals=(f"arn:aws:iam::{ACCOUNT}:role/app",), services=("s3.us-east-1.amazonaws.com",))
    fault.inject(aws, fault.capture(aws))
    assert [readable(one, clock) for one in (app, other)] == [False, True]
    app.client("kms").encrypt(KeyId=key, Plaintext=b"directly")


def test_what_someone_else_changed_survives_and_is_drift(
    aws: Session, fault: Deny, policy: Callable[[], str], write: Callable[..., None]
) -> None:
    before = fault.capture(aws)
    fault.inject(aws, before)
    write(*statements(policy()), FOREIGN)
    assert isinstance(fault.read_back(aws, before), StillOurs)
    fault.undo(aws, before)
    assert statements(policy()) == [ALLOWED, FOREIGN]
    assert json.loads(policy())["Id"] == "theirs"
    found = fault.read_back(aws, before)
    assert isinstance(found, Drifted)
    assert "someone else changed others" in found.detail


def test_a_change_between_capture_and_inject_survives(
    aws: Session, fault: Deny, policy: Callable[[], str], write: Callable[..., None]
) -> None:
    before = fault.capture(aws)
    write(ALLOWED, FOREIGN)
    fault.inject(aws, before)
    fault.undo(aws, before)
    assert statements(policy()) == [ALLOWED, FOREIGN]


def test_the_order_of_a_policy_is_no_change(
    aws: Session, fault: Deny, write: Callable[..., None], policy: Callable[[], str]
) -> None:
    write(ALLOWED, FOREIGN)
    before = fault.capture(aws)
    fault.inject(aws, before)
    write(*reversed(statements(policy())))
    fault.undo(aws, before)
    assert fault.read_back(aws, before) == Restored("the key policy is as found")


def test_the_undo_always_writes_since_a_read_may_be_stale(
    aws: Session, fault: Deny, lab: LabControl, kms: Any, policy: Callable[[], str]
) -> None:
    before, wrote = fault.capture(aws), len(lab.calls("kms", "PutKeyPolicy"))
    fault.undo(aws, before)
    fault.undo(aws, before)
    assert len(lab.calls("kms", "PutKeyPolicy")) == wrote + 2
    assert policy() == FOUND


def test_a_lost_response_leaves_it_open_and_the_undo_mends_it(
    aws: Session, fault: Deny, lab: LabControl, policy: Callable[[], str]
) -> None:
    before = fault.capture(aws)
    lab.trouble("lost_response", service="kms", operation="PutKeyPolicy", times=1)
    with pytest.raises(Exception):  # noqa: B017 - whichever of botocore's: the connection dropped
        fault.inject(aws, before)
    assert len(statements(policy())) == 2
    fault.undo(aws, before)
    assert policy() == FOUND


def test_the_caller_is_never_locked_out(aws: Session, key: str, role: Callable[[str], Session]) -> None:
    app = role("team/app")
    for principal in ("role/team/app", "role/app", app.client("sts").get_caller_identity()["Arn"]):
        with pytest.raises(CannotInject, match="is who gameday runs as"):
            Deny(key=key, principals=("role/other", principal)).capture(app)
    with pytest.raises(CannotInject, match="everybody in the account"):
        Deny(key=key, principals=(ROOT,)).capture(app)


def test_a_role_that_is_not_there_or_has_a_path_is_found_out_before_anything_is_touched(
    aws: Session, key: str, role: Callable[[str], Session], lab: LabControl
) -> None:
    role("team/app")
    with pytest.raises(CannotInject, match=f"{ACCOUNT}:role/app is in fact .*:role/team/app: name it with"):
        Deny(key=key, principals=("role/app",)).check(aws)
    for principal in ("role/nobody", "user/nobody"):
        with pytest.raises(CannotInject, match=f"there is no arn:aws:iam::{ACCOUNT}:{principal}"):
            Deny(key=key, principals=(principal,)).check(aws)
    lab.trouble("refuse", service="iam", operation="GetRole", code="AccessDenied")
    Deny(key=key, principals=("role/nobody",)).check(aws)  # who may not look it up is not refused for that


@pytest.mark.parametrize(
    ("partition", "region", "suffix"),
    [
        ("aws", "eu-west-1", "amazonaws.com"),
        ("aws-us-gov", "us-gov-west-1", "amazonaws.com"),
        ("aws-cn", "cn-north-1", "amazonaws.com.cn"),
        ("aws-eusc", "eusc-de-east-1", "amazonaws.eu"),
        ("aws", "ab-nowhere-9", "amazonaws.com"),
    ],
)
def test_a_service_goes_by_the_name_that_the_regions_partition_gives_it(
    partition: str, region: str, suffix: str
) -> None:
    fault = Deny(key=f"arn:{partition}:kms:{region}:{ACCOUNT}:key/1", services=("s3", "ec2.other.example"))
    aws = Session(region=region, run="7f3a9c12", started=datetime.now(UTC))
    condition = fault._statement(aws, "sid")["Condition"]
    assert condition == {"StringEquals": {"kms:ViaService": [f"s3.{region}.{suffix}", "ec2.other.example"]}}


def test_one_at_a_time(aws: Session, fault: Deny, key: str) -> None:
    before = fault.capture(aws)
    fault.inject(aws, before)
    for again in (fault, Deny(key=key, services=("ec2",))):
        with pytest.raises(CannotInject, match="has a statement GamedayDeny… already"):
            again.capture(aws)


def test_a_policy_that_would_grow_too_long(aws: Session, fault: Deny, write: Callable[..., None]) -> None:
    write(ALLOWED, {**FOREIGN, "Action": [f"kms:List{'x' * 32400}"]})
    with pytest.raises(CannotInject, match="and KMS takes 32768"):
        fault.capture(aws)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"services": ["s3"], "actions": []},
        {"services": ["s3"], "actions": ["kms:*"]},
        {"services": ["s3"], "actions": ["kms:Put*"]},
        {"services": ["s3"], "actions": ["kms:getkeypolic?"]},
        {"services": ["s3"], "actions": ["kms:EnableKey"]},
        {"services": ["s3"], "actions": ["*"]},
        {"services": ["s3"], "actions": ["s3:GetObject"]},
        {"services": ["S3 "]},
        {"principals": ["*"]},
        {"principals": ["role/a*"]},
        {"principals": ["app"]},
    ],
)
def test_what_no_playbook_can_say(key: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Deny.model_validate({"key": key, **wrong})


def test_gone_silent_and_forbidden(aws: Session, fault: Deny, lab: LabControl) -> None:
    gone = Deny(key=f"arn:aws:kms:us-east-1:{ACCOUNT}:key/00000000-0000-0000-0000-000000000000", services=("s3",))
    with pytest.raises(CannotInject, match="could not be read"):
        gone.capture(aws)
    before = fault.capture(aws)
    assert isinstance(gone.read_back(aws, before), Drifted)
    lab.trouble("throttle", service="kms", operation="GetKeyPolicy")
    assert isinstance(fault.read_back(aws, before), Unknown)


def test_the_rehearsal_changes_nothing_and_proves_the_permission(
    aws: Session, fault: Deny, lab: LabControl, policy: Callable[[], str]
) -> None:
    fault.rehearse(aws)
    assert policy() == FOUND
    lab.trouble("refuse", service="kms", operation="PutKeyPolicy")
    with pytest.raises(ClientError):
        fault.rehearse(aws)
