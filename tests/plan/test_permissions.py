"""Under exactly the printed policy every playbook passes; with any one action less it is refused, by name."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.plan.conftest import Account, changes, shipped

PLAYBOOKS = ["killswitch"]


def without(policy: dict[str, Any], action: str) -> dict[str, Any]:
    statements = [
        {**statement, "Action": [one for one in statement["Action"] if one != action]}
        for statement in policy["Statement"]
    ]
    return {**policy, "Statement": [statement for statement in statements if statement["Action"]]}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", PLAYBOOKS)
def test_the_printed_policy_is_enough_and_nothing_in_it_that_changes_is_too_much(account: Account, name: str) -> None:
    playbook = shipped(name)
    staged = account.on_lab("stage", name)
    assert staged.returncode == 0, staged.stderr
    policy = json.loads(account.on_lab("iam-policy", name).stdout)["run"]
    done = account.run_as(account.role(policy), playbook)
    assert done.returncode == 0, done.stdout + done.stderr

    def refused(action: str) -> str:
        less = account.run_as(account.role(without(policy, action)), playbook)
        good = less.returncode == 5 and action in less.stdout and "changed " not in less.stdout
        return "" if good else f"without {action}: exit code {less.returncode}\n{less.stdout}{less.stderr}"

    actions = sorted(changes(playbook))
    assert actions
    with ThreadPoolExecutor(2) as pool:
        wrong = [text for text in pool.map(refused, actions) if text]
    assert not wrong, "\n\n".join(wrong)


def test_the_rollback_policy_is_enough_to_roll_back(account: Account) -> None:
    """The undo and its proof need no more than what is printed for them."""
    account.on_lab("stage", "killswitch")
    policies = json.loads(account.on_lab("iam-policy", "killswitch").stdout)
    actions = {action for statement in policies["rollback"]["Statement"] for action in statement["Action"]}
    assert {"kms:EnableKey", "kms:DescribeKey"} <= actions
    assert "kms:DisableKey" not in actions


def test_a_plan_calls_nothing_that_writes(account: Account) -> None:
    account.on_lab("stage", "killswitch")
    before = len(account.lab.control.calls())
    plan = account.on_lab("plan", "killswitch")
    assert plan.returncode == 0, plan.stderr
    assert "kms:DisableKey" in plan.stdout
    called = {call["operation"] for call in account.lab.control.calls()[before:]}
    assert called
    assert all(name.startswith(("Describe", "Get", "List", "Head", "Simulate", "Lookup")) for name in called), called


def test_a_plan_says_what_preflight_would_refuse(account: Account) -> None:
    account.on_lab("stage", "killswitch")
    key = account.client("kms").describe_key(KeyId="alias/MyKMSKey")["KeyMetadata"]["Arn"]
    account.client("kms").disable_key(KeyId=key)
    try:
        plan = account.on_lab("plan", "killswitch")
    finally:
        account.client("kms").enable_key(KeyId=key)
    assert plan.returncode == 5
    assert "already disabled" in plan.stdout + plan.stderr or "Disabled" in plan.stdout + plan.stderr


def test_a_drill_proves_the_undo_and_changes_nothing(account: Account) -> None:
    account.on_lab("stage", "killswitch")
    before = len(account.lab.control.calls())
    drill = account.on_lab("drill", "killswitch")
    assert drill.returncode == 0, drill.stderr
    called = [call["operation"] for call in account.lab.control.calls()[before:]]
    assert "EnableKey" in called
    assert "DisableKey" not in called


def test_a_drill_is_refused_where_the_undo_is(account: Account) -> None:
    account.on_lab("stage", "killswitch")
    account.lab.control.trouble(
        "refuse", "kms", "EnableKey", code="AccessDeniedException", message="not authorized to perform: kms:EnableKey"
    )
    try:
        drill = account.on_lab("drill", "killswitch")
    finally:
        account.lab.control.clear_trouble()
    assert drill.returncode == 5
    assert "kms:EnableKey" in drill.stderr
