"""Which credentials last without a human, and which a run must be refused with."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aws_rig import session_at
from botocore.credentials import RefreshableCredentials

from gameday.aws.assumed import Role
from gameday.aws.lasting import Lasting, lasting
from gameday.aws.session import Session
from gameday.lab import LabControl

NEEDED = 900.0


def refusal(session: Session) -> str:
    return lasting(session).refusal(NEEDED, datetime.now(UTC))


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A clean chain of credentials: files and variables as the test says."""
    for name in ("PROFILE", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "CREDENTIAL_EXPIRATION"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))

    def says(config: str = "", credentials: str = "", **env: str) -> Session:
        (tmp_path / "config").write_text(config)
        (tmp_path / "credentials").write_text(credentials)
        for name, value in env.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        return Session(region="us-east-1", run="1", profile="work" if "[work]" in credentials + config else None)

    return says


KEYS = {"ACCESS_KEY_ID": "AKIA", "SECRET_ACCESS_KEY": "x"}
PASTED = "[work]\naws_access_key_id=ASIA\naws_secret_access_key=x\naws_session_token=t\n"


def in_(**time_: float) -> str:
    return (datetime.now(UTC) + timedelta(**time_)).isoformat()


def test_an_access_key_lasts(chain: Any) -> None:
    assert refusal(chain(**KEYS)) == ""


def test_a_session_token_whose_end_is_unknown_is_refused(chain: Any) -> None:
    assert "nothing says when" in refusal(chain(**KEYS, SESSION_TOKEN="t"))


def test_a_pasted_session_token_is_refused_until_its_end_is_said(chain: Any) -> None:
    assert "the shared credentials file ends sometime" in refusal(chain(credentials=PASTED))
    assert refusal(chain(credentials=PASTED, CREDENTIAL_EXPIRATION=in_(hours=3))) == ""


def test_a_session_token_that_ends_too_soon_is_refused_with_the_time(chain: Any) -> None:
    why = refusal(chain(**KEYS, SESSION_TOKEN="t", CREDENTIAL_EXPIRATION=in_(minutes=12)))
    assert "ends at" in why and "in 1" in why and "15 min" in why and "log in again" in why


def test_a_session_token_that_lasts_long_enough_is_taken(chain: Any) -> None:
    assert refusal(chain(**KEYS, SESSION_TOKEN="t", CREDENTIAL_EXPIRATION=in_(hours=2))) == ""


@pytest.mark.parametrize(("method", "good"), [("sso", False), ("assume-role", True), ("iam-role", True)])
def test_a_renewal_counts_unless_it_needs_a_human(chain: Any, method: str, good: bool) -> None:
    session = chain()
    soon = datetime.now(UTC) + timedelta(minutes=14)
    found = RefreshableCredentials("a", "b", "c", soon, dict, method, advisory_timeout=0)
    found._mandatory_refresh_timeout = 0  # type: ignore[attr-defined]
    session.boto._session._credentials = found
    assert (refusal(session) == "") is good


def test_a_profile_that_wants_a_code_from_a_human_does_not_renew_itself(chain: Any) -> None:
    session = chain(config="[profile base]\nmfa_serial=arn:aws:iam::1:mfa/me\n[profile work]\nsource_profile=base\n")
    session = Session(region="us-east-1", run="1", profile="work")
    soon = datetime.now(UTC) + timedelta(minutes=14)
    found = RefreshableCredentials("a", "b", "c", soon, dict, "assume-role", advisory_timeout=0)
    found._mandatory_refresh_timeout = 0  # type: ignore[attr-defined]
    session.boto._session._credentials = found  # type: ignore[attr-defined]
    assert "not renewed without a human" in refusal(session)


def test_an_assumed_role_lasts_as_long_as_who_assumes_it(lab: LabControl) -> None:
    aws = session_at(lab.url).as_role(Role("role/x", seconds=900))
    assert lasting(aws) == Lasting(None, "an access key")


def test_a_roles_own_session_is_enough_when_nothing_renews_it(
    lab: LabControl, chain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.knobs(enforce_policies=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", lab.url)
    base = chain(**KEYS, SESSION_TOKEN="t", CREDENTIAL_EXPIRATION=in_(minutes=1)).but(account="123456789012")
    assert refusal(base.as_role(Role("role/x", seconds=3600))) == ""
    short = refusal(base.as_role(Role("role/y", seconds=900)))
    assert "role/y" in short and "not renewed without a human" in short


def test_a_session_is_renewed_before_it_ends_and_an_sts_that_stumbles_costs_nothing(lab: LabControl) -> None:
    lab.knobs(session_seconds=6, enforce_policies=False)
    aws = session_at(lab.url).as_role("role/app")
    try:
        began = time.monotonic()
        aws.client("kms").list_keys()
        lab.trouble("server_error", "sts", "AssumeRole", times=1)  # the first renewal fails
        while time.monotonic() < began + 7:  # past the end of the first session
            aws.client("kms").list_keys()
            time.sleep(0.05)
    finally:
        lab.knobs(session_seconds=0)
    outcomes = [(call["operation"], call["outcome"]) for call in lab.calls()]
    assert ("ListKeys", "ExpiredTokenException") not in outcomes
    assert len([1 for operation, outcome in outcomes if operation == "AssumeRole" and outcome != "ok"]) == 1
    assert len([1 for operation, outcome in outcomes if operation == "AssumeRole"]) >= 3


def test_a_session_that_nobody_renews_is_refused_by_every_service(lab: LabControl, client: Any) -> None:
    """The lab's own behaviour, which the test before stands on."""
    lab.knobs(session_seconds=1, enforce_policies=False)
    given = client("sts").assume_role(RoleArn="arn:aws:iam::123456789012:role/app", RoleSessionName="tester")[
        "Credentials"
    ]
    lab.knobs(session_seconds=0)
    time.sleep(max(0.0, (given["Expiration"] - datetime.now(UTC)).total_seconds()) + 0.05)
    from gameday.aws.made import Keys

    aws = session_at(lab.url, keys=Keys(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]))
    for service, call in (("kms", "list_keys"), ("s3", "list_buckets"), ("ec2", "describe_volumes")):
        with aws.answering() as answer:
            getattr(aws.client(service), call)()  # type: ignore[call-overload]
        assert answer.code.startswith("ExpiredToken") and answer.cause == "credentials"
