"""One lab a test session, as a process of its own; each test gets a fresh AWS inside it."""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from gameday.lab import LabControl, LabProcess, start

DEFAULTS = {
    "kms_propagation": 0,
    "bucket_key_ttl": 0,
    "data_key_reuse": 0,
    "cloudtrail_delay": 0,
    "lookup_interval": 0,
    "cloudtrail_file_interval": 5,
    "boot_seconds": 0,
    "stop_seconds": 0,
    "status_check_seconds": 0,
    "enforce_key": True,
    "enforce_policies": True,
    "record_trail": True,
    "ignore_public_access_block": False,
    "encrypt_volumes": True,
}


class PlainMoto(LabControl):
    """moto alone behind the lab's control path: it has no knobs, and time does not pass at a word."""

    def _ask(self, method: str, name: str, data: Any = None) -> Any:
        if name == "reset":
            urllib.request.urlopen(urllib.request.Request(f"{self.url}/moto-api/reset", b"", method="POST"), timeout=10)
        return {} if method == "POST" else []


class PlainMotoProcess:
    """moto's own server, as a process of its own."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        until(self._answers, 60)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2])), 1).close()
        except OSError:
            time.sleep(0.1)
            return False
        return True

    @property
    def control(self) -> LabControl:
        return PlainMoto(self.url)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="session")
def process() -> Iterator[LabProcess | PlainMotoProcess]:
    """The lab; with GAMEDAY_LAB=moto what it is made from, on which the rows of its table must fail."""
    running = PlainMotoProcess() if os.environ.get("GAMEDAY_LAB") == "moto" else start("instant")
    yield running
    running.stop()


@pytest.fixture
def lab(process: LabProcess) -> LabControl:
    control = process.control
    control.reset()
    control.knobs(**DEFAULTS)
    return control


@pytest.fixture(scope="session")
def clients(process: LabProcess) -> Callable[..., Any]:
    """Clients by what they are for: making one takes longer than most tests do."""
    session = boto3.Session()

    @functools.cache
    def make(service: str, key: str, secret: str, token: str | None, config: tuple[tuple[str, Any], ...]) -> Any:
        settings = Config(retries={"total_max_attempts": 1}, **{"read_timeout": 20, **dict(config)})
        return session.client(
            service,
            endpoint_url=process.url,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=settings,
        )

    return make


@pytest.fixture
def client(lab: LabControl, clients: Callable[..., Any]) -> Callable[..., Any]:
    """Clients of the lab: never retrying, as root unless told otherwise."""

    def get(service: str, *, key: str = "test", secret: str = "test", token: str | None = None, **config: Any) -> Any:
        return clients(service, key, secret, token, tuple(sorted(config.items())))

    return get


def refused(call: Callable[..., Any], /, **arguments: Any) -> tuple[str, str, int]:
    """Code, message and status of the error that a call must get."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return (
        answer["Error"]["Code"],
        answer["Error"].get("Message", ""),
        answer["ResponseMetadata"]["HTTPStatusCode"],
    )


def until(holds: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Poll until it is true; its value."""
    end = time.monotonic() + seconds
    while True:
        value = holds()
        if value or time.monotonic() > end:
            assert value, "it did not become true in time"
            return value


@pytest.fixture
def key(client: Callable[..., Any], lab: LabControl) -> str:
    """The ARN of a fresh key with the alias MyKMSKey; its id for plain moto, which has no other name for it."""
    kms = client("kms")
    arn = kms.create_key(Description="the lab's tests")["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/MyKMSKey", TargetKeyId=arn)
    return str(arn).rpartition("/")[2] if isinstance(lab, PlainMoto) else str(arn)
