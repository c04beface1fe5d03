"""Every shipped playbook against an emulator that is not ours and verifies each signature: ministack, with AUTH=true.

What it does not enforce must never be PASSED. It pins botocore, so it lives in an environment of its own, which
``.ci/run`` makes; GAMEDAY_MINISTACK names its command.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError

import playbooks
from gameday.sdk import parse_duration
from tests.processes import GAMEDAY, environment, eventually, free_port

SHIPPED = Path(next(iter(playbooks.__path__)))
ACCOUNT, REGION = "000000000000", "us-east-1"
SHORT = {"effect_within": "4s", "hold": "1s", "evidence_within": "3s"}
"""Bounds of waits for what ministack never does; the rest of a playbook is as it ships."""
Start = Callable[..., tuple[int, str]]


class Expected(NamedTuple):
    """What a playbook ends with, the sentence that says so, and why it is right there."""

    code: int
    verdict: str
    sentence: str
    why: str


EXPECTED = {
    "audit-trail": Expected(
        1, "FAILED", "write-record in evidence: still not_found", "S3's calls of KMS leave no record in CloudTrail"
    ),
    "authenticated-access": Expected(
        1, "FAILED", "in baseline: expected key_policy_denied, but saw ok", "S3 asks no key for a read"
    ),
    "encrypt-root-volume": Expected(
        5, "REFUSED", "with a plain yes instead of DryRunOperation", "dry runs are carried out"
    ),
    "killswitch": Expected(5, "REFUSED", "the root volume of instance", "volumes are not encrypted when asked"),
    "public-access": Expected(
        5, "REFUSED", f"the public access block of account {ACCOUNT} could not be read", "no S3 Control on one host"
    ),
    "revoke-by-iam": Expected(1, "FAILED", "read-as-role in fault: still ok", "S3 asks no key for a read"),
    "revoke-by-policy": Expected(1, "FAILED", "read-clock in fault: still ok", "S3 asks no key for a read"),
    "schedule-deletion": Expected(
        5, "REFUSED", "needs the dead man's switch on a real account", "it counts as a real account"
    ),
    "spare-volume": Expected(5, "REFUSED", "the root volume of instance", "volumes are not encrypted when asked"),
}
KEY_ALONE = """\
playbook: key-alone
vars: {key: alias/alone, bucket: gameday-alone}
stage:
  - uses: kms.key
    with: {alias: "${key}"}
  - uses: s3.object
    with: {bucket: "${bucket}", key: "a+b c.png"}
probes:
  use: {uses: kms.use, with: {key: "${key}"}, every: 200ms, expect: {baseline: ok, fault: key_disabled, recovery: ok}}
  read: {uses: s3.read, with: {bucket: "${bucket}", key: "a+b c.png"}, every: 200ms, expect: {always: ok}}
  fresh:
    uses: s3.read
    with: {bucket: "${bucket}", key: "a+b c.png", session: fresh}
    every: 300ms
    expect: {always: ok}
  link:
    uses: s3.read
    with: {bucket: "${bucket}", key: "a+b c.png", access: presigned}
    every: 300ms
    expect: {always: ok}
faults:
  - uses: kms.disable_key
    with: {key: "${key}"}
timing: {effect_within: 10s, hold: 2s, max_fault: 1m, rollback_within: 30s, recover_within: 20s, evidence_within: 5s}
blast_radius: {unknown: allow}
"""


@pytest.fixture(scope="module")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a user of it, with a key of IAM's: that of the root user is taken unsigned."""
    command = os.environ.get("GAMEDAY_MINISTACK") or shutil.which("ministack")
    if not command:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("ministack is not here; name it with GAMEDAY_MINISTACK")
    home, port = tmp_path_factory.mktemp("ministack"), free_port()
    url = f"http://127.0.0.1:{port}"
    server = environment(home, AUTH="true", CLOUDTRAIL_RECORDING="1", BIND_HOST="127.0.0.1", GATEWAY_PORT=str(port))
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([command], env=server, cwd=home, stdout=log, stderr=log)
    try:
        yield {"AWS_ENDPOINT_URL": url, "AWS_DEFAULT_REGION": REGION, **_key(url, process)}
    finally:
        process.terminate()
        process.wait(20)


def _key(url: str, process: subprocess.Popen[bytes]) -> dict[str, str]:
    root = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": REGION}
    iam = boto3.client("iam", endpoint_url=url, config=Config(proxies={}, retries={"total_max_attempts": 1}), **root)

    def up() -> bool:
        assert process.poll() is None, "ministack has ended"
        with suppress(BotoCoreError):
            iam.create_user(UserName="gameday")
            return True
        return False

    eventually(up, "ministack is up")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_user_policy(UserName="gameday", PolicyName="all", PolicyDocument=json.dumps(everything))
    key = iam.create_access_key(UserName="gameday")["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def start(home: Path, text: str, env: Mapping[str, str], *variables: str) -> tuple[int, str]:
    """Stage and run, as on a real account; the exit code of the run and all that was said."""
    home.mkdir()
    (home / "p.yaml").write_text(text)
    target = ("--target", "aws", "--account", ACCOUNT, "--region", REGION)
    named = [word for variable in variables for word in ("--var", variable)]
    said, code = "", 0
    for command in (("stage", "p.yaml", *target, *named), ("run", "p.yaml", *target, *named), ("status", "--check")):
        done = subprocess.run(
            [GAMEDAY, *command],
            cwd=home,
            env=environment(home, **env),
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        said += done.stdout + done.stderr
        if command[0] == "run":
            code = done.returncode
    assert done.returncode == 0, said  # nothing is open
    return code, said


def shortened(name: str) -> str:
    text = (SHIPPED / f"{name}.yaml").read_text()
    for bound, short in SHORT.items():
        found = re.search(rf"\b{bound}: (\w+)", text)
        if found and parse_duration(found[1]) > parse_duration(short):
            text = text.replace(found[0], f"{bound}: {short}")
    # ministack answers no GetKeyLastUsage, and on a real account what is not known refuses a run that breaks something.
    if "\nfaults:" in text and "\nblast_radius:" not in text:
        text += "\nblast_radius: {unknown: allow}\n"
    return text


@pytest.fixture(scope="module")
def runs(
    ministack: dict[str, str], tmp_path_factory: pytest.TempPathFactory, selected: Callable[[str], list[Any]]
) -> Iterator[dict[str, Future[tuple[int, str]]]]:
    """Some at once, each with names of its own."""
    homes = tmp_path_factory.mktemp("independent")

    def run(name: str) -> tuple[int, str]:
        text = shortened(name)
        written = re.search(r"^vars:.*\n((?:  .*\n)+)", text, re.MULTILINE)
        assert written
        own: list[str] = []
        for variable, value in re.findall(r"^  (\w+): (\S+)", written[1], re.MULTILINE):
            renamed = (
                value.replace("gameday-clock", f"gameday-{name}") if "gameday-clock" in value else f"{value}-{name}"
            )
            own.append(f"{variable}={value if variable == 'how' else renamed}")
        return start(homes / name, text, ministack, *own)

    with ThreadPoolExecutor(3) as pool:
        yield {name: pool.submit(run, name) for name in selected("name")}


def test_every_shipped_playbook_is_expected_to_end_somehow() -> None:
    assert {*EXPECTED} == {each.stem for each in SHIPPED.glob("*.yaml")}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_shipped_playbook_says_what_is_so(runs: dict[str, Future[tuple[int, str]]], name: str) -> None:
    code, said = runs[name].result()
    wanted = EXPECTED[name]
    assert code == wanted.code, said
    assert re.search(rf"^ *{wanted.verdict} +{name} ", said, re.MULTILINE), said
    assert wanted.sentence in " ".join(said.split()), said
    assert "SignatureDoesNotMatch" not in said
    if "changed role/" in said or "changed key/" in said:
        assert "rollback complete" in " ".join(said.split()), said


def test_every_read_is_signed_and_a_disabled_key_is_seen(ministack: dict[str, str], tmp_path: Path) -> None:
    """What ministack does enforce: signatures, at the first read and at all later ones, and the state of a key."""
    code, said = start(tmp_path / "home", KEY_ALONE, ministack, "key=alias/alone", "bucket=gameday-alone")
    assert re.findall(r"use: recovered|(\w+): BROKEN", said) == [""], said
    assert [*re.findall(r"\d (use|read|fresh|link) +ok ", " ".join(f"0 {line}" for line in said.splitlines()))] == [
        *("use", "read", "fresh", "link")
    ], said
    assert (code, *re.findall(r"✕ ([\w-]+)", said)) == (4, "blast-radius"), said


def test_a_wrong_secret_is_refused(ministack: dict[str, str], tmp_path: Path) -> None:
    """The emulator's check can say no."""
    wrong = {**ministack, "AWS_SECRET_ACCESS_KEY": "wrong"}
    code, said = start(tmp_path / "home", KEY_ALONE, wrong, "key=alias/other", "bucket=gameday-other")
    assert code == 5, said
    assert "The request signature we calculated does not match" in said
