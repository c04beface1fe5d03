"""Everything of a lab's account that a playbook could have left changed, by clients that are not gameday's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

PASSING = (
    *("AttachTime", "StateReason", "StateTransitionReason", "PublicIpAddress", "PublicDnsName", "NetworkInterfaces"),
    *("ResponseMetadata", "LaunchTime", "RequestId", "ClientToken"),
)
"""What a stop and a start change by nature, and what names a call."""

PROBED = "gameday-probe/s3.write"
"""What the s3.write probe may leave when it is killed between its write and its delete, as its documentation says: it
has no undo step, and its next look takes it away."""


class Witness:
    """Looks at all of an account.

    Parameters
    ----------
    url: the lab.
    """

    def __init__(self, url: str) -> None:
        plain = Config(retries={"total_max_attempts": 1}, proxies={}, s3={"addressing_style": "path"})
        session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")

        def make(service: str) -> Any:
            return session.client(service, endpoint_url=url, config=plain)  # type: ignore[call-overload]

        self.kms, self.s3, self.iam = make("kms"), make("s3"), make("iam")
        self.ec2, self.scheduler = make("ec2"), make("scheduler")

    def state(self) -> list[str]:
        """The account as lines of text."""
        found = {**self._keys(), **self._buckets(), **self._roles(), **self._instances()}
        found["schedules"] = self.scheduler.list_schedules()["Schedules"]
        return json.dumps(_lasting(found), indent=1, sort_keys=True, default=str).splitlines()

    def _keys(self) -> dict[str, Any]:
        kms = self.kms
        found: dict[str, Any] = {"aliases": kms.list_aliases()["Aliases"]}
        for key in (one["KeyId"] for one in kms.list_keys()["Keys"]):
            found[key] = [_or_none(call, KeyId=key) for call in (kms.describe_key, kms.get_key_rotation_status)]
            found[key].append(_or_none(kms.get_key_policy, KeyId=key, PolicyName="default"))
            found[key].append(sorted((_grant(one) for one in kms.list_grants(KeyId=key)["Grants"]), key=str))
        return found

    def _buckets(self) -> dict[str, Any]:
        s3, found = self.s3, {}
        reads = ("ownership_controls", "policy", "acl", "encryption", "tagging", "versioning")
        for bucket in (one["Name"] for one in s3.list_buckets()["Buckets"]):
            found[bucket] = [_or_none(getattr(s3, f"get_bucket_{read}"), Bucket=bucket) for read in reads]
            found[bucket].append(_or_none(s3.get_public_access_block, Bucket=bucket))
            for item in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
                if item["Key"] == PROBED:
                    continue
                where = {"Bucket": bucket, "Key": item["Key"]}
                found[f"{bucket}/{item['Key']}"] = [item, _or_none(s3.get_object_acl, **where)]
        return found

    def _roles(self) -> dict[str, Any]:
        iam, found = self.iam, {}
        for role in iam.list_roles()["Roles"]:
            names = iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
            policies = [_or_none(iam.get_role_policy, RoleName=role["RoleName"], PolicyName=name) for name in names]
            found[role["Arn"]] = [role["AssumeRolePolicyDocument"], policies]
        return found

    def _instances(self) -> dict[str, Any]:
        ec2 = self.ec2
        machines = [each for group in ec2.describe_instances()["Reservations"] for each in group["Instances"]]
        found = {each["InstanceId"]: each for each in machines}
        for each in machines:
            of = {"InstanceId": each["InstanceId"]}
            found[f"{each['InstanceId']} user data"] = _or_none(
                ec2.describe_instance_attribute, **of, Attribute="userData"
            )
        found |= {each["VolumeId"]: each for each in ec2.describe_volumes()["Volumes"]}
        return found | {each["SnapshotId"]: each for each in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}


def _or_none(call: Callable[..., Any], **which: Any) -> Any:
    try:
        found = call(**which)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return {name: value for name, value in found.items() if name != "ResponseMetadata"}


def _grant(grant: dict[str, Any]) -> dict[str, Any]:
    """EC2 makes a grant of its own at each start: another one for the same."""
    return {name: value for name, value in grant.items() if name not in ("GrantId", "CreationDate", "Name")}


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _lasting(each) for name, each in value.items() if name not in PASSING}
    if isinstance(value, list):
        return sorted((_lasting(each) for each in value), key=lambda one: json.dumps(one, sort_keys=True, default=str))
    return value
