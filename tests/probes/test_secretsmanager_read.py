"""secretsmanager.read: the secret comes, and goes no further."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from aws_rig import Rude, session_at

from gameday.aws.session import Session
from gameday.lab import LabControl
from gameday.sdk import Cause
from probes.secretsmanager_read import SecretsManagerRead

HUSH = "correct horse battery staple"


def test_the_value_never_leaves_the_probe(
    aws: Session, client: Callable[[str], Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client("secretsmanager").create_secret(Name="db", SecretString=HUSH)
    probe = SecretsManagerRead(secret="db")
    seen = probe.observe(aws)
    assert (seen.cause, seen.detail) == (Cause.OK, "secret db is readable")
    assert seen.request_id
    for text in (seen.model_dump_json(), repr(probe), caplog.text):
        assert HUSH not in text
        assert str(len(HUSH)) not in seen.detail


def test_there_is_none(aws: Session, client: Callable[[str], Any]) -> None:
    assert SecretsManagerRead(secret="db").observe(aws).cause is Cause.NOT_FOUND
    client("secretsmanager").create_secret(Name="db", SecretString=HUSH)
    assert SecretsManagerRead(secret="db", version_stage="AWSPREVIOUS").observe(aws).cause is Cause.NOT_FOUND


@pytest.mark.parametrize(
    ("code", "sentence", "cause"),
    [
        ("AccessDeniedException", "Access to KMS is not allowed", Cause.KEY_POLICY_DENIED),
        (
            "AccessDeniedException",
            "User: arn:aws:iam::123456789012:user/x is not authorized to perform: secretsmanager:GetSecretValue",
            Cause.ACCESS_DENIED,
        ),
        (
            "DecryptionFailure",
            "Secrets Manager can't decrypt the protected secret text using the provided KMS key.",
            Cause.KEY_UNUSABLE,
        ),
        ("DecryptionFailure", "arn:aws:kms:us-east-1:123456789012:key/1 is disabled.", Cause.KEY_DISABLED),
        ("InvalidParameterException", "Invalid name.", Cause.INVALID),
        ("ThrottlingException", "Rate exceeded", Cause.THROTTLED),
    ],
)
def test_what_secrets_manager_says(rude: Rude, code: str, sentence: str, cause: Cause) -> None:
    rude.status, rude.body = 400, json.dumps({"__type": code, "message": sentence}).encode()
    seen = SecretsManagerRead(secret="db").observe(session_at(rude.url))
    assert (seen.cause, seen.code, seen.detail) == (cause, code, sentence)
    assert len(rude.got) == 1


def test_trouble(lab: LabControl, aws: Session) -> None:
    lab.trouble("server_error", service="secretsmanager")
    assert SecretsManagerRead(secret="db").observe(aws).cause is Cause.SERVER_ERROR
