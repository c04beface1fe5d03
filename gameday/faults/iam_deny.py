"""Deny something to a role or user by a policy of its own."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from gameday.errors import CannotInject
from gameday.faults._policy import own_sid
from gameday.faults._principals import RoleOrUser, arn_of, refuse_caller
from gameday.sdk import (
    AWS,
    Answer,
    Before,
    Calls,
    Cause,
    Drifted,
    Fault,
    KeyId,
    Rank,
    ReadBack,
    Restored,
    Step,
    StillOurs,
    Unknown,
    unlike,
)

NOT_OURS = ("/aws-service-role/", "/aws-reserved/")
Action = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z0-9-]+:[A-Za-z0-9*?]+)$")]


class InlineDeny(Step, ABC):
    """An inline policy of gameday's on a role or user."""

    step: ClassVar[str] = "deny"
    rank: ClassVar[Rank] = Rank.POLICY
    denies: ClassVar[bool] = True

    arn: str
    resources: tuple[str, ...]
    actions: tuple[str, ...]

    @abstractmethod
    def get(self, aws: AWS) -> str:
        """The ARN of the role or user, as IAM has it."""

    @abstractmethod
    def look(self, aws: AWS, policy: str) -> None:
        """Read an inline policy; what IAM answers where it is not there, is raised."""

    @abstractmethod
    def put(self, aws: AWS, policy: str, document: str) -> None:
        """Write an inline policy."""

    @abstractmethod
    def delete(self, aws: AWS, policy: str) -> None:
        """Delete an inline policy; one that is not there is as good as deleted."""

    @property
    def resource(self) -> str:
        """The ARN of the role or user."""
        return self.arn

    @property
    def name(self) -> str:
        """Its name, without the path."""
        return self.arn.rsplit("/", 1)[-1]

    def capture(self, aws: AWS) -> Before:
        """The role or user must be there, be changeable, be somebody else than gameday, and not have our policy."""
        refuse_caller(aws, (self.arn,))
        arn = ""
        with aws.answering() as answer:
            arn = self.get(aws)
        if not answer.ok:
            raise CannotInject(f"{self.arn} could not be read ({_said(answer)})")
        if arn != self.arn:
            raise CannotInject(f"{self.arn} is in fact {arn}: name it with its path, or as that")
        if taken := next((path for path in NOT_OURS if path in arn), ""):
            raise CannotInject(f"{arn} is below {taken}, and IAM lets nobody change it")
        policy = self._policy(aws.run)
        with aws.answering() as answer:
            self.look(aws, policy)
        if answer.ok:
            raise CannotInject(f"{arn} has an inline policy {policy} already")
        if answer.cause is not Cause.NOT_FOUND:
            raise CannotInject(f"the inline policies of {arn} could not be read ({_said(answer)})")
        return {"policy": policy}

    def mismatch(self, run: str, before: Before) -> str:
        """The policy's name, which only this run and these parameters have."""
        return unlike(before, policy=self._policy(run))

    def _policy(self, run: str) -> str:
        return own_sid(f"gameday-deny-{run}-", run, self.model_dump_json())

    def inject(self, aws: AWS, before: Before) -> None:
        """PutRolePolicy or PutUserPolicy, once."""
        deny = {"Sid": "GamedayDeny", "Effect": "Deny", "Action": [*self.actions], "Resource": [*self.resources]}
        self.put(aws, str(before["policy"]), json.dumps({"Version": "2012-10-17", "Statement": [deny]}))

    def undo(self, aws: AWS, before: Before) -> None:
        """DeleteRolePolicy or DeleteUserPolicy of our policy, always."""
        self.delete(aws, str(before["policy"]))

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """Whether our policy is there; no other is looked at, since no other was touched."""
        with aws.answering() as answer:
            self.look(aws, str(before["policy"]))
        if answer.ok:
            return StillOurs(f"the inline policy {before['policy']} is there")
        if answer.cause is Cause.NOT_FOUND:  # which is what IAM says of a missing role, too
            with aws.answering() as answer:
                self.get(aws)
            if answer.ok:
                return Restored("without our inline policy")
            if answer.cause is Cause.NOT_FOUND:
                return Drifted("it is gone: someone deleted it")
        return Unknown(_said(answer))

    def rehearse(self, aws: AWS) -> None:
        """Delete a policy that is not there: nothing changes, and the permission is proved."""
        self.delete(aws, f"gameday-rehearsal-{aws.run}")


class RoleDeny(InlineDeny):
    """On a role."""

    calls: ClassVar[Calls] = Calls(
        inject=("iam:PutRolePolicy",), undo=("iam:DeleteRolePolicy",), read=("iam:GetRole", "iam:GetRolePolicy")
    )

    def get(self, aws: AWS) -> str:
        """GetRole."""
        return aws.client("iam").get_role(RoleName=self.name)["Role"]["Arn"]

    def look(self, aws: AWS, policy: str) -> None:
        """GetRolePolicy."""
        aws.client("iam").get_role_policy(RoleName=self.name, PolicyName=policy)

    def put(self, aws: AWS, policy: str, document: str) -> None:
        """PutRolePolicy."""
        aws.changing("iam").put_role_policy(RoleName=self.name, PolicyName=policy, PolicyDocument=document)

    def delete(self, aws: AWS, policy: str) -> None:
        """DeleteRolePolicy."""
        iam = aws.changing("iam")
        with suppress(iam.exceptions.NoSuchEntityException):
            iam.delete_role_policy(RoleName=self.name, PolicyName=policy)


class UserDeny(InlineDeny):
    """On a user."""

    calls: ClassVar[Calls] = Calls(
        inject=("iam:PutUserPolicy",), undo=("iam:DeleteUserPolicy",), read=("iam:GetUser", "iam:GetUserPolicy")
    )

    def get(self, aws: AWS) -> str:
        """GetUser."""
        return aws.client("iam").get_user(UserName=self.name)["User"]["Arn"]

    def look(self, aws: AWS, policy: str) -> None:
        """GetUserPolicy."""
        aws.client("iam").get_user_policy(UserName=self.name, PolicyName=policy)

    def put(self, aws: AWS, policy: str, document: str) -> None:
        """PutUserPolicy."""
        aws.changing("iam").put_user_policy(UserName=self.name, PolicyName=policy, PolicyDocument=document)

    def delete(self, aws: AWS, policy: str) -> None:
        """DeleteUserPolicy."""
        iam = aws.changing("iam")
        with suppress(iam.exceptions.NoSuchEntityException):
            iam.delete_user_policy(UserName=self.name, PolicyName=policy)


class Deny(Fault):
    """Give one role or user an inline policy that denies the key; deleting that policy is the undo.

    Whoever has the role, in sessions that exist already too, may no longer do what ``actions`` say with the key,
    whatever else allows it; everybody else goes on. IAM is eventually consistent: seconds, as a rule. Data keys that
    are held already (an attached volume, an S3 Bucket Key) go on working.

    The policy has a name of its own, with the run in it, and the undo deletes that policy and nothing else: what
    someone else changes at the role meanwhile survives. Refused: whoever the way back needs (who runs, who puts back,
    who assumes their roles, and the role of the dead man's switch), roles that belong to AWS services or to IAM
    Identity Center, and a name under which there is a policy already. Where the inline policies are full (10,240
    characters for a role, 2,048 for a user) IAM refuses, and nothing has happened.

    Source: IAM API Reference, PutRolePolicy, PutUserPolicy, DeleteRolePolicy; IAM User Guide, "IAM and STS quotas".
    """

    uses: ClassVar[str] = "iam.deny"
    permissions: ClassVar[tuple[str, ...]] = (
        *("iam:GetRole", "iam:GetRolePolicy", "iam:PutRolePolicy", "iam:DeleteRolePolicy"),
        *("iam:GetUser", "iam:GetUserPolicy", "iam:PutUserPolicy", "iam:DeleteUserPolicy"),
    )

    principal: RoleOrUser
    """Who is denied: ``role/NAME`` or ``user/NAME``, with its path if it has one."""
    key: KeyId
    """The key that is denied, and in whose account the role or user is."""
    resources: tuple[Annotated[str, StringConstraints(pattern=r"^(\*|arn:\S+)$")], ...] = ()
    """What is denied instead of the key: ARNs, ``*`` and ``?`` as in IAM."""
    actions: tuple[Action, ...] = Field(
        default=("kms:Decrypt", "kms:Encrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant"),
        min_length=1,
    )
    """What may not be done any more; ``*`` and ``?`` as in IAM."""

    def scope(self, action: str, aws: AWS) -> tuple[str, ...]:
        """The role or user."""
        return (arn_of(self.principal, self.key),) if action.startswith("iam:") else super().scope(action, aws)

    def steps(self) -> tuple[Step, ...]:
        """One: the inline policy."""
        arn = arn_of(self.principal, self.key)
        kind = RoleDeny if ":role/" in arn else UserDeny
        return (kind(arn=arn, resources=self.resources or (self.key,), actions=self.actions),)


def _said(answer: Answer) -> str:
    return f"{answer.code or answer.cause}: {answer.detail}"
