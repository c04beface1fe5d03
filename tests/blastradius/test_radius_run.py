"""The blast radius of whole runs, on the lab: three principals, forty resources, and one who came later."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from gameday.lab import LabProcess, start
from tests.blastradius.shapes import made, put

GAMEDAY = [sys.executable, "-c", "from gameday.cli import main; main()"]
ROOT = "arn:aws:iam::123456789012:root"
USERS = ("alice", "bob", "carol")
PLAYBOOK = """\
playbook: forty
vars: {key: alias/forty}
stage:
  - uses: ec2.instance
    with: {name: forty, root_volume_key: "${key}"}
probes:
  use-key:
    uses: kms.use
    with: {key: "${key}"}
    every: 200ms
    expect: {baseline: ok, fault: key_disabled, recovery: ok}
faults:
  - uses: kms.disable_key
    with: {key: "${key}"}
timing: {hold: 2s, evidence_within: 60s, settle: 1s}
blast_radius: BLAST
"""


def client(lab: LabProcess, service: str, keys: tuple[str, str] = ("test", "test")) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=lab.url,
        region_name="us-east-1",
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


def user(lab: LabProcess, name: str) -> tuple[str, str]:
    iam = client(lab, "iam")
    iam.create_user(UserName=name)
    allow = {"Effect": "Allow", "Action": ["s3:*", "kms:*"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


class Scene:
    """A lab in which three users have read forty objects, and a fourth who has not."""

    def __init__(self, lab: LabProcess, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.keys = {name: user(lab, name) for name in (*USERS, "mallory")}
        kms, s3 = client(lab, "kms"), client(lab, "s3")
        self.key = kms.create_key()["KeyMetadata"]["Arn"]
        kms.create_alias(AliasName="alias/forty", TargetKeyId=self.key)
        s3.create_bucket(Bucket="forty")
        for number in range(40):
            s3.put_object(
                Bucket="forty", Key=f"{number}", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=self.key
            )
            self.read(USERS[number % 3], number)

    def read(self, who: str, number: int) -> str:
        try:
            client(self.lab, "s3", self.keys[who]).get_object(Bucket="forty", Key=f"{number}")["Body"].read()
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "ok"

    def run(self, blast: str, while_off: Callable[[], None] = lambda: None) -> tuple[int, list[dict[str, Any]]]:
        """Run the playbook above; ``while_off`` is called once while the key is off."""
        book = self.folder / "forty.yaml"
        book.write_text(PLAYBOOK.replace("BLAST", blast))
        return self.run_book(str(book), while_off)

    def run_book(self, book: str, while_off: Callable[[], None], *more: str) -> tuple[int, list[dict[str, Any]]]:
        """The same with another playbook."""
        where = ("--target", f"lab={self.lab.url}", "--json", "--journal", str(self.folder / "journal.db"))
        command = [*GAMEDAY, "run", book, *where, *more]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        events: list[dict[str, Any]] = []
        called = False
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)["event"]
            events.append(event)
            if not called and event["kind"] == "expectation_met" and event["phase"] == "fault":
                while_off()
                called = True
        return process.wait(60), events


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with start("instant") as lab:
        yield Scene(lab, tmp_path_factory.mktemp("radius"))


def only(events: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [event for event in events if event["kind"] == kind]
    return found


def why(events: list[dict[str, Any]]) -> str:
    return str(events[-1]["story"])


def test_who_came_after_the_look_back_fails_the_run_and_is_expected_in_the_next(scene: Scene) -> None:
    refused: list[str] = []

    def reads() -> None:
        refused.extend(scene.read(name, number) for number, name in enumerate((*USERS, "mallory")))
        with pytest.raises(ClientError, match="DisabledException"):  # as whom the run is, too, but not by the run
            client(scene.lab, "kms").encrypt(KeyId=scene.key, Plaintext=b"x")

    code, events = scene.run_book("killswitch", reads, "--var", "key=alias/forty")
    assert refused == ["KMS.DisabledException"] * 4
    predicted, observed = only(events, "radius_predicted"), only(events, "radius_observed")
    objects = {one["resource"] for one in predicted["dependents"] if one["resource"].startswith("arn:aws:s3:::forty/")}
    assert len(objects) == 40
    users = {one["principal"].rpartition("/")[2] for one in predicted["dependents"] if ":user/" in one["principal"]}
    assert users == set(USERS)
    attached = [one for one in predicted["latent"] if one["service"] == "ec2.amazonaws.com"]
    assert len(attached) == 2  # killswitch.yaml starts two instances
    assert all(one["resource"].startswith("vol-") and "does not start again" in one["when"] for one in attached)
    # A look that was under way when its phase ended has told no request id: its read is the run's, as was predicted.
    left = [one for one in observed["seen"] if (one["principal"], one["service"]) == (ROOT, "") and one["refused"]]
    assert {one["fate"] for one in left} <= {"as predicted"}
    refusals = [one for one in observed["seen"] if one["refused"] and one not in left]
    seen = {one["principal"].rpartition("/")[2]: one for one in refusals}
    assert {name: one["fate"] for name, one in seen.items()} == {
        **dict.fromkeys(USERS, "as predicted"),
        "mallory": "unexpected",
        ROOT: "unexpected",
    }
    assert observed["own"] > 0
    assert sum(one["refused"] for one in refusals) == 5
    assert all(one["effect"]["by"] <= 30 for one in seen.values())
    assert code == 1 and "mallory" in why(events)

    assert scene.read("mallory", 3) == "ok"  # so that the next look-back has her
    code, events = scene.run("{allow_services: [s3, kms, ec2]}", reads)
    assert [one for one in only(events, "radius_observed")["seen"] if one["fate"] == "unexpected"] == []
    assert code == 0, why(events)
    gameday_show = [*GAMEDAY, "show", "--journal", str(scene.folder / "journal.db"), run_of(scene)]
    told = subprocess.run(gameday_show, capture_output=True, text=True).stdout
    assert "0 refused unexpectedly" in told and "latent: vol-" in told
    every_change_is_told_with_cloudtrails_own_record(scene, events)


def every_change_is_told_with_cloudtrails_own_record(scene: Scene, events: list[dict[str, Any]]) -> None:
    """The report gives each call on the key the id of its record, though no probe looked for it."""
    observed = only(events, "radius_observed")
    calls = {one["request_id"] for one in events if one["kind"] in ("step_injected", "undo_tried")}
    trail = (
        client(scene.lab, "cloudtrail")
        .get_paginator("lookup_events")
        .paginate(LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": scene.key}])
    )
    records = [json.loads(one["CloudTrailEvent"]) for page in trail for one in page["Events"]]
    assert observed["records"] == {one["requestID"]: one["eventID"] for one in records if one["requestID"] in calls}
    assert set(observed["records"]) == calls
    page = scene.folder / "report.json"
    words = ["report", run_of(scene), "--format", "json", "--output", str(page)]
    subprocess.run([*GAMEDAY, *words, "--journal", str(scene.folder / "journal.db")], check=True)
    report = json.loads(page.read_text())
    told = {call["request_id"]: call["event_id"] for change in report["changes"] for call in change["calls"]}
    assert told == observed["records"]
    assert observed["delivered_after"] >= 0
    assert observed["first_refused"] >= observed["off"]


def run_of(scene: Scene) -> str:
    history = [*GAMEDAY, "history", "--journal", str(scene.folder / "journal.db")]
    return subprocess.run(history, capture_output=True, text=True).stdout.split()[0]


def test_what_the_playbook_does_not_allow_is_refused_before_anything_is_touched(scene: Scene) -> None:
    code, events = scene.run("{at_most: {resources: 10}, allow_roles: [user/alice, bob]}")
    assert code == 5
    assert all(word in why(events) for word in ("user/carol", "may not depend on the key", "at most 10 may"))
    assert not [event for event in events if event["kind"] == "hold_taken"]


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_the_look_back_is_over_the_log_files_that_the_playbook_names(scene: Scene, kind: str, tmp_path: Path) -> None:
    account, region, at = "123456789012", "us-east-1", datetime.now(UTC) - timedelta(days=40)
    who = {"type": "IAMUser", "arn": f"arn:aws:iam::{account}:user/zoe", "accountId": account}
    record = made(
        userIdentity=who, awsRegion=region, recipientAccountId=account, eventTime=f"{at:%Y-%m-%dT%H:%M:%SZ}",
        resources=[{"ARN": scene.key}],
    )  # fmt: skip
    name = (
        f"AWSLogs/{account}/CloudTrail/{region}/{at:%Y/%m/%d}/{account}_CloudTrail_{region}_{at:%Y%m%dT%H%MZ}_x.json.gz"
    )
    file = put(tmp_path, record, name=name)
    source = str(tmp_path)
    if kind == "bucket":
        store = client(scene.lab, "s3")
        store.create_bucket(Bucket="logs-of-zoe")
        store.put_object(Bucket="logs-of-zoe", Key=name, Body=file.read_bytes())
        source = "s3://logs-of-zoe/AWSLogs/"
    code, events = scene.run(f"{{source: '{source}', allow_roles: [alice]}}")
    assert code == 5 and "user/zoe may not depend on the key" in why(events)  # so it ends before anything is touched
    predicted = only(events, "radius_predicted")
    used = {one["principal"].rpartition("/")[2] for one in predicted["dependents"] if one["why"] == "used"}
    assert used == {"zoe"}  # and none of those that event history knows
    assert f"files under {source}" in " ".join(predicted["coverage"])


def test_what_cannot_be_known_is_refused_where_it_must_be_known_and_said_elsewhere(scene: Scene) -> None:
    control = scene.lab.control
    control.trouble("refuse", "sqs", "ListQueues")
    control.trouble("refuse", "dynamodb", "ListTables")
    control.trouble("throttle", "cloudtrail", "LookupEvents", times=1)
    try:
        code, events = scene.run("{unknown: refuse}")
    finally:
        control.clear_trouble()
    assert code == 5
    assert "dynamodb:ListTables not permitted" in why(events) and "sqs" not in why(events)
    coverage = " ".join(only(events, "radius_predicted")["coverage"])
    assert "sqs:ListQueues not permitted" in coverage and "slow down 1 time" in coverage


def test_lookup_from_the_command_line_tells_the_same_users(scene: Scene) -> None:
    command = [*GAMEDAY, "blast-radius", "alias/forty", "--target", f"lab={scene.lab.url}", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    by_user = {row["principal"].rpartition("/")[2] for row in answer["rows"] if ":user/" in row["principal"]}
    assert set(USERS) <= by_user and answer["key"] == scene.key
