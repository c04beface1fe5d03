"""What the printed policies, a plan and a drill say and do."""

from __future__ import annotations

import json

from tests.plan.conftest import Account


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
