"""Several accounts and Regions, from outside: which logs are read, and who was where."""

# ruff: noqa: E501  (tables, and XML)
from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from gameday.lab import LabProcess
from tests.blastradius.shapes import ACCOUNT, OTHER, REGION, made, put

GAMEDAY = str(Path(sys.executable).parent / "gameday")
MRK = "mrk-1234abcd12ab34cd56ef1234567890ab"
ELSEWHERE = "us-east-1"
ROLE = f"arn:aws:iam::{OTHER}:role/reader"


def arn(region: str) -> str:
    return f"arn:aws:kms:{region}:{ACCOUNT}:key/{MRK}"


def used(account: str, region: str, number: int) -> dict[str, Any]:
    """Somebody of an account used the key, or its replica, in a Region."""
    who = {"type": "AssumedRole", "arn": f"arn:aws:sts::{account}:assumed-role/app-{number}/s", "accountId": account}
    return made(
        userIdentity=who, awsRegion=region, recipientAccountId=account, eventID=f"e{number}", requestID=f"r{number}",
        resources=[{"ARN": arn(region)}],
    )  # fmt: skip


def ask(*arguments: str, code: int = 0) -> dict[str, Any]:
    command = [GAMEDAY, "blast-radius", *arguments, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def who_where(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    return sorted(
        (row["principal"].rpartition("/")[2], *row["accounts"], *row["regions"]) for row in answer["rows"]
    )  # fmt: skip


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """An organisation's trail: two accounts in two Regions, one record each."""
    number = 0
    for account in (ACCOUNT, OTHER):
        for region in (REGION, ELSEWHERE):
            number += 1
            name = f"AWSLogs/o-1/{account}/CloudTrail/{region}/2026/11/23/{account}_CloudTrail_{region}_20261123T1010Z_x.json.gz"
            put(tmp_path, used(account, region, number), name=name)
    return tmp_path


@pytest.mark.parametrize(
    ("narrowed", "expected"),
    [
        ([], [("app-1", ACCOUNT, REGION), ("app-3", OTHER, REGION)]),
        (["--only-account", OTHER], [("app-3", OTHER, REGION)]),
        (["--only-account", OTHER, "--only-account", ACCOUNT], [("app-1", ACCOUNT, REGION), ("app-3", OTHER, REGION)]),
        (["--only-region", ELSEWHERE, "--only-account", ACCOUNT], [("app-2", ACCOUNT, ELSEWHERE)]),
        (
            ["--only-region", REGION, "--only-region", ELSEWHERE],
            [("app-1", ACCOUNT, REGION), ("app-2", ACCOUNT, ELSEWHERE), ("app-3", OTHER, REGION), ("app-4", OTHER, ELSEWHERE)],
        ),
    ],
)  # fmt: skip
def test_log_files_are_read_of_the_accounts_and_regions_that_are_asked_for(
    narrowed: list[str], expected: list[tuple[str, str, str]], logs: Path
) -> None:
    found = ask(arn(REGION), "--source", str(logs), "--since", "2026-11-01", "--until", "2026-11-30", *narrowed)
    assert who_where(found) == expected
    coverage = found["coverage"]
    assert coverage["files"] == coverage["read_files"] == len(expected)
    assert (set(coverage["accounts"]), set(coverage["regions"])) == tuple({one[n] for one in expected} for n in (1, 2))
    assert all(name in " ".join(coverage["sentences"]) for one in expected for name in one[1:])


def test_the_table_says_where_when_it_is_not_the_same_everywhere(logs: Path) -> None:
    command = [
        GAMEDAY,
        "blast-radius",
        arn(REGION),
        "--source",
        str(logs),
        "--since",
        "2026-11-01",
        "--until",
        "2026-11-30",
    ]
    shown = subprocess.check_output([*command, "--only-region", REGION, "--only-region", ELSEWHERE], text=True)
    assert re.search(r"WHERE", shown) and f"{OTHER}/{ELSEWHERE}" in shown
    assert "WHERE" not in subprocess.check_output([*command, "--only-account", OTHER], text=True)


def test_event_history_is_read_in_each_region_that_is_asked_for(process: LabProcess) -> None:
    def client(service: str, region: str) -> Any:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=process.url, region_name=region, **keys)  # type: ignore[call-overload]

    primary = client("kms", REGION).create_key(MultiRegion=True)["KeyMetadata"]
    client("kms", REGION).replicate_key(KeyId=primary["KeyId"], ReplicaRegion=ELSEWHERE)
    for region, times in ((REGION, 1), (ELSEWHERE, 2)):
        for _ in range(times):
            client("kms", region).encrypt(KeyId=primary["KeyId"], Plaintext=b"x")
    here = [
        primary["Arn"],
        "--target",
        f"lab={process.url}",
        "--region",
        REGION,
        "--since",
        "1d",
        "--until",
        "2099-01-01",
    ]
    own = ask(*here)
    assert [(row["uses"], row["regions"]) for row in own["rows"]] == [(2, [REGION])]  # to replicate a key is to use it
    both = ask(*here, "--only-region", REGION, "--only-region", ELSEWHERE)
    assert [(row["uses"], row["regions"]) for row in both["rows"]] == [(4, [REGION, ELSEWHERE])]
    account = primary["AWSAccountId"]
    assert both["coverage"]["sources"] == [f"event history of {account}/{region}" for region in (REGION, ELSEWHERE)]


class Accounts(BaseHTTPRequestHandler):
    """STS and CloudTrail of two accounts, told apart by the access key; the lab is one account."""

    protocol_version = "HTTP/1.1"
    history: dict[str, list[dict[str, Any]]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        mine = OTHER if "Credential=OTHER/" in self.headers["Authorization"] else ACCOUNT
        if "Action=AssumeRole" in body:
            keys = "<AccessKeyId>OTHER</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
            told = f"<AssumeRoleResponse><AssumeRoleResult><Credentials>{keys}<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
        elif "Action=GetCallerIdentity" in body:
            told = f"<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::{mine}:root</Arn><Account>{mine}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
        elif self.headers.get("X-Amz-Target", "").endswith("LookupEvents"):
            told = json.dumps({"Events": [{"CloudTrailEvent": json.dumps(one)} for one in self.history[mine]]})
        else:
            self.answer(400, json.dumps({"__type": "NotFoundException", "message": "not here"}))
            return
        self.answer(200, told)

    def answer(self, status: int, told: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(told.encode())))
        self.end_headers()
        self.wfile.write(told.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def two_accounts() -> Iterator[str]:
    Accounts.history = {ACCOUNT: [used(ACCOUNT, REGION, 1)], OTHER: [used(OTHER, REGION, 2)]}
    with ThreadingHTTPServer(("127.0.0.1", 0), Accounts) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_event_history_of_another_account_is_read_as_a_role_of_it() -> None:
    with two_accounts() as url:
        here = [
            arn(REGION),
            "--target",
            f"lab={url}",
            "--region",
            REGION,
            "--since",
            "2026-11-01",
            "--until",
            "2026-11-30",
        ]
        assert who_where(ask(*here)) == [("app-1", ACCOUNT, REGION)]
        both = ask(*here, "--role", ROLE)
    assert who_where(both) == [("app-1", ACCOUNT, REGION), ("app-2", OTHER, REGION)]
    assert both["coverage"]["accounts"] == [ACCOUNT, OTHER]


def test_a_role_that_may_not_be_assumed_is_said_with_its_account(process: LabProcess) -> None:
    here = [arn(REGION), "--target", f"lab={process.url}", "--region", REGION, "--role", ROLE]
    told = ask(*here, code=4)
    assert f"{OTHER}/{REGION}" in told["coverage"]["partial"]


def test_a_key_is_not_sought_where_it_is_not(tmp_path: Path) -> None:
    """Another Region's records say nothing of it, and nothing found there would read as an answer."""
    only = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    put(tmp_path, made())
    command = [
        GAMEDAY,
        "blast-radius",
        only,
        "--source",
        str(tmp_path),
        "--since",
        "2026-11-01",
        "--until",
        "2026-11-30",
    ]
    elsewhere = subprocess.run([*command, "--only-region", ELSEWHERE], capture_output=True, text=True, timeout=60)
    assert (elsewhere.returncode, elsewhere.stdout) == (2, "")
    assert f"is used in {REGION} alone" in " ".join(elsewhere.stderr.split())
    both = [*command, "--only-region", ELSEWHERE, "--only-region", REGION]
    assert subprocess.run(both, capture_output=True, timeout=60).returncode == 0
