"""kms.state: what KMS says of a key, in the playbook's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gameday.aws.session import Session
from gameday.lab import LabControl
from gameday.sdk import Cause
from probes.kms_state import KmsState


def test_each_state(aws: Session, key: str, client: Callable[[str], Any]) -> None:
    probe = KmsState(key=key)
    assert (probe.observe(aws).cause, probe.observe(aws).detail) == (Cause.OK, "Enabled")
    client("kms").disable_key(KeyId=key)
    assert (probe.observe(aws).cause, probe.observe(aws).detail) == (Cause.KEY_DISABLED, "Disabled")
    client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert probe.observe(aws).cause is Cause.KEY_PENDING_DELETION


def test_a_key_without_material_is_unusable(aws: Session, client: Callable[[str], Any]) -> None:
    arn = client("kms").create_key(Origin="EXTERNAL")["KeyMetadata"]["Arn"]
    aws.client("kms").meta.events.register(
        "after-call.kms.DescribeKey", lambda parsed, **_: parsed["KeyMetadata"].update(KeyState="PendingImport")
    )
    seen = KmsState(key=arn).observe(aws)
    assert (seen.cause, seen.detail) == (Cause.KEY_UNUSABLE, "PendingImport")


def test_what_kms_refuses(aws: Session, key: str, lab: LabControl) -> None:
    assert KmsState(key="alias/none").observe(aws).cause is Cause.NOT_FOUND
    lab.trouble("throttle", service="kms")
    assert KmsState(key=key).observe(aws).cause is Cause.THROTTLED


def test_it_does_not_use_the_key(aws: Session, key: str, lab: LabControl) -> None:
    KmsState(key=key).observe(aws)
    assert {call["operation"] for call in lab.calls("kms") if "gameday/" in str(call)} <= {"DescribeKey"}
