"""An object's ACL."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, ClassVar

from gameday.errors import CannotInject
from gameday.faults.s3_open_public_access.common import said
from gameday.faults.s3_open_public_access.ownership import ENFORCED, read_ownership
from gameday.sdk import (
    AWS,
    Before,
    Calls,
    Cause,
    CloudCall,
    Drifted,
    Rank,
    ReadBack,
    Restored,
    Step,
    StillOurs,
    Unknown,
)

EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"
PUBLIC = {"Grantee": {"Type": "Group", "URI": EVERYBODY}, "Permission": "READ"}
HEADERS = {
    "FULL_CONTROL": "GrantFullControl",
    "READ": "GrantRead",
    "READ_ACP": "GrantReadACP",
    "WRITE": "GrantWrite",
    "WRITE_ACP": "GrantWriteACP",
}


class ObjectAcl(Step):
    """One grant more in an object's ACL: READ to everybody."""

    step: ClassVar[str] = "object acl"
    rank: ClassVar[Rank] = Rank.POLICY
    calls: ClassVar[Calls] = Calls(
        inject=("s3:GetObjectAcl", "s3:PutObjectAcl", "s3:GetObjectVersionAcl", "s3:PutObjectVersionAcl"),
        undo=("s3:GetObjectAcl", "s3:PutObjectAcl", "s3:GetObjectVersionAcl", "s3:PutObjectVersionAcl"),
        read=("s3:GetObject", "s3:GetObjectAcl", "s3:GetObjectVersionAcl", "s3:GetBucketOwnershipControls"),
    )

    bucket: str
    key: str
    partition: str = "aws"

    @property
    def resource(self) -> str:
        """The object's ARN."""
        return f"arn:{self.partition}:s3:::{self.bucket}/{self.key}"

    def capture(self, aws: AWS) -> Before:
        """The grants of the version that is current; it must not be public already."""
        version, grants = "", list[dict[str, Any]]()
        with aws.answering() as answer:
            version = self._current(aws)
            grants = self._read(aws, version)
        if not answer.ok:
            raise CannotInject(f"the ACL of {self.resource} could not be read ({said(answer)})")
        if any(grant["Grantee"].get("URI") == EVERYBODY for grant in grants):
            raise CannotInject(f"{self.resource} is open to everybody already: not ours to close")
        if not grants:
            raise CannotInject(f"{self.resource} has an ACL without a single grant, which cannot be written back")
        return {"version": version, "grants": json.loads(json.dumps(grants))}

    def mismatch(self, run: str, before: Before) -> str:
        """A version and grants without ours; only our own grant is ever taken away."""
        grants = before.get("grants")
        if not isinstance(grants, list) or not grants or not isinstance(before.get("version"), str):
            return "it has no version or no grants"
        open_ = any(isinstance(one, dict) and str(one.get("Grantee")).find(EVERYBODY) >= 0 for one in grants)
        return "its grants are open to everybody already" if open_ else ""

    def in_cloud(self, aws: AWS) -> tuple[CloudCall, ...]:
        """Nothing: behind the bucket's public access block, put back, it opens nothing."""
        return ()

    def inject(self, aws: AWS, before: Before) -> None:
        """PutObjectAcl, once, of what was read immediately before and the grant."""
        version = str(before["version"])
        self._put(aws, version, [*self._read(aws, version), PUBLIC])

    def undo(self, aws: AWS, before: Before) -> None:
        """PutObjectAcl of what was read immediately before, without the grant; always."""
        version = str(before["version"])
        self._put(aws, version, [one for one in self._read(aws, version) if not _is_ours(one)])

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """Whether the grant is there, and whether the others are as they were found."""
        grants, ownership = list[dict[str, Any]](), ""
        with aws.answering() as answer:
            grants = self._read(aws, str(before["version"]))
            ownership = read_ownership(aws, self.bucket)
        if answer.cause is Cause.NOT_FOUND:
            return Drifted("the object is gone: someone deleted it")
        if not answer.ok:
            return Unknown(said(answer))
        if ownership == ENFORCED:  # S3 shows no grants then, takes no ACL, and keeps the one below for later
            return Drifted("someone else turned ACLs off meanwhile; our grant to everybody may be hidden below")
        if any(_is_ours(grant) for grant in grants):
            return StillOurs("everybody may read it")
        found = before["grants"]
        if isinstance(found, list) and _as_set(grants) == _as_set(found):
            return Restored("its ACL is as found")
        return Drifted("our grant is gone; someone else changed others in its ACL, which stay so")

    def rehearse(self, aws: AWS) -> None:
        """PutObjectAcl of the ACL as it is; where ACLs are still off, S3 says so only to who may set them."""
        s3 = aws.client("s3")
        try:
            version = self._current(aws)
            self._put(aws, version, self._read(aws, version))
        except s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "AccessControlListNotSupported":
                raise

    def _current(self, aws: AWS) -> str:
        """The version that is current; ``""`` where the bucket has no versions."""
        return aws.client("s3").head_object(**self._of(aws, "")).get("VersionId", "")

    def _of(self, aws: AWS, version: str) -> dict[str, Any]:
        which = {"VersionId": version} if version else {}
        return {"Bucket": self.bucket, "Key": self.key, "ExpectedBucketOwner": aws.account, **which}

    def _read(self, aws: AWS, version: str) -> list[Any]:
        return [*aws.client("s3").get_object_acl(**self._of(aws, version))["Grants"]]

    def _put(self, aws: AWS, version: str, grants: list[Any]) -> None:
        """By grant headers, which replace the whole ACL, as a body would, and do not repeat the owner."""
        named: dict[str, list[str]] = {}
        for grant in grants:
            who = grant["Grantee"]
            name = f'uri="{who["URI"]}"' if "URI" in who else f'id="{who["ID"]}"'
            named.setdefault(HEADERS[grant["Permission"]], []).append(name)
        given: dict[str, Any] = {header: ", ".join(names) for header, names in named.items()}
        aws.changing("s3").put_object_acl(**self._of(aws, version), **given)


@cache
def acl_step(number: int) -> type[ObjectAcl]:
    """A step's name is its class's, so each further object has a class of its own."""
    if number == 1:
        return ObjectAcl

    class Further(ObjectAcl):
        """The same for another object."""

        step: ClassVar[str] = f"object acl {number}"

    return Further


def _as_set(grants: list[Any]) -> set[str]:
    return {json.dumps(grant, sort_keys=True) for grant in grants}


def _is_ours(grant: Any) -> bool:
    return bool(grant["Grantee"].get("URI") == EVERYBODY and grant["Permission"] == "READ")
