"""Every answer of the policy simulator but a yes is not a yes: a role with a path, a refusal, a silence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.plan.conftest import ACCOUNT, REGION, Account

SSO = "/aws-reserved/sso.amazonaws.com/eu-west-1/"
WHERE = ("--target", "aws", "--account", ACCOUNT, "--region", REGION)
VALUES = ("--var", "key=alias/MyKMSKey", "--var", "bucket=gameday-clock", "--var", "role=clock-reader")


def but(*denied: str) -> dict[str, Any]:
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    deny = {"Effect": "Deny", "Action": [*denied], "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [everything, *([deny] if denied else [])]}


@pytest.fixture(scope="module")
def staged(account: Account) -> Account:
    made = account.on_lab("stage", "revoke-by-iam")
    assert made.returncode == 0, made.stderr
    return account


@pytest.mark.parametrize("command", ["plan", "drill"])
def test_a_role_with_a_path_is_asked_about_by_its_real_arn(staged: Account, command: str) -> None:
    role = staged.role(but("iam:PutRolePolicy"), SSO)
    said = staged.gameday(command, "revoke-by-iam", *WHERE, *VALUES, **role)
    assert said.returncode == 5, said
    assert "is not allowed iam:PutRolePolicy" in said.stdout + said.stderr


@pytest.mark.parametrize(
    ("denied", "word"),
    [
        (("iam:SimulatePrincipalPolicy",), "AccessDenied"),
        (("iam:GetRole",), "NoSuchEntity"),  # without the path the simulator knows nobody of that name
    ],
)
def test_a_simulator_that_does_not_answer_is_said_loudly(staged: Account, denied: tuple[str, ...], word: str) -> None:
    said = staged.gameday("plan", "revoke-by-policy", *WHERE, *VALUES[:4], **staged.role(but(*denied), SSO)).stdout
    line = next((line for line in said.splitlines() if line.startswith("check   permissions")), said)
    assert "WARNING: the policy simulator could not be asked: " in line
    assert word in line


def test_a_simulator_that_says_yes_is_no_news(staged: Account) -> None:
    for path in (SSO, "/"):
        said = staged.gameday("plan", "revoke-by-iam", *WHERE, *VALUES, **staged.role(but(), path))
        assert "change  arn:aws:iam:" in said.stdout
        assert "policy simulator" not in said.stdout


def test_the_printed_policy_names_the_role_by_its_real_arn(staged: Account) -> None:
    role = staged.role(but(), SSO)
    run = json.loads(staged.gameday("iam-policy", "revoke-by-iam", *WHERE, *VALUES, **role).stdout)["run"]
    (about,) = [s["Resource"] for s in run["Statement"] if "iam:SimulatePrincipalPolicy" in s["Action"]]
    assert len(about) == 1
    assert about[0].startswith(f"arn:aws:iam::{ACCOUNT}:role{SSO}runner-")
    assert any("iam:GetRole" in s["Action"] and s["Resource"] == about for s in run["Statement"])
