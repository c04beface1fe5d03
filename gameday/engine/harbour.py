"""Whether the journal lives under a key that the run takes away: then the fault would take the journal with it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from gameday.sdk import AWS

ASSET_TAG = Path("/sys/devices/virtual/dmi/id/board_asset_tag")
"""On an EC2 instance of the Nitro system it holds the instance's id."""


def under_key(place: str, resources: Collection[str], aws: AWS, asset_tag: Path = ASSET_TAG) -> str:
    """Say that the journal is, or may be, under one of the run's keys; ``""`` where nothing hints at it.

    A volume that is attached works on without its key, but the instance does not start again once it is stopped.
    """
    keys = {resource for resource in resources if ":kms:" in resource}
    if not keys:
        return ""
    if ".rds." in place:
        return f"the journal at {place} is in RDS: see that its storage is not under {', '.join(sorted(keys))}"
    if "://" in place or not (instance := _this_instance(asset_tag)):
        return ""
    for volume in _volumes(instance, aws):
        if volume in keys:
            return (
                f"the journal at {place} is on this instance, {instance}, whose volume is under {volume}: "
                "do not stop it during the run, or keep the journal elsewhere (--journal)"
            )
    return ""


def _this_instance(asset_tag: Path) -> str:
    try:
        tag = asset_tag.read_text().strip()
    except OSError:
        return ""
    return tag if tag.startswith("i-") else ""


def _volumes(instance: str, aws: AWS) -> list[str]:
    """The keys of its volumes; none where it is in another account, or they may not be looked at."""
    ec2 = aws.client("ec2")
    try:
        found = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [instance]}])["Volumes"]
    except (ec2.exceptions.ClientError, OSError):
        return []
    here = [v for v in found if any(each.get("InstanceId") == instance for each in v.get("Attachments", []))]
    return [volume["KmsKeyId"] for volume in here if "KmsKeyId" in volume]
