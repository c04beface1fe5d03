"""What a key protects: of each kind that the inventory lists one under the key is found, one under another is not."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from gameday.aws.made import LAB_KEYS
from gameday.aws.session import Session
from gameday.blastradius import KeyName
from gameday.blastradius.grants import service_of
from gameday.blastradius.inventory import CALLS, Inventory, take
from gameday.lab import LabProcess, start

TRUST = (
    '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", '
    '"Principal": {"Service": "ec2.amazonaws.com"}}}'
)

ACCOUNT, REGION = "123456789012", "us-east-1"
Client = Callable[[str], Any]
Make = Callable[[Client, str, str], str]


def volume(aws: Client, _: str, key: str) -> str:
    return aws("ec2").create_volume(AvailabilityZone="us-east-1a", Size=1, Encrypted=True, KmsKeyId=key)["VolumeId"]


def snapshot(aws: Client, name: str, key: str) -> str:
    return aws("ec2").create_snapshot(VolumeId=volume(aws, name, key))["SnapshotId"]


def bucket(aws: Client, name: str, key: str) -> str:
    aws("s3").create_bucket(Bucket=f"bucket-{name}")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    aws("s3").put_bucket_encryption(
        Bucket=f"bucket-{name}", ServerSideEncryptionConfiguration={"Rules": [rule]}
    )  # fmt: skip
    return f"arn:aws:s3:::bucket-{name}"


def secret(aws: Client, name: str, key: str) -> str:
    return aws("secretsmanager").create_secret(Name=name, SecretString="x", KmsKeyId=key)["ARN"]


def parameter(aws: Client, name: str, key: str) -> str:
    aws("ssm").put_parameter(Name=f"/team/{name}", Value="x", Type="SecureString", KeyId=key)
    return f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/team/{name}"


def queue(aws: Client, name: str, key: str) -> str:
    aws("sqs").create_queue(QueueName=name, Attributes={"KmsMasterKeyId": key})
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def topic(aws: Client, name: str, key: str) -> str:
    return aws("sns").create_topic(Name=name, Attributes={"KmsMasterKeyId": key})["TopicArn"]


def log_group(aws: Client, name: str, key: str) -> str:
    aws("logs").create_log_group(logGroupName=name, kmsKeyId=key)
    return f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}:*"


def table(aws: Client, name: str, key: str) -> str:
    made = aws("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "a", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "a", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
    )
    return made["TableDescription"]["TableArn"]


ADMIN = {"MasterUsername": "u", "MasterUserPassword": "not-a-secret", "StorageEncrypted": True}


def database(aws: Client, name: str, key: str) -> str:
    made = aws("rds").create_db_instance(
        DBInstanceIdentifier=name, DBInstanceClass="db.t3.micro", Engine="postgres", AllocatedStorage=20, KmsKeyId=key,
        **ADMIN,
    )  # fmt: skip
    return made["DBInstance"]["DBInstanceArn"]


def cluster(aws: Client, name: str, key: str) -> str:
    made = aws("rds").create_db_cluster(
        DBClusterIdentifier=f"{name}-c", Engine="aurora-postgresql", KmsKeyId=key, **ADMIN
    )  # fmt: skip
    return made["DBCluster"]["DBClusterArn"]


def function(aws: Client, name: str, key: str) -> str:
    role = aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as packed:
        packed.writestr("a.py", "")
    made = aws("lambda").create_function(
        FunctionName=name, Runtime="python3.12", Role=role, Handler="a.b", Code={"ZipFile": code.getvalue()},
        KMSKeyArn=key,
    )  # fmt: skip
    return made["FunctionArn"]


def file_system(aws: Client, name: str, key: str) -> str:
    return aws("efs").create_file_system(CreationToken=name, Encrypted=True, KmsKeyId=key)["FileSystemArn"]


def trail(aws: Client, name: str, key: str) -> str:
    aws("s3").create_bucket(Bucket=f"trail-{name}")
    return aws("cloudtrail").create_trail(Name=f"trail-{name}", S3BucketName=f"trail-{name}", KmsKeyId=key)["TrailARN"]


KINDS: dict[str, tuple[str, Make]] = {
    make.__name__: (f"{service}.amazonaws.com", make)
    for service, make in (
        ("ec2", volume), ("ec2", snapshot), ("s3", bucket), ("secretsmanager", secret), ("ssm", parameter),
        ("sqs", queue), ("sns", topic), ("logs", log_group), ("dynamodb", table), ("rds", database), ("rds", cluster),
        ("lambda", function), ("elasticfilesystem", file_system), ("cloudtrail", trail),
    )
}  # fmt: skip


@dataclass
class Made:
    """A lab with two of each kind, and the inventory of one of the two keys."""

    lab: LabProcess
    key: str
    mine: dict[str, str]
    others: dict[str, str]
    found: Inventory

    def take(self) -> Inventory:
        session = Session(region=REGION, run="x", endpoint=self.lab.url, keys=LAB_KEYS, account=ACCOUNT)
        return take(session, KeyName.parse(self.key))


@pytest.fixture(scope="module")
def made() -> Iterator[Made]:
    with start("instant") as lab:

        def aws(service: str) -> Any:
            keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
            return boto3.client(service, endpoint_url=lab.url, region_name=REGION, **keys)  # type: ignore[call-overload]

        keys = [str(aws("kms").create_key()["KeyMetadata"]["Arn"]) for _ in range(2)]
        mine, others = (
            {kind: make(aws, f"{name}-{kind}".replace("_", "-"), key) for kind, (_, make) in KINDS.items()}
            for name, key in zip(("mine", "other"), keys, strict=True)
        )
        all_ = Made(lab, keys[0], mine, others, Inventory())
        all_.found = all_.take()
        yield all_


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_under_the_key_is_found_and_what_is_under_another_is_not(made: Made, kind: str) -> None:
    resources = [(one.service, one.resource) for one in made.found.protected]
    assert resources.count((KINDS[kind][0], made.mine[kind])) == 1
    assert made.others[kind] not in [resource for _, resource in resources]


def test_that_is_all_and_every_part_of_the_inventory_is_in_the_table(made: Made) -> None:
    assert len(made.found.protected) == len(KINDS) + 1  # a snapshot has a volume of its own
    assert made.found.missing == {}
    assert {service for service, _ in KINDS.values()} == set(CALLS)


REFUSED = {
    "ec2.amazonaws.com": ("DescribeVolumes", "DescribeSnapshots"),
    "s3.amazonaws.com": ("ListBuckets", "GetBucketEncryption"),
    "secretsmanager.amazonaws.com": ("ListSecrets",),
    "ssm.amazonaws.com": ("DescribeParameters",),
    "sqs.amazonaws.com": ("ListQueues", "GetQueueAttributes"),
    "sns.amazonaws.com": ("ListTopics", "GetTopicAttributes"),
    "logs.amazonaws.com": ("DescribeLogGroups",),
    "dynamodb.amazonaws.com": ("ListTables", "DescribeTable"),
    "rds.amazonaws.com": ("DescribeDBInstances", "DescribeDBClusters"),
    "lambda.amazonaws.com": ("ListFunctions",),
    "elasticfilesystem.amazonaws.com": ("DescribeFileSystems",),
    "cloudtrail.amazonaws.com": ("DescribeTrails",),
}
"""By the names of the operations; the first of each is asked before the second."""


@pytest.mark.parametrize("nth", [0, 1], ids=["first call", "second call"])
def test_what_may_not_be_asked_is_missing_and_said(made: Made, nth: int) -> None:
    refused = {service: calls[nth] for service, calls in REFUSED.items() if len(calls) > nth}
    for service, call in refused.items():
        made.lab.control.trouble("refuse", service.partition(".")[0], call)
    try:
        found = made.take()
    finally:
        made.lab.control.clear_trouble()
    assert {service: why.rpartition(":")[2] for service, why in found.missing.items()} == {
        service: f"{call} not permitted" for service, call in refused.items()
    }
    listed = {one.service for one in found.protected}
    assert listed == set(CALLS) - {
        service for service in refused if len(REFUSED[service]) == 1 or service in ONE_BY_ONE
    }


ONE_BY_ONE = {"s3.amazonaws.com", "sqs.amazonaws.com", "sns.amazonaws.com", "dynamodb.amazonaws.com"}
"""Their key is only in the second call's answer."""


@pytest.mark.parametrize(
    ("holder", "service"),
    [
        ("dynamodb.us-east-1.amazonaws.com", "dynamodb.amazonaws.com"),
        ("rds.cn-north-1.amazonaws.com.cn", "rds.amazonaws.com"),
        ("dynamodb.eusc-de-east-1.amazonaws.eu", "dynamodb.amazonaws.com"),
        ("ec2.c2s.ic.gov", "ec2.amazonaws.com"),
        ("dynamodb.us-east-1.amazonaws.com.example", ""),
        ("arn:aws-cn:iam::111122223333:role/app", ""),
    ],
)
def test_a_service_that_holds_a_grant_is_known_in_every_partition(holder, service):
    assert service_of(holder) == service
