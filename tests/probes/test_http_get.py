"""http.get: healthy is the status and text asked for, all else is unhealthy and says in what way."""

from __future__ import annotations

import pytest
from aws_rig import Rude, session_at
from pydantic import ValidationError

from gameday.sdk import Cause
from probes.http_get import HttpGet

AWS = session_at("http://127.0.0.1:1")


def test_it_is_well(rude: Rude) -> None:
    rude.body = b"all is well"
    seen = HttpGet(url=rude.url, contains="is well").observe(AWS)
    assert (seen.cause, seen.code) == (Cause.OK, "")
    assert seen.latency > 0


def test_another_status(rude: Rude) -> None:
    rude.status = 503
    seen = HttpGet(url=f"{rude.url}/health?token=secret").observe(AWS)
    assert (seen.cause, seen.code) == (Cause.UNHEALTHY, "503")
    assert seen.detail == f"{rude.url}/health answered 503, not 200"
    assert HttpGet(url=rude.url, status=503).observe(AWS).cause is Cause.OK


def test_the_text_is_missing(rude: Rude) -> None:
    rude.body = b"maintenance"
    seen = HttpGet(url=rude.url, contains="well").observe(AWS)
    assert (seen.cause, seen.code) == (Cause.UNHEALTHY, "MissingText")


def test_a_redirect_is_not_followed(rude: Rude) -> None:
    rude.status, rude.headers = 302, {"location": "/login"}
    assert HttpGet(url=rude.url).observe(AWS).code == "302"
    assert len(rude.got) == 1


@pytest.mark.parametrize("behaviour", ["hang", "drop", "half", "trickle"])
def test_no_whole_answer_in_time(rude: Rude, behaviour: str) -> None:
    rude.behaviour, rude.body = behaviour, b"x" * 100
    seen = HttpGet.model_validate({"url": f"{rude.url}/?token=secret", "timeout": "300ms", "contains": "y"}).observe(
        AWS
    )
    assert seen.cause is Cause.UNHEALTHY
    assert seen.latency < 3
    assert "secret" not in seen.detail + seen.code
    assert len(rude.got) == 1


def test_nobody_there(nobody: str) -> None:
    seen = HttpGet(url=nobody.replace("http://", "http://me:secret@")).observe(AWS)
    assert (seen.cause, seen.code) == (Cause.UNHEALTHY, "NewConnectionError")
    assert "secret" not in seen.detail


def test_the_environments_proxy_is_asked_unless_no_proxy_says_otherwise(
    rude: Rude, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", nobody)
    assert HttpGet(url=rude.url).observe(AWS).code == "ProxyError"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert HttpGet(url=rude.url).observe(AWS).cause is Cause.OK


@pytest.mark.parametrize("url", ["", "shop.example", "file:///etc/passwd", "http://", "ftp://shop.example"])
def test_what_is_no_web_address(url: str) -> None:
    with pytest.raises(ValidationError, match="is not a web address"):
        HttpGet(url=url)
