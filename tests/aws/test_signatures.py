"""What is said to AWS is signed as AWS asks, at the first request and at every later one over the same connection."""

from __future__ import annotations

import boto3
import pytest
import time_machine
from aws_rig import REGION, session_at
from botocore.config import Config
from sigv4 import checking

from gameday.aws.made import Keys
from gameday.blastradius._s3 import fetch_with
from gameday.sdk import Cause
from probes.s3_read import S3Read

ID, SECRET, TOKEN = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "a/session+token=="
NAMES = ["clock.png", "with space+plus", "a%20b", "ünïcode/☃", "a//b/../c", "~!*'()&=?#", "x" * 900]


@pytest.mark.parametrize("token", ["", TOKEN])
@pytest.mark.parametrize("name", NAMES)
def test_every_read_over_one_connection_is_signed(name: str, token: str) -> None:
    with checking({ID: SECRET}, {ID: token}) as s3:
        aws = session_at(s3.url, keys=Keys(ID, SECRET, token))
        reads = [aws.read_object("bucket", name, 100) for _ in range(3)]
    assert reads == [5, 5, 5]
    assert s3.right == [True, True, True]
    assert len(set(s3.ports)) == 1, "the connection was not kept"


@pytest.mark.parametrize("name", NAMES)
def test_a_presigned_link_is_signed(name: str) -> None:
    with checking({ID: SECRET}, {ID: TOKEN}) as s3:
        aws = session_at(s3.url, keys=Keys(ID, SECRET, TOKEN))
        probe = S3Read(bucket="bucket", key=name, access="presigned")
        assert [probe.observe(aws).cause for _ in range(2)] == [Cause.OK, Cause.OK]
    assert s3.right == [True, True]


@pytest.mark.parametrize("name", [name for name in NAMES if ".." not in name])
def test_log_files_are_fetched_with_right_signatures(name: str) -> None:
    """obstore signs by itself; it does not ask for a key with `..` in it, and such a file is counted as not read."""
    with checking({ID: SECRET}, {ID: TOKEN}) as s3:
        fetched = [*fetch_with("bucket", s3.url, REGION, (ID, SECRET, TOKEN))([name, name, name])]
    assert [data for _, data in fetched] == [b"hello"] * 3
    assert s3.right == [True, True, True]


def test_a_wrong_secret_is_seen() -> None:
    """The check itself can say no."""
    with checking({ID: SECRET}) as s3:
        aws = session_at(s3.url, keys=Keys(ID, "another", ""))
        assert S3Read(bucket="bucket", key="clock.png").observe(aws).code == "SignatureDoesNotMatch"
    assert s3.right == [False]


@pytest.mark.parametrize("name", NAMES)
def test_a_read_is_byte_for_byte_what_boto3_asks(name: str) -> None:
    """Under one clock the signature is the same too, at the second read as at the first."""
    with checking({ID: SECRET}, {ID: TOKEN}) as s3, time_machine.travel("2026-11-29T10:00:00Z", tick=False):
        plain = boto3.client(
            "s3",
            endpoint_url=s3.url,
            region_name=REGION,
            aws_access_key_id=ID,
            aws_secret_access_key=SECRET,
            aws_session_token=TOKEN,
            config=Config(
                proxies={},
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1, "mode": "standard"},
                user_agent_extra="gameday/7f3a",
            ),
        )
        aws = session_at(s3.url, keys=Keys(ID, SECRET, TOKEN))
        for _ in range(2):
            plain.get_object(Bucket="bucket", Key=name)["Body"].read()
            aws.read_object("bucket", name, 100)
    asked = [
        (method, target, {name: value for name, value in headers.items() if name != "amz-sdk-invocation-id"})
        for method, target, headers in s3.requests
    ]
    assert asked[1] == asked[0]
    assert asked[3] == asked[2]
    assert "signature=" in asked[3][2]["authorization"].lower()
