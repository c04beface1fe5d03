"""The playbooks about access that ship: they pass, they fail when the lab misbehaves, and no link is told to anyone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_s3_read_access import role

from gameday.lab import LabControl

ROOT = Path(__file__).parents[2]
GAMEDAY = Path(sys.executable).with_name("gameday")


class Ended:
    """A run that is over."""

    def __init__(self, said: subprocess.CompletedProcess[str], journal: Path) -> None:
        self.code, self.told = said.returncode, said.stdout + said.stderr
        self.events = [json.loads(line)["event"] for line in said.stdout.splitlines()]
        self.kept = b"".join(file.read_bytes() for file in journal.parent.glob("journal.db*"))

    def seen(self, probe: str) -> list[dict[str, Any]]:
        """What a probe saw, in order."""
        return [e["observation"] for e in self.events if e["kind"] == "probe_observed" and e["probe"] == probe]

    def outsider(self) -> list[dict[str, Any]]:
        """Whichever of its two probes spoke before the run was over."""
        return self.seen("outsiders-link") + self.seen("outsiders-read")


@pytest.fixture
def run(lab: LabControl, tmp_path: Path) -> Callable[..., Ended]:
    def to_its_end(playbook: str, *words: str, **replaced: str) -> Ended:
        text = (ROOT / "playbooks" / f"{playbook}.yaml").read_text()
        for name, value in replaced.items():
            assert f"{name}: 20m" in text
            text = text.replace(f"{name}: 20m", f"{name}: {value}")
        (tmp_path / "playbook.yaml").write_text(text)
        env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "GAMEDAY_", "XDG_"))}
        said = subprocess.run(
            [GAMEDAY, "run", "playbook.yaml", "--target", f"lab={lab.url}", "--json", *words],
            env={**env, "GAMEDAY_JOURNAL": str(tmp_path / "journal.db")},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ended(said, tmp_path / "journal.db")

    return to_its_end


def test_authenticated_access(run: Callable[..., Ended]) -> None:
    ended = run("authenticated-access")
    assert ended.code == 0, ended.told
    assert {seen["cause"] for seen in ended.seen("key-users-link")} == {"ok"}
    for probe in ("outsiders-link", "outsiders-read"):
        assert {(seen["cause"], seen["code"]) for seen in ended.seen(probe)} == {("key_policy_denied", "AccessDenied")}
    records = [record for seen in ended.seen("denied-record") for record in seen["records"]]
    assert all("assumed-role/gameday-outsider/gameday-" in record["userIdentity"]["arn"] for record in records)
    assert records


def test_no_link_is_told_to_anyone(run: Callable[..., Ended]) -> None:
    ended = run("authenticated-access")
    assert b"outsiders-link" in ended.kept, "this is where it would stand"
    assert "outsiders-link" in ended.told
    assert b"X-Amz-Signature" not in ended.kept
    assert "X-Amz-Signature" not in ended.told


def test_an_outsider_who_gets_in_fails_the_run(lab: LabControl, run: Callable[..., Ended]) -> None:
    lab.knobs(enforce_policies=False)
    ended = run("authenticated-access", evidence_within="1s")
    assert ended.code == 1, ended.told
    assert {seen["cause"] for seen in ended.outsider()} == {"ok"}


def test_audit_trail(run: Callable[..., Ended], client: Callable[[str], Any]) -> None:
    ended = run("audit-trail")
    assert ended.code == 0, ended.told
    for probe, name in (("write-record", "GenerateDataKey"), ("read-record", "Decrypt")):
        [record] = ended.seen(probe)[-1]["records"]
        assert (record["eventName"], record["userIdentity"]["invokedBy"]) == (name, "AWS Internal")
    left = client("s3").list_objects_v2(Bucket="gameday-clock")["Contents"]
    assert [each["Key"] for each in left] == ["clock.png"]


def test_a_silent_trail_fails_the_run(lab: LabControl, run: Callable[..., Ended]) -> None:
    lab.knobs(record_trail=False)
    ended = run("audit-trail", evidence_within="1s")
    assert ended.code == 1, ended.told
    assert {seen["cause"] for seen in ended.seen("write-record")} == {"not_found"}


def test_a_trail_that_does_not_answer_proves_nothing(lab: LabControl, run: Callable[..., Ended]) -> None:
    lab.trouble("throttle", "cloudtrail", "LookupEvents")
    ended = run("audit-trail", evidence_within="3s")
    assert ended.code == 4, ended.told


def test_block_public_access_that_is_ignored_fails_the_run(lab: LabControl, run: Callable[..., Ended]) -> None:
    lab.knobs(ignore_public_access_block=True)
    try:
        ended = run("public-access", "--var", "how=acl")
    finally:
        lab.knobs(ignore_public_access_block=False)
    assert ended.code == 1, ended.told
    assert {seen["cause"] for seen in ended.seen("anybody-shut")} == {"public_access_blocked", "ok"}
    assert {seen["cause"] for seen in ended.seen("anybody-clock")} == {"public_access_blocked", "unsigned_request"}


def test_a_role_that_cannot_be_assumed_refuses_the_run(run: Callable[..., Ended], client: Callable[[str], Any]) -> None:
    arn = role(client, "gameday-outsider", "s3:GetObject")
    client("iam").update_assume_role_policy(
        RoleName="gameday-outsider",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
                ],
            }
        ),
    )
    ended = run("authenticated-access")
    assert ended.code == 5
    seen = ended.outsider()
    assert seen
    assert all(each["cause"] == "credentials" and arn in each["detail"] for each in seen)
