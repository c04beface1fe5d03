"""ec2.status: how an instance is, without touching it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gameday.aws.session import Session
from gameday.lab import LabControl
from gameday.sdk import Cause
from probes.ec2_status import Ec2Status


def test_it_runs_and_goes_on_when_the_key_is_off(
    lab: LabControl, aws: Session, instance: str, key: str, client: Callable[[str], Any]
) -> None:
    for _ in range(2):
        seen = Ec2Status(instance=instance).observe(aws)
        assert (seen.cause, seen.detail) == (Cause.OK, "running, its status checks are ok")
        client("kms").disable_key(KeyId=key)
    changed = {call["operation"] for call in lab.calls("ec2") if not call["operation"].startswith("Describe")}
    assert changed <= {"RunInstances", "CreateTags"}


def test_its_checks_are_not_there_yet(
    lab: LabControl, aws: Session, instance: str, client: Callable[[str], Any]
) -> None:
    lab.knobs(status_check_seconds=600)
    ec2, id_ = client("ec2"), instance.rsplit("/", 1)[-1]
    ec2.stop_instances(InstanceIds=[id_])
    seen = Ec2Status(instance=instance).observe(aws)
    assert seen.cause is Cause.UNHEALTHY
    assert seen.detail.startswith("stopped: ")
    ec2.start_instances(InstanceIds=[id_])
    seen = Ec2Status(instance=instance).observe(aws)
    assert (seen.cause, seen.detail) == (Cause.UNHEALTHY, "running, its status checks are initializing")


def test_it_is_gone(aws: Session, instance: str, client: Callable[[str], Any]) -> None:
    client("ec2").terminate_instances(InstanceIds=[instance.rsplit("/", 1)[-1]])
    assert Ec2Status(instance=instance).observe(aws).cause is Cause.NOT_FOUND
    assert Ec2Status(instance="i-0123456789abcdef0").observe(aws).cause is Cause.NOT_FOUND


def test_trouble(lab: LabControl, aws: Session, instance: str) -> None:
    lab.trouble("throttle", service="ec2", operation="DescribeInstances")
    assert Ec2Status(instance=instance).observe(aws).cause is Cause.THROTTLED
