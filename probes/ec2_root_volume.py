"""Look at what an instance boots from."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gameday.sdk import AWS, Answer, Cause, InstanceId, KeyId, Observation, Probe
from probes._ec2 import checks, look

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import VolumeTypeDef


class Ec2RootVolume(Probe):
    """See whether an instance boots from a volume that is encrypted with the key.

    ``ok`` when it does and, unless ``boots: false``, is running with both status checks; ``unhealthy`` when the
    volume is right and the instance not well; ``unencrypted`` or ``conflict`` (another key) when the volume is not;
    ``not_found`` when nothing is attached as its root device. It reads only.
    """

    uses: ClassVar[str] = "ec2.root_volume"
    permissions: ClassVar[tuple[str, ...]] = (
        *("ec2:DescribeInstances", "ec2:DescribeInstanceStatus", "ec2:DescribeVolumes", "kms:DescribeKey"),
    )

    instance: InstanceId
    key: KeyId
    boots: bool = True
    """Whether the instance must be up, too."""

    def observe(self, aws: AWS) -> Observation:
        """DescribeInstances, DescribeVolumes, and the status checks once the volume is right."""
        found = look(aws, self.instance)
        if not found.root_volume:
            return _seen(found.answer, Cause.NOT_FOUND, "no root volume is attached") if found.state else found.answer
        root: VolumeTypeDef | None = None
        with aws.answering() as answer:
            volumes = aws.client("ec2").describe_volumes(VolumeIds=[found.root_volume])["Volumes"]
            root = next((each for each in volumes if each["VolumeId"] == found.root_volume), None)
        if root is None:
            return answer.observation()
        cause, detail = self._volume(root)
        if cause is Cause.OK and self.boots:
            health = checks(aws, self.instance) if found.state == "running" else ""
            if health != "ok":
                cause = Cause.UNHEALTHY
                detail += f", but the instance is {found.state}" + (f" and its checks are {health}" if health else "")
        return _said(answer, cause, detail)

    def _volume(self, root: VolumeTypeDef) -> tuple[Cause, str]:
        name, used = root["VolumeId"], root.get("KmsKeyId", "")
        if not root.get("Encrypted"):
            return Cause.UNENCRYPTED, f"{name} is not encrypted"
        if used != self.key:
            return Cause.CONFLICT, f"{name} is encrypted with {used}"
        return Cause.OK, f"{name} is encrypted with the key"


def _said(answer: Answer, cause: Cause, detail: str) -> Observation:
    return _seen(answer.observation(), cause, detail)


def _seen(observation: Observation, cause: Cause, detail: str) -> Observation:
    return observation.model_copy(update={"cause": cause, "detail": detail})
