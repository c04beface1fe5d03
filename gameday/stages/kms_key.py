"""A key for a playbook."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator

from gameday.sdk import AWS, Cause, StageStep
from gameday.stages._made import TAG, TAG_VALUE, demand, refuse_existing, tags

if TYPE_CHECKING:
    from types_boto3_kms.type_defs import KeyMetadataTypeDef

_ADMINISTER = [
    *("kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*", "kms:Update*", "kms:Revoke*"),
    *("kms:Disable*", "kms:Get*", "kms:Delete*", "kms:TagResource", "kms:UntagResource"),
    *("kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion", "kms:RotateKeyOnDemand"),
]
_USE = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
_GRANT = ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"]


def _alias(alias: str) -> str:
    if not re.fullmatch(r"alias/[a-zA-Z0-9/_-]{1,250}", alias) or alias.startswith("alias/aws/"):
        raise ValueError(
            f"{alias!r} cannot be an alias; write alias/NAME, of letters, digits, /, _ and -, not alias/aws/…"
        )
    return alias


class KmsKey(StageStep):
    """A symmetric, customer-managed key with an alias.

    Its policy is the one that the console writes: the account, the administrators, the users, and the users for the
    AWS services that they ask (``kms:GrantIsForAWSResource``), without which EC2 could not start their instances.
    """

    uses: ClassVar[str] = "kms.key"
    permissions: ClassVar[tuple[str, ...]] = (
        *("kms:CreateKey", "kms:CreateAlias", "kms:TagResource", "kms:DescribeKey", "kms:ListResourceTags"),
        *("kms:DeleteAlias", "kms:ScheduleKeyDeletion"),
    )

    alias: Annotated[str, AfterValidator(_alias)]
    administrators: tuple[str, ...] = ()
    """Who may manage the key: ``role/NAME``, ``user/NAME`` or an ARN."""
    users: tuple[str, ...] = ()
    """Who may use it."""
    description: str = "made by gameday"

    def check(self, aws: AWS) -> str:
        """The alias must lead to an enabled, symmetric, customer-managed key."""
        key = self._find(aws)
        return self._unfit(key) if key else self._missing(aws)

    def _unfit(self, key: KeyMetadataTypeDef) -> str:
        if key.get("KeyManager") != "CUSTOMER":
            return f"{self.alias} is a key managed by AWS: name another alias"
        if key.get("KeySpec", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
            return f"{self.alias} is not a symmetric key but {key.get('KeySpec')}: name another alias"
        if key.get("KeyState") != "Enabled":
            return f"{self.alias} is {key.get('KeyState')}: enable it, or name another alias"
        return ""

    def make(self, aws: AWS) -> None:
        """CreateKey and CreateAlias; a key that gets no alias is not left behind."""
        key = self._find(aws)
        if key:
            refuse_existing(self._unfit(key), self.alias)
        key_id = ""
        with aws.answering() as answer:
            made = aws.changing("kms").create_key(
                Policy=json.dumps(self._policy(aws)),
                Description=self.description,
                Tags=[{"TagKey": name, "TagValue": value} for name, value in tags(aws).items()],
            )
            key_id = made["KeyMetadata"]["KeyId"]
        demand(answer, f"the key for {self.alias} could not be made", "do the roles in its policy exist?")
        with aws.answering() as named:
            aws.changing("kms").create_alias(AliasName=self.alias, TargetKeyId=key_id)
        if not named.ok:
            with aws.answering():
                aws.changing("kms").schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
        demand(named, f"{self.alias} could not be given to the new key {key_id}, which will be deleted in 7 days")

    def unmake(self, aws: AWS) -> str:
        """ScheduleKeyDeletion in 7 days, the least that KMS allows, and DeleteAlias; only for a key that is ours."""
        key = self._find(aws)
        if not key:
            return self._missing(aws)
        ours = False
        with aws.answering() as answer:
            listed = aws.client("kms").list_resource_tags(KeyId=key["KeyId"])["Tags"]
            ours = {"TagKey": TAG, "TagValue": TAG_VALUE} in listed
        demand(answer, f"the tags of {self.alias} could not be read")
        if not ours:
            return f"{self.alias} was not made by gameday stage, and is left as it is"
        with aws.answering() as answer:
            aws.changing("kms").schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
            aws.changing("kms").delete_alias(AliasName=self.alias)
        demand(answer, f"{self.alias} could not be removed")
        return f"{self.alias} is removed, and its key {key['KeyId']} will be deleted in 7 days"

    def _find(self, aws: AWS) -> KeyMetadataTypeDef | None:
        """The key, or None when the alias leads nowhere; whatever else KMS says is refused."""
        found: KeyMetadataTypeDef | None = None
        with aws.answering() as answer:
            found = aws.client("kms").describe_key(KeyId=self.alias)["KeyMetadata"]
        if answer.cause is not Cause.NOT_FOUND:
            demand(answer, f"{self.alias} could not be looked up in account {aws.account} in {aws.region}")
        return found

    def _missing(self, aws: AWS) -> str:
        return f"there is no {self.alias} in account {aws.account} in {aws.region}"

    def _policy(self, aws: AWS) -> dict[str, object]:
        account = f"arn:{aws.partition}:iam::{aws.account}"

        def allow(sid: str, who: tuple[str, ...], actions: list[str]) -> dict[str, object]:
            principals = [name if name.startswith("arn:") else f"{account}:{name}" for name in who]
            return {
                "Sid": sid,
                "Effect": "Allow",
                "Principal": {"AWS": principals},
                "Action": actions,
                "Resource": "*",
            }

        statements = [allow("Enable IAM User Permissions", ("root",), ["kms:*"])]
        if self.administrators:
            statements.append(allow("Allow access for Key Administrators", self.administrators, _ADMINISTER))
        if self.users:
            for_services = {"Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}}}
            statements.append(allow("Allow use of the key", self.users, _USE))
            statements.append(allow("Allow attachment of persistent resources", self.users, _GRANT) | for_services)
        return {"Version": "2012-10-17", "Id": "gameday", "Statement": statements}
