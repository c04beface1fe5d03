"""One small corpus that every source and engine must answer alike, and the answer without where it came from."""
# ruff: noqa: E501  (a table)

from __future__ import annotations

from pathlib import Path
from typing import Any

from gameday.blastradius import Answer
from tests.blastradius.shapes import ACCOUNT, ARN, ID, OTHER, OTHER_ARN, REGION, made, put


def records() -> list[dict[str, Any]]:
    """Every trap once, two days apart, in two accounts."""
    said = f"User: x is not authorized to perform: kms:Decrypt on resource: {ARN} because no policy allows it"
    infrastructure = f"arn:aws:sts::{ACCOUNT}:assumed-role/aws:ec2-infrastructure/i-0123456789abcdef0"
    contexts = {"sourceEncryptionContext": {"SecretARN": "from"}, "destinationEncryptionContext": {"SecretARN": "to"}}
    told = [
        made(),
        made(requestParameters={"keyId": ARN, "encryptionContext": {"b": "2", "a": "it's"}}),
        made(requestParameters={"keyId": ID}, resources=...),
        made(requestParameters={"keyId": "alias/MyKMSKey"}, resources=None),
        made(requestParameters={"keyId": "alias/MyKMSKey"}, resources=[{"ARN": OTHER_ARN}]),
        made(requestParameters={"keyId": ID}, resources=..., awsRegion="us-east-1"),
        made(requestParameters=None, resources=..., errorCode="AccessDenied", errorMessage=said),
        made(errorCode="KMS.DisabledException", errorMessage=f"{ARN} is disabled."),
        made(errorCode="DisabledException", errorMessage=f"{OTHER_ARN} is disabled.", resources=[]),
        made(userIdentity={"type": "AWSAccount", "principalId": "AROAX:s", "accountId": OTHER}, sharedEventID="shared"),
        made(sharedEventID="shared", recipientAccountId=OTHER),
        made(userIdentity={"type": "AssumedRole", "arn": infrastructure, "invokedBy": "ebs.amazonaws.com"}, requestParameters={"encryptionContext": {"aws:ebs:id": "vol-1"}}),
        made(userIdentity={"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/Alice"}, userAgent="aws-cli/2", sourceIPAddress="10.0.0.1"),
        made(userIdentity={"type": "AWSService", "invokedBy": "dynamodb.amazonaws.com"}, requestParameters={"encryptionContext": {"aws:dynamodb:tableName": "t"}}),
        made(userIdentity={"type": "AssumedRole", "inScopeOf": {"credentialsIssuedTo": f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0aaaaaaaaaaaaaaaa"}}, requestParameters={}),
        made(userAgent="Boto3/1.43 gameday/7f3a"),
        made(eventName="DescribeKey"),
        made(eventName="CreateGrant", requestParameters={"keyId": ARN, "constraints": {"encryptionContextSubset": {"aws:ebs:id": "vol-2"}}}),
        made(eventName="ReEncrypt", resources=[{"ARN": ARN}, {"ARN": OTHER_ARN}], requestParameters={"destinationKeyId": ID, **contexts}),
        made(eventName="ReEncrypt", resources=[{"ARN": ARN}, {"ARN": OTHER_ARN}], requestParameters={"destinationKeyId": OTHER_ARN, **contexts}),
        made(eventTime="2026-10-31T23:59:59Z"),
        made(eventTime="2026-11-24T00:00:00Z", userAgent="\x1b[31mred <b>\u202e</b>"),
        made(eventTime="never"),
        made(eventSource="s3.amazonaws.com"),
    ]  # fmt: skip
    numbered = [record | {"eventID": f"7d1d2f3a-0000-4000-8000-{number:012d}"} for number, record in enumerate(told)]
    return [*numbered, numbered[0], numbered[7]]


def lay_out(folder: Path) -> None:
    """The corpus as an organisation's trail delivers it, some of it twice, a digest beside it."""
    every = records()
    place = "AWSLogs/o-abcdefghij/{0}/CloudTrail/eu-central-1/2026/11/{1}/{0}_CloudTrail_eu-central-1_202611{1}T0000Z_{2}.json.gz"
    for number in range(4):
        account, day = (ACCOUNT, OTHER)[number % 2], (23, 24)[number // 2]
        put(folder, *every[number::4], name=place.format(account, day, number))
    put(folder, *every[:3], name=place.format(ACCOUNT, 24, "again"))
    put(folder, made(), name=f"AWSLogs/o-abcdefghij/{ACCOUNT}/CloudTrail-Digest/eu-central-1/2026/11/23/x.json.gz")


def told(answer: Answer) -> object:
    """What every source must say alike."""
    return answer.rows, answer.own, answer.management, answer.totals, answer.coverage.undated
