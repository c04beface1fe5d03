"""Under exactly the printed policy every playbook passes; with any one action less it is refused, by name."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.deep import account as whole
from tests.plan.conftest import ACCOUNT, Account, changes, shipped

ALL = sorted(path.stem for path in (Path(__file__).parents[2] / "playbooks").glob("*.yaml"))
EVERY = os.environ.get("GAMEDAY_POLICIES") == "all"
SAMPLE = ["killswitch", "authenticated-access"]
"""In the ordinary suite; the others are ``.ci/run``'s."""
SWITCH = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def without(policy: dict[str, Any], action: str) -> dict[str, Any]:
    statements = [
        {**statement, "Action": [one for one in statement["Action"] if one != action]}
        for statement in policy["Statement"]
    ]
    return {**policy, "Statement": [statement for statement in statements if statement["Action"]]}


def quick(name: str, folder: Path) -> Path:
    """The playbook as it ships, only faster; one that needs the dead man's switch on a real account asks for it."""
    text = (Path(__file__).parents[2] / "playbooks" / f"{name}.yaml").read_text()
    text = text.replace("hold: 5s", "hold: 0s").replace("every: 1s", "every: 100ms").replace("every: 2s", "every: 1s")
    if any(use.part.needs_switch for use in shipped(name).faults):
        text += "\ndead_man_switch: {role: role/runner-switch}\n"
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ALL if EVERY else SAMPLE)
def test_the_printed_policy_is_enough_and_nothing_in_it_that_changes_is_too_much(
    account: Account, tmp_path: Path, name: str
) -> None:
    path = quick(name, tmp_path)
    staged = account.on_lab("stage", str(path))
    assert staged.returncode == 0, staged.stderr
    printed = json.loads(account.on_lab("iam-policy", str(path)).stdout)
    if "dead_man_switch" in printed:
        iam = account.client("iam")
        iam.create_role(RoleName="runner-switch", AssumeRolePolicyDocument=json.dumps(SWITCH))
        document = json.dumps(printed["dead_man_switch"])
        iam.put_role_policy(RoleName="runner-switch", PolicyName="printed", PolicyDocument=document)
    playbook = shipped(name)
    before = whole(account.client, number=ACCOUNT, but="runner-")
    done = account.run_as(account.role(printed["run"]), playbook, path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert whole(account.client, number=ACCOUNT, but="runner-") == before

    def refused(action: str) -> str:
        less = account.run_as(account.role(without(printed["run"], action)), playbook, path)
        good = less.returncode == 5 and action in less.stdout and "changed " not in less.stdout
        return "" if good else f"without {action}: exit code {less.returncode}\n{less.stdout}{less.stderr}"

    actions = sorted(changes(playbook))
    assert bool(actions) is bool(playbook.faults or any(use.invasive for use in playbook.probes.values()))
    with ThreadPoolExecutor(2) as pool:
        wrong = [text for text in pool.map(refused, actions) if text]
    assert not wrong, "\n\n".join(wrong)
    assert whole(account.client, number=ACCOUNT, but="runner-") == before, "what was refused has changed nothing"
