"""What a stop and a start would do to an instance: asked by everything that stops one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gameday.sdk._aws import AWS

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import InstanceTypeDef


def stop_harm(aws: AWS, machine: InstanceTypeDef) -> str:
    """Why a stop and a start would harm an instance, as DescribeInstances shows it, or ``""``.

    The reason goes behind the instance's name: ``is a spot instance, which …``. It must be at rest; one of an Auto
    Scaling group would be replaced, an instance store wiped, a spot instance perhaps not given back, a hibernating
    one lose its memory, and a protected one not stop. Source: EC2 User Guide, "Stop and start Amazon EC2 instances".
    What may not be read does not count as harm: EC2 itself decides at the stop.
    """
    tags = {tag["Key"]: tag["Value"] for tag in machine.get("Tags", [])}
    state = machine["State"]["Name"]
    if state not in ("running", "stopped"):
        return f"is {state}: it must be running or stopped"
    if machine.get("RootDeviceType", "ebs") != "ebs":
        return "boots from an instance store, which a stop would wipe"
    group = tags.get("aws:autoscaling:groupName") or _group(aws, machine["InstanceId"])
    if group:
        return f"is in the Auto Scaling group {group}, which would replace it when it stops"
    if machine.get("InstanceLifecycle") == "spot":
        return "is a spot instance, which may not be given back after a stop"
    if machine.get("HibernationOptions", {}).get("Configured"):
        return "is set up to hibernate: a plain stop would lose its memory"
    return _lasting(aws, machine)


def _lasting(aws: AWS, machine: InstanceTypeDef) -> str:
    """Instance-store data volumes and stop protection."""
    kind, stored, kept = machine.get("InstanceType"), False, False
    if kind:
        with aws.answering():
            kinds = aws.client("ec2").describe_instance_types(InstanceTypes=[kind])["InstanceTypes"]
            stored = any(each.get("InstanceStorageSupported", False) for each in kinds)
    with aws.answering():
        protection = aws.client("ec2").describe_instance_attribute(
            InstanceId=machine["InstanceId"], Attribute="disableApiStop"
        )
        kept = bool(protection.get("DisableApiStop", {}).get("Value"))
    if stored:
        return f"is a {kind}: a stop would wipe its instance store volumes"
    return "is protected against being stopped" if kept else ""


def _group(aws: AWS, instance_id: str) -> str:
    """The tag is missing for a moment after an attachment; where this is not permitted, the tag decides."""
    groups: list[str] = []
    with aws.answering():
        members = aws.client("autoscaling").describe_auto_scaling_instances(InstanceIds=[instance_id])
        groups = [member["AutoScalingGroupName"] for member in members["AutoScalingInstances"]]
    return groups[0] if groups else ""
