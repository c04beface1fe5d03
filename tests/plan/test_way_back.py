"""Nobody whom the way back needs may be denied anything: not the roles, not who assumes them, not the switch's role."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.plan.conftest import ACCOUNT, REGION, Account

PLAYBOOK = """\
playbook: denied
probes:
  state:
    uses: kms.state
    with: {key: alias/WayBackKey}
    every: 200ms
    expect: {baseline: ok, fault: ok, recovery: ok}
faults:
  - uses: FAULT
    with: {key: alias/WayBackKey, WHOM}
timing: {hold: 0s, effect_within: 20s, max_fault: 60s, settle: 1s}
"""
ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
TRUST_SWITCH = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"},
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"},
    ],
}
FAULTS = {"iam.deny": "principal: {}", "kms.deny": "principals: [{}]"}


@dataclass
class WayBack:
    """A user, or a session of a role, that assumes a role to run and one to put back, as a target file says it."""

    account: Account
    folder: Path
    names: dict[str, str]
    credentials: dict[str, dict[str, str]]

    def playbook(self, fault: str, whom: str) -> str:
        path = self.folder / f"{fault}-{whom.replace('/', '-')}.yaml"
        path.write_text(PLAYBOOK.replace("FAULT", fault).replace("WHOM", FAULTS[fault].format(whom)))
        return str(path)

    def target(self, **more: Any) -> str:
        path = self.folder / "target.yaml"
        roles = {"role": self.names["runner"], "rollback_role": self.names["back"]}
        path.write_text(json.dumps({"target": "real", "account": ACCOUNT, "region": REGION, **roles, **more}))
        return str(path)

    def writes(self) -> list[str]:
        changing = ("PutRolePolicy", "PutUserPolicy", "PutKeyPolicy")
        return [c["operation"] for c in self.account.lab.control.calls() if c["operation"] in changing]


@pytest.fixture(scope="module")
def way(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WayBack]:
    kms, iam = account.client("kms"), account.client("iam")
    kms.create_alias(AliasName="alias/WayBackKey", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    iam.create_user(UserName="ci")
    iam.put_user_policy(UserName="ci", PolicyName="all", PolicyDocument=json.dumps(ALL))
    made = iam.create_access_key(UserName="ci")["AccessKey"]
    user = {
        "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
        "AWS_ENDPOINT_URL": account.lab.url,
    }
    names = {
        "user": "user/ci",
        "runner": f"role/{account.made(ALL)}",
        "back": f"role/{account.made(ALL)}",
        "switch": f"role/{account.made(ALL, TRUST_SWITCH)}",
        "app": f"role/{account.made(ALL)}",
    }
    hub = account.role(ALL, path="/ci/")
    names["hub"] = f"role/ci/{account._roles[-1]}"
    yield WayBack(account, tmp_path_factory.mktemp("way"), names, {"user": user, "hub": hub})


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("base", "whom"), [("user", "user"), ("hub", "hub"), ("user", "runner"), ("user", "back")])
def test_run_and_drill_refuse_to_deny_whom_the_way_back_needs(way: WayBack, fault: str, base: str, whom: str) -> None:
    _both_refuse(way, fault, base, whom, way.target())


@pytest.mark.parametrize("fault", FAULTS)
def test_nor_the_role_of_the_dead_mans_switch(way: WayBack, fault: str) -> None:
    _both_refuse(way, fault, "user", "switch", way.target(dead_man_switch={"role": way.names["switch"]}))


def _both_refuse(way: WayBack, fault: str, base: str, whom: str, target: str) -> None:
    playbook, before = way.playbook(fault, way.names[whom]), way.writes()
    why = f"arn:aws:iam::{ACCOUNT}:{way.names[whom]} is "
    for command in ("drill", "run"):
        done = way.account.gameday(command, playbook, "--target", target, **way.credentials[base])
        told = done.stdout + done.stderr
        assert done.returncode == 5, (command, told)
        assert why + ("who gameday runs as" if whom == "runner" else "needed to put everything back") in told, command
    assert way.writes() == before


@pytest.mark.parametrize("fault", FAULTS)
def test_somebody_else_is_no_reason_to_refuse(way: WayBack, fault: str) -> None:
    done = way.account.gameday(
        "drill", way.playbook(fault, way.names["app"]), "--target", way.target(), **way.credentials["user"]
    )
    assert done.returncode == 0, done.stdout + done.stderr
