"""A session names its run on the wire, calls once, looks at no one else's environment, and asks before it changes."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aws_rig import ACCOUNT, Rude, session_at

from gameday.aws.made import LAB_KEYS, Keys
from gameday.aws.session import Session
from gameday.errors import Interrupted
from gameday.lab import LabControl
from gameday.sdk import AWS, Cause


def test_every_call_carries_the_run_in_its_user_agent(rude: Rude) -> None:
    aws = session_at(rude.url)
    for service, call in (("kms", "list_keys"), ("s3", "list_buckets"), ("ec2", "describe_instances")):
        with aws.answering():
            getattr(aws.client(service), call)()  # type: ignore[call-overload]
    with aws.answering():
        aws.changing("kms").enable_key(KeyId="alias/x")
    assert len(rude.got) == 4
    assert all("gameday/7f3a" in request["user-agent"].split() for request in rude.got)


def test_cloudtrail_itself_shows_the_run(aws: Session, key: str) -> None:
    aws.client("kms").describe_key(KeyId=key)
    [event] = aws.client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "DescribeKey"}]
    )["Events"]
    assert "gameday/7f3a" in event["CloudTrailEvent"]


def test_a_lab_session_ignores_whatever_the_environment_holds(
    lab: LabControl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[default]\nregion = nowhere-1\nendpoint_url = http://127.0.0.1:1\n[broken")
    for name, value in {
        "AWS_PROFILE": "no-such-profile",
        "AWS_DEFAULT_PROFILE": "no-such-profile",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "config"),
        "AWS_ACCESS_KEY_ID": "AKIAREALLYREAL",
        "AWS_SECRET_ACCESS_KEY": "real",
        "AWS_SESSION_TOKEN": "real",
        "AWS_DEFAULT_REGION": "eu-north-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1",
        "AWS_CA_BUNDLE": "/no/such/bundle.pem",
        "REQUESTS_CA_BUNDLE": "/no/such/bundle.pem",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_MAX_ATTEMPTS": "9",
        "AWS_RETRY_MODE": "nonsense",
    }.items():
        monkeypatch.setenv(name, value)
    aws = session_at(lab.url, keys=Keys("not-yet-seen", "secret"))  # so that nothing is remembered from before
    assert aws.client("sts").get_caller_identity()["Account"] == ACCOUNT
    assert aws.client("s3").list_buckets()["Buckets"] == []
    assert aws.client("kms").list_keys()["Keys"] == []


def test_without_keys_boto3_decides_as_everywhere(rude: Rude, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = AKIAWORK\naws_secret_access_key = x\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", rude.url)
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    aws = Session(region="us-east-1", run="1", profile="work")
    with aws.answering():
        aws.client("kms").list_keys()
    assert "AKIAWORK" in rude.got[0]["authorization"]


def test_a_profile_that_does_not_exist_is_about_credentials() -> None:
    aws = Session(region="us-east-1", run="1", profile="no-such-profile")
    with aws.answering() as answer:
        aws.client("sts").get_caller_identity()
    assert answer.cause is Cause.CREDENTIALS
    assert "no-such-profile" in answer.detail


@pytest.mark.parametrize("status", [400, 429, 500, 503])
@pytest.mark.parametrize("behaviour", ["ok", "drop"])
def test_a_call_is_made_once_whatever_comes_back(rude: Rude, status: int, behaviour: str) -> None:
    rude.status, rude.behaviour, rude.body = status, behaviour, b'{"__type": "ThrottlingException"}'
    aws = session_at(rude.url)
    for kms in (aws.client("kms"), aws.changing("kms")):
        rude.got.clear()
        with aws.answering() as answer:
            kms.enable_key(KeyId="alias/x")
        assert not answer.ok
        assert len(rude.got) == 1


def test_silence_is_given_up_after_the_read_timeout(rude: Rude) -> None:
    rude.behaviour = "hang"
    aws = session_at(rude.url, read_timeout=0.3)
    with aws.answering() as answer:
        aws.client("kms").list_keys()
    assert answer.cause is Cause.UNREACHABLE
    assert 0.3 <= answer.observation().latency < 3


def test_s3_is_signed_with_version_4_and_addressed_by_path(rude: Rude) -> None:
    aws = session_at(rude.url)
    with aws.answering():
        aws.client("s3").get_object(Bucket="gameday-clock", Key="clock.png")
    assert rude.got[0]["path"] == "/gameday-clock/clock.png"
    assert rude.got[0]["authorization"].startswith("AWS4-HMAC-SHA256")
    assert "X-Amz-Algorithm=AWS4" in aws.client("s3").generate_presigned_url(
        "get_object", Params={"Bucket": "gameday-clock", "Key": "clock.png"}
    )


def test_the_fence_stops_a_change_before_it_is_sent_and_never_a_read(rude: Rude) -> None:
    may = threading.Event()
    may.set()
    aws = session_at(rude.url, fence=may.is_set)
    with aws.answering():
        aws.changing("kms").disable_key(KeyId="alias/x")
    may.clear()
    with pytest.raises(Interrupted):
        aws.changing("kms").disable_key(KeyId="alias/x")
    with pytest.raises(Interrupted), aws.answering():
        aws.changing("ec2").stop_instances(InstanceIds=["i-0123456789abcdef0"])
    assert len(rude.got) == 1
    with aws.answering():
        aws.client("kms").list_keys()
    assert len(rude.got) == 2


def test_another_fence_is_another_sessions_affair(rude: Rude) -> None:
    closed = session_at(rude.url, fence=lambda: False)
    with pytest.raises(Interrupted):
        closed.changing("kms").enable_key(KeyId="alias/x")
    rollback = closed.but(fence=lambda: True)
    with rollback.answering():
        rollback.changing("kms").enable_key(KeyId="alias/x")
    assert len(rude.got) == 1
    with pytest.raises(Interrupted):
        closed.changing("kms").enable_key(KeyId="alias/x")
    assert rollback.client("kms") is rollback.client("kms")


def test_a_fence_that_interrupts_by_itself_is_heard(rude: Rude) -> None:
    def fence() -> bool:
        raise Interrupted("the hold is lost")

    with pytest.raises(Interrupted, match="the hold is lost"):
        session_at(rude.url, fence=fence).changing("s3").delete_object(Bucket="bucket", Key="key")
    assert rude.got == []


def test_waiting_ends_at_once_when_the_run_stops() -> None:
    stopping = threading.Event()
    aws = session_at("http://127.0.0.1:1", stopping=stopping)
    aws.wait(0.01)
    threading.Timer(0.05, stopping.set).start()
    asked = time.monotonic()
    with pytest.raises(Interrupted):
        aws.wait(30)
    assert time.monotonic() - asked < 5


def test_threads_share_a_client_and_not_each_others_request_ids(lab: LabControl, aws: Session) -> None:
    together = threading.Barrier(8)

    def ask(_: int) -> tuple[int, set[str], str]:
        together.wait()
        ids: set[str] = set()
        for _ in range(5):
            with aws.answering() as answer:
                answered = aws.client("kms").list_keys()["ResponseMetadata"]["RequestId"]
            assert answer.request_id == answered
            ids.add(answer.request_id)
        return id(aws.client("kms")), ids, answer.request_id

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(ask, range(8)))
    assert len({client for client, _, _ in results}) == 1
    assert len(set().union(*(ids for _, ids, _ in results))) == 40


def test_it_is_what_the_sdk_calls_aws() -> None:
    began = datetime(2026, 11, 23, tzinfo=UTC)
    aws: AWS = session_at("http://127.0.0.1:1", partition="aws-cn", started=began)
    assert (aws.account, aws.region, aws.partition, aws.run, aws.started) == (
        ACCOUNT,
        "us-east-1",
        "aws-cn",
        "7f3a",
        began,
    )


def test_secrets_are_not_printed() -> None:
    assert "hush" not in repr(Keys("AKIA", "hush", "hush"))
    assert Keys("test", "test") == LAB_KEYS


def test_importing_it_does_not_import_boto3() -> None:
    code = (
        "import sys, gameday.aws.session, gameday.aws.resolve; print({'boto3', 'botocore.session'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout == b"set()\n"
