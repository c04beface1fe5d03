"""Deny the use of a key by its key policy."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from gameday.errors import CannotInject
from gameday.faults import _policy
from gameday.faults._principals import Principal, arn_of, refuse_caller, refuse_unknown
from gameday.sdk import (
    AWS,
    Before,
    Calls,
    Cause,
    Drifted,
    KeyId,
    Rank,
    ReadBack,
    Restored,
    StepFault,
    StillOurs,
    Unknown,
    unlike,
)

SID = "GamedayDeny"
LONGEST = 32768
"""Bytes; KMS takes no longer key policy."""
WAY_BACK = ("PutKeyPolicy", "GetKeyPolicy", "EnableKey", "CancelKeyDeletion")


def _leaves_a_way_back(action: str) -> str:
    if taken := [one for one in WAY_BACK if fnmatchcase(one.lower(), action.removeprefix("kms:").lower())]:
        raise ValueError(f"{action!r} would deny kms:{taken[0]}, which it takes to put things back")
    return action


Action = Annotated[str, StringConstraints(pattern=r"^kms:[A-Za-z*?]+$"), AfterValidator(_leaves_a_way_back)]


class Deny(StepFault):
    """Add one explicit Deny to a key policy, for named principals, through named services, or both; remove it again.

    With ``principals`` those roles and users may no longer use the key; with ``services`` nobody may through them
    (``kms:ViaService``); with both, those principals through those services. The key stays Enabled, and S3 answers
    AccessDenied (``key_policy_denied``). It takes effect within seconds, at times minutes; data keys that are held
    already (an attached volume, an S3 Bucket Key) go on working.

    The statement has a Sid of its own. Injecting reads the policy and puts it back with the statement at its end; the
    undo reads it and puts it back without. So what someone else changed meanwhile survives, and is reported as drift.
    **PutKeyPolicy has no compare-and-set**: a change that someone makes between that read and that write, a moment, is
    lost. A principal that is deleted while the fault lasts is replaced in the policy by its unique id, and KMS then
    refuses the whole policy: remove that statement by hand.

    A role or user of the caller's account is looked up where ``iam:GetRole`` and ``iam:GetUser`` are allowed: KMS
    refuses a policy that names nobody, and a role that has a path goes by its path.

    Refused: the caller or the account's root among the principals, actions that the way back needs, a policy that has
    a statement of gameday's already, and one that would grow beyond 32 KiB. KMS's own check against locking oneself
    out is never bypassed.

    Source: AWS KMS API Reference, PutKeyPolicy; KMS Developer Guide, "kms:ViaService" and "Quotas".
    """

    uses: ClassVar[str] = "kms.deny"
    permissions: ClassVar[tuple[str, ...]] = ("kms:GetKeyPolicy", "kms:PutKeyPolicy")
    step: ClassVar[str] = "deny"
    rank: ClassVar[Rank] = Rank.POLICY
    denies: ClassVar[bool] = True
    calls: ClassVar[Calls] = Calls(
        inject=("kms:GetKeyPolicy", "kms:PutKeyPolicy"),
        undo=("kms:GetKeyPolicy", "kms:PutKeyPolicy"),
        read=("kms:GetKeyPolicy",),
    )

    key: KeyId
    principals: tuple[Principal, ...] = ()
    """Who is denied: ``role/NAME``, ``user/NAME`` or an ARN. Without any, everybody, through the services."""
    services: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]+$")], ...] = ()
    """Through which services: ``s3``, ``ec2`` …, or a full name such as ``s3.eu-west-1.amazonaws.com``."""
    actions: tuple[Action, ...] = Field(
        default=("kms:Decrypt", "kms:Encrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant"),
        min_length=1,
    )
    """What is denied; ``*`` and ``?`` as in IAM."""

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if not (self.principals or self.services):
            raise ValueError("name principals, services, or both: nobody would be denied")
        return self

    @property
    def resource(self) -> str:
        """The key's ARN, which is what ``key`` was pinned to."""
        return self.key

    def capture(self, aws: AWS) -> Before:
        """The whole policy as it is, and the Sid that ours will have."""
        text = ""
        with aws.answering() as answer:
            text = self._read(aws)
        if not answer.ok:
            said = f"{answer.code or answer.cause}: {answer.detail}"
            raise CannotInject(f"the policy of key {self.key} could not be read ({said})")
        if self.principals:
            arns = tuple(arn_of(one, self.key) for one in self.principals)
            refuse_caller(aws, arns)
            refuse_unknown(aws, arns)
        if _policy.has(text, f"{SID}*"):
            raise CannotInject(
                f"the policy of key {self.key} has a statement {SID}… already: of another run, or of another kms.deny "
                "of this one, which can name all principals in one"
            )
        sid = self._sid(aws.run)
        if (size := len(_policy.added(text, self._statement(aws, sid)).encode())) > LONGEST:
            raise CannotInject(f"the policy of key {self.key} would have {size} bytes, and KMS takes {LONGEST}")
        return {"policy": text, "sid": sid}

    def mismatch(self, run: str, before: Before) -> str:
        """The statement's Sid, which only this run and these parameters have."""
        return unlike(before, sid=self._sid(run))

    def _sid(self, run: str) -> str:
        return _policy.own_sid(SID, run, self.model_dump_json())

    def inject(self, aws: AWS, before: Before) -> None:
        """PutKeyPolicy, once, of what was read immediately before and the statement."""
        self._write(aws, _policy.added(self._read(aws), self._statement(aws, str(before["sid"]))))

    def undo(self, aws: AWS, before: Before) -> None:
        """PutKeyPolicy of what was read immediately before, without the statement.

        Also where the statement was not found: KMS is eventually consistent, and that read may be older than the
        inject. Writing back what was read then takes the statement away all the same; not writing would leave it.
        """
        self._write(aws, _policy.removed(self._read(aws), str(before["sid"]), str(before["policy"])))

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """Whether the statement is there, and whether the others are as they were found."""
        text = ""
        with aws.answering() as answer:
            text = self._read(aws)
        if answer.cause is Cause.NOT_FOUND:
            return Drifted("the key is gone: someone deleted it")
        if not answer.ok:
            return Unknown(f"{answer.code or answer.cause}: {answer.detail}")
        if _policy.has(text, str(before["sid"])):
            return StillOurs(f"statement {before['sid']} is in the key policy")
        if _policy.same(text, str(before["policy"])):
            return Restored("the key policy is as found")
        return Drifted("our statement is gone; someone else changed others in the key policy, which stay so")

    def rehearse(self, aws: AWS) -> None:
        """PutKeyPolicy of the policy as it is: nothing changes, and the permission is proved."""
        self._write(aws, self._read(aws))

    def _read(self, aws: AWS) -> str:
        return aws.client("kms").get_key_policy(KeyId=self.key, PolicyName="default")["Policy"]

    def _write(self, aws: AWS, text: str) -> None:
        aws.changing("kms").put_key_policy(KeyId=self.key, PolicyName="default", Policy=text)

    def _statement(self, aws: AWS, sid: str) -> _policy.Statement:
        region = self.key.split(":")[3]
        services = [one if "." in one else f"{one}.{region}.{aws.dns_suffix}" for one in self.services]
        who = [arn_of(one, self.key) for one in self.principals]
        return {
            "Sid": sid,
            "Effect": "Deny",
            "Principal": {"AWS": [*who] or "*"},
            "Action": [*self.actions],
            "Resource": "*",
            **({"Condition": {"StringEquals": {"kms:ViaService": [*services]}}} if services else {}),
        }
