"""Who is denied something: written shortly in a playbook, and never the one who has to take it back."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from gameday.errors import CannotInject
from gameday.sdk import AWS, Cause

_NAME = r"(role|user)/[\w+=,.@/-]+"
Principal = Annotated[str, StringConstraints(pattern=rf"^({_NAME}|arn:aws[a-z-]*:(iam|sts)::\d{{12}}:[\w+=,.@/-]+)$")]
"""``role/NAME``, ``user/NAME`` (with its path, if it has one) or an ARN."""
RoleOrUser = Annotated[str, StringConstraints(pattern=rf"^(arn:aws[a-z-]*:iam::\d{{12}}:)?{_NAME}$")]
"""The same, but no session of a role, and not the account."""


def arn_of(principal: str, key: str) -> str:
    """The ARN of ``role/NAME`` or ``user/NAME`` in the account of the key."""
    partition, account = key.split(":")[1], key.split(":")[4]
    return principal if principal.startswith("arn:") else f"arn:{partition}:iam::{account}:{principal}"


def refuse_caller(aws: AWS, arns: tuple[str, ...]) -> None:
    """Raise CannotInject when one of them is the caller, anyone else whom the way back needs, or the whole account.

    The credentials that assume the roles must go on working too: a session that ends is assumed anew, and so is the
    one of the watchdog and of ``gameday rollback``. GetCallerIdentity needs no permission.
    """
    caller = ""
    with aws.answering() as answer:
        caller = aws.client("sts").get_caller_identity()["Arn"]
    if not answer.ok:
        raise CannotInject(f"STS did not say who calls ({answer.code or answer.cause}: {answer.detail})")
    for arn in arns:
        if arn.endswith(":root"):
            raise CannotInject(f"{arn} is everybody in the account, gameday included: name roles or users")
        if _is(arn, caller):
            raise CannotInject(f"{arn} is who gameday runs as ({caller}): it could not take the denial back")
        if needed := next((one for one in aws.callers if _is(arn, one)), ""):
            raise CannotInject(f"{arn} is needed to put everything back ({needed}): deny it to somebody else")


def refuse_unknown(aws: AWS, arns: tuple[str, ...]) -> None:
    """Raise CannotInject when one of them is a role or user of this account that is not there under that ARN.

    KMS says no more than "one or more invalid principals", and only at the inject. Who may not look is not refused;
    other accounts' roles cannot be looked up. Source: AWS KMS API Reference, PutKeyPolicy.
    """
    for arn in arns:
        account, (kind, _, path) = arn.split(":")[4], arn.split(":")[5].partition("/")
        if account != aws.account or kind not in ("role", "user"):
            continue
        name, there = path.rsplit("/", 1)[-1], ""
        with aws.answering() as answer:
            iam = aws.client("iam")
            found = iam.get_role(RoleName=name)["Role"] if kind == "role" else iam.get_user(UserName=name)["User"]
            there = found["Arn"]
        if answer.cause is Cause.NOT_FOUND:
            raise CannotInject(f"there is no {arn}: a key policy may not name it")
        if answer.ok and there != arn:
            raise CannotInject(f"{arn} is in fact {there}: name it with its path, or as that")


def _is(arn: str, caller: str) -> bool:
    """An assumed role's ARN names its session, and leaves out the role's path."""
    if arn == caller:
        return True
    named, calling = arn.split(":"), caller.split(":")
    role = calling[5].split("/")[1] if calling[5].startswith("assumed-role/") else ""
    return named[4] == calling[4] and named[5].startswith("role/") and named[5].rsplit("/", 1)[-1] == role
