"""ec2.boot: whether an instance boots, and how its power is put back; an independent client says what EC2 holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from aws_rig import session_at

from gameday.aws.session import Session
from gameday.errors import CannotInject, Interrupted
from gameday.lab import LabControl
from gameday.sdk import Cause, Drifted, Rank, Restored, StillOurs, Unknown, rebuild_step
from probes.ec2_boot import Ec2Boot, InstancePower

Client = Callable[[str], Any]


@pytest.fixture
def boot(instance: str) -> Ec2Boot:
    return Ec2Boot(instance=instance, boot_within=timedelta(seconds=20), stop_within=timedelta(seconds=20))


@pytest.fixture
def state(client: Client, instance: str) -> Callable[[], str]:
    which = instance.rsplit("/", 1)[-1]
    return lambda: str(
        client("ec2").describe_instances(InstanceIds=[which])["Reservations"][0]["Instances"][0]["State"]["Name"]
    )


def say(aws: Session, operation: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Let EC2's answer say something else, as this session hears it."""
    aws.client("ec2").meta.events.register(f"after-call.ec2.{operation}", lambda parsed, **_: change(parsed))


def of_each(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def apply(parsed: dict[str, Any]) -> None:
        for group in parsed.get("Reservations", []):
            for each in group["Instances"]:
                change(each)

    return apply


def test_it_boots_and_is_left_running(aws: Session, boot: Ec2Boot, lab: LabControl, state: Callable[[], str]) -> None:
    lab.knobs(boot_seconds=0.2, stop_seconds=0.2, status_check_seconds=0.2)
    seen = boot.observe(aws)
    assert (seen.cause, seen.code) == (Cause.OK, "")
    assert seen.latency >= 0.4
    assert seen.request_id
    assert state() == "running"
    assert len(lab.calls("ec2", "StopInstances")) == len(lab.calls("ec2", "StartInstances")) == 1


def test_a_stopped_instance_is_only_started(aws: Session, boot: Ec2Boot, client: Client, lab: LabControl) -> None:
    client("ec2").stop_instances(InstanceIds=[boot.instance.rsplit("/", 1)[-1]])
    before = len(lab.calls("ec2", "StopInstances"))
    assert boot.observe(aws).cause is Cause.OK
    assert len(lab.calls("ec2", "StopInstances")) == before


@pytest.mark.parametrize("seconds", [0, 0.3])
def test_without_its_key_it_falls_back_and_recovers_with_it(
    aws: Session, boot: Ec2Boot, key: str, client: Client, lab: LabControl, state: Callable[[], str], seconds: float
) -> None:
    lab.knobs(boot_seconds=seconds, stop_seconds=seconds)
    client("kms").disable_key(KeyId=key)
    seen = boot.observe(aws)
    assert (seen.cause, seen.code) == (Cause.BOOT_REFUSED, "Client.InternalError")
    assert seen.detail == "back to stopped: Client.InternalError: Client error on launch"
    assert state() == "stopped"
    client("kms").enable_key(KeyId=key)
    assert boot.observe(aws).cause is Cause.OK
    assert state() == "running"


@pytest.mark.parametrize("what", ["disable", "delete"])
def test_where_ec2_blames_the_key_kms_is_asked_which_way(
    aws: Session, boot: Ec2Boot, key: str, client: Client, what: str
) -> None:
    def blame(each: dict[str, Any]) -> None:
        if each.get("StateReason", {}).get("Code") == "Client.InternalError":
            each["StateReason"] = {
                "Code": "Client.InvalidKMSKey.InvalidState",
                "Message": "The KMS key provided is in an incorrect state",
            }

    say(aws, "DescribeInstances", of_each(blame))
    if what == "disable":
        client("kms").disable_key(KeyId=key)
    else:
        client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    seen = boot.observe(aws)
    assert seen.cause is (Cause.KEY_DISABLED if what == "disable" else Cause.KEY_PENDING_DELETION)
    assert seen.code == "Client.InvalidKMSKey.InvalidState"


def test_where_kms_may_not_be_asked_the_key_is_unusable(
    aws: Session, boot: Ec2Boot, key: str, client: Client, lab: LabControl
) -> None:
    blamed = {"Code": "Client.InvalidKMSKey.InvalidState", "Message": "The KMS key provided is in an incorrect state"}
    say(aws, "DescribeInstances", of_each(lambda each: each.update(StateReason=blamed)))
    client("kms").disable_key(KeyId=key)
    lab.trouble("refuse", service="kms", operation="DescribeKey")
    assert Ec2Boot(instance=boot.instance).observe(aws).cause is Cause.KEY_UNUSABLE


def test_a_stale_look_at_the_stop_before_is_not_a_refusal(aws: Session, boot: Ec2Boot, client: Client) -> None:
    """EC2's reads are eventually consistent: the first looks after the start may show the instance still stopped."""
    client("ec2").stop_instances(InstanceIds=[boot.instance.rsplit("/", 1)[-1]])
    first: dict[str, Any] = {}
    looks = iter(range(100))

    def stale(each: dict[str, Any]) -> None:
        if next(looks) == 0:
            first.update({key: each.get(key) for key in ("State", "StateReason", "StateTransitionReason")})
        elif next(looks) < 8:
            each.update(first)

    say(aws, "DescribeInstances", of_each(stale))
    assert boot.observe(aws).cause is Cause.OK


def test_checks_that_never_pass_are_unhealthy(aws: Session, instance: str, lab: LabControl) -> None:
    lab.knobs(status_check_seconds=600)
    seen = Ec2Boot(instance=instance, boot_within=timedelta(seconds=0.5)).observe(aws)
    assert (seen.cause, seen.code) == (Cause.UNHEALTHY, "")
    assert seen.detail == "running, but its status checks are initializing 500ms after the start"


def test_a_boot_that_takes_too_long_is_refused(aws: Session, instance: str, lab: LabControl) -> None:
    lab.knobs(boot_seconds=600)
    seen = Ec2Boot(instance=instance, boot_within=timedelta(seconds=0.5)).observe(aws)
    assert (seen.cause, seen.code, seen.detail) == (Cause.BOOT_REFUSED, "", "still pending 500ms after the start")


def test_one_that_does_not_stop_is_said_so(aws: Session, instance: str, lab: LabControl) -> None:
    lab.knobs(stop_seconds=600)
    seen = Ec2Boot(instance=instance, stop_within=timedelta(seconds=0.3)).observe(aws)
    assert (seen.cause, seen.detail) == (Cause.CONFLICT, "stopping 300ms after it was told to stop")


def test_looks_that_are_throttled_on_the_way_are_waited_out(aws: Session, boot: Ec2Boot, lab: LabControl) -> None:
    lab.knobs(boot_seconds=0.2, stop_seconds=0.2)
    timer = threading.Timer(0.1, lambda: lab.trouble("throttle", service="ec2", operation="DescribeInstances", times=3))
    timer.start()
    assert boot.observe(aws).cause is Cause.OK
    timer.join()


@pytest.mark.parametrize("operation", ["DescribeInstances", "StopInstances", "StartInstances"])
def test_what_ec2_answers_is_the_observation(aws: Session, boot: Ec2Boot, lab: LabControl, operation: str) -> None:
    lab.trouble("refuse", service="ec2", operation=operation, code="UnauthorizedOperation", message="no")
    seen = boot.observe(aws)
    assert (seen.cause, seen.code, seen.detail) == (Cause.ACCESS_DENIED, "UnauthorizedOperation", "no")


def test_there_is_no_such_instance(aws: Session) -> None:
    gone = "arn:aws:ec2:us-east-1:123456789012:instance/i-0123456789abcdef0"
    assert Ec2Boot(instance=gone).observe(aws).cause is Cause.NOT_FOUND


def test_a_terminated_one_is_not_found(aws: Session, boot: Ec2Boot, client: Client) -> None:
    client("ec2").terminate_instances(InstanceIds=[boot.instance.rsplit("/", 1)[-1]])
    assert boot.observe(aws).cause is Cause.NOT_FOUND
    assert isinstance(boot.steps()[0].read_back(aws, {"state": "running"}), Drifted)


def test_a_run_that_stops_ends_the_look_at_once(lab: LabControl, boot: Ec2Boot) -> None:
    lab.knobs(stop_seconds=600)
    stopping = threading.Event()
    threading.Timer(0.2, stopping.set).start()
    asked = time.monotonic()
    with pytest.raises(Interrupted):
        boot.observe(session_at(lab.url, stopping=stopping))
    assert time.monotonic() - asked < 5


def test_a_run_that_lost_its_fence_stops_nothing(lab: LabControl, boot: Ec2Boot, state: Callable[[], str]) -> None:
    with pytest.raises(Interrupted):
        boot.observe(session_at(lab.url, fence=lambda: False))
    assert state() == "running"


# --- the undo step


@pytest.fixture
def power(boot: Ec2Boot) -> InstancePower:
    [step] = boot.steps()
    assert isinstance(step, InstancePower)
    return step


def test_the_step_is_made_again_from_the_journal(boot: Ec2Boot, power: InstancePower, instance: str) -> None:
    assert (power.resource, power.rank) == (instance, Rank.INSTANCE)
    assert rebuild_step("ec2.boot", boot.model_dump(mode="json"), "power") == power


def test_a_running_instance_is_put_back(
    aws: Session, boot: Ec2Boot, power: InstancePower, key: str, client: Client, state: Callable[[], str]
) -> None:
    before = power.capture(aws)
    assert before == {"state": "running"}
    client("kms").disable_key(KeyId=key)
    boot.observe(aws)
    assert power.read_back(aws, before) == StillOurs("stopped")
    client("kms").enable_key(KeyId=key)
    power.undo(aws, before)
    power.undo(aws, before)
    assert power.read_back(aws, before) == Restored("running")
    assert state() == "running"


def test_a_stopped_instance_is_put_back(
    aws: Session, boot: Ec2Boot, power: InstancePower, client: Client, state: Callable[[], str]
) -> None:
    power.inject(aws, {})
    before = power.capture(aws)
    assert before == {"state": "stopped"}
    boot.observe(aws)
    assert power.read_back(aws, before) == StillOurs("running")
    power.undo(aws, before)
    power.undo(aws, before)
    assert power.read_back(aws, before) == Restored("stopped")
    assert state() == "stopped"


def test_pending_is_not_yet_restored(aws: Session, power: InstancePower, lab: LabControl) -> None:
    power.inject(aws, {})
    lab.knobs(boot_seconds=600)
    power.undo(aws, {"state": "running"})
    assert power.read_back(aws, {"state": "running"}) == StillOurs("pending")
    with pytest.raises(CannotInject, match="is pending: it must be running or stopped"):
        power.capture(aws)


@pytest.mark.parametrize("kind", ["throttle", "server_error", "refuse"])
def test_no_answer_is_not_known(aws: Session, power: InstancePower, lab: LabControl, kind: str) -> None:
    lab.trouble(kind, service="ec2", operation="DescribeInstances")
    assert isinstance(power.read_back(aws, {"state": "running"}), Unknown)
    with pytest.raises(CannotInject, match="could not be read"):
        power.capture(aws)


def test_the_rehearsal_changes_nothing(
    aws: Session, power: InstancePower, lab: LabControl, state: Callable[[], str]
) -> None:
    power.rehearse(aws)
    assert state() == "running"
    lab.trouble("refuse", service="ec2", operation="StartInstances", code="UnauthorizedOperation")
    with pytest.raises(CannotInject, match="ec2:StartInstances is not permitted: UnauthorizedOperation"):
        power.rehearse(aws)


# --- instances that a stop would harm


def test_an_ordinary_instance_is_not_refused(aws: Session, boot: Ec2Boot) -> None:
    assert boot.refusal(aws) == ""


@pytest.mark.parametrize(
    ("fact", "why"),
    [
        ({"Tags": [{"Key": "aws:autoscaling:groupName", "Value": "web"}]}, "is in the Auto Scaling group web"),
        ({"RootDeviceType": "instance-store"}, "boots from an instance store"),
        ({"InstanceLifecycle": "spot"}, "is a spot instance"),
        ({"HibernationOptions": {"Configured": True}}, "is set up to hibernate"),
        ({"State": {"Name": "stopping"}}, "is stopping: it must be running or stopped"),
        ({"InstanceType": "i3.large"}, "a stop would wipe its instance store volumes"),
    ],
)
def test_one_that_would_be_harmed_is_refused(aws: Session, boot: Ec2Boot, fact: dict[str, Any], why: str) -> None:
    say(aws, "DescribeInstances", of_each(lambda each: each.update(fact)))
    text = boot.refusal(aws)
    assert text.startswith(boot.instance)
    assert why in text


def test_a_protected_instance_is_refused(aws: Session, boot: Ec2Boot) -> None:
    say(aws, "DescribeInstanceAttribute", lambda parsed: parsed.update(DisableApiStop={"Value": True}))
    assert "is protected against being stopped" in boot.refusal(aws)


def test_an_instance_that_cannot_be_described_is_refused(aws: Session, boot: Ec2Boot, lab: LabControl) -> None:
    lab.trouble("refuse", service="ec2", operation="DescribeInstances", code="UnauthorizedOperation")
    assert "could not be described (UnauthorizedOperation" in boot.refusal(aws)
