"""A role for a playbook, that it may take something away from."""

from __future__ import annotations

import json
from typing import ClassVar

from pydantic import Field

from gameday.sdk import AWS, Cause, StageStep
from gameday.stages._made import TAG, TAG_VALUE, demand, refuse_existing, said, tags

_POLICY = "gameday-stage"


class IamRole(StageStep):
    """A role that this account (or a service) may assume, with one inline policy that allows what it is there for."""

    uses: ClassVar[str] = "iam.role"
    permissions: ClassVar[tuple[str, ...]] = (
        *("iam:GetRole", "iam:CreateRole", "iam:TagRole", "iam:PutRolePolicy"),
        *("iam:DeleteRolePolicy", "iam:DeleteRole"),
    )

    name: str = Field(pattern=r"^[\w+=,.@-]{1,64}$")
    actions: tuple[str, ...] = Field(min_length=1)
    """What it may do, such as ``s3:GetObject``."""
    resources: tuple[str, ...] = ("*",)
    """With what: ARNs."""
    trusts: str = Field("", pattern=r"^([a-z0-9-]+\.)+amazonaws\.com(\.cn)?$|^$")
    """The service that may assume it, such as ``scheduler.amazonaws.com``; by default this account."""

    def check(self, aws: AWS) -> str:
        """The role must be there; what it may do is seen by the probes."""
        return "" if self._tags(aws) is not None else self._missing(aws)

    def make(self, aws: AWS) -> None:
        """CreateRole and PutRolePolicy; a role that gets no policy is not left behind."""
        if self._tags(aws) is not None:
            refuse_existing("", f"role {self.name}")
        who = {"Service": self.trusts} if self.trusts else {"AWS": f"arn:{aws.partition}:iam::{aws.account}:root"}
        trust: dict[str, object] = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": who}
        allow: dict[str, object] = {"Effect": "Allow", "Action": [*self.actions], "Resource": [*self.resources]}
        iam = aws.changing("iam")
        with aws.answering() as answer:
            iam.create_role(
                RoleName=self.name,
                AssumeRolePolicyDocument=_document(trust),
                Description="made by gameday",
                Tags=[{"Key": name, "Value": value} for name, value in tags(aws).items()],
            )
        demand(answer, f"role {self.name} could not be made")
        with aws.answering() as answer:
            iam.put_role_policy(RoleName=self.name, PolicyName=_POLICY, PolicyDocument=_document(allow))
        if not answer.ok:
            with aws.answering():
                iam.delete_role(RoleName=self.name)
        demand(answer, f"role {self.name} could not be given its policy, and was removed again")

    def unmake(self, aws: AWS) -> str:
        """DeleteRolePolicy and DeleteRole; only for a role that is ours, and that nobody has given more."""
        found = self._tags(aws)
        if found is None:
            return self._missing(aws)
        if found.get(TAG) != TAG_VALUE:
            return f"role {self.name} was not made by gameday stage, and is left as it is"
        with aws.answering() as answer:
            aws.changing("iam").delete_role_policy(RoleName=self.name, PolicyName=_POLICY)
            aws.changing("iam").delete_role(RoleName=self.name)
        return f"role {self.name} is removed" if answer.ok else f"role {self.name} is kept: {said(answer)}"

    def _tags(self, aws: AWS) -> dict[str, str] | None:
        """The role's tags, or None when there is no such role; whatever else IAM says is refused."""
        found: dict[str, str] = {}
        with aws.answering() as answer:
            role = aws.client("iam").get_role(RoleName=self.name)["Role"]
            found = {tag["Key"]: tag["Value"] for tag in role.get("Tags", [])}
        if answer.cause is Cause.NOT_FOUND:
            return None
        demand(answer, f"role {self.name} could not be looked up in account {aws.account}")
        return found

    def _missing(self, aws: AWS) -> str:
        return f"there is no role {self.name} in account {aws.account}"


def _document(statement: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
