"""What is no call of boto3's leaves this host the way that boto3's calls do: the same proxies and certificates."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import urllib3
from aws_rig import REGION, session_at
from outward_rig import authority, proxying, serving
from prometheus_client import CollectorRegistry, Gauge
from sigv4 import checking

from exporters.prometheus_families import Owned
from exporters.prometheus_push import Push
from gameday.aws import outward
from gameday.aws.made import Keys
from gameday.aws.session import Session
from gameday.sdk import Cause, Observation
from probes.http_get import HttpGet
from probes.prometheus_query import PrometheusQuery
from probes.s3_read import S3Read

ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
INSIDE = "inside.example"
AROUND = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
PROMETHEUS = {"status": "success", "data": {"resultType": "scalar", "result": [0, "1"]}}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*AROUND, *(each.upper() for each in AROUND), "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


class Web(BaseHTTPRequestHandler):
    """Answers everything as Prometheus does."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.dumps(PROMETHEUS).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815 - http.server's names

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return authority(tmp_path_factory.mktemp("authority"), INSIDE)


@pytest.fixture
def web() -> Iterator[str]:
    with serving(Web) as where:
        yield where


@pytest.fixture
def tls(certificates: tuple[Path, Path]) -> Iterator[str]:
    with serving(Web, certificates[1]) as where:
        yield where


def usual(url: str) -> Session:
    """As on a real account: the environment decides."""
    return Session(region=REGION, run="7f3a", endpoint=url)


def of_all(address: str, profile: str | None = None) -> tuple[Observation, Observation, list[str]]:
    """What http.get and prometheus.query see, and what a push complains of."""
    aws = Session(region=REGION, run="7f3a", profile=profile)
    complaints: list[str] = []
    registry = CollectorRegistry()
    Gauge("up", "Up.", registry=registry).set(1)
    Push(address, complaints.append, outward.gateway(profile)).push(registry, Owned("p", "t", "1", "r"))
    query = PrometheusQuery(url=address, query="up", above=0)
    return HttpGet(url=address).observe(aws), query.observe(aws), complaints


def test_signed_and_presigned_reads_go_through_the_same_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with checking({ID: SECRET}) as s3, proxying(s3.url.removeprefix("http://")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("http://", "http://me:s%40cret@"))
        aws = usual(f"http://{INSIDE}")
        for access in ("authenticated", "presigned", "anonymous"):
            S3Read.model_validate({"bucket": "bucket", "key": "a b", "access": access}).observe(aws)
    assert s3.right == [True, True, False]
    known = "Basic " + base64.b64encode(b"me:s@cret").decode()
    assert [(method, target.partition("?")[0], who) for method, target, who in proxy.got] == [
        ("GET", f"http://{INSIDE}/bucket/a%20b", known)
    ] * 3


def test_no_proxy_and_the_lab_go_around_it(monkeypatch: pytest.MonkeyPatch, nobody: str) -> None:
    read = S3Read(bucket="bucket", key="k", access="presigned")
    with checking({ID: SECRET}) as s3:
        monkeypatch.setenv("http_proxy", nobody)
        assert read.observe(usual(s3.url)).cause is Cause.UNREACHABLE
        assert read.observe(session_at(s3.url, keys=Keys(ID, SECRET))).cause is Cause.OK
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert read.observe(usual(s3.url)).cause is Cause.OK


def test_everything_else_goes_through_the_proxy(monkeypatch: pytest.MonkeyPatch, web: str) -> None:
    with proxying(web) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removeprefix("http://"))  # without a scheme, as botocore takes it
        got, asked, complaints = of_all(f"http://me:pw@{INSIDE}")
    assert (got.cause, asked.cause, complaints) == (Cause.OK, Cause.OK, [])
    assert {target.partition("?")[0] for _, target, _ in proxy.got} == {
        f"http://{INSIDE}/metrics/job/gameday/account/1/playbook/p/region/r/target/t",
        f"http://{INSIDE}/",
        f"http://{INSIDE}/api/v1/query",
    }


def test_a_gateway_that_refuses_is_named_with_its_status() -> None:
    complaints: list[str] = []
    with checking({ID: SECRET}) as s3:  # which knows no POST
        Push(s3.url, complaints.append, outward.gateway(None)).push(CollectorRegistry(), Owned("p"))
    assert complaints == [f"metrics could not be pushed to {s3.url}: it answered 501; the run goes on without"]


@pytest.mark.parametrize("how", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "profile"])
def test_an_authority_of_ones_own_is_trusted_through_a_tunnel(
    monkeypatch: pytest.MonkeyPatch, tls: str, certificates: tuple[Path, Path], tmp_path: Path, how: str
) -> None:
    with proxying(tls) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        got, asked, complaints = of_all(f"https://{INSIDE}")
        assert (got.code, asked.code) == ("SSLError", "SSLError")
        assert len(complaints) == 1
        profile = None
        if how == "profile":
            known = f"aws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\n"
            (tmp_path / "config").write_text(f"[profile corporate]\n{known}ca_bundle = {certificates[0]}\n")
            profile = "corporate"
        else:
            monkeypatch.setenv(how, str(certificates[0]))
        got, asked, complaints = of_all(f"https://{INSIDE}", profile)
        assert (got.cause, asked.cause, complaints) == (Cause.OK, Cause.OK, [])
        read = S3Read(bucket="bucket", key="k", access="presigned")
        aws = Session(region=REGION, run="7f3a", endpoint=f"https://{INSIDE}", profile=profile)
        assert read.observe(aws).cause is Cause.OK
    assert {(method, target) for method, target, _ in proxy.got} == {("CONNECT", f"{INSIDE}:443")}


def test_a_bundle_that_does_not_know_the_server_is_no_trust(
    monkeypatch: pytest.MonkeyPatch, tls: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other, _ = authority(tmp_path_factory.mktemp("other"), INSIDE)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(other))
    with proxying(tls) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        got, asked, complaints = of_all(f"https://{INSIDE}")
    assert (got.code, asked.code, len(complaints)) == ("SSLError", "SSLError", 1)


def test_no_signature_reaches_a_log(caplog: pytest.LogCaptureFixture, web: str) -> None:
    address = f"http://{web}/bucket/k?X-Amz-Signature=5ecret"
    with caplog.at_level(logging.DEBUG), session_at("http://x").web(address, urllib3.Timeout(5)) as answer:
        assert answer.status == 200
    assert '"GET /bucket/k?… HTTP/1.1" 200' in caplog.text
    assert "5ecret" not in caplog.text
