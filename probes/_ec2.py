"""What ``ec2.boot`` reads of an instance: its state, its health, and what a stop would do to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gameday.sdk import AWS, Cause, Observation, dry_run, stop_harm

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import InstanceTypeDef

GONE = ("terminated", "shutting-down")
_KEY_STATES = {
    "Disabled": Cause.KEY_DISABLED,
    "PendingDeletion": Cause.KEY_PENDING_DELETION,
    "PendingReplicaDeletion": Cause.KEY_PENDING_DELETION,
}


@dataclass(frozen=True)
class Look:
    """What EC2 says of an instance; ``state`` is ``""`` when it said nothing, and ``answer`` says why."""

    answer: Observation
    state: str = ""
    code: str = ""
    """Of the StateReason."""
    message: str = ""
    transition: str = ""
    """The StateTransitionReason, which holds a time."""
    root_volume: str = ""

    @property
    def reason(self) -> tuple[str, str, str]:
        """What tells one stop from another."""
        return self.code, self.message, self.transition

    @property
    def said(self) -> str:
        """EC2's answer in a few words."""
        return ": ".join(filter(None, (self.answer.code or self.answer.cause, self.answer.detail)))


def look(aws: AWS, instance: str) -> Look:
    """DescribeInstances for one."""
    found, answer = _describe(aws, instance)
    if found is None:
        return Look(answer)
    state, reason = found["State"]["Name"], found.get("StateReason", {})
    if state in GONE:
        answer = answer.model_copy(update={"cause": Cause.NOT_FOUND, "detail": f"the instance is {state}"})
    root = found.get("RootDeviceName", "")
    volumes = [each["Ebs"]["VolumeId"] for each in found.get("BlockDeviceMappings", []) if each["DeviceName"] == root]
    return Look(
        answer,
        state=state,
        code=reason.get("Code", ""),
        message=reason.get("Message", ""),
        transition=found.get("StateTransitionReason", ""),
        root_volume=volumes[0] if volumes else "",
    )


def checks(aws: AWS, instance: str) -> str:
    """``ok`` when both status checks are, else what they say, else why they cannot be read."""
    said: set[str] = set()
    with aws.answering() as answer:
        for status in aws.client("ec2").describe_instance_status(InstanceIds=[_id(instance)])["InstanceStatuses"]:
            if status["InstanceId"] != _id(instance):
                continue
            said |= {status["SystemStatus"]["Status"], status["InstanceStatus"]["Status"]}
    if not answer.ok:
        return f"not known ({answer.code or answer.cause})"
    return "ok" if said == {"ok"} else " and ".join(sorted(said - {"ok"})) or "not there yet"


def key_cause(aws: AWS, volume: str) -> Cause:
    """EC2 said that the volume's key is in an incorrect state; ask KMS in which."""
    state = ""
    with aws.answering():
        found = aws.client("ec2").describe_volumes(VolumeIds=[volume])["Volumes"]
        key = next((each.get("KmsKeyId", "") for each in found if each["VolumeId"] == volume), "")
        state = aws.client("kms").describe_key(KeyId=key)["KeyMetadata"].get("KeyState", "")
    return _KEY_STATES.get(state, Cause.KEY_UNUSABLE)


def rehearse_power(aws: AWS, instance: str) -> None:
    """Dry runs of start and stop, which EC2 answers with DryRunOperation when they are permitted."""
    ec2, ids = aws.changing("ec2"), [_id(instance)]
    find = f"see whether instance {ids[0]} still runs, or was started"
    dry_run(aws, "ec2:StartInstances", lambda: ec2.start_instances(InstanceIds=ids, DryRun=True), find=find, fine=())
    dry_run(aws, "ec2:StopInstances", lambda: ec2.stop_instances(InstanceIds=ids, DryRun=True), find=find, fine=())


def harm(aws: AWS, instance: str) -> str:
    """Why a stop and a start would harm this instance, or ``""``."""
    found, answer = _describe(aws, instance)
    if found is None:
        return f"{instance} could not be described ({answer.code or answer.cause}: {answer.detail})"
    why = stop_harm(aws, found)
    return f"{instance} {why}" if why else ""


def _describe(aws: AWS, instance: str) -> tuple[InstanceTypeDef | None, Observation]:
    found: InstanceTypeDef | None = None
    with aws.answering() as answer:
        groups = aws.client("ec2").describe_instances(InstanceIds=[_id(instance)])["Reservations"]
        here = (each for group in groups for each in group["Instances"])
        found = next((each for each in here if each["InstanceId"] == _id(instance)), None)
    if answer.ok and found is None:
        return None, answer.observation("no such instance").model_copy(update={"cause": Cause.NOT_FOUND})
    return found, answer.observation()


def _id(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]
