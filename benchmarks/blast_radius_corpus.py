"""A made-up organisation's CloudTrail, the same on every machine: log files as delivered, and the odd ones.

    python benchmarks/blast_radius_corpus.py FOLDER --records 200000 [--per-file 2000] [--share 0.25] [--tidy]

About 1.4 kB a record, as in real logs. The key is named in ``--share`` of the files, by one record in fifty. Unless
``--tidy``, a few files are digests, truncated, empty, of several gzip members, pretty-printed, or delivered twice.
"""

from __future__ import annotations

import argparse
import json
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing import Pool
from pathlib import Path

from isal import igzip

REGION = "eu-central-1"
KEY_ID = "1f6d3a5c-77c1-4b1e-9a43-0c5b7a9d2e10"
KEY = f"arn:aws:kms:{REGION}:111122223333:key/{KEY_ID}"
HERE = f"arn:aws:{{}}:{REGION}:111122223333"
ACCOUNTS = ("111122223333", "222233334444", "333344445555")
Task = tuple[Path, int, int, bool, bool]
START = datetime(2026, 10, 1, tzinfo=UTC)
DAYS = 30
CALLS = (
    ("ec2", "DescribeInstances"), ("ec2", "DescribeVolumes"), ("sts", "AssumeRole"), ("s3", "GetBucketAcl"),
    ("iam", "ListRoles"), ("monitoring", "DescribeAlarms"), ("logs", "CreateLogStream"),
    ("ssm", "UpdateInstanceInformation"),
)  # fmt: skip
CONTEXTS = (
    lambda n: ("s3.amazonaws.com", {"aws:s3:arn": f"arn:aws:s3:::data-{n % 31}"}),
    lambda n: ("secretsmanager.amazonaws.com", {"SecretARN": f"{HERE.format('secretsmanager')}:secret:s{n % 17}"}),
    lambda n: ("ec2.amazonaws.com", {"aws:ebs:id": f"vol-{n % 97:017x}"}),
    lambda n: ("ssm.amazonaws.com", {"PARAMETER_ARN": f"{HERE.format('ssm')}:parameter/p{n % 13}"}),
    lambda n: ("lambda.amazonaws.com", {"aws:lambda:FunctionArn": f"{HERE.format('lambda')}:function:f{n % 7}"}),
    lambda n: ("", {"Department": "Engineering", "Project": f"p{n % 5}"}),
    lambda n: ("", {}),
)  # fmt: skip


def record(dice: random.Random, at: datetime, account: str, key_id: str) -> dict[str, object]:
    """One record; with ``key_id`` a KMS call on that key."""
    number, role = dice.getrandbits(20), f"app-{dice.randrange(23)}"
    issuer = f"arn:aws:iam::{account}:role/{role}"
    identity = {
        "type": "AssumedRole",
        "principalId": f"AROA{number:012X}QXYZ:session-{number % 7}",
        "arn": f"arn:aws:sts::{account}:assumed-role/{role}/session-{number % 7}",
        "accountId": account,
        "accessKeyId": f"ASIA{dice.getrandbits(64):016X}",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": f"AROA{number:012X}QXYZ",
                "arn": issuer,
                "accountId": account,
                "userName": role,
            },
            "attributes": {"creationDate": f"{at:%Y-%m-%dT00:00:00Z}", "mfaAuthenticated": "false"},
        },
    }
    told: dict[str, object] = {
        "eventVersion": "1.11",
        "userIdentity": identity,
        "eventTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "awsRegion": REGION,
        "sourceIPAddress": f"10.{number % 255}.{number % 251}.7",
        "userAgent": "Boto3/1.43.2 md/Botocore#1.43.2 ua/2.1 os/linux#6.12 md/arch#x86_64 "
        "lang/python#3.13.1 md/pyimpl#CPython cfg/retry-mode#legacy Botocore/1.43.2",
        "requestID": str(uuid.UUID(int=dice.getrandbits(128))),
        "eventID": str(uuid.UUID(int=dice.getrandbits(128))),
        "readOnly": True,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": f"kms.{REGION}.amazonaws.com",
        },
    }
    if key_id:
        told |= _kms(dice, identity, account, key_id)
    else:
        service, name = dice.choice(CALLS)
        items = [
            {"resourceId": f"i-{dice.getrandbits(68):017x}", "token": f"{dice.getrandbits(256):x}"} for _ in range(2)
        ]
        told |= {"eventSource": f"{service}.amazonaws.com", "eventName": name}
        told |= {"requestParameters": {"items": items}, "responseElements": None}
    return told


def _kms(dice: random.Random, identity: dict[str, object], account: str, key_id: str) -> dict[str, object]:
    arn = KEY.replace(KEY_ID, key_id)
    service, context = dice.choice(CONTEXTS)(dice.getrandbits(16))
    if service:
        identity["invokedBy"] = service
    told: dict[str, object] = {"eventSource": "kms.amazonaws.com", "eventName": "Decrypt", "responseElements": None}
    kind = dice.randrange(20)
    if kind == 0:  # a denied forwarded call: the key stands in the message alone
        denied = f"User: {identity['arn']} is not authorized to perform: kms:Decrypt on resource: {arn} because no"
        told |= {"errorCode": "AccessDenied", "requestParameters": None}
        return told | {"errorMessage": f"{denied} identity-based policy allows the kms:Decrypt action"}
    if kind == 1:
        told |= {"errorCode": "DisabledException", "errorMessage": f"{arn} is disabled."}
    if kind == 2:
        told |= {"eventName": "DescribeKey"}
    if kind == 3:  # one call, two accounts' logs
        told |= {"sharedEventID": str(uuid.UUID(int=dice.getrandbits(128)))}
    asked = {"keyId": dice.choice((arn, key_id))} if account == ACCOUNTS[0] and not service else {}
    told["requestParameters"] = {"encryptionContext": context, "encryptionAlgorithm": "SYMMETRIC_DEFAULT", **asked}
    told["resources"] = [{"accountId": ACCOUNTS[0], "type": "AWS::KMS::Key", "ARN": arn}]
    return told


def _file(task: Task) -> int:
    folder, number, records, named, tidy = task
    dice = random.Random(number)
    account, day = ACCOUNTS[number % len(ACCOUNTS)], START + timedelta(days=number % DAYS)
    made: list[str] = []
    compact = (",", ":")
    for turn in range(records):
        other = str(uuid.UUID(int=dice.getrandbits(128))) if dice.random() < 0.2 else ""
        key_id = KEY_ID if named and turn % 50 == 7 else other
        one = record(dice, day + timedelta(seconds=dice.randrange(86400)), account, key_id)
        made.append(json.dumps(one, separators=None if not tidy and number % 11 == 5 else compact))
    name = f"{account}_CloudTrail_{REGION}_{day:%Y%m%dT%H%MZ}_{number:016d}.json.gz"
    place = folder / "AWSLogs" / "o-exampleorg1" / account / "CloudTrail" / REGION / f"{day:%Y/%m/%d}" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    text = ('{"Records":[' + ",".join(made) + "]}").encode()
    place.write_bytes(_packed(text, number, tidy))
    if not tidy and number % 50 == 3:
        _odd(place, text, number)
    return len(text)


def _packed(text: bytes, number: int, tidy: bool) -> bytes:
    if not tidy and number % 7 == 2:  # several members, cut anywhere
        third = len(text) // 3
        return b"".join(igzip.compress(part, 1) for part in (text[:third], text[third : 2 * third], text[2 * third :]))
    return igzip.compress(text, 1)


def _odd(place: Path, text: bytes, number: int) -> None:
    """Beside a good file: the same again, a truncated one (of what the good one holds), a digest, an empty one."""
    again = place.with_name(place.name.replace(".json.gz", "again.json.gz"))
    packed = igzip.compress(text, 1)
    match number // 50 % 4:
        case 0:
            again.write_bytes(packed)
        case 1:
            again.write_bytes(packed[: len(packed) // 2])
        case 2:
            digest = Path(str(place.parent).replace("/CloudTrail/", "/CloudTrail-Digest/")) / again.name
            digest.parent.mkdir(parents=True, exist_ok=True)
            digest.write_bytes(igzip.compress(json.dumps({"awsAccountId": ACCOUNTS[0], "logFiles": []}).encode()))
        case _:
            again.write_bytes(b"")


def make(folder: Path, records: int, per_file: int, share: float = 0.25, tidy: bool = False) -> int:
    """Write the corpus and return its size before compression, in bytes; one that is there already is left as it is."""
    done = folder / f"made-{records}-{per_file}-{share}-{tidy}"
    if done.exists():
        return int(done.read_text())
    with Pool() as pool:
        size = sum(pool.imap_unordered(_file, _tasks(folder, records, per_file, share, tidy), chunksize=8))
    done.write_text(str(size))
    return size


def _tasks(
    folder: Path, records: int, per_file: int, share: float, tidy: bool
) -> Iterator[tuple[Path, int, int, bool, bool]]:
    every = round(1 / share) if share else 0
    for number, start in enumerate(range(0, records, per_file)):
        yield folder, number, min(per_file, records - start), bool(every) and number % every == 0, tidy


if __name__ == "__main__":
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("folder", type=Path)
    reader.add_argument("--records", type=int, default=200_000)
    reader.add_argument("--per-file", type=int, default=2_000)
    reader.add_argument("--share", type=float, default=0.25)
    reader.add_argument("--tidy", action="store_true")
    asked = reader.parse_args()
    print(make(asked.folder, asked.records, asked.per_file, asked.share, asked.tidy), "bytes of JSON")
