"""GetObject on the lab beside plain moto's own server, in the same run on the same machine.

    python benchmarks/lab.py

Both serve from a process of their own; requests alternate in small rounds, so that a busy machine is busy for both.
Ends non-zero when a read from the lab takes longer than from moto. The lab reads an object under
SSE-S3, as moto does, and then one under a key, which moto does not ask: that figure is for information.
"""

from __future__ import annotations

import contextlib
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from gameday.lab import start

BAR, ROUNDS, EACH = 1.0, 40, 10
MOTO = "import sys; from moto.server import main; main(['-H', '127.0.0.1', '-p', sys.argv[1]])"


def client(service: str, url: str) -> Any:
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    config = Config(proxies={}, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    return boto3.client(service, endpoint_url=url, region_name="us-east-1", config=config, **keys)


@contextlib.contextmanager
def moto() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen([sys.executable, "-c", MOTO, str(port)], **quiet)  # type: ignore[call-overload]
    try:
        until = time.monotonic() + 60
        while True:
            try:
                client("s3", f"http://127.0.0.1:{port}").list_buckets()
                break
            except BotoCoreError:
                if server.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def reader(url: str, key: str = "") -> Callable[[], None]:
    """Puts an object, and gives what reads it."""
    s3, more = client("s3", url), {}
    if key:
        more = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    bucket = "gameday-keyed" if key else "gameday-plain"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="clock.png", Body=b"\x89PNG" * 1024, **more)
    return lambda: s3.get_object(Bucket=bucket, Key="clock.png")["Body"].read()


def main() -> None:
    with moto() as plain, start("instant") as lab:
        key = client("kms", lab.url).create_key()["KeyMetadata"]["Arn"]
        reads = {"moto": reader(plain), "lab": reader(lab.url), "lab, under a key": reader(lab.url, key)}
        took: dict[str, list[float]] = {name: [] for name in reads}
        for number in range(ROUNDS + 3):
            for name, read in reads.items():
                for _ in range(EACH):
                    began = time.perf_counter()
                    read()
                    if number >= 3:  # the first ones warm both up
                        took[name].append(time.perf_counter() - began)
    middle = {name: statistics.median(each) for name, each in took.items()}
    for name, seconds in middle.items():
        print(f"GetObject  {name:<18} {seconds * 1000:6.2f} ms  {seconds / middle['moto']:5.2f} x moto")
    good = middle["lab"] <= BAR * middle["moto"]
    print(f"bar {BAR} x: {'ok' if good else 'MISSED'}")
    sys.exit(not good)


if __name__ == "__main__":
    main()
