"""What the tests of aws, faults, probes and stages share: one lab, an independent client, and a server that misbehaves.

Not a conftest, because four folders use it; each conftest imports it by path.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from botocore.config import Config

from gameday.aws.made import LAB_KEYS
from gameday.aws.session import Session
from gameday.lab import LabControl, LabProcess, start
from gameday.stages.ec2_instance import Ec2Instance
from gameday.stages.kms_key import KmsKey
from gameday.stages.s3_object import S3Object

ACCOUNT, REGION = "123456789012", "us-east-1"
INSTANT = {
    "kms_propagation": 0,
    "bucket_key_ttl": 0,
    "cloudtrail_delay": 0,
    "lookup_interval": 0,
    "cloudtrail_file_interval": 3600,
    "boot_seconds": 0,
    "stop_seconds": 0,
    "status_check_seconds": 0,
    "enforce_key": True,
    "enforce_policies": True,
    "record_trail": True,
    "session_seconds": 0,
}


_BOTO = boto3.Session()


@functools.cache
def _one_lab() -> LabProcess:
    """One for all four folders: a session's fixture would be one for each conftest that imports it."""
    running = start("instant")
    atexit.register(running.stop)
    return running


@pytest.fixture
def process() -> LabProcess:
    return _one_lab()


@pytest.fixture
def lab(process: LabProcess) -> LabControl:
    process.control.clear_trouble()
    process.control.reset()
    process.control.knobs(**INSTANT)
    return process.control


@pytest.fixture
def client(lab: LabControl) -> Callable[[str], Any]:
    """A client of the test's own, that nothing of gameday has touched."""
    return lambda service, **more: _BOTO.client(
        service,
        endpoint_url=lab.url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(proxies={}, retries={"total_max_attempts": 1}),
        **more,
    )


def session_at(url: str, **more: Any) -> Session:
    return Session(**{"region": REGION, "run": "7f3a", "account": ACCOUNT, "endpoint": url, "keys": LAB_KEYS, **more})


@pytest.fixture
def aws(lab: LabControl) -> Session:
    return session_at(lab.url)


@pytest.fixture
def key(client: Callable[[str], Any]) -> str:
    """The ARN of an enabled key with the alias MyKMSKey."""
    kms = client("kms")
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/MyKMSKey", TargetKeyId=arn)
    return str(arn)


@pytest.fixture
def clock(aws: Session, key: str) -> S3Object:
    step = S3Object(bucket="gameday-clock", key="clock.png", sse_kms_key="alias/MyKMSKey")
    step.make(aws)
    return step


@pytest.fixture
def instance(aws: Session, key: str, client: Callable[[str], Any]) -> str:
    """The ARN of LabInstance, running, its root volume under the key."""
    Ec2Instance(name="LabInstance", root_volume_key="alias/MyKMSKey").make(aws)
    found = client("ec2").describe_instances()["Reservations"][0]["Instances"][0]
    return f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{found['InstanceId']}"


@dataclass
class Rude:
    """A server on loopback that answers every request the same way, and remembers what it got."""

    url: str
    behaviour: str = "ok"
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    got: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def rude() -> Iterator[Rude]:
    over = threading.Event()

    class Server(ThreadingHTTPServer):
        def handle_error(self, *args: Any) -> None:
            """A client that hangs up is what some tests are about."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            server.got.append(
                {
                    "method": self.command,
                    "path": self.path,
                    "port": str(self.client_address[1]),
                    **{k.lower(): v for k, v in self.headers.items()},
                }
            )
            if server.behaviour == "hang":
                over.wait(30)
            if server.behaviour in ("hang", "drop"):
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                return
            half = len(server.body) // 2 if server.behaviour == "half" else len(server.body)
            self.send_response(server.status)
            for name, value in {"content-length": str(len(server.body)), **server.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):  # a client may have read enough
                self.wfile.write(server.body[:half])
            if server.behaviour == "trickle":
                over.wait(30)
            self.close_connection = server.behaviour != "ok"

        do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _answer  # noqa: N815  (http.server's names)

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    listening = Server(("127.0.0.1", 0), Handler)
    server = Rude(f"http://127.0.0.1:{listening.server_port}")
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield server
    over.set()
    listening.shutdown()
    listening.server_close()


@pytest.fixture
def nobody() -> str:
    """An address on loopback where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


__all__ = ["KmsKey", "aws", "client", "clock", "instance", "key", "lab", "nobody", "process", "rude"]
