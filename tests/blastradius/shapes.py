"""Record shapes for Hypothesis: what AWS writes, what it wrote once, and what nobody should write."""

# ruff: noqa: E501  (tables)
from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import strategies as some
from isal import igzip

from gameday.blastradius import Coverage, Hits, KeyName, Question, Watch, Window

REGION, ACCOUNT, OTHER = "eu-central-1", "111122223333", "444455556666"
ID, OTHER_ID = "1234abcd-12ab-34cd-56ef-1234567890ab", "0987dcba-09fe-87dc-65ba-ab0987654321"
ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{ID}"
OTHER_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{OTHER_ID}"
KEY = KeyName.parse(ARN, ("alias/MyKMSKey",))
SINCE, UNTIL = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC)
QUESTION = Question(KEY, Window(SINCE, UNTIL))
Record = dict[str, Any]


def made(**changes: Any) -> Record:
    """A Decrypt by a role for S3, and what is different about it; ``...`` takes a member away."""
    record: Record = {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": "AROAEXAMPLE:build-7",
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/app/build-7",
            "accountId": ACCOUNT,
            "sessionContext": {"sessionIssuer": {"type": "Role", "arn": f"arn:aws:iam::{ACCOUNT}:role/team/app"}},
            "invokedBy": "s3.amazonaws.com",
        },
        "eventTime": "2026-11-23T10:07:41Z",
        "eventSource": "kms.amazonaws.com",
        "eventName": "Decrypt",
        "awsRegion": REGION,
        "sourceIPAddress": "s3.amazonaws.com",
        "userAgent": "s3.amazonaws.com",
        "requestParameters": {"encryptionContext": {"aws:s3:arn": "arn:aws:s3:::data"}},
        "responseElements": None,
        "requestID": "5c3f4a0e-0000-4000-8000-000000000001",
        "eventID": "7d1d2f3a-0000-4000-8000-000000000001",
        "resources": [{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": ARN}],
        "eventType": "AwsApiCall",
        "recipientAccountId": ACCOUNT,
    }
    record |= changes
    return {name: value for name, value in record.items() if value is not ...}


class Given:
    """A source of these records."""

    def __init__(self, *records: Mapping[str, Any]) -> None:
        self._records = records

    def read(self, question: Question, hits: Hits, watch: Watch) -> Coverage:
        for record in self._records:
            hits.keep(record)
        return Coverage(records=len(self._records))


def put(folder: Path, *records: object, name: str = "a.json.gz", packed: bool = True) -> Path:
    """A log file."""
    return put_text(folder, json.dumps({"Records": list(records)}), name=name, packed=packed)


def put_text(folder: Path, text: str | bytes, *, name: str = "a.json.gz", packed: bool = True) -> Path:
    data = text.encode() if isinstance(text, str) else text
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(igzip.compress(data) if packed else data)
    return file


TEXT = some.text(some.characters(codec=None), max_size=12)  # lone surrogates among them
WRONG = some.one_of(
    some.none(), some.booleans(), some.integers(), some.floats(allow_nan=False), TEXT, some.just([]), some.just({})
)
KEY_NAMES = some.sampled_from(
    [ARN, ID, OTHER_ARN, OTHER_ID, "alias/MyKMSKey", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/MyKMSKey", "alias/other",
     ARN + "0", ARN.replace(ACCOUNT, OTHER), ARN.replace(REGION, "us-east-1")]
)  # fmt: skip
CONTEXTS = some.dictionaries(
    some.one_of(
        some.sampled_from(["aws:s3:arn", "aws:ebs:id", "SecretARN", "PARAMETER_ARN", "aws:rds:db-id", "Department"]),
        TEXT,
    ),
    some.one_of(some.sampled_from(["arn:aws:s3:::data", "vol-1", "x,y=z"]), TEXT),
    max_size=3,
)
PARAMETERS = some.fixed_dictionaries(
    {},
    optional={
        "keyId": KEY_NAMES | WRONG,
        "sourceKeyId": KEY_NAMES,
        "destinationKeyId": KEY_NAMES | WRONG,
        "granteePrincipal": some.sampled_from([f"{ACCOUNT}:aws:ec2-infrastructure:i-0123456789abcdef0", "ec2.amazonaws.com"]),
        "encryptionContext": CONTEXTS | WRONG,
        "sourceEncryptionContext": CONTEXTS,
        "destinationEncryptionContext": CONTEXTS,
        "constraints": some.fixed_dictionaries({}, optional={"encryptionContextSubset": CONTEXTS | WRONG, "encryptionContextEquals": CONTEXTS}) | WRONG,
    },
)  # fmt: skip
INFRASTRUCTURE = f"arn:aws:sts::{ACCOUNT}:assumed-role/aws:ec2-infrastructure/i-0123456789abcdef0"
IDENTITIES = some.fixed_dictionaries(
    {},
    optional={
        "type": some.sampled_from(["AssumedRole", "IAMUser", "AWSAccount", "AWSService", "Root"]),
        "arn": some.sampled_from([f"arn:aws:sts::{ACCOUNT}:assumed-role/app/s-1", f"arn:aws:sts::{OTHER}:assumed-role/app/gameday-7f3a",
                                  f"arn:aws:iam::{ACCOUNT}:user/Alice", INFRASTRUCTURE]) | WRONG,
        "principalId": some.sampled_from(["AROAX:session", "AIDAX", f"{ACCOUNT}:aws:ec2-infrastructure:i-0123456789abcdef0", "", ":", "a:"]),
        "accountId": some.sampled_from([ACCOUNT, OTHER, "ANONYMOUS_PRINCIPAL"]),
        "invokedBy": some.sampled_from(["s3.amazonaws.com", "internal.amazonaws.com", "AWS Internal", "ec2.amazonaws.com"]),
        "sessionContext": some.sampled_from([{"sessionIssuer": {"arn": f"arn:aws:iam::{ACCOUNT}:role/team/app"}}, {"sessionIssuer": {}}, {}]) | WRONG,
        "inScopeOf": some.sampled_from([{"credentialsIssuedTo": f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0aaaaaaaaaaaaaaaa"}, {}]) | WRONG,
    },
)  # fmt: skip
ERRORS = some.sampled_from(
    [f"{ARN} is disabled.", f"User: x is not authorized to perform: kms:Decrypt on resource: {ARN} because no", f"{OTHER_ARN} is disabled.",
     f"{ARN}0 is disabled.", "no key here", f"({ARN})"]
)  # fmt: skip
RECORDS = some.fixed_dictionaries(
    {"eventSource": some.sampled_from(["kms.amazonaws.com"] * 5 + ["s3.amazonaws.com"])},
    optional={
        "userIdentity": IDENTITIES | WRONG,
        "eventTime": some.sampled_from(["2026-11-01T00:00:00Z", "2026-11-23T10:07:41Z", "2026-11-23T10:07:41.999Z", "2026-11-30T00:00:00Z",
                                        "2026-10-31T23:59:59Z", "2026-11-2", "2026-13-45T99:99:99Z"]) | WRONG,
        "eventName": some.sampled_from(["Decrypt", "Encrypt", "CreateGrant", "ReEncrypt", "DescribeKey", "RetireGrant"]),
        "awsRegion": some.sampled_from([REGION, REGION, "us-east-1"]) | WRONG,
        "sourceIPAddress": some.sampled_from(["10.0.0.1", "ebs.amazonaws.com", "internal.amazonaws.com"]),
        "userAgent": some.sampled_from(["Boto3/1.43 gameday/7f3a", "[gameday/7f3a]", "notgameday/1", "\x1b[31mred", "s3.amazonaws.com"]) | TEXT,
        "requestParameters": PARAMETERS | WRONG,
        "requestID": TEXT,
        "eventID": some.uuids(version=4).map(str) | some.sampled_from(["e1", "e2"]),
        "sharedEventID": some.sampled_from(["s1", "s2"]),
        "errorCode": some.sampled_from(["AccessDenied", "DisabledException", "KMS.DisabledException", "KMSInvalidStateException", ""]) | WRONG,
        "errorMessage": ERRORS | WRONG,
        "resources": some.lists(some.sampled_from([{"ARN": ARN}, {"arn": ARN, "ARN": ARN}, {"ARN": OTHER_ARN}, {"ARN": f"{ARN}0"}, {"ARN": 7}, "x"]), max_size=3) | WRONG,
        "recipientAccountId": some.sampled_from([ACCOUNT, OTHER]) | WRONG,
    },
)  # fmt: skip


def gz_members(*parts: bytes) -> bytes:
    out = io.BytesIO()
    for part in parts:
        out.write(igzip.compress(part))
    return out.getvalue()
