"""Who is denied something: written shortly in a playbook, and never the one who has to take it back."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from gameday.errors import CannotInject
from gameday.sdk import AWS

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
    """Raise CannotInject when one of them is the caller, or his whole account.

    GetCallerIdentity needs no permission.
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


def _is(arn: str, caller: str) -> bool:
    """An assumed role's ARN names its session, and leaves out the role's path."""
    if arn == caller:
        return True
    named, calling = arn.split(":"), caller.split(":")
    role = calling[5].split("/")[1] if calling[5].startswith("assumed-role/") else ""
    return named[4] == calling[4] and named[5].startswith("role/") and named[5].rsplit("/", 1)[-1] == role
