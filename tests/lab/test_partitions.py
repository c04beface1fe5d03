"""The lab speaks the partition of the Region it is asked in: ARNs, DNS suffixes, and whom a policy may name."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from gameday.lab import LabControl
from gameday.partitions import dns_suffix, partition
from tests.lab.conftest import refused

ACCOUNT = "123456789012"
ABROAD = {
    "cn-north-1": ("aws-cn", "amazonaws.com.cn"),
    "us-gov-west-1": ("aws-us-gov", "amazonaws.com"),
    "eusc-de-east-1": ("aws-eusc", "amazonaws.eu"),
    "eu-isoe-west-1": ("aws-iso-e", "cloud.adc-e.uk"),
}
Client = Callable[..., Any]


class Place:
    """A Region with clients of it, a key and a bucket."""

    def __init__(self, region: str, client: Client) -> None:
        self.region, self.client = region, functools.partial(client, region)
        self.partition, self.suffix = ABROAD[region]
        self.key = str(self.client("kms").create_key()["KeyMetadata"]["Arn"])
        where = {"LocationConstraint": region}
        self.client("s3").create_bucket(Bucket="abroad", CreateBucketConfiguration=where)
        self.client("s3").put_object(
            Bucket="abroad", Key="a", Body=b"sealed", ServerSideEncryption="aws:kms", SSEKMSKeyId=self.key
        )

    def policy(self, *statements: dict[str, Any]) -> str:
        return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})

    def user(self, resource: str) -> Any:
        """S3 as a user who may read ``resource`` and use any key."""
        iam = self.client("iam")
        iam.create_user(UserName="reader")
        told = iam.create_access_key(UserName="reader")["AccessKey"]
        allow = {"Effect": "Allow", "Action": ["s3:GetObject", "kms:Decrypt"]}
        iam.put_user_policy(
            UserName="reader",
            PolicyName="read",
            PolicyDocument=self.policy(
                {**allow, "Resource": resource}, {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
            ),
        )
        return self.client("s3", told["AccessKeyId"], told["SecretAccessKey"])


@pytest.fixture(scope="session")
def regional(process: Any) -> Client:
    session = boto3.Session()
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})

    @functools.cache
    def make(region: str, service: str, key: str = "test", secret: str = "test") -> Any:
        return session.client(
            service,
            endpoint_url=process.url,
            region_name=region,
            config=config,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
        )

    return make


@pytest.fixture(params=list(ABROAD))
def place(request: Any, lab: LabControl, regional: Client) -> Place:
    return Place(request.param, regional)


def test_everything_is_named_in_the_partition_of_the_region(place):
    assert place.client("sts").get_caller_identity()["Arn"] == f"arn:{place.partition}:iam::{ACCOUNT}:root"
    assert place.key.startswith(f"arn:{place.partition}:kms:{place.region}:{ACCOUNT}:key/")
    assert place.client("kms").describe_key(KeyId=place.key)["KeyMetadata"]["Arn"] == place.key
    assert place.client("s3").get_object(Bucket="abroad", Key="a")["Body"].read() == b"sealed"
    events = place.client("cloudtrail").lookup_events()["Events"]
    records = [json.loads(event["CloudTrailEvent"]) for event in events]
    decrypt = next(record for record in records if record["eventName"] == "Decrypt")
    assert decrypt["requestParameters"]["encryptionContext"] == {"aws:s3:arn": f"arn:{place.partition}:s3:::abroad/a"}
    assert not [text for text in map(str, records) if "arn:aws:" in text]


def test_an_arn_of_another_partition_names_nothing(place):
    foreign = place.key.replace(f"arn:{place.partition}:", "arn:aws:")
    code, message, status = refused(place.client("kms").describe_key, KeyId=foreign)
    assert (code, message, status) == ("NotFoundException", f"Invalid arn {foreign}", 400)
    root = {"Sid": "root", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}
    policy = place.policy({**root, "Action": "kms:*", "Resource": "*"})
    code, _, _ = refused(place.client("kms").put_key_policy, KeyId=place.key, PolicyName="default", Policy=policy)
    assert code == "MalformedPolicyDocumentException"
    home = place.policy({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::abroad/*"})
    assert refused(place.client("s3").put_bucket_policy, Bucket="abroad", Policy=home)[0] == "MalformedPolicy"


@pytest.mark.parametrize("ours", [True, False])
def test_identity_policies_are_judged_by_the_partition_of_the_bucket(place, ours):
    reader = place.user(f"arn:{place.partition if ours else 'aws'}:s3:::abroad/*")
    if ours:
        assert reader.get_object(Bucket="abroad", Key="a")["Body"].read() == b"sealed"
    else:
        assert refused(reader.get_object, Bucket="abroad", Key="a")[0] == "AccessDenied"


def test_via_service_ends_as_the_endpoints_of_the_region_do(place):
    kms, root = place.client("kms"), f"arn:{place.partition}:iam::{ACCOUNT}:root"
    allow = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"}
    other = "amazonaws.com" if place.suffix != "amazonaws.com" else "amazonaws.com.cn"
    for suffix, denied in ((other, False), (place.suffix, True)):
        via = {"StringEquals": {"kms:ViaService": f"s3.{place.region}.{suffix}"}}
        deny = {**allow, "Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Condition": via}
        kms.put_key_policy(KeyId=place.key, PolicyName="default", Policy=place.policy(allow, deny))
        try:
            place.client("s3").get_object(Bucket="abroad", Key="a")
            code = ""
        except ClientError as error:
            code = error.response["Error"]["Code"]
        assert code == ("AccessDenied" if denied else "")


def test_who_signs_nothing_finds_the_bucket_by_its_name(lab, place):
    s3 = place.client("s3")
    s3.put_object(Bucket="abroad", Key="open", Body=b"for all")
    with pytest.raises(HTTPError) as shut:
        urlopen(f"{lab.url}/abroad/open", timeout=10)
    assert shut.value.code == 403
    s3.delete_public_access_block(Bucket="abroad")
    anybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
    policy = place.policy({**anybody, "Resource": f"arn:{place.partition}:s3:::abroad/*"})
    s3.put_bucket_policy(Bucket="abroad", Policy=policy)
    assert urlopen(f"{lab.url}/abroad/open", timeout=10).read() == b"for all"


def test_a_schedule_fires_a_universal_target_of_its_partition(lab, place):
    trust = {"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam = place.client("iam")
    role = iam.create_role(RoleName="later", AssumeRolePolicyDocument=place.policy(trust))["Role"]["Arn"]
    allow = {"Effect": "Allow", "Action": "kms:DisableKey", "Resource": place.key}
    iam.put_role_policy(RoleName="later", PolicyName="off", PolicyDocument=place.policy(allow))
    target = {"Arn": f"arn:{place.partition}:scheduler:::aws-sdk:kms:disableKey", "RoleArn": role}
    place.client("scheduler").create_schedule(
        Name="off",
        ScheduleExpression="rate(1 minute)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={**target, "Input": json.dumps({"KeyId": place.key})},
    )
    lab.advance(61)
    assert place.client("kms").describe_key(KeyId=place.key)["KeyMetadata"]["KeyState"] == "Disabled"


def test_partitions_do_not_see_each_other(lab, place, regional):
    assert regional("us-east-1", "s3").list_buckets()["Buckets"] == []
    place.client("iam").create_user(UserName="there")
    assert regional("us-east-1", "iam").list_users()["Users"] == []


def test_an_access_key_is_good_in_its_own_partition_only(place, regional):
    place.client("iam").create_user(UserName="there")
    told = place.client("iam").create_access_key(UserName="there")["AccessKey"]
    keys = (told["AccessKeyId"], told["SecretAccessKey"])
    assert place.client("sts", *keys).get_caller_identity()["Arn"] == f"arn:{place.partition}:iam::{ACCOUNT}:user/there"
    assert refused(regional("us-east-1", "sts", *keys).get_caller_identity)[0] == "InvalidClientTokenId"


@pytest.mark.parametrize(("region", "told"), list(ABROAD.items()))
def test_the_table_is_botocores(region, told):
    assert (partition(region), dns_suffix(region)) == told


def test_a_region_that_botocore_does_not_know_is_taken_by_its_form():
    assert [partition(region) for region in ("cn-south-9", "us-gov-north-1", "mars-north-1")] == [
        "aws-cn",
        "aws-us-gov",
        "aws",
    ]
