"""Each fault's playbook as a process of its own, on a lab that is up: exit code 0, and the account as it was."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from gameday.lab import LabControl

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"


def or_none(call: Callable[..., Any], **which: Any) -> Any:
    try:
        found = call(**which)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return {name: value for name, value in found.items() if name != "ResponseMetadata"}


def account(client: Callable[[str], Any]) -> dict[str, Any]:
    """Everything that a fault of these could have left: keys, their policies and grants, buckets, objects, roles."""
    kms, s3, iam = client("kms"), client("s3"), client("iam")
    found: dict[str, Any] = {"aliases": kms.list_aliases()["Aliases"]}
    for key in (one["KeyId"] for one in kms.list_keys()["Keys"]):
        found[key] = [
            or_none(call, KeyId=key) for call in (kms.describe_key, kms.list_grants, kms.get_key_rotation_status)
        ]
        found[key].append(or_none(kms.get_key_policy, KeyId=key, PolicyName="default"))
    for bucket in (one["Name"] for one in s3.list_buckets()["Buckets"]):
        reads = ("ownership_controls", "policy", "acl", "encryption", "tagging", "versioning")
        found[bucket] = [or_none(getattr(s3, f"get_bucket_{read}"), Bucket=bucket) for read in reads]
        found[bucket].append(or_none(s3.get_public_access_block, Bucket=bucket))
        for item in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
            where = {"Bucket": bucket, "Key": item["Key"]}
            found[f"{bucket}/{item['Key']}"] = [item, or_none(s3.get_object_acl, **where)]
    for role in iam.list_roles()["Roles"]:
        names = iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
        policies = [or_none(iam.get_role_policy, RoleName=role["RoleName"], PolicyName=name) for name in names]
        found[role["Arn"]] = [role["AssumeRolePolicyDocument"], policies]
    return found


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("schedule-deletion", ()),
        ("revoke-by-policy", ()),
        ("revoke-by-iam", ()),
        ("public-access", ("how=acl",)),
        ("public-access", ("how=policy",)),
    ],
)
def test_it_passes_and_leaves_nothing(
    lab: LabControl, client: Callable[[str], Any], tmp_path: Path, name: str, more: tuple[str, ...]
) -> None:
    text = (PLAYBOOKS / f"{name}.yaml").read_text()
    quick = tmp_path / f"{name}.yaml"
    quick.write_text(text.replace("hold: 5s", "hold: 0s").replace("every: 1s", "every: 50ms"))
    command = str(Path(sys.executable).with_name("gameday"))
    given = [part for value in more for part in ("--var", value)]

    def run() -> None:
        said = subprocess.run(
            [command, "run", str(quick), "--target", f"lab={lab.url}", "--journal", str(tmp_path / "j.db"), *given],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert said.returncode == 0, said.stderr

    run()  # stages what is missing
    before = account(client)
    assert len(before) > 3
    run()
    assert json.dumps(account(client), default=str, indent=1) == json.dumps(before, default=str, indent=1)
