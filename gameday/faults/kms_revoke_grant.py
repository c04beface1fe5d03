"""Revoke a grant on a key."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, JsonValue

from gameday.errors import CannotInject
from gameday.sdk import (
    AWS,
    Answer,
    Before,
    Calls,
    Cause,
    CloudCall,
    Drifted,
    KeyId,
    Rank,
    ReadBack,
    Restored,
    StepFault,
    StillOurs,
    Unknown,
)

_GIVEN = ("GranteePrincipal", "RetiringPrincipal", "Operations", "Constraints", "Name")
"""What CreateGrant is told; the rest of what ListGrants says is KMS's own."""
_TRIED = "DryRunOperationException"
"""KMS's answer to a dry run that would have succeeded (API Reference, CreateGrant)."""


class RevokeGrant(StepFault):
    """Take one grant on a key away from a role or user; making the same grant again is the undo.

    Only who works by that grant loses the key: all others go on. KMS tells its servers of a grant within five minutes,
    of its end as of its beginning.

    **The new grant has another id**, which ListGrants shows; whoever keeps the old id to revoke or retire it later must
    learn the new one. The grant must have a name: a CreateGrant with the same name and parameters makes no second one,
    so that it may be called twice. Refused: a grant without a name; one that an AWS service made or works by (EBS, RDS
    and others make them for a resource, and would not know the new one); one of another account; a name that several
    grants have.

    Source: AWS KMS API Reference, CreateGrant, RevokeGrant, ListGrants; KMS Developer Guide, "Grants in AWS KMS".
    """

    uses: ClassVar[str] = "kms.revoke_grant"
    permissions: ClassVar[tuple[str, ...]] = ("kms:ListGrants", "kms:RevokeGrant", "kms:CreateGrant")
    step: ClassVar[str] = "revoke"
    rank: ClassVar[Rank] = Rank.POLICY
    denies: ClassVar[bool] = True
    calls: ClassVar[Calls] = Calls(inject=("kms:RevokeGrant",), undo=("kms:CreateGrant",), read=("kms:ListGrants",))

    key: KeyId
    grant: str = Field(pattern=r"^[a-zA-Z0-9:/_-]{1,256}$")
    """The grant's name."""

    @property
    def resource(self) -> str:
        """The key's ARN."""
        return self.key

    def capture(self, aws: AWS) -> Before:
        """The one grant of that name, as CreateGrant would be told it again."""
        answer, found = self._named(aws)
        if not answer.ok:
            raise CannotInject(f"the grants of key {self.key} could not be read ({_said(answer)})")
        if len(found) != 1:
            raise CannotInject(f"key {self.key} has {len(found)} grants with the name {self.grant}: there must be one")
        self._refuse(found[0])
        return {"id": found[0]["GrantId"], **_given(found[0])}

    def inject(self, aws: AWS, before: Before) -> None:
        """RevokeGrant, once."""
        aws.changing("kms").revoke_grant(KeyId=self.key, GrantId=str(before["id"]))

    def undo(self, aws: AWS, before: Before) -> None:
        """CreateGrant with the same name and parameters: where the grant is there still, KMS answers with its id."""
        aws.changing("kms").create_grant(KeyId=self.key, **_given(before))

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """What ListGrants says."""
        answer, found = self._named(aws)
        if answer.cause is Cause.NOT_FOUND:
            return Drifted("the key is gone: someone deleted it")
        if not answer.ok:
            return Unknown(_said(answer))
        if any(_given(each) == _given(before) for each in found):
            same = any(each["GrantId"] == before["id"] for each in found)
            return Restored("the grant is there" if same else f"the grant is there, as {found[0]['GrantId']}")
        if found:
            return Drifted(f"someone else made another grant with the name {self.grant}")
        return StillOurs(f"there is no grant with the name {self.grant}")

    def rehearse(self, aws: AWS) -> None:
        """CreateGrant as a dry run: KMS says that it would have worked. Any other answer is no proof."""
        before = self.capture(aws)
        with aws.answering() as answer:
            aws.changing("kms").create_grant(KeyId=self.key, DryRun=True, **_given(before))
        if answer.code != _TRIED:
            why = _said(answer) if not answer.ok else "the endpoint carried it out, and may have made a second grant"
            raise CannotInject(f"making grant {self.grant} again could not be rehearsed: {why}")

    def in_cloud(self, aws: AWS) -> tuple[CloudCall, ...]:
        """CreateGrant, which may come twice: it has a name."""
        parameters: dict[str, JsonValue] = {"KeyId": self.key, **_given(self.capture(aws))}
        return (CloudCall(service="kms", action="createGrant", parameters=parameters, permission="kms:CreateGrant"),)

    def _refuse(self, grant: dict[str, Any]) -> None:
        """Raise CannotInject for a grant that must not be taken away, or could not be made again by this account."""
        for role in ("GranteePrincipal", "RetiringPrincipal"):
            who = str(grant.get(role, ""))
            parts = who.split(":")
            if who and (len(parts) < 6 or parts[2] not in ("iam", "sts")):
                raise CannotInject(f"grant {self.grant} is {who}'s: grants of AWS services are not taken away")
            if "/aws-service-role/" in who or "/aws:" in who or "/AWSServiceRoleFor" in who:
                raise CannotInject(f"grant {self.grant} is of the service role {who}: its service would not mend it")
            if who and parts[4] != self.key.split(":")[4]:
                raise CannotInject(f"grant {self.grant} is of another account ({who}): it is not taken away")

    def _named(self, aws: AWS) -> tuple[Answer, list[dict[str, Any]]]:
        found: list[dict[str, Any]] = []
        with aws.answering() as answer:
            pages = aws.client("kms").get_paginator("list_grants").paginate(KeyId=self.key)
            found = [dict(each) for page in pages for each in page["Grants"] if each.get("Name") == self.grant]
        return answer, found


def _given(grant: Before) -> dict[str, Any]:
    """What CreateGrant is told; the order of operations says nothing."""
    said = {name: grant[name] for name in _GIVEN if grant.get(name)}
    operations = said.get("Operations")
    return {**said, "Operations": sorted(operations)} if isinstance(operations, list) else said


def _said(answer: Answer) -> str:
    return f"{answer.code or answer.cause}: {answer.detail}"
