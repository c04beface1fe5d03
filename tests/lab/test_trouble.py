"""Each kind of injected trouble, and that it is aimed."""

from __future__ import annotations

import threading
import time
import urllib.request

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from gameday.lab import LabError

from .conftest import refused, until


def state(client, key):
    return client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"]


def test_throttle_counts_and_speaks_each_protocol(lab, client, key):
    lab.trouble("throttle", "kms", "EnableKey", times=2)
    kms = client("kms")
    for _ in range(2):
        assert refused(kms.enable_key, KeyId=key) == ("ThrottlingException", "Rate exceeded", 400)
    kms.enable_key(KeyId=key)
    lab.trouble("throttle", "ec2")
    assert refused(client("ec2").describe_instances)[0::2] == ("RequestLimitExceeded", 503)
    lab.trouble("throttle", "s3")
    assert refused(client("s3").list_buckets)[0::2] == ("SlowDown", 503)
    lab.trouble("throttle", "sts")
    assert refused(client("sts").get_caller_identity)[0] == "Throttling"


@pytest.mark.parametrize(
    "service, call",
    [
        ("kms", "list_keys"),
        ("ec2", "describe_volumes"),
        ("s3", "list_buckets"),
        ("iam", "list_users"),
        ("cloudwatch", "describe_alarms"),
        ("scheduler", "list_schedules"),
        ("cloudtrail", "lookup_events"),
    ],
)
def test_server_errors_speak_each_protocol(lab, client, service, call):
    lab.trouble("server_error", service, times=1)
    assert refused(getattr(client(service), call))[2] == 500


def test_refuse_says_what_it_was_told(lab, client, key):
    lab.trouble("refuse", "kms", "DisableKey", code="AccessDeniedException", message="an SCP says no")
    assert refused(client("kms").disable_key, KeyId=key)[:2] == ("AccessDeniedException", "an SCP says no")
    assert state(client, key) == "Enabled"


def test_a_hang_holds_up_only_itself_and_has_no_effect(lab, client, key):
    lab.trouble("hang", "kms", "DisableKey", seconds=60, times=1)
    with pytest.raises(ReadTimeoutError):
        client("kms", read_timeout=1).disable_key(KeyId=key)
    assert state(client, key) == "Enabled"
    lab.trouble("hang", "kms", "DisableKey", seconds=0.2, times=1)
    assert refused(client("kms").disable_key, KeyId=key)[2] == 503
    assert state(client, key) == "Enabled"


def test_others_are_served_during_a_hang(lab, client, key):
    lab.trouble("hang", "kms", "DisableKey", seconds=2, times=1)
    answers = []
    hung = threading.Thread(target=lambda: answers.append(refused(client("kms").disable_key, KeyId=key)), daemon=True)
    hung.start()
    until(lambda: not lab.troubles()[0]["times"])
    began = time.monotonic()
    assert state(client, key) == "Enabled"
    assert time.monotonic() - began < 1
    assert not answers
    hung.join()


def test_a_lost_response_takes_effect(lab, client, key):
    lab.trouble("lost_response", "kms", "DisableKey", times=1)
    with pytest.raises(ConnectionClosedError):
        client("kms").disable_key(KeyId=key)
    assert state(client, key) == "Disabled"


def test_a_late_effect_lands_although_the_caller_left(lab, client, key):
    lab.trouble("late_effect", "kms", "DisableKey", times=1, seconds=30)
    with pytest.raises(ReadTimeoutError):
        client("kms", read_timeout=1).disable_key(KeyId=key)
    assert state(client, key) == "Enabled"
    lab.advance(30)
    assert state(client, key) == "Disabled"


def test_a_late_effect_answers_a_patient_caller(lab, client, key):
    lab.trouble("late_effect", "kms", "DisableKey", times=1, seconds=0.5)
    began = time.monotonic()
    client("kms").disable_key(KeyId=key)
    assert time.monotonic() - began >= 0.5
    assert state(client, key) == "Disabled"


def test_a_stale_read_shows_the_past(lab, client, key):
    assert state(client, key) == "Enabled"
    client("kms").disable_key(KeyId=key)
    lab.trouble("stale", "kms", "DescribeKey", times=2)
    assert [state(client, key) for _ in range(3)] == ["Enabled", "Enabled", "Disabled"]


def test_trouble_is_aimed_at_one_client(lab, client, key):
    lab.trouble("refuse", "*", "*", user_agent="gameday/")
    assert state(client, key) == "Enabled"
    assert refused(client("kms", user_agent_extra="gameday/1").list_keys)[0] == "AccessDeniedException"


def test_a_rate_meets_some(lab, client):
    lab.trouble("throttle", "kms", "ListKeys", rate=0.5)
    kms = client("kms")

    def outcome():
        try:
            kms.list_keys()
        except ClientError as error:
            return error.response["Error"]["Code"]
        return "ok"

    assert {outcome() for _ in range(60)} == {"ok", "ThrottlingException"}


def test_trouble_ends_when_told(lab, client):
    lab.trouble("throttle", "kms")
    lab.clear_trouble()
    client("kms").list_keys()


def test_mistakes_get_a_sentence(lab):
    with pytest.raises(LabError, match="no trouble of kind 'trottle'"):
        lab.trouble("trottle")
    with pytest.raises(LabError, match="trouble has no 'tims'"):
        lab.trouble("throttle", tims=3)
    with pytest.raises(LabError, match="no knob 'boot'; it has: boot_seconds"):
        lab.knobs(boot=3)
    with pytest.raises(LabError, match="takes seconds"):
        lab.knobs(boot_seconds=-1)
    with pytest.raises(LabError, match="is a switch"):
        lab.knobs(enforce_key=3)
    with pytest.raises(LabError, match="advance takes seconds"):
        lab.advance(-1)
    with pytest.raises(LabError, match="the lab has no GET /_lab/nothing"):
        lab._ask("GET", "nothing")


def test_calls_are_counted(lab, client, key):
    client("kms", user_agent_extra="counted/1").disable_key(KeyId=key)
    refused(client("kms").encrypt, KeyId=key, Plaintext=b"x")
    (disabled,) = lab.calls("kms", "DisableKey")
    assert (disabled["outcome"], disabled["status"], disabled["trouble"]) == ("ok", 200, None)
    assert "counted/1" in disabled["user_agent"]
    assert lab.calls("kms", "Encrypt")[0]["outcome"] == "DisabledException"


def test_unsigned_nonsense_is_answered(lab):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{lab.url}/no-such-bucket/x")
    assert caught.value.code in (403, 404)
