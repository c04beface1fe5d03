"""The least IAM policies for a playbook: one for running it, one for rolling it back.

A policy is scoped to the playbook's own resources where IAM allows it. Which actions take no resource is AWS's
Service Authorization Reference; of those that parts here use, EC2's Describe*, CloudTrail, STS and Auto Scaling.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydantic import JsonValue

from gameday.engine.plan import Plan
from gameday.engine.simulator import Simulated, principal_of, simulate
from gameday.playbook import Playbook
from gameday.sdk import AWS, Part, RefKind, Switch

Policy = dict[str, JsonValue]
Need = tuple[str, tuple[str, ...]]
"""An action and the resources that it is needed on."""
ANYTHING = ("*",)


def policies(playbook: Playbook, plan: Plan, aws: AWS, caller: str) -> dict[str, Policy]:
    """``run``: all that a run calls, its own rollback included; ``rollback``: what ``gameday rollback`` calls.

    ``dead_man_switch``, where the playbook asks for it: what the role that it names calls.
    """
    scope = _Scope(plan, aws, any_run=True)
    run: list[Need] = [("sts:GetCallerIdentity", ANYTHING)]
    for who in filter(None, (caller, plan.prepared.target.rollback_caller)):
        principal = principal_of(who, aws)
        about = principal.arn if principal else f"arn:{aws.partition}:iam::{aws.account}:role/*"
        run.append(("iam:SimulatePrincipalPolicy", (about,)))
        run += [("iam:GetRole", (about,))] if ":role/" in about else []
    for use in playbook.stage:
        run += [(action, scope.of(action, use.part)) for action in use.part.needs if _reads(action)]
    for name, part in plan.probes.items():
        role = plan.identities.get(name)  # what the probe does is then for that role to be allowed
        run += [("sts:AssumeRole", (role,))] if role else [(a, scope.of(a, part)) for a in part.needs]
    if any(":kms:" in record.resource for record in plan.records.values() if not record.probe):
        run += [(action, ANYTHING) for action in _radius_calls(playbook)]
    back: list[Need] = [("sts:GetCallerIdentity", ANYTHING)]
    back += _changes(plan, scope, inject=False)
    made = {"run": _policy([*run, *_changes(plan, scope)]), "rollback": _policy(back)}
    if plan.switches:
        made["dead_man_switch"] = _policy([(s.call.permission, (s.about,)) for s in plan.switches])
    return made


def _radius_calls(playbook: Playbook) -> tuple[str, ...]:
    from gameday.engine.radius import needed  # with its engines, which a run without it need not load

    return needed(playbook)


def simulated(plan: Plan, aws: AWS, caller: str, *, only_undo: bool = False) -> Simulated:
    """What the policy simulator says of all that the caller's steps call.

    ``only_undo`` asks about what puts back and reads, and nothing else.

    What it refuses refuses the run, though a key policy may allow it: what cannot be rehearsed (EC2's CreateGrant,
    above all) would otherwise be found out when the instance is down.
    """
    return simulate(aws, caller, _changes(plan, _Scope(plan, aws), inject=not only_undo))


def _changes(plan: Plan, scope: _Scope, *, inject: bool = True) -> list[Need]:
    """What the steps call, to inject, to undo and to read."""
    needs: list[Need] = []
    for id_, step in plan.steps.items():
        part = _owner(plan, id_)
        needs += [(a, scope.of(a, part)) for a in (*step.calls.undo, *step.calls.read)]
        needs += [(a, scope.of(a, part)) for a in step.calls.inject if inject]
    return needs


def _owner(plan: Plan, id_: str) -> Part:
    """The fault, invasive probe or switch behind an undo step."""
    record, step = plan.records[id_], plan.steps[id_]
    if isinstance(step, Switch):
        return step
    return plan.probes[record.probe] if record.probe else plan.faults[record.chain]


def _reads(action: str) -> bool:
    """Whether an action only looks; a run checks the stage and never makes it."""
    return action.partition(":")[2].startswith(("Describe", "Get", "List"))


def _policy(needs: Iterable[tuple[str, tuple[str, ...]]]) -> Policy:
    """One statement for each set of resources."""
    by_resource: dict[tuple[str, ...], set[str]] = {}
    for action, resources in needs:
        by_resource.setdefault(resources, set()).add(action)
    statements: list[JsonValue] = [
        {"Effect": "Allow", "Action": [*sorted(actions)], "Resource": [*resources]}
        for resources, actions in sorted(by_resource.items(), key=lambda item: item[0])
    ]
    return {"Version": "2012-10-17", "Statement": statements}


class _Scope:
    """Which resources of the playbook an action of a part is about."""

    def __init__(self, plan: Plan, aws: AWS, *, any_run: bool = False) -> None:
        self._aws, self._any_run = aws, any_run
        parts: tuple[Part, ...] = (*plan.faults, *plan.probes.values())
        self._keys = tuple(sorted({arn for part in parts for arn in part.pinned(RefKind.KEY)}))

    def of(self, action: str, part: Part) -> tuple[str, ...]:
        """The ARNs, or ``*`` where IAM knows none for the action."""
        found = part.scope(action, self._aws) or (self._keys if action.startswith("kms:") else ()) or ANYTHING
        if not self._any_run:
            return found
        # What a run makes is named after it, and a policy is for the runs to come.
        return tuple(re.sub(f"gameday-{self._aws.run}-.*", "gameday-*", arn) for arn in found)
