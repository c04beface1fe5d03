"""What an error means, and whether the change behind it may have happened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from aws_rig import Rude, session_at
from botocore.exceptions import ClientError, NoCredentialsError, ParamValidationError

from gameday.aws.errors import certain, request_id_of, understand
from gameday.aws.session import Session
from gameday.errors import Interrupted
from gameday.lab import LabControl
from gameday.sdk import Cause, classify

KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.parametrize(
    ("code", "message", "status", "cause"),
    [
        ("DisabledException", f"{KEY} is disabled.", 400, "key_disabled"),
        ("KMS.DisabledException", f"{KEY} is disabled.", 400, "key_disabled"),
        ("KMSDisabledException", "", 400, "key_disabled"),
        ("DisabledException", f"{KEY} is pending deletion.", 400, "key_pending_deletion"),
        ("KMSInvalidStateException", f"{KEY} is pending deletion.", 400, "key_pending_deletion"),
        ("KMS.KMSInvalidStateException", f"{KEY} is pending deletion.", 400, "key_pending_deletion"),
        ("KMSInvalidStateException", f"{KEY} is pending import.", 400, "key_unusable"),
        ("Client.InvalidKMSKey.InvalidState", "The KMS key provided is in an incorrect state", 0, "key_unusable"),
        ("InvalidKMSKey.NotFound", "", 0, "not_found"),
        ("Client.CustomerKeyHasBeenRevoked", "Volume vol-1 cannot be attached.", 0, "key_unusable"),
        ("Client.InternalError", "Client error on launch", 0, "server_error"),
        ("Client.InternalError", f"{KEY} is disabled.", 0, "key_disabled"),
        ("AccessDenied", "Access Denied", 403, "access_denied"),
        (
            "AccessDenied",
            f"User: arn:aws:sts::1:assumed-role/me is not authorized to perform: kms:Decrypt on resource: {KEY}",
            403,
            "key_policy_denied",
        ),
        (
            "AccessDeniedException",
            "The ciphertext refers to a KMS key that you cannot access",
            400,
            "key_policy_denied",
        ),
        ("UnauthorizedOperation", "You are not authorized to perform this operation.", 403, "access_denied"),
        (
            "InvalidArgument",
            "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS Signature Version 4.",
            400,
            "unsigned_request",
        ),
        ("InvalidArgument", "Invalid version id specified", 400, "invalid"),
        ("NotFoundException", "Alias alias/x is not found.", 400, "not_found"),
        ("NoSuchKey", "", 404, "not_found"),
        ("NoSuchPublicAccessBlockConfiguration", "", 404, "not_found"),
        ("InvalidInstanceID.NotFound", "", 400, "not_found"),
        ("404", "Not Found", 404, "not_found"),
        ("403", "Forbidden", 403, "access_denied"),
        ("ThrottlingException", "Rate exceeded", 400, "throttled"),
        ("Throttling", "Rate exceeded", 400, "throttled"),
        ("RequestLimitExceeded", "", 503, "throttled"),
        ("SlowDown", "", 503, "throttled"),
        ("TooManyRequestsException", "", 429, "throttled"),
        ("SomethingNew", "", 429, "throttled"),
        ("SomethingNew", "", 503, "server_error"),
        ("KMSInternalException", "", 500, "server_error"),
        ("ExpiredToken", "", 400, "credentials"),
        ("ExpiredTokenException", "", 403, "credentials"),
        ("InvalidClientTokenId", "", 403, "credentials"),
        ("UnrecognizedClientException", "", 400, "credentials"),
        ("IncorrectInstanceState", "", 400, "conflict"),
        ("ConflictException", "", 400, "conflict"),
        ("ValidationException", "", 400, "invalid"),
        ("InvalidInstanceID.Malformed", "", 400, "invalid"),
        ("SomethingNew", "", 400, "other"),
        ("SomethingNew", "", 403, "other"),
        ("InvalidObjectState", "The operation is not valid for the object's storage class", 403, "other"),
        ("AccountProblem", "", 403, "other"),
        ("AllAccessDisabled", "All access to this object has been disabled", 403, "other"),
        ("InvalidPayer", "", 403, "other"),
        ("NotSignedUp", "", 403, "other"),
        ("RequestTimeTooSkewed", "", 403, "credentials"),
        ("InvalidBucketName", "", 400, "invalid"),
        ("MalformedXML", "", 400, "invalid"),
        ("SomethingNew", "", 0, "other"),
    ],
)
def test_a_code_means(code: str, message: str, status: int, cause: str) -> None:
    assert classify(code, message, status) == Cause(cause)


def error_from(url: str, **more: object) -> Exception:
    with pytest.raises(Exception) as caught:
        session_at(url, read_timeout=0.3, **more).changing("kms").disable_key(KeyId="alias/x")
    return caught.value


@pytest.mark.parametrize(
    ("behaviour", "status", "body", "is_certain", "cause"),
    [
        ("hang", 200, b"", False, "unreachable"),
        ("drop", 200, b"", False, "unreachable"),
        ("half", 500, b'{"__type": "KMSInternalException"}', False, "server_error"),
        ("ok", 500, b'{"__type": "KMSInternalException", "message": "oops"}', False, "server_error"),
        ("ok", 503, b"<html>Service Unavailable</html>", False, "server_error"),
        ("ok", 503, b'{"__type": "ThrottlingException"}', True, "throttled"),
        ("ok", 408, b'{"__type": "RequestTimeout"}', False, "unreachable"),
        ("ok", 400, b'{"__type": "AccessDeniedException", "message": "no"}', True, "access_denied"),
        ("ok", 400, b'{"__type": "ThrottlingException", "message": "Rate exceeded"}', True, "throttled"),
    ],
)
def test_an_answer_is_certain_or_open(
    rude: Rude, behaviour: str, status: int, body: bytes, is_certain: bool, cause: str
) -> None:
    rude.behaviour, rude.status, rude.body = behaviour, status, body
    error = error_from(rude.url)
    assert certain(error) is is_certain
    said = understand(error)
    assert said is not None
    assert said.cause == cause
    assert len(rude.got) == 1


def test_a_refused_connection_changed_nothing(nobody: str) -> None:
    error = error_from(nobody)
    assert certain(error)
    assert understand(error).cause is Cause.UNREACHABLE  # type: ignore[union-attr]


def test_a_name_that_does_not_resolve_changed_nothing() -> None:
    assert certain(error_from("http://gameday.invalid"))


def test_the_fence_and_missing_credentials_changed_nothing(rude: Rude) -> None:
    assert certain(error_from(rude.url, fence=lambda: False))
    assert certain(NoCredentialsError())
    assert certain(ParamValidationError(report="bad"))
    assert rude.got == []


@pytest.mark.parametrize("kind", ["lost_response", "hang"])
def test_a_change_that_lands_although_nobody_heard_is_open(lab: LabControl, aws: Session, key: str, kind: str) -> None:
    lab.trouble(kind, service="kms", operation="DisableKey", times=1, seconds=1)
    with pytest.raises(Exception) as caught:
        session_at(lab.url, read_timeout=0.3).changing("kms").disable_key(KeyId=key)
    assert not certain(caught.value)
    if kind == "lost_response":
        assert aws.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"


def test_what_no_one_knows_is_open() -> None:
    assert not certain(RuntimeError("a bug"))


def test_the_request_id_is_kept(lab: LabControl, aws: Session) -> None:
    with pytest.raises(ClientError) as caught:
        aws.client("kms").describe_key(KeyId="alias/none")
    assert request_id_of(caught.value) == understand(caught.value).request_id != ""  # type: ignore[union-attr]
    assert request_id_of(RuntimeError()) == ""


def test_a_bug_and_an_interruption_pass_through(aws: Session) -> None:
    with pytest.raises(ZeroDivisionError), aws.answering():
        raise ZeroDivisionError
    with pytest.raises(Interrupted), aws.answering():
        raise Interrupted("over")


def test_the_query_of_an_address_is_not_shown(nobody: str) -> None:
    aws = session_at(nobody)
    with aws.answering() as answer:
        aws.client("s3").list_objects_v2(Bucket="bucket", Prefix="secret-prefix")
    assert nobody in answer.detail
    assert "secret" not in answer.detail


@pytest.mark.parametrize(
    ("env", "config", "cause"),
    [
        (
            {
                "AWS_ACCESS_KEY_ID": "a",
                "AWS_SECRET_ACCESS_KEY": "b",
                "AWS_CREDENTIAL_EXPIRATION": "2020-01-01T00:00:00Z",
            },
            "",
            "credentials",
        ),
        (
            {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_CREDENTIAL_EXPIRATION": "tomorrow-ish"},
            "",
            "credentials",
        ),
        ({}, "credential_process = echo no JSON", "credentials"),
        ({}, "credential_process = /no/such/program", "credentials"),
        (
            {},
            """credential_process = echo '{"Version":1,"AccessKeyId":"a","SecretAccessKey":"b","Expiration":"soon"}'""",
            "credentials",
        ),
        ({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, "endpoint_url = not a url", "unreachable"),
    ],
)
def test_what_botocore_raises_of_ones_own_credentials_and_configuration_is_a_cause_and_never_sent(
    env: dict[str, str], config: str, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain RuntimeError, ValueError, JSONDecodeError and OSError, from botocore itself and not from a double of it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    (tmp_path / "config").write_text(f"[default]\nregion = us-east-1\n{config}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    session = Session(region="us-east-1", run="r", profile=None)
    try:
        session.client("sts").get_caller_identity()
    except Exception as error:  # noqa: BLE001 - whichever it is
        said = understand(error)
        assert said is not None, repr(error)
        assert said.cause == cause, repr(error)
        assert certain(error), "nothing was sent"
    else:
        pytest.fail("it was answered")
