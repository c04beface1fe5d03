"""s3.open_public_access: door after door, there and back; anonymous reads and an independent client are the judges."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_rig import ACCOUNT
from botocore.exceptions import ClientError
from pydantic import ValidationError

from gameday.aws.resolve import pin
from gameday.aws.session import Session
from gameday.errors import CannotInject
from gameday.faults.s3_open_public_access import OpenPublicAccess
from gameday.lab import LabControl
from gameday.sdk import FAULTS, Before, Drifted, Rank, Restored, Step, StillOurs, Unknown, rebuild_step
from gameday.stages.s3_object import S3Object

BUCKET = "gameday-clock"
SWITCHES = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"
INJECTS = {
    "ownership controls": "PutBucketOwnershipControls",
    "public access block": "PutPublicAccessBlock",
    "object acl": "PutObjectAcl",
    "bucket policy": "PutBucketPolicy",
}
THEIRS = {
    "Sid": "theirs",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    "Action": "s3:ListBucket",
    "Resource": f"arn:aws:s3:::{BUCKET}",
}
POLICY = json.dumps({"Version": "2012-10-17", "Id": "found", "Statement": [THEIRS]})


@pytest.fixture
def s3(client: Callable[[str], Any], clock: S3Object, aws: Session) -> Any:
    S3Object(bucket=BUCKET, key="control.txt", body="anybody").make(aws)
    return client("s3")


def or_none(call: Callable[..., Any], field: str, **more: Any) -> Any:
    """What is set, or None where S3 says that nothing is."""
    try:
        return call(Bucket=BUCKET, **more)[field]
    except ClientError as error:
        assert error.response["Error"]["Code"].startswith(("NoSuch", "OwnershipControlsNotFound")), error
        return None


@pytest.fixture
def state(s3: Any) -> Callable[[], dict[str, Any]]:
    """Everything about the bucket that a door is made of."""
    return lambda: {
        "ownership": or_none(s3.get_bucket_ownership_controls, "OwnershipControls"),
        "block": or_none(s3.get_public_access_block, "PublicAccessBlockConfiguration"),
        "policy": or_none(s3.get_bucket_policy, "Policy"),
        "acl": s3.get_bucket_acl(Bucket=BUCKET)["Grants"],
        **{key: s3.get_object_acl(Bucket=BUCKET, Key=key)["Grants"] for key in ("clock.png", "control.txt")},
    }


@pytest.fixture
def world(lab: LabControl) -> Callable[[str], int]:
    """The status that anybody gets."""

    def read(key: str) -> int:
        try:
            with urllib.request.urlopen(f"{lab.url}/{BUCKET}/{key}") as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    return read


def steps_of(how: str, *keys: str) -> tuple[Step, ...]:
    given = {"bucket": BUCKET, "how": how, "keys": keys or ("clock.png", "control.txt")}
    return OpenPublicAccess.model_validate(given).steps()


def opened(aws: Session, steps: tuple[Step, ...]) -> list[Before]:
    """As the machine does it: each is captured when the ones before it are done."""
    befores = []
    for step in steps:
        befores.append(step.capture(aws))
        step.inject(aws, befores[-1])
    return befores


def closed(aws: Session, steps: tuple[Step, ...], befores: list[Before], times: int = 1) -> list[type]:
    """As the machine does it: backwards, each undone and read back before the next; what each read back as."""
    found = []
    for step, before in reversed(list(zip(steps, befores, strict=True))):
        for _ in range(times):
            step.undo(aws, before)
        found.append(type(step.read_back(aws, before)))
    return found[::-1]


def read_back(aws: Session, steps: tuple[Step, ...], befores: list[Before]) -> list[type]:
    return [type(step.read_back(aws, before)) for step, before in zip(steps, befores, strict=True)]


def test_its_steps(aws: Session) -> None:
    assert FAULTS["s3.open_public_access"] is OpenPublicAccess
    names = [(step.step, step.resource) for step in steps_of("acl")]
    assert names == [
        ("ownership controls", f"arn:aws:s3:::{BUCKET}"),
        ("public access block", f"arn:aws:s3:::{BUCKET}"),
        ("object acl", f"arn:aws:s3:::{BUCKET}/clock.png"),
        ("object acl 2", f"arn:aws:s3:::{BUCKET}/control.txt"),
    ]
    assert [step.step for step in steps_of("policy")] == ["public access block", "bucket policy"]
    for how in ("acl", "policy"):
        fault = OpenPublicAccess(bucket=BUCKET, keys=("clock.png", "control.txt"), how=how)
        needed = {
            action for step in fault.steps() for action in (*step.calls.inject, *step.calls.undo, *step.calls.read)
        }
        assert needed < set(fault.permissions)
        for step in fault.steps():
            assert step.rank is Rank.POLICY
            assert rebuild_step(fault.uses, fault.model_dump(mode="json"), step.step) == step


@pytest.mark.parametrize("how", ["acl", "policy"])
def test_there_and_back(
    aws: Session, state: Callable[[], dict[str, Any]], world: Callable[[str], int], how: str
) -> None:
    found, steps = state(), steps_of(how)
    assert found["policy"] is None
    assert [world("clock.png"), world("control.txt")] == [403, 403]
    for step in steps:
        step.capture(aws)
        step.rehearse(aws)
    assert state() == found
    befores = opened(aws, steps)
    assert [world("clock.png"), world("control.txt")] == [400, 200]
    assert set(read_back(aws, steps, befores)) == {StillOurs}
    assert set(closed(aws, steps, befores, times=2)) == {Restored}
    assert state() == found
    assert [world("clock.png"), world("control.txt")] == [403, 403]


@pytest.mark.parametrize("how", ["acl", "policy"])
def test_only_what_stands_in_the_way_is_opened(
    aws: Session, s3: Any, state: Callable[[], dict[str, Any]], how: str
) -> None:
    opened(aws, steps_of(how))
    off = {"acl": SWITCHES[:2], "policy": SWITCHES[2:]}[how]
    assert state()["block"] == {name: name not in off for name in SWITCHES}
    if how == "policy":
        assert state()["ownership"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


@pytest.mark.parametrize("how", ["acl", "policy"])
def test_what_was_not_set_is_not_set_afterwards(
    aws: Session, s3: Any, state: Callable[[], dict[str, Any]], world: Callable[[str], int], lab: LabControl, how: str
) -> None:
    s3.delete_public_access_block(Bucket=BUCKET)
    s3.delete_bucket_ownership_controls(Bucket=BUCKET)
    found, steps, wrote = state(), steps_of(how), len(lab.calls("s3", "PutBucketOwnershipControls"))
    assert (found["ownership"], found["block"], found["policy"]) == (None, None, None)
    for step in steps:
        step.rehearse(aws)
    befores = opened(aws, steps)
    assert world("control.txt") == 200
    assert set(read_back(aws, steps[-1:], befores[-1:])) == {StillOurs}
    assert set(closed(aws, steps, befores)) == {Restored}
    assert state() == found
    assert len(lab.calls("s3", "PutBucketOwnershipControls")) == wrote


def test_a_policy_that_was_there_comes_back_to_the_letter(
    aws: Session, s3: Any, state: Callable[[], dict[str, Any]]
) -> None:
    s3.put_bucket_policy(Bucket=BUCKET, Policy=POLICY)
    steps = steps_of("policy")
    steps[1].rehearse(aws)
    befores = opened(aws, steps)
    ours = json.loads(state()["policy"])["Statement"]
    assert [one["Sid"] for one in ours] == ["theirs", befores[1]["sid"]]
    assert ours[1]["Resource"] == [f"arn:aws:s3:::{BUCKET}/clock.png", f"arn:aws:s3:::{BUCKET}/control.txt"]
    closed(aws, steps, befores)
    assert state()["policy"] == POLICY


def test_grants_that_were_there_come_back_exactly(
    aws: Session, s3: Any, state: Callable[[], dict[str, Any]], world: Callable[[str], int]
) -> None:
    s3.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    s3.put_public_access_block(
        Bucket=BUCKET, PublicAccessBlockConfiguration={**dict.fromkeys(SWITCHES, False), "IgnorePublicAcls": True}
    )
    (owner,) = s3.get_object_acl(Bucket=BUCKET, Key="control.txt")["Grants"]
    mine, readers = f'id="{owner["Grantee"]["ID"]}"', 'uri="http://acs.amazonaws.com/groups/global/AuthenticatedUsers"'
    s3.put_object_acl(Bucket=BUCKET, Key="control.txt", GrantFullControl=mine, GrantReadACP=readers)
    found, steps = state(), steps_of("acl")
    befores = opened(aws, steps)
    assert (len(state()["control.txt"]), world("control.txt")) == (3, 200)
    assert state()["ownership"] == found["ownership"]
    closed(aws, steps, befores)
    assert state() == found


def test_of_a_versioned_object_the_version_that_was_opened_is_closed(aws: Session, s3: Any) -> None:
    """Asked of the requests: moto has one ACL for all versions."""
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=BUCKET, Key="control.txt", Body=b"old")["VersionId"]
    asked = []
    for made in (aws.client("s3"), aws.changing("s3")):
        for name in ("GetObjectAcl", "PutObjectAcl"):
            made.meta.events.register(
                f"provide-client-params.s3.{name}", lambda params, **_: asked.append(params.get("VersionId"))
            )
    steps = steps_of("acl", "control.txt")
    for step in steps:
        step.rehearse(aws)
    befores = opened(aws, steps)
    s3.put_object(Bucket=BUCKET, Key="control.txt", Body=b"new")
    closed(aws, steps, befores)
    assert len(asked) == 8
    assert set(asked) == {old}


def test_someone_elses_statement_survives_and_is_drift(
    aws: Session, s3: Any, state: Callable[[], dict[str, Any]]
) -> None:
    steps = steps_of("policy")
    befores = opened(aws, steps)
    document = json.loads(state()["policy"])
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({**document, "Statement": [*document["Statement"], THEIRS]}))
    assert closed(aws, steps, befores) == [Restored, Drifted]
    assert json.loads(state()["policy"])["Statement"] == [THEIRS]


def test_someone_elses_grant_survives_and_is_drift(aws: Session, s3: Any, state: Callable[[], dict[str, Any]]) -> None:
    steps = steps_of("acl", "control.txt")
    befores = opened(aws, steps)
    readers = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
    theirs = {"Grantee": {"Type": "Group", "URI": readers}, "Permission": "READ_ACP"}
    (owner,) = befores[-1]["grants"]
    s3.put_object_acl(
        Bucket=BUCKET,
        Key="control.txt",
        GrantFullControl=f"id={owner['Grantee']['ID']}",
        GrantRead=f"uri={EVERYBODY}",
        GrantReadACP=f"uri={readers}",
    )
    assert read_back(aws, steps, befores)[-1] is StillOurs
    assert closed(aws, steps, befores) == [Restored, Restored, Drifted]
    assert state()["control.txt"] == [*befores[-1]["grants"], theirs]


def test_a_switch_that_someone_else_turned_on_stays_on(
    aws: Session, s3: Any, state: Callable[[], dict[str, Any]]
) -> None:
    partly = {**dict.fromkeys(SWITCHES, True), "BlockPublicPolicy": False}
    s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=partly)
    steps = steps_of("acl")
    befores = opened(aws, steps)
    s3.put_public_access_block(
        Bucket=BUCKET, PublicAccessBlockConfiguration={**state()["block"], "BlockPublicPolicy": True}
    )
    assert closed(aws, steps, befores)[1] is Drifted
    assert state()["block"] == dict.fromkeys(SWITCHES, True)


def test_a_third_rule_or_none_is_left_alone(aws: Session, s3: Any, state: Callable[[], dict[str, Any]]) -> None:
    steps = steps_of("acl")[:2]
    befores = opened(aws, steps)
    s3.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    s3.delete_public_access_block(Bucket=BUCKET)
    assert closed(aws, steps, befores) == [Drifted, Drifted]
    assert state()["ownership"]["Rules"] == [{"ObjectOwnership": "ObjectWriter"}]
    assert state()["block"] is None


def test_a_grant_that_is_hidden_below_is_not_called_restored(aws: Session, s3: Any) -> None:
    steps = steps_of("acl", "control.txt")
    befores = opened(aws, steps)
    steps[0].undo(aws, befores[0])
    with pytest.raises(ClientError, match="does not allow ACLs"):
        steps[2].undo(aws, befores[2])
    found = steps[2].read_back(aws, befores[2])
    assert isinstance(found, Drifted)
    assert "hidden below" in found.detail


@pytest.mark.parametrize("how", ["acl", "policy"])
def test_lost_responses_leave_it_open_and_the_undo_mends_it(
    aws: Session, lab: LabControl, state: Callable[[], dict[str, Any]], how: str
) -> None:
    found, steps = state(), steps_of(how, "control.txt")
    befores = []
    for step in steps:
        befores.append(step.capture(aws))
        lab.trouble("lost_response", service="s3", operation=INJECTS[step.step], times=1)
        with pytest.raises(Exception):  # noqa: B017 - whichever of botocore's: the connection dropped
            step.inject(aws, befores[-1])
    closed(aws, steps, befores)
    assert state() == found


def test_the_accounts_block_is_not_ours_to_open(aws: Session, client: Callable[[str], Any], s3: Any) -> None:
    control = client("s3control")
    control.meta.events.register("before-sign.s3-control", without_account)
    only = {**dict.fromkeys(SWITCHES, False), "RestrictPublicBuckets": True}
    control.put_public_access_block(AccountId=ACCOUNT, PublicAccessBlockConfiguration=only)
    with pytest.raises(CannotInject, match=f"account {ACCOUNT} has RestrictPublicBuckets on for all its buckets"):
        steps_of("policy")[0].capture(aws)
    assert steps_of("acl")[1].capture(aws)
    control.delete_public_access_block(AccountId=ACCOUNT)
    assert steps_of("policy")[0].capture(aws)


def without_account(request: Any, **_: Any) -> None:
    request.url = request.url.replace(f"://{ACCOUNT}.", "://")


def test_what_cannot_be_opened(aws: Session, s3: Any, lab: LabControl) -> None:
    with pytest.raises(CannotInject, match="could not be read"):
        steps_of("acl", "missing.txt")[2].capture(aws)
    befores = opened(aws, steps_of("acl", "control.txt"))
    assert befores
    with pytest.raises(CannotInject, match="is open to everybody already: not ours to close"):
        steps_of("acl", "control.txt")[2].capture(aws)
    opened(aws, steps_of("policy"))
    with pytest.raises(CannotInject, match="has a statement GamedayOpen… of another run already"):
        steps_of("policy", "clock.png")[1].capture(aws)
    for operation, step in (
        ("GetBucketPolicy", steps_of("policy")[1]),
        ("GetPublicAccessBlock", steps_of("policy")[0]),
        ("GetBucketOwnershipControls", steps_of("acl")[0]),
    ):
        lab.trouble("refuse", service="s3", operation=operation, times=1)
        with pytest.raises(CannotInject, match="could not be read"):
            step.capture(aws)
    lab.trouble("refuse", service="s3control", operation="GetAccountPublicAccessBlock", times=1)
    with pytest.raises(CannotInject, match="public access block of account"):
        steps_of("policy")[0].capture(aws)


def test_a_policy_that_would_grow_too_long(aws: Session, s3: Any) -> None:
    long = {**THEIRS, "Action": [f"s3:List{'x' * 20200}"]}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [long]}))
    with pytest.raises(CannotInject, match="and S3 takes 20480"):
        steps_of("policy")[1].capture(aws)


@pytest.mark.parametrize(
    "wrong",
    [
        {"keys": []},
        {"keys": [""]},
        {"keys": ["a", "a"]},
        {"keys": ["a*"], "how": "policy"},
        {"keys": ["${aws:username}"], "how": "policy"},
        {"keys": ["a"], "how": "magic"},
        {"keys": ["a"], "bucket": "UPPER"},
    ],
)
def test_what_no_playbook_can_say(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OpenPublicAccess.model_validate({"bucket": BUCKET, **wrong})


@pytest.mark.parametrize("how", ["acl", "policy"])
def test_gone_and_silent(aws: Session, s3: Any, lab: LabControl, how: str) -> None:
    steps = steps_of(how)
    befores = opened(aws, steps)
    lab.trouble("throttle", service="s3")
    assert set(read_back(aws, steps, befores)) == {Unknown}
    lab.clear_trouble()
    s3.delete_object(Bucket=BUCKET, Key="clock.png")
    s3.delete_object(Bucket=BUCKET, Key="control.txt")
    s3.delete_bucket_policy(Bucket=BUCKET)
    s3.delete_bucket(Bucket=BUCKET)
    assert set(read_back(aws, steps, befores)) == {Drifted}


@pytest.mark.parametrize("how", ["acl", "policy"])
def test_the_rehearsal_proves_the_permission(aws: Session, s3: Any, lab: LabControl, how: str) -> None:
    operations = {**INJECTS, "bucket policy": "DeleteBucketPolicy"}
    for step in steps_of(how, "clock.png"):
        lab.trouble("refuse", service="s3", operation=operations[step.step], times=1)
        with pytest.raises(ClientError):
            step.rehearse(aws)


@pytest.mark.parametrize("how", ["acl", "policy"])
@pytest.mark.parametrize("partition", ["aws", "aws-us-gov", "aws-cn"])
def test_what_is_held_and_printed_is_in_the_targets_partition(partition: str, how: str) -> None:
    aws = Session(region="us-east-1", run="7f3a9c12", started=datetime.now(UTC)).but(partition=partition)
    given = {"bucket": "gameday-clock", "keys": ["clock.png"], "how": how, "partition": "aws-iso"}
    pinned = pin(OpenPublicAccess.model_validate(given), aws, {})
    assert {step.resource.rpartition(":::")[0] for step in pinned.steps()} == {f"arn:{partition}:s3"}
    for step in pinned.steps():
        assert rebuild_step(pinned.uses, pinned.model_dump(mode="json"), step.step) == step
