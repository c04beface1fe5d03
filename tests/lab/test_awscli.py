"""The walk-through's tasks 1, 2, 5 and 7, by awscli as it comes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from .conftest import until

AWS = shutil.which("aws")
pytestmark = pytest.mark.skipif(AWS is None and not os.environ.get("CI"), reason="awscli is not on PATH")


@pytest.fixture
def aws(lab, tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PYTHON"))}
    environment |= {
        "AWS_ENDPOINT_URL": lab.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        "HOME": str(tmp_path),
    }

    def run(*words, fails=False):
        ended = subprocess.run([AWS, *words], capture_output=True, text=True, env=environment, timeout=60)
        if fails:
            assert ended.returncode != 0
            return ended.stderr
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout) if ended.stdout.strip().startswith("{") else ended.stdout

    return run


def test_tasks_1_2_5_and_7(aws, tmp_path):
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    role = aws("iam", "create-role", "--role-name", "voclabs", "--assume-role-policy-document", json.dumps(trust))[
        "Role"
    ]["Arn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "root",
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
                "Action": "kms:*",
                "Resource": "*",
            },
            {
                "Sid": "admins",
                "Effect": "Allow",
                "Principal": {"AWS": role},
                "Resource": "*",
                "Action": ["kms:Enable*", "kms:Disable*", "kms:Describe*", "kms:Put*"],
            },
            {
                "Sid": "users",
                "Effect": "Allow",
                "Principal": {"AWS": role},
                "Resource": "*",
                "Action": ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*", "kms:DescribeKey"],
            },
        ],
    }
    key = aws("kms", "create-key", "--policy", json.dumps(policy))["KeyMetadata"]["Arn"]
    aws("kms", "create-alias", "--alias-name", "alias/MyKMSKey", "--target-key-id", key)

    picture = tmp_path / "clock.png"
    picture.write_bytes(b"\x89PNG tick")
    aws("s3", "mb", "s3://gameday-clock")
    aws(
        "s3",
        "cp",
        str(picture),
        "s3://gameday-clock/clock.png",
        "--sse",
        "aws:kms",
        "--sse-kms-key-id",
        "alias/MyKMSKey",
    )
    got = tmp_path / "got.png"
    read = ("s3api", "get-object", "--bucket", "gameday-clock", "--key", "clock.png", str(got))
    assert aws(*read)["SSEKMSKeyId"] == key
    assert got.read_bytes() == picture.read_bytes()

    mapping = "DeviceName=/dev/xvda,Ebs={VolumeSize=8,Encrypted=true,KmsKeyId=alias/MyKMSKey}"
    instance = aws(
        "ec2",
        "run-instances",
        "--image-id",
        "ami-12345678",
        "--instance-type",
        "t3.micro",
        "--block-device-mappings",
        mapping,
        "--tag-specifications",
        "ResourceType=instance,Tags=[{Key=Name,Value=LabInstance}]",
    )["Instances"][0]["InstanceId"]
    aws("ec2", "wait", "instance-status-ok", "--instance-ids", instance)
    aws("ec2", "stop-instances", "--instance-ids", instance)

    def shown():
        return aws("ec2", "describe-instances", "--instance-ids", instance)["Reservations"][0]["Instances"][0]

    aws("kms", "disable-key", "--key-id", key)
    assert "(KMS.DisabledException)" in aws(*read, fails=True)
    assert (
        aws("ec2", "start-instances", "--instance-ids", instance)["StartingInstances"][0]["CurrentState"]["Name"]
        == "pending"
    )
    assert until(lambda: shown()["State"]["Name"] == "stopped")
    assert shown()["StateReason"]["Code"] == "Client.InternalError"

    found = aws(
        "cloudtrail",
        "lookup-events",
        "--lookup-attributes",
        "AttributeKey=EventSource,AttributeValue=kms.amazonaws.com",
    )["Events"]
    history = [json.loads(event["CloudTrailEvent"]) for event in found]

    def events(name):
        return [event for event in history if event["eventName"] == name]

    assert events("GenerateDataKey")[0]["resources"][0]["ARN"] == key
    assert {e.get("errorCode") for e in events("Decrypt")} == {None, "DisabledException"}
    assert events("CreateGrant")[0]["errorMessage"] == f"{key} is disabled."

    aws("kms", "enable-key", "--key-id", key)
    aws(*read)
    aws("ec2", "start-instances", "--instance-ids", instance)
    aws("ec2", "wait", "instance-status-ok", "--instance-ids", instance)
