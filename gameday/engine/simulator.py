"""IAM's policy simulator: what it says that a caller may not do, and where it does not say anything.

Source: IAM User Guide, "IAM policy testing with the policy simulator"; IAM API Reference, SimulatePrincipalPolicy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gameday.sdk import AWS


@dataclass(frozen=True)
class Principal:
    """The user or role behind a caller's ARN.

    Parameters
    ----------
    arn: as IAM has it, with its path; for a role that could not be looked up, a pattern that matches any path.
    doubt: why the path is not known, or ``""``.
    """

    arn: str
    doubt: str = ""


@dataclass(frozen=True)
class Simulated:
    """What came of asking.

    Parameters
    ----------
    denied: ``ACTION on RESOURCE``, for each that was not allowed.
    unanswered: why the simulator could not be asked, for all or for some, or ``""``.
    """

    denied: tuple[str, ...] = ()
    unanswered: str = ""


def principal_of(caller: str, aws: AWS) -> Principal | None:
    """Who the policies are attached to; None for the account's root, which no policy limits.

    The ARN of an assumed role's session leaves out the role's path, which every role of IAM Identity Center has.
    """
    kind, _, name = caller.rpartition(":")[2].partition("/")
    if kind == "root":
        return None
    if kind == "user":
        return Principal(caller)
    if kind != "assumed-role":
        return Principal(caller, f"{caller} is neither a user nor a role")
    role, arn = name.partition("/")[0], ""
    with aws.answering() as answer:
        arn = aws.client("iam").get_role(RoleName=role)["Role"]["Arn"]
    if answer.ok:
        return Principal(arn)
    said = f"iam:GetRole {role}: {answer.code or answer.cause}: {answer.detail}"
    return Principal(f"arn:{caller.split(':')[1]}:iam::{caller.split(':')[4]}:role/*{role}", said)


def simulate(aws: AWS, caller: str, needs: Iterable[tuple[str, tuple[str, ...]]]) -> Simulated:
    """Ask whether the caller may do all of this; ``needs`` are actions, each with the resources it is needed on.

    The simulator sees no key or bucket policy for a role, so what it refuses may be allowed in truth.
    """
    principal = principal_of(caller, aws)
    if principal is None:
        return Simulated()
    by_resource: dict[tuple[str, ...], set[str]] = {}
    for action, resources in needs:
        by_resource.setdefault(resources, set()).add(action)
    denied: list[str] = []
    silent: dict[str, None] = dict.fromkeys([principal.doubt] if principal.doubt else [])
    # Without its path the ARN may be right all the same: most roles have none.
    source = principal.arn.replace(":role/*", ":role/")
    for resources, actions in by_resource.items():
        yes: set[tuple[str, str]] = set()
        with aws.answering() as answer:
            pages = aws.client("iam").get_paginator("simulate_principal_policy")
            asked = pages.paginate(PolicySourceArn=source, ActionNames=sorted(actions), ResourceArns=[*resources])
            for result in (each for page in asked for each in page["EvaluationResults"]):
                named = (result["EvalActionName"], result.get("EvalResourceName", "*"))
                yes.add(named)
                denied += [" on ".join(named)] if result["EvalDecision"] != "allowed" else []
        if not answer.ok:
            silent[f"{answer.code or answer.cause}: {answer.detail}"] = None
        elif {action.lower() for action, _ in yes} != {action.lower() for action in actions}:
            silent["it left out some of the actions"] = None
    answered = principal.doubt and len(silent) == 1  # the guess was right: the role has no path
    return Simulated(tuple(sorted(denied)), "" if answered else "; ".join(silent))
