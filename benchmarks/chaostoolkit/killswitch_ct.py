"""What a Chaos Toolkit user writes for the kill switch: chaostoolkit-aws has nothing for KMS."""

from __future__ import annotations

import os

import boto3
from botocore.exceptions import ClientError


def _client(service: str):
    return boto3.client(service, endpoint_url=os.environ["LAB_URL"], region_name="us-east-1")


def disable_key(key: str) -> None:
    _client("kms").disable_key(KeyId=key)


def enable_key(key: str) -> None:
    _client("kms").enable_key(KeyId=key)


def key_state(key: str) -> str:
    return _client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"]


def read(bucket: str, name: str) -> str:
    try:
        _client("s3").get_object(Bucket=bucket, Key=name)["Body"].read()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "ok"
