"""The dead man's switch with real processes: the runner dies, the scheduler fires, an independent client looks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from e2e_run import Run
from e2e_scene import Scene
from e2e_world import World

from gameday.aws.made import LAB_KEYS
from gameday.aws.session import Session
from gameday.errors import CannotInject
from gameday.sdk import CloudCall, Restored, StillOurs, Unknown
from gameday.switches.eventbridge_schedule import Schedule

pytestmark = pytest.mark.timeout(90)
ROLE = "gameday-switch"
SWITCH = {"role": f"role/{ROLE}", "margin": "1m"}
LONG_AFTER = 600
"""Seconds on the lab's clock: more than max_fault, the margin, the two minutes between two calls, and a minute."""


@pytest.fixture
def switched(rough: Scene) -> Iterator[Scene]:
    """With the role that the schedules fire under."""
    make_role(rough)
    yield rough
    rough.aws.iam.delete_role_policy(RoleName=ROLE, PolicyName="p")
    rough.aws.iam.delete_role(RoleName=ROLE)


def make_role(scene: Scene, service: str = "scheduler.amazonaws.com") -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    allow = {"Effect": "Allow", "Action": ["kms:EnableKey", "kms:CancelKeyDeletion"], "Resource": "*"}
    scene.aws.iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=document(trust))
    scene.aws.iam.put_role_policy(RoleName=ROLE, PolicyName="p", PolicyDocument=document(allow))


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def schedules(scene: Scene, run: Run) -> list[str]:
    """The calls that AWS would make for a run, in the order of their schedules."""
    found = scene.aws.scheduler.list_schedules(NamePrefix=f"gameday-{run.id}")["Schedules"]
    return [one["Target"]["Arn"].rsplit(":", 1)[1] for one in sorted(found, key=lambda one: one["Name"])]


def who_enabled(world: World) -> list[str]:
    about = [event for event in world._trail("EnableKey") if world.key in json.dumps(event)]
    return [event["userIdentity"].get("invokedBy", "a person") for event in about if "errorCode" not in event]


def test_it_is_armed_before_the_first_change_and_gone_after_the_last(switched: Scene) -> None:
    world, gate = switched.world(), switched.gate(open_=True)
    run = switched.start(world, gate=gate, switch=SWITCH)
    run.wait("expectation_met", probe="read-clock", phase="fault")
    assert schedules(switched, run) == ["enableKey"]
    gate.end_fault()
    run.wait("phase_entered", phase="recovery")
    assert schedules(switched, run) == []
    gate.end_recovery()
    switched.ends(run, 0, "passed")
    kinds = [(e["kind"], e.get("step", "")) for e in run.events]
    armed = kinds.index(("switch_armed", "dead-man-switch#1/schedule"))
    assert armed < kinds.index(("step_injected", "kms.disable_key/disable"))
    restored = kinds.index(("step_closed", "kms.disable_key/disable"))
    assert restored < kinds.index(("undo_tried", "dead-man-switch#1/schedule"))
    switched.assert_restored()
    # Next week somebody revokes the key for good: nothing is left that could enable it.
    switched.aws.kms.disable_key(KeyId=world.key)
    switched.lab.advance(LONG_AFTER)
    assert world.key_state == "Disabled"
    switched.aws.kms.enable_key(KeyId=world.key)


def test_when_the_runner_is_dead_aws_puts_the_key_back(switched: Scene) -> None:
    world = switched.world()
    run = switched.start(world, gate=switched.gate(open_=True), switch=SWITCH)
    run.wait("expectation_met", probe="read-clock", phase="fault")
    switched.written(run)
    run.kill_both()
    assert world.key_state == "Disabled"
    assert f"schedule/default/gameday-{run.id}-1" in switched.command("status").stdout
    switched.lab.advance(80)
    assert world.key_state == "Disabled", "max_fault and the margin are not over yet"
    switched.lab.advance(LONG_AFTER)
    assert (world.key_state, world.readable) == ("Enabled", True)
    assert who_enabled(world)[0] == "scheduler.amazonaws.com"
    assert schedules(switched, run) == [], "it has deleted itself"
    assert switched.status() == 9, "the journal does not know it yet"
    done = switched.command("rollback", run.id)
    assert done.returncode == 0, done
    switched.assert_restored()


def test_a_scheduled_deletion_is_cancelled_and_the_key_enabled(switched: Scene) -> None:
    world = switched.world()
    run = switched.start(
        world, gate=switched.gate(open_=True), switch=SWITCH, fault="kms.schedule_deletion", read=False
    )
    switched.written(run, "kms.schedule_deletion/schedule deletion")
    run.kill_both()
    assert schedules(switched, run) == ["cancelKeyDeletion", "enableKey"]
    assert world.key_state == "PendingDeletion"
    switched.lab.advance(160)
    assert world.key_state == "Disabled", "cancelled; two minutes later it is enabled"
    switched.lab.advance(LONG_AFTER)
    assert world.key_state == "Enabled"
    assert switched.command("rollback", run.id).returncode == 0
    switched.assert_restored()


def test_an_open_bucket_is_shut_by_aws(switched: Scene) -> None:
    world, s3 = switched.world(), switched.aws.s3
    allow = {"Effect": "Allow", "Action": "s3:PutBucketPublicAccessBlock", "Resource": f"arn:aws:s3:::{world.name}"}
    switched.aws.iam.put_role_policy(RoleName=ROLE, PolicyName="p", PolicyDocument=document(allow))
    opened = {"bucket": "${bucket}", "keys": ["clock.png"], "how": "policy"}
    block = s3.get_public_access_block(Bucket=world.name)["PublicAccessBlockConfiguration"]
    look = {"uses": "http.get", "with": {"url": switched.line().url}, "expect": {"always": "ok"}}
    playbook = {"probes": {"look": look}, "read": False, "state": False, "timing": {"hold": "10s"}}
    run = switched.start(world, switch=SWITCH, fault="s3.open_public_access", fault_with=opened, **playbook)
    switched.written(run, "s3.open_public_access/bucket policy")
    run.kill_both()
    assert schedules(switched, run) == ["putPublicAccessBlock"]
    assert s3.get_public_access_block(Bucket=world.name)["PublicAccessBlockConfiguration"] != block
    switched.lab.advance(LONG_AFTER)
    assert s3.get_public_access_block(Bucket=world.name)["PublicAccessBlockConfiguration"] == block
    assert "Sid" in s3.get_bucket_policy(Bucket=world.name)["Policy"], "what is behind the door waits for the rollback"
    assert switched.command("rollback", run.id).returncode == 0
    with pytest.raises(ClientError, match="NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket=world.name)
    switched.assert_restored()


def test_a_rollback_by_hand_takes_the_schedule_away_once_the_key_is_back(switched: Scene) -> None:
    world = switched.world()
    run = switched.start(world, gate=switched.gate(open_=True), switch=SWITCH)
    run.wait("expectation_met", probe="read-clock", phase="fault")
    switched.written(run)
    run.kill_both()
    done = switched.command("rollback", run.id)
    assert done.returncode == 0, done
    assert done.stdout.index("restored kms.disable_key") < done.stdout.index("restored dead-man-switch#1")
    assert schedules(switched, run) == []
    switched.assert_restored()


def test_a_dead_run_that_is_abandoned_leaves_no_switch_behind(switched: Scene) -> None:
    """Somebody decided that the key stays off: it must not come back minutes later."""
    world = switched.world()
    run = switched.start(world, gate=switched.gate(open_=True), switch=SWITCH)
    run.wait("expectation_met", probe="read-clock", phase="fault")
    switched.written(run)
    run.kill_both()
    switched.lab.trouble("refuse", "scheduler", "DeleteSchedule", times=1, user_agent=f"gameday/{run.id}")
    done = switched.command("abandon", run.id, "--reason", "a real incident")
    assert done.returncode == 0, done
    assert schedules(switched, run) == []
    switched.lab.advance(LONG_AFTER)
    assert world.key_state == "Disabled"
    assert switched.status() == 4, "it is named until somebody has put it back"
    assert "Abandoned by" in switched.command("show", run.id).stdout
    switched.aws.kms.enable_key(KeyId=world.key)
    looked = switched.command("status", "--check", "--look")
    assert looked.returncode == 0, looked


def test_while_the_key_cannot_be_put_back_it_stays_armed(switched: Scene) -> None:
    world, gate = switched.world(), switched.gate(open_=True)
    run = switched.start(world, gate=gate, switch=SWITCH, timing={"rollback_within": "2s"})
    run.wait("expectation_met", probe="read-clock", phase="fault")
    about = {"code": "AccessDeniedException", "message": "not today", "user_agent": f"gameday/{run.id}"}
    switched.lab.trouble("refuse", "kms", "EnableKey", **about)
    run.stop_watchdog()
    gate.end_fault()
    finished = switched.ends(run, 9, "failed")
    run.kill_watchdog()
    fires_at = run.of("switch_armed")[0]["fires_at"]
    assert any("stays armed" in reason and fires_at in reason for reason in finished["reasons"]), finished
    assert schedules(switched, run) == ["enableKey"]
    again = switched.start(world, switch=SWITCH)
    assert switched.ends(again, 5, "refused")["reasons"], "the key is still that run's"
    switched.lab.advance(LONG_AFTER)
    assert world.key_state == "Enabled"
    switched.lab.clear_trouble()
    assert switched.command("rollback", run.id).returncode == 0
    switched.assert_restored()


def refused(scene: Scene, world: World, why: str, **playbook: Any) -> Run:
    """A run that is refused with nothing changed."""
    run = scene.start(world, **{"switch": SWITCH, **playbook})
    finished = scene.ends(run, 5, "refused")
    assert why in finished["story"], finished["story"]
    assert world.disables() == 0
    assert schedules(scene, run) == []
    scene.assert_restored()
    return run


def test_a_run_that_cannot_have_it_is_refused(switched: Scene) -> None:
    world = switched.world()
    refused(switched, world, "there is no arn:aws:iam::123456789012:role/nobody", switch={"role": "role/nobody"})
    refused(
        switched,
        world,
        "could only be undone by overwriting",
        fault="kms.deny",
        fault_with={"key": "${key}", "services": ["s3"]},
    )
    switched.lab.trouble("refuse", "scheduler", "CreateSchedule", times=1, message="not you")
    refused(switched, world, "not you")
    # The journal of AWS lies: what was made is not there, or cannot be seen.
    missing = {"code": "ResourceNotFoundException", "message": "Schedule x does not exist."}
    switched.lab.trouble("refuse", "scheduler", "GetSchedule", **missing)
    run = refused(switched, world, "does not read back as armed: gone")
    assert run.of("step_injected"), "it was made, and taken away again"


def test_a_lost_answer_is_settled_by_reading_back(switched: Scene) -> None:
    world = switched.world()
    switched.lab.trouble("lost_response", "scheduler", "CreateSchedule", times=1)
    run = switched.start(world, switch=SWITCH)
    switched.ends(run, 0, "passed")
    assert not run.of("step_injected")[0]["certain"]
    assert schedules(switched, run) == []
    switched.assert_restored()


def test_a_role_that_only_people_may_assume_is_refused(rough: Scene) -> None:
    make_role(rough, service="ec2.amazonaws.com")
    world = rough.world()
    refused(rough, world, "does not trust scheduler.amazonaws.com")
    rough.aws.iam.delete_role_policy(RoleName=ROLE, PolicyName="p")
    rough.aws.iam.delete_role(RoleName=ROLE)
    with pytest.raises(ClientError):
        rough.aws.iam.get_role(RoleName=ROLE)


def test_what_somebody_has_edited_is_not_armed(rough: Scene) -> None:
    """A step of its own on the lab: every line of the schedule that matters is compared."""
    switch = Schedule(
        about="arn:aws:kms:us-east-1:123456789012:key/k",
        call=CloudCall(service="kms", action="enableKey", parameters={"KeyId": "k"}, permission="kms:EnableKey"),
        role=f"arn:aws:iam::123456789012:role/{ROLE}",
        schedule="arn:aws:scheduler:us-east-1:123456789012:schedule/default/gameday-edited-1",
        after=300,
        dead_letter_queue="arn:aws:sqs:us-east-1:123456789012:dead",
    )
    make_role(rough)
    aws = Session(region="us-east-1", account="123456789012", run="edited", endpoint=rough.lab.url, keys=LAB_KEYS)
    scheduler = rough.aws.scheduler
    before = switch.capture(aws)
    switch.inject(aws, before)
    assert switch.read_back(aws, before) == StillOurs(f"kms:EnableKey on {switch.about} at {before['fires_at']}")
    found = scheduler.get_schedule(Name=switch.name)
    kept = {name: found[name] for name in ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target", "State")}
    kept |= {"ScheduleExpressionTimezone": "UTC", "ActionAfterCompletion": "DELETE"}
    target = found["Target"]
    edits: dict[str, dict[str, Any]] = {
        "state": {"State": "DISABLED"},
        "time": {"ScheduleExpression": "at(2099-01-01T00:00:00)"},
        "time zone": {"ScheduleExpressionTimezone": "Europe/Berlin"},
        "time window": {"FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5}},
        "call": {"Target": {**target, "Arn": "arn:aws:scheduler:::aws-sdk:kms:disableKey"}},
        "input": {"Target": {**target, "Input": '{"KeyId": "another"}'}},
        "retries": {"Target": {**target, "RetryPolicy": {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}}},
        "dead letter queue": {"Target": {**target, "DeadLetterConfig": {"Arn": f"{switch.dead_letter_queue}er"}}},
    }
    for name, edit in edits.items():
        scheduler.update_schedule(**{**kept, **edit})
        seen = switch.read_back(aws, before)
        assert isinstance(seen, Unknown) and f"its {name} is" in seen.detail, (name, seen)
    with pytest.raises(CannotInject, match="already"):
        switch.capture(aws)
    switch.undo(aws, before)
    switch.undo(aws, before)
    assert switch.read_back(aws, before) == Restored("gone")
    late = {**before, "fires_at": "2020-01-01T00:00:00Z"}
    assert "may have made the call" in switch.read_back(aws, late).detail
    rough.aws.iam.delete_role_policy(RoleName=ROLE, PolicyName="p")
    rough.aws.iam.delete_role(RoleName=ROLE)
