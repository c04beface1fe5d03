"""A target file's roles: one runs, another puts back, and both renew themselves."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plan.conftest import ACCOUNT, TRUST, Account

PLAYBOOK = """\
playbook: key-off
vars: {key: alias/RolesKey, bucket: gameday-roles}
stage:
  - uses: kms.key
    with: {alias: "${key}"}
  - uses: s3.object
    with: {bucket: "${bucket}", key: clock.png, sse_kms_key: "${key}"}
probes:
  read:
    uses: s3.read
    with: {bucket: "${bucket}", key: clock.png}
    every: 200ms
    expect: {baseline: ok, fault: key_disabled, recovery: ok}
faults:
  - uses: kms.disable_key
    with: {key: "${key}"}
timing: {hold: HOLD, effect_within: 20s, max_fault: 60s, settle: 1s}
"""


class Scene:
    """The playbook, staged, and target files for it on the account's lab."""

    def __init__(self, account: Account, folder: Path) -> None:
        self.account, self.folder = account, folder
        self.playbook = self.with_hold("0s")
        staged = account.on_lab("stage", str(self.playbook))
        assert staged.returncode == 0, staged.stderr
        self.policies: dict[str, Any] = json.loads(account.on_lab("iam-policy", str(self.playbook)).stdout)

    def with_hold(self, hold: str) -> Path:
        path = self.folder / f"hold-{hold}.yaml"
        path.write_text(PLAYBOOK.replace("HOLD", hold))
        return path

    def target(self, **says: Any) -> str:
        path = self.folder / f"target-{len(list(self.folder.iterdir()))}.yaml"
        path.write_text(json.dumps({"target": "rehearsal", "lab": self.account.lab.url, "account": ACCOUNT, **says}))
        return str(path)

    def callers(self, name: str) -> list[str]:
        """The roles behind all calls of an operation, oldest first."""
        trail = self.account.client("cloudtrail")
        found = trail.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}])["Events"]
        who = [json.loads(event["CloudTrailEvent"])["userIdentity"] for event in found]
        return [one["arn"].split("/")[1] if "/" in one["arn"] else "root" for one in reversed(who)]


@pytest.fixture(scope="module")
def scene(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(account, tmp_path_factory.mktemp("scene"))


@pytest.fixture(autouse=True)
def long_sessions(account: Account) -> Iterator[None]:
    yield
    account.lab.control.knobs(session_seconds=0)
    account.lab.control.clear_trouble()


def without_undo(policy: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(policy).replace("kms:EnableKey", "kms:ListKeys")
    found: dict[str, Any] = json.loads(text)
    return found


def test_one_role_runs_and_another_puts_back(scene: Scene) -> None:
    runner, back = scene.account.made(scene.policies["run"]), scene.account.made(scene.policies["rollback"])
    target = scene.target(role=f"role/{runner}", rollback_role=f"role/{back}", vars={"unused": "x"})
    done = scene.account.gameday("run", str(scene.playbook), "--target", target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert scene.callers("DisableKey")[-1] == runner
    assert scene.callers("EnableKey")[-1] == back
    assert set(scene.callers("EnableKey")[-3:-1]) == {runner, back}, "both had rehearsed it"


def test_a_rollback_role_that_may_not_undo_is_found_before_anything_is_touched(scene: Scene) -> None:
    runner = scene.account.made(scene.policies["run"])
    back = scene.account.made(without_undo(scene.policies["rollback"]))
    target = scene.target(role=f"role/{runner}", rollback_role=f"role/{back}")
    before = len(scene.callers("DisableKey"))
    done = scene.account.gameday("run", str(scene.playbook), "--target", target)
    assert done.returncode == 5, done.stdout
    assert f"assumed-role/{back}/" in done.stdout and "kms:EnableKey" in done.stdout
    assert len(scene.callers("DisableKey")) == before


def test_a_drill_is_made_as_everyone_who_may_have_to_put_back(scene: Scene) -> None:
    runner, back = scene.account.made(scene.policies["run"]), scene.account.made(scene.policies["rollback"])
    drill = scene.account.gameday(
        "drill", str(scene.playbook), "--target", scene.target(role=f"role/{runner}", rollback_role=f"role/{back}")
    )
    assert drill.returncode == 0, drill.stderr
    for who in ("runner", "rollback role", "watchdog"):
        assert f"as {who}: kms:EnableKey" in drill.stdout
    assert scene.callers("EnableKey")[-3:] in ([runner, back, back], [back, runner, back], [runner, back, back])


def test_a_run_that_died_is_put_back_by_the_rollback_role(scene: Scene) -> None:
    runner, back = scene.account.made(scene.policies["run"]), scene.account.made(scene.policies["rollback"])
    target = scene.target(
        role=f"role/{runner}", rollback_role=f"role/{back}", journal=str(scene.folder / "its own journal.db")
    )
    before = len(scene.callers("DisableKey"))
    running = scene.account.begin("run", str(scene.with_hold("30s")), "--target", target)
    until = time.monotonic() + 30
    while len(scene.callers("DisableKey")) == before and time.monotonic() < until:
        time.sleep(0.1)
    running.send_signal(signal.SIGKILL)
    running.wait()
    done = scene.account.gameday("rollback", "--all", "--journal", target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert scene.callers("EnableKey")[-1] == back
    described = scene.account.client("kms").describe_key(KeyId="alias/RolesKey")
    assert described["KeyMetadata"]["KeyState"] == "Enabled"


def test_the_undo_is_tried_as_the_runner_when_the_rollback_role_fails(scene: Scene) -> None:
    """Its permissions are taken away in the middle of the fault."""
    runner, back = scene.account.made(scene.policies["run"]), scene.account.made(scene.policies["rollback"])
    target = scene.target(role=f"role/{runner}", rollback_role=f"role/{back}")
    before = len(scene.callers("DisableKey"))
    running = scene.account.begin("run", str(scene.with_hold("4s")), "--target", target)
    until = time.monotonic() + 30
    while len(scene.callers("DisableKey")) == before and time.monotonic() < until:
        time.sleep(0.1)
    scene.account.client("iam").delete_role_policy(RoleName=back, PolicyName="printed")
    told, _ = running.communicate(timeout=60)
    assert running.returncode == 0, told
    assert scene.callers("EnableKey")[-2:] == [back, runner]


def test_an_external_id_session_tags_and_duration_reach_sts(scene: Scene) -> None:
    trust = json.loads(json.dumps(TRUST))
    trust["Statement"][0]["Condition"] = {"StringEquals": {"sts:ExternalId": "8d41"}}
    tags = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:TagSession"}
    trust["Statement"].append(tags)  # the trust policy must allow it too (IAM User Guide, "session tags")
    runner = scene.account.made(scene.policies["run"], trust)
    role = {"assume": f"role/{runner}", "external_id": "8d41", "session": "30m"}
    plan = scene.account.gameday(
        "plan", str(scene.playbook), "--target", scene.target(role=role, session_tags={"team": "sre"})
    )
    assert plan.returncode == 0, plan.stdout + plan.stderr
    trail = scene.account.client("cloudtrail")
    asked = trail.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "AssumeRole"}])
    said = json.loads(asked["Events"][0]["CloudTrailEvent"])["requestParameters"]
    assert "1800" in json.dumps(said) and "sre" in json.dumps(said) and "8d41" in json.dumps(said)
    refused = scene.account.gameday(
        "plan", str(scene.playbook), "--target", scene.target(role={"assume": f"role/{runner}", "external_id": "wrong"})
    )
    assert refused.returncode == 5
    assert "cannot be assumed" in refused.stderr and "external id" in refused.stderr


@pytest.mark.timeout(60)
def test_sessions_that_end_in_the_middle_of_a_run_are_renewed(scene: Scene) -> None:
    runner, back = scene.account.made(scene.policies["run"]), scene.account.made(scene.policies["rollback"])
    target = scene.target(role=f"role/{runner}", rollback_role=f"role/{back}")
    scene.account.lab.control.knobs(session_seconds=3)
    before = len(scene.account.lab.control.calls())
    done = scene.account.gameday("run", str(scene.with_hold("5s")), "--target", target)
    assert done.returncode == 0, done.stdout + done.stderr
    calls = scene.account.lab.control.calls()[before:]
    assert sum(call["operation"] == "AssumeRole" for call in calls) >= 4
    assert not [call for call in calls if str(call["outcome"]).startswith("ExpiredToken")]


def test_what_does_not_go_with_a_target_file(scene: Scene) -> None:
    target = scene.target()
    both = scene.account.gameday("run", str(scene.playbook), "--target", target, "--region", "us-east-1")
    assert both.returncode == 2 and "--region does not go with a target file" in both.stderr
    none = scene.account.gameday("run", str(scene.playbook), "--target", "staging")
    assert none.returncode == 2 and "no target file" in none.stderr
    missing = scene.account.gameday("run", str(scene.playbook), "--target", "no-such.yaml")
    assert missing.returncode == 2 and "no-such.yaml: there is no such file" in missing.stderr
