"""Who we are, or one sentence that says what to do about it."""

from __future__ import annotations

import pytest
from aws_rig import ACCOUNT, Rude, session_at

from gameday.aws.identity import caller
from gameday.aws.session import Session
from gameday.errors import TargetError
from gameday.lab import LabControl


def test_the_lab_says_who_calls(aws: Session) -> None:
    account, arn = caller(aws)
    assert account == ACCOUNT
    assert arn.startswith("arn:aws:")


def sentence(aws: Session) -> str:
    with pytest.raises(TargetError) as caught:
        caller(aws)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_nobody_there(nobody: str) -> None:
    text = sentence(session_at(nobody))
    assert text.startswith(f"{nobody} does not answer")
    assert "check the endpoint" in text


def test_no_credentials() -> None:
    assert "name a profile" in sentence(Session(region="us-east-1", run="1", profile="no-such-profile"))


@pytest.mark.parametrize(
    ("code", "advice"),
    [("ExpiredToken", "log in again"), ("AccessDenied", "may ask who it is"), ("Throttling", "in a minute")],
)
def test_a_refusal(lab: LabControl, aws: Session, code: str, advice: str) -> None:
    lab.trouble("refuse", service="sts", operation="GetCallerIdentity", code=code, message="no")
    assert advice in sentence(aws)


def test_something_that_is_not_aws(rude: Rude) -> None:
    rude.body = b"<html>Welcome to the hotel's network</html>"
    assert "speaks STS" in sentence(session_at(rude.url))
