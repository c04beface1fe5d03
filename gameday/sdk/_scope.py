"""Which resources an IAM action is for, by AWS's Service Authorization Reference: what policies are scoped to."""

from __future__ import annotations

from collections.abc import Iterable

ANYTHING = ("*",)


def ec2_resources(
    action: str, partition: str, region: str, account: str, *, instances: Iterable[str], volumes: Iterable[str]
) -> tuple[str, ...]:
    """The ARNs of an EC2 action such as ``ec2:AttachVolume``; its Describe* calls take none.

    ``instances`` and ``volumes`` are the ARNs that the part's own fields were pinned to.
    """
    name = action.partition(":")[2]
    if name.startswith("Describe"):
        return ANYTHING
    if volumes:
        return (*volumes, *instances)
    if any(kind in name for kind in ("Snapshot", "Tags", "Volume")):  # whose ids only the run will know
        here = f"arn:{partition}:ec2:{region}"
        return (f"{here}:{account}:volume/*", f"{here}::snapshot/*", *instances)
    return tuple(instances) or ANYTHING


def s3_resources(action: str, partition: str, bucket: str, objects: str) -> tuple[str, ...]:
    """The ARN of the bucket, or of its objects where the action is one on objects; the account's settings have none.

    ``objects`` is a key, or a pattern such as ``logs/*``.
    """
    name = action.partition(":")[2]
    if "Account" in name:
        return ANYTHING
    arn = f"arn:{partition}:s3:::{bucket}"
    return (f"{arn}/{objects}",) if "Object" in name else (arn,)
