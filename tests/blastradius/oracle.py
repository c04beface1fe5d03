"""The same answer without SQL: what the definition must say, in plain Python over the records as CloudTrail wrote them.

Written from AWS' documentation of records, not from the SQL; kept as slow and as plain as can be.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from gameday.blastradius import KeyName, Question

ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+")
REFUSED_BY_A_DISABLED_KEY = {
    "CreateGrant", "Decrypt", "DeriveSharedSecret", "Encrypt", "GenerateDataKey", "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext", "GenerateDataKeyWithoutPlaintext", "GenerateMac", "GetPublicKey",
    "ReEncrypt", "ReplicateKey", "Sign", "Verify", "VerifyMac",
}  # fmt: skip
UNUSABLE = {
    "Disabled", "DisabledException", "KMSInvalidStateException", "KmsInvalidStateException", "KMSDisabledException",
    "InvalidStateException", "KeyUnavailableException",
}  # fmt: skip
CONTEXT = {
    "aws:s3:arn": "s3", "aws:ebs:id": "ec2", "PARAMETER_ARN": "ssm", "SecretARN": "secretsmanager",
    "aws:lambda:FunctionArn": "lambda", "aws:rds:db-id": "rds", "aws:rds:dbc-id": "rds",
    "aws:dynamodb:tableName": "dynamodb", "aws:logs:arn": "logs", "aws:sqs:arn": "sqs", "aws:sns:topicArn": "sns",
    "aws:kinesis:arn": "kinesis", "aws:elasticfilesystem:filesystem:id": "elasticfilesystem",
    "aws:cloudtrail:arn": "cloudtrail",
}  # fmt: skip
Record = Mapping[str, Any]
Sums = dict[tuple[str, str, str, str], tuple[int, int, int, datetime, datetime]]


def sums(records: Iterable[Record], question: Question) -> Sums:
    """Uses, errors, refused, first and last by kind, principal, service and resource."""
    calls: dict[object, list[Record]] = defaultdict(list)
    for record in records:
        at = moment(record)
        within = at is not None and question.window.since <= at < question.window.until
        if text(record, "eventSource") == "kms.amazonaws.com" and within and about(record, question.key):
            calls[identity(record)].append(record)
    found: dict[tuple[str, str, str, str], list[Record]] = defaultdict(list)
    for copies in calls.values():
        told = min(copies, key=lambda each: (not text(each, "userIdentity", "arn"), text(each, "eventID")))
        found[kind(told), principal(told), service(told), resource(told, question.key)].append(told)
    return {
        group: (
            len(uses),
            sum(bool(text(use, "errorCode")) for use in uses),
            sum(text(use, "errorCode").rsplit(".", 1)[-1] in UNUSABLE for use in uses),
            min(at for use in uses if (at := moment(use))),
            max(at for use in uses if (at := moment(use))),
        )
        for group, uses in found.items()
    }


def text(record: object, *path: str) -> str:
    for name in path:
        record = record.get(name) if isinstance(record, dict) else None
    return record if isinstance(record, str) else ""


def part(record: object, *path: str) -> dict[str, Any]:
    for name in path:
        record = record.get(name) if isinstance(record, dict) else None
    return {n: v for n, v in record.items() if isinstance(v, str)} if isinstance(record, dict) else {}


def moment(record: Record) -> datetime | None:
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z", text(record, "eventTime"))
    try:
        return datetime.fromisoformat(found.group(1)).replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


def identity(record: Record) -> object:
    return text(record, "sharedEventID") or text(record, "eventID") or repr(sorted(record.items(), key=repr))


def account(record: Record) -> str:
    return text(record, "recipientAccountId") or text(record, "userIdentity", "accountId")


def listed(record: Record) -> list[str]:
    resources = record.get("resources")
    return [text(each, "ARN") for each in resources] if isinstance(resources, list) else []


def means(name: str, record: Record, key: KeyName) -> bool:
    here = text(record, "awsRegion") == key.region and account(record) in (key.account, "")
    return name == key.arn or (name == key.id and here)


def about(record: Record, key: KeyName) -> bool:
    if key.arn in listed(record):
        return True
    if (said := ARN.search(text(record, "errorMessage"))) and said.group() == key.arn:
        return True
    asked = [text(record, "requestParameters", name) for name in ("keyId", "sourceKeyId", "destinationKeyId")]
    if any(means(name, record, key) for name in asked):
        return True
    if any(":key/" in arn for arn in listed(record)):
        return False
    here = text(record, "awsRegion") == key.region and account(record) in (key.account, "")
    arns = [f"arn:{key.partition}:kms:{key.region}:{key.account}:{alias}" for alias in key.aliases]
    return asked[0] in arns or (asked[0] in key.aliases and here)


def kind(record: Record) -> str:
    if text(record, "eventName") not in REFUSED_BY_A_DISABLED_KEY:
        return "management"
    agent = text(record, "userAgent")
    ours = agent.startswith("gameday/") or " gameday/" in agent or "[gameday/" in agent
    return "own" if ours or session(record).startswith("gameday-") else "use"


def session(record: Record) -> str:
    arn, principal_id = text(record, "userIdentity", "arn"), text(record, "userIdentity", "principalId")
    if re.match(r"arn:.*:assumed-role/.*/", arn):
        return arn.split("/")[2]
    return principal_id.rsplit(":", 1)[1] if not arn and ":" in principal_id else ""


def principal(record: Record) -> str:
    issuer = text(record, "userIdentity", "sessionContext", "sessionIssuer", "arn")
    arn, principal_id = text(record, "userIdentity", "arn"), text(record, "userIdentity", "principalId")
    if issuer:
        return issuer
    if assumed := re.fullmatch(r"arn:([^:]*):sts::([^:]*):assumed-role/([^/]*)(/.*)?", arn):
        return "arn:{}:iam::{}:role/{}".format(*assumed.groups()[:3])
    if arn:
        return arn
    if principal_id:
        head, _, tail = principal_id.rpartition(":")
        named = head if tail and head else principal_id
        caller, owner = text(record, "userIdentity", "accountId"), text(record, "recipientAccountId")
        if named:
            return f"{caller}:{named}" if len(caller) == 12 and owner and caller != owner else named
    if text(record, "userIdentity", "accountId") == "ANONYMOUS_PRINCIPAL":
        return "anonymous"
    return text(record, "userIdentity", "invokedBy") or text(record, "userIdentity", "accountId") or "unknown"


def context(record: Record, key: KeyName) -> dict[str, Any]:
    parameters = ("requestParameters",)
    into = means(text(record, *parameters, "destinationKeyId"), record, key)
    if into and (found := part(record, *parameters, "destinationEncryptionContext")):
        return found
    for path in (
        ("encryptionContext",),
        ("sourceEncryptionContext",),
        ("constraints", "encryptionContextSubset"),
        ("constraints", "encryptionContextEquals"),
    ):
        if found := part(record, *parameters, *path):
            return found
    return {}


def service(record: Record, key: KeyName | None = None) -> str:
    asked = context(record, key or ANY)
    known = next((name for name in CONTEXT if asked.get(name)), "")
    spelled = next((m.group(1) for n in sorted(asked) if (m := re.match(r"aws:([a-z][a-z0-9-]*):", n))), "")
    agent = text(record, "userAgent")
    places = [text(record, "userIdentity", "invokedBy"), text(record, "sourceIPAddress"), agent]
    for said in (*places[:2], "" if agent == "console.amazonaws.com" else agent):
        if _is_service(said):
            return said
    if known or spelled:
        return f"{CONTEXT[known] if known else spelled}.amazonaws.com"
    for said in (text(record, "requestParameters", "granteePrincipal"), agent):
        if _is_service(said):
            return said
    return "AWS Internal" if {"AWS Internal", "internal.amazonaws.com"} & set(places[:2]) else "direct"


def _is_service(said: str) -> bool:
    return ".amazonaws.com" in said and said != "internal.amazonaws.com" and " " not in said


ANY = KeyName("none")


def resource(record: Record, key: KeyName) -> str:
    told = context(record, key)
    for name in CONTEXT:
        if told.get(name):
            return str(told[name])
    pairs = ",".join(f"{name}={told[name]}" for name in sorted(told))
    if arn := re.search(r"=(arn:aws[a-z-]*:[^,]*)", pairs):
        return arn.group(1)
    if found := instance(record):
        return found
    return ",".join(f"{name}={told[name]}" for name in sorted(told))


def instance(record: Record) -> str:
    if found := re.search(r"i-[0-9a-f]{8,17}", text(record, "userIdentity", "inScopeOf", "credentialsIssuedTo")):
        return found.group()
    for path in (("userIdentity", "arn"), ("userIdentity", "principalId"), ("requestParameters", "granteePrincipal")):
        if found := re.search(r"aws:ec2-infrastructure[:/](i-[0-9a-f]{8,17})", text(record, *path)):
            return found.group(1)
    return ""
