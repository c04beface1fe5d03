"""Everything of an account that a run could have left changed, as an independent client sees it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

Client = Callable[[str], Any]
PASSING = (
    *("LaunchTime", "AttachTime", "StateTransitionReason", "StateReason", "RoleLastUsed"),
    *("PublicIp", "PublicIpAddress", "PublicDnsName", "Association"),
)
"""What changes by looking, or by a stop and a start; and the seconds at which an undo put a thing back."""


def or_none(call: Callable[..., Any], **which: Any) -> Any:
    try:
        found = call(**which)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return {name: value for name, value in found.items() if name != "ResponseMetadata"}


def _kms(client: Client) -> dict[str, Any]:
    kms = client("kms")
    found: dict[str, Any] = {"aliases": kms.list_aliases()["Aliases"]}
    for key in (one["KeyId"] for one in kms.list_keys()["Keys"]):
        found[key] = [or_none(call, KeyId=key) for call in (kms.describe_key, kms.get_key_rotation_status)]
        found[key].append(or_none(kms.get_key_policy, KeyId=key, PolicyName="default"))
        grants = or_none(kms.list_grants, KeyId=key)
        # EC2 retires an instance's grant when it stops, and asks for another when it starts: whoever comes first.
        who = sorted((one["GranteePrincipal"], sorted(one["Operations"])) for one in grants.get("Grants", []))
        found[key].append(who)
    return found


def _without_account(request: Any, **_: object) -> None:
    request.url = re.sub(r"//\d{12}\.", "//", request.url)


def _s3(client: Client, account: str) -> dict[str, Any]:
    s3, control = client("s3"), client("s3control")
    control.meta.events.register("before-sign.s3-control", _without_account)  # else the lab's name does not resolve
    found: dict[str, Any] = {"account": or_none(control.get_public_access_block, AccountId=account)}
    for bucket in (one["Name"] for one in s3.list_buckets()["Buckets"]):
        reads = ("ownership_controls", "policy", "acl", "encryption", "tagging", "versioning")
        found[bucket] = [or_none(getattr(s3, f"get_bucket_{read}"), Bucket=bucket) for read in reads]
        found[bucket].append(or_none(s3.get_public_access_block, Bucket=bucket))
        for item in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
            where = {"Bucket": bucket, "Key": item["Key"]}
            found[f"{bucket}/{item['Key']}"] = [item["ETag"], or_none(s3.get_object_acl, **where)]
    return found


def _ec2(client: Client) -> dict[str, Any]:
    ec2 = client("ec2")
    groups = ec2.describe_instances()["Reservations"]
    return {
        "instances": [one for group in groups for one in group["Instances"] if one["State"]["Name"] != "terminated"],
        "volumes": ec2.describe_volumes()["Volumes"],
        "snapshots": ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"],
    }


def _iam(client: Client, but: str) -> dict[str, Any]:
    iam = client("iam")
    found: dict[str, Any] = {}
    for role in iam.list_roles()["Roles"]:
        if but and role["RoleName"].startswith(but):
            continue
        names = iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
        policies = [or_none(iam.get_role_policy, RoleName=role["RoleName"], PolicyName=name) for name in names]
        found[role["Arn"]] = [role["AssumeRolePolicyDocument"], policies]
    return found


def _without(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: _without(value) for name, value in found.items() if name not in PASSING}
    return [_without(one) for one in found] if isinstance(found, list | tuple) else found


def account(client: Client, *, number: str = "123456789012", but: str = "") -> str:
    """The account as sorted JSON; roles whose name begins with ``but`` are the test's own."""
    found = {
        "kms": _kms(client),
        "s3": _s3(client, number),
        "ec2": _ec2(client),
        "iam": _iam(client, but),
        "schedules": or_none(client("scheduler").list_schedules).get("Schedules"),
    }
    return json.dumps(_without(found), default=str, indent=1, sort_keys=True)
