"""kms.use: whether KMS serves this identity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aws_rig import session_at
from test_s3_read_access import role

from gameday.aws.session import Session
from gameday.lab import LabControl
from gameday.sdk import Cause
from probes.kms_use import KmsUse


def test_there_and_back(aws: Session, key: str) -> None:
    seen = KmsUse(key=key, encryption_context={"purpose": "rehearsal"}).observe(aws)
    assert (seen.cause, seen.detail) == (Cause.OK, "encrypted and decrypted")
    assert seen.request_id


def test_the_context_reaches_kms(aws: Session, key: str, client: Callable[[str], Any]) -> None:
    KmsUse(key=key, encryption_context={"purpose": "rehearsal"}).observe(aws)
    for name in ("Encrypt", "Decrypt"):
        [event] = client("cloudtrail").lookup_events(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}]
        )["Events"]
        assert '"purpose": "rehearsal"' in event["CloudTrailEvent"]


def test_the_key_is_off(aws: Session, key: str, client: Callable[[str], Any]) -> None:
    client("kms").disable_key(KeyId=key)
    seen = KmsUse(key=key).observe(aws)
    assert (seen.cause, seen.code, seen.detail) == (Cause.KEY_DISABLED, "DisabledException", f"{key} is disabled.")
    client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert KmsUse(key=key).observe(aws).cause is Cause.KEY_PENDING_DELETION


def test_one_who_may_encrypt_and_not_decrypt(aws: Session, key: str, client: Callable[[str], Any]) -> None:
    writer = aws.as_role(role(client, "writer", "kms:Encrypt"))
    seen = KmsUse(key=key).observe(writer)
    assert seen.cause is Cause.KEY_POLICY_DENIED
    assert "kms:Decrypt" in seen.detail


@pytest.mark.parametrize("kind", ["throttle", "server_error"])
def test_trouble_at_the_second_half(lab: LabControl, aws: Session, key: str, kind: str) -> None:
    lab.trouble(kind, service="kms", operation="Decrypt")
    expected = {"throttle": Cause.THROTTLED, "server_error": Cause.SERVER_ERROR}[kind]
    assert KmsUse(key=key).observe(aws).cause is expected


def test_nobody_there(nobody: str) -> None:
    assert KmsUse(key="alias/x").observe(session_at(nobody)).cause is Cause.UNREACHABLE
