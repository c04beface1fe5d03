"""The dead man's switch of a run: which calls the cloud would make by itself, when, as whom, and what can be proved.

What it cannot undo exactly it must not undo at all: a run that asks for it with such a fault is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import unquote

from gameday.errors import CannotInject, Refused
from gameday.playbook import Playbook, SwitchUse
from gameday.sdk import AWS, SWITCHES, Cause, CloudCall, Fault, Step, Switch

USES = "eventbridge.schedule"
APART = timedelta(minutes=2)
"""Between two calls that need their order: schedules have the precision of a minute."""
SERVICE = "scheduler.amazonaws.com"


def switches(playbook: Playbook, faults: tuple[Fault, ...], aws: AWS, run: str) -> tuple[Switch, ...]:
    """One switch a call; raises Refused when a fault cannot be undone exactly by calls alone."""
    asked = playbook.dead_man_switch
    if asked is None:
        return ()
    try:
        return _made(playbook, asked, faults, aws, run)
    except Refused:
        if asked.asked:
            raise
        return ()  # the target offers it to every playbook, and this one is not for it


def _made(playbook: Playbook, asked: SwitchUse, faults: tuple[Fault, ...], aws: AWS, run: str) -> tuple[Switch, ...]:
    made: list[Switch] = []
    for fault in faults:
        for number, (step, call) in enumerate(_calls(fault, aws)):
            after = playbook.timing.max_fault + asked.margin + number * APART
            made.append(_switch(asked, step, call, after, f"gameday-{run}-{len(made) + 1}", aws))
    return tuple(made)


def _calls(fault: Fault, aws: AWS) -> list[tuple[Step, CloudCall]]:
    """A fault's calls in the order in which they undo it: its steps backwards."""
    found: list[tuple[Step, CloudCall]] = []
    for step in reversed(fault.steps()):
        try:
            calls = step.in_cloud(aws)
        except CannotInject as error:
            raise Refused(f"the dead man's switch cannot stand behind {fault.uses}: {error}") from error
        if calls is None:
            raise Refused(
                f"the dead man's switch cannot stand behind {fault.uses}: from the cloud its {step.step} could only be "
                "undone by overwriting what others may have changed meanwhile; leave dead_man_switch or the fault out"
            )
        found += [(step, call) for call in calls]
    return found


def _switch(asked: SwitchUse, step: Step, call: CloudCall, after: timedelta, name: str, aws: AWS) -> Switch:
    where = f"arn:{aws.partition}:scheduler:{aws.region}:{aws.account}:schedule/{asked.group}/{name}"
    return SWITCHES[USES].model_validate(
        {
            "about": step.resource,
            "call": call,
            "role": role_of(asked, aws),
            "schedule": where,
            "after": after.total_seconds(),
            "dead_letter_queue": asked.dead_letter_queue,
        }
    )


def role_of(asked: SwitchUse, aws: AWS) -> str:
    """The ARN of the role that the cloud would call as."""
    return asked.role if asked.role.startswith("arn:") else f"arn:{aws.partition}:iam::{aws.account}:{asked.role}"


def checks(armed: tuple[Switch, ...], aws: AWS) -> Iterator[tuple[str, str, str]]:
    """What can be seen of the switch's role before anything is armed: the check, why not or ``""``, and what it shows.

    That AWS will let the scheduler become the role is proved by CreateSchedule itself, which refuses it otherwise.
    """
    if not armed:
        return
    role = armed[0].role
    yield "switch role", _role_refused(role, aws), f"{role} is there and trusts {SERVICE}, as far as IAM may be read"
    for switch in armed:
        why, shown = _may(switch, aws)
        yield f"switch {switch.call.permission}", why, shown


def _role_refused(role: str, aws: AWS) -> str:
    document = arn = ""
    with aws.answering() as answer:
        found = aws.client("iam").get_role(RoleName=role.rpartition("/")[2])["Role"]
        arn = found["Arn"]
        trust: object = found.get("AssumeRolePolicyDocument", "")
        document = unquote(trust) if isinstance(trust, str) else json.dumps(trust)
    if answer.cause is Cause.NOT_FOUND:
        return f"the dead man's switch has no role: there is no {role}"
    if answer.ok and arn != role:
        return f"the dead man's switch could not fire: {role} is in fact {arn}; name it with its path"
    if answer.ok and SERVICE not in document:
        return f"the dead man's switch could not fire: {role} does not trust {SERVICE}"
    return ""  # who may not read roles is told by CreateSchedule


def _may(switch: Switch, aws: AWS) -> tuple[str, str]:
    """What the policy simulator says of the role; it sees no key policy, so its yes is advice and no proof."""
    decision = ""
    with aws.answering() as answer:
        said = aws.client("iam").simulate_principal_policy(
            PolicySourceArn=switch.role, ActionNames=[switch.call.permission], ResourceArns=[switch.about]
        )
        decision = next((result["EvalDecision"] for result in said["EvaluationResults"]), "")
    if answer.ok and decision != "allowed":
        return f"the dead man's switch could not fire: {switch.role} may not {switch.call.permission} ({decision})", ""
    silent = f"WARNING: the policy simulator could not be asked: {answer.code or answer.cause}: {answer.detail}"
    what = "the policy simulator allows it" if answer.ok else silent
    return "", f"{what}; whether the resource's own policy does, only a call as {switch.role} can prove"
