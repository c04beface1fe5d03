"""Attach a spare volume to an instance, and detach it again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from gameday.errors import CannotInject
from gameday.sdk import (
    AWS,
    Before,
    Calls,
    Cause,
    Drifted,
    Duration,
    InstanceId,
    InvasiveProbe,
    Observation,
    Rank,
    ReadBack,
    Restored,
    Step,
    StillOurs,
    Unknown,
    VolumeId,
    dry_run,
    format_duration,
    unlike,
)
from probes._ec2 import key_cause

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import VolumeTypeDef

_FREE = ("IncorrectState", "InvalidAttachment.NotFound")
"""What DetachVolume answers for a volume that hangs on nothing, or not on that instance."""


class Attachment(Step):
    """Takes the volume off the instance again."""

    step: ClassVar[str] = "attachment"
    rank: ClassVar[Rank] = Rank.INSTANCE
    calls: ClassVar[Calls] = Calls(
        inject=("ec2:AttachVolume", "kms:CreateGrant"), undo=("ec2:DetachVolume",), read=("ec2:DescribeVolumes",)
    )

    volume: VolumeId
    instance: InstanceId
    device: str

    @property
    def resource(self) -> str:
        """The volume's ARN, which is what ``volume`` was pinned to."""
        return self.volume

    def capture(self, aws: AWS) -> Before:
        """The volume must be free, and encrypted."""
        found, said = look(aws, self.volume)
        if found is None:
            raise CannotInject(f"volume {self.volume} could not be read ({said.code or said.cause}: {said.detail})")
        if found["State"] != "available":
            raise CannotInject(f"volume {self.volume} is {found['State']}: a spare one must be available")
        return {"state": "available"}

    def mismatch(self, run: str, before: Before) -> str:
        """The volume was free, or it would have been refused."""
        return unlike(before, state="available")

    def inject(self, aws: AWS, before: Before) -> None:
        """AttachVolume; the probe does it itself while it looks."""
        aws.changing("ec2").attach_volume(VolumeId=_id(self.volume), InstanceId=_id(self.instance), Device=self.device)

    def undo(self, aws: AWS, before: Before) -> None:
        """DetachVolume from that instance; one that hangs on none is refused, and that is as good."""
        ec2 = aws.changing("ec2")
        try:
            ec2.detach_volume(VolumeId=_id(self.volume), InstanceId=_id(self.instance))
        except ec2.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in _FREE:
                raise

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """Restored when it is available; on another instance it is somebody else's now."""
        found, said = look(aws, self.volume)
        if found is None:
            return (
                Drifted("the volume is gone: someone deleted it")
                if said.cause is Cause.NOT_FOUND
                else Unknown(f"{said.code or said.cause}: {said.detail}")
            )
        if found["State"] == "available":
            return Restored("available")
        others = sorted({one["InstanceId"] for one in found["Attachments"]} - {_id(self.instance)})
        if others:
            return Drifted(f"someone attached it to {', '.join(others)} meanwhile")
        return StillOurs(_state(found))

    def rehearse(self, aws: AWS) -> None:
        """Dry runs of both, which EC2 answers with DryRunOperation when they are permitted."""
        ec2 = aws.changing("ec2")
        volume, instance = _id(self.volume), _id(self.instance)
        find = f"see whether volume {volume} is attached to instance {instance}"
        attach = lambda: ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device=self.device, DryRun=True)  # noqa: E731
        # A volume that hangs on nothing may be answered so instead; whoever is not permitted hears that first.
        dry_run(aws, "ec2:AttachVolume", attach, find=find, fine=_FREE)
        detach = lambda: ec2.detach_volume(VolumeId=volume, InstanceId=instance, DryRun=True)  # noqa: E731
        dry_run(aws, "ec2:DetachVolume", detach, find=find, fine=_FREE)


class EbsAttach(InvasiveProbe):
    """Attach a spare encrypted volume to a running instance, and detach it: whether EBS can still use the key.

    A volume that is attached goes on working when its key is disabled; the loss shows at the next attachment. With the
    key disabled EC2 refuses it with ``Client.CustomerKeyHasBeenRevoked`` (KMS is then asked in which state the key is,
    for ``key_disabled`` or ``key_pending_deletion``), or takes it and lets the volume fall back to available.

    Nothing is written to the volume and nothing mounts it; the instance sees a device come and go. Its undo step
    detaches it. The volume must be encrypted, free, and in the instance's Availability Zone.
    """

    uses: ClassVar[str] = "ebs.attach"
    permissions: ClassVar[tuple[str, ...]] = (
        *("ec2:AttachVolume", "ec2:DetachVolume", "ec2:DescribeVolumes", "ec2:DescribeInstances"),
        *("kms:DescribeKey", "kms:CreateGrant"),
    )

    volume: VolumeId
    instance: InstanceId
    device: str = "/dev/sdx"
    within: Duration = timedelta(minutes=1)
    """How long the attachment, and then the detachment, may take."""

    def steps(self) -> tuple[Step, ...]:
        """Its attachment."""
        return (Attachment(volume=self.volume, instance=self.instance, device=self.device),)

    def refusal(self, aws: AWS) -> str:
        """Not encrypted, or in another zone."""
        found, said = look(aws, self.volume)
        if found is None:
            return f"volume {self.volume} could not be described ({said.code or said.cause}: {said.detail})"
        if not found.get("Encrypted"):
            return f"volume {self.volume} is not encrypted: whether it can be attached says nothing of a key"
        zone = ""
        with aws.answering():
            groups = aws.client("ec2").describe_instances(InstanceIds=[_id(self.instance)])["Reservations"]
            here = (one for group in groups for one in group["Instances"] if one["InstanceId"] == _id(self.instance))
            zone = next((one["Placement"]["AvailabilityZone"] for one in here), "")
        if zone != found["AvailabilityZone"]:
            return f"volume {self.volume} is in {found['AvailabilityZone']}, and {self.instance} in {zone or 'none'}"
        return ""

    def observe(self, aws: AWS) -> Observation:
        """One attachment and one detachment; ``latency`` is the attachment's."""
        if left := self._detached(aws):
            return left
        asked = time.monotonic()
        with aws.answering() as answer:
            aws.changing("ec2").attach_volume(
                VolumeId=_id(self.volume), InstanceId=_id(self.instance), Device=self.device
            )
        if not answer.ok:
            seen = answer.observation()
            if seen.cause is Cause.KEY_UNUSABLE:
                seen = seen.model_copy(update={"cause": key_cause(aws, _id(self.volume))})
            return seen
        seen = self._attached(aws, asked).model_copy(update={"request_id": answer.request_id})
        return self._detached(aws) or seen

    def _attached(self, aws: AWS, asked: float) -> Observation:
        """Look until it is attached, or has fallen back."""
        moved, limit = False, self.within.total_seconds()
        for pause in _pauses():
            found, said = look(aws, self.volume)
            taken = time.monotonic() - asked
            state = _state(found) if found else ""
            moved = moved or state == "attaching"
            if state == "attached":
                return Observation(cause=Cause.OK, detail=f"attached after {taken:.1f} s", latency=taken)
            if state == "available" and moved:
                detail = "the attachment was taken, and the volume fell back to available"
                return Observation(cause=key_cause(aws, _id(self.volume)), detail=detail, latency=taken)
            if taken > limit:
                detail = f"still {state or said.detail} {format_duration(self.within)} after AttachVolume"
                return Observation(cause=said.cause if found is None else Cause.CONFLICT, detail=detail, latency=taken)
            aws.wait(pause)
        raise AssertionError("the pauses never end")

    def _detached(self, aws: AWS) -> Observation | None:
        """Take it off the instance where it hangs there; None once it is free, else what is wrong."""
        until, asked = time.monotonic() + self.within.total_seconds(), False
        for pause in _pauses():
            found, said = look(aws, self.volume)
            if found is None and said.cause is Cause.NOT_FOUND:
                return said
            if found is not None and found["State"] == "available":
                return None
            if found is not None and not asked and _state(found) == "attached":
                with aws.answering() as answer:
                    aws.changing("ec2").detach_volume(VolumeId=_id(self.volume), InstanceId=_id(self.instance))
                asked = answer.ok
                if not answer.ok and answer.code not in _FREE:
                    return answer.observation()
                continue
            if time.monotonic() > until:
                detail = (
                    f"still {_state(found) if found else said.detail} {format_duration(self.within)} after DetachVolume"
                )
                return Observation(cause=Cause.CONFLICT if found else said.cause, detail=detail)
            aws.wait(pause)
        raise AssertionError("the pauses never end")


def look(aws: AWS, volume: str) -> tuple[VolumeTypeDef | None, Observation]:
    """DescribeVolumes for one."""
    found: list[VolumeTypeDef] = []
    with aws.answering() as answer:
        found = aws.client("ec2").describe_volumes(VolumeIds=[_id(volume)])["Volumes"]
    return next((each for each in found if each["VolumeId"] == _id(volume)), None), answer.observation()


def _state(volume: VolumeTypeDef) -> str:
    """Of its attachment where it has one, else its own."""
    return next((one["State"] for one in volume.get("Attachments", [])), volume["State"])


def _pauses() -> Iterator[float]:
    pause = 0.05
    while True:
        yield min(pause, 1.0)
        pause *= 1.5


def _id(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]
