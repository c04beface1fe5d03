"""What EC2 says of an instance and its volumes, and waiting until it says what is needed.

Looked up by filters, so that what is not there is an empty answer and no error; everything else that AWS answers is
raised: the hands of the machine understand it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from gameday.errors import CannotInject
from gameday.sdk import AWS, Before, format_duration

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        FilterTypeDef,
        InstanceBlockDeviceMappingTypeDef,
        InstanceTypeDef,
        SnapshotTypeDef,
        TagTypeDef,
        VolumeAttachmentTypeDef,
        VolumeTypeDef,
    )

T = TypeVar("T")

GONE = ("terminated", "shutting-down")
_APPEARS = 10.0
"""Seconds after which EC2's lists, which lag behind its answers, show what was made."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0


def id_of(arn: str) -> str:
    """An instance's id."""
    return arn.rsplit("/", 1)[-1]


def instance(aws: AWS, arn: str) -> InstanceTypeDef | None:
    """The instance, or None when it is terminated or was never there."""
    pages = aws.client("ec2").get_paginator("describe_instances").paginate(Filters=[_filter("instance-id", id_of(arn))])
    found = [each for page in pages for group in page["Reservations"] for each in group["Instances"]]
    here = [each for each in found if each["InstanceId"] == id_of(arn)]  # not every endpoint knows every filter
    return next((each for each in here if each["State"]["Name"] not in GONE), None)


def known_instance(aws: AWS, arn: str) -> InstanceTypeDef:
    """The instance; raises CannotInject when it is gone."""
    found = instance(aws, arn)
    if found is None:
        raise CannotInject(f"there is no instance {id_of(arn)} any more")
    return found


def at(machine: InstanceTypeDef, device: str) -> InstanceBlockDeviceMappingTypeDef | None:
    """What is attached to an instance at a device."""
    return next((each for each in machine["BlockDeviceMappings"] if each["DeviceName"] == device), None)


def volume(aws: AWS, volume_id: str) -> VolumeTypeDef | None:
    """One volume by its id."""
    found = _volumes(aws, [_filter("volume-id", volume_id)])
    return next((each for each in found if each["VolumeId"] == volume_id), None)


def volumes(aws: AWS, tags: Mapping[str, str]) -> list[VolumeTypeDef]:
    """The volumes that carry all these tags, without those on their way out."""
    found = _volumes(aws, [_filter(f"tag:{name}", value) for name, value in tags.items()])
    return [each for each in found if each["State"] not in ("deleting", "deleted") and _carries(each, tags)]


def snapshots(aws: AWS, tags: Mapping[str, str]) -> list[SnapshotTypeDef]:
    """The account's own snapshots that carry all these tags."""
    wanted = [_filter(f"tag:{name}", value) for name, value in tags.items()]
    pages = aws.client("ec2").get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=wanted)
    return [each for page in pages for each in page["Snapshots"] if _carries(each, tags)]


def _carries(found: VolumeTypeDef | SnapshotTypeDef, tags: Mapping[str, str]) -> bool:
    """Not every endpoint knows every filter, and what comes back is deleted by the undo."""
    return tags.items() <= tags_of(found).items()


def attachment(found: VolumeTypeDef) -> VolumeAttachmentTypeDef | None:
    """Where a volume is attached, if anywhere."""
    return next((each for each in found.get("Attachments", []) if each.get("State") != "detached"), None)


def tags_of(found: InstanceTypeDef | VolumeTypeDef | SnapshotTypeDef) -> dict[str, str]:
    """Tags as a mapping."""
    return {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}


def as_tags(tags: Mapping[str, str]) -> list[TagTypeDef]:
    """A mapping as EC2 takes tags."""
    return [{"Key": name, "Value": value} for name, value in tags.items()]


class Wait:
    """Looks again and again until there is something, for ``within`` at most.

    Parameters
    ----------
    within: the longest time; then CannotInject is raised.
    what: completes "… within 5m".
    """

    def __init__(self, aws: AWS, within: timedelta, what: str) -> None:
        self._aws, self._within, self._what = aws, within, what
        self._began = time.monotonic()

    @property
    def should_be_listed(self) -> bool:
        """Whether what was made is listed by now, if it is there at all."""
        return time.monotonic() - self._began > min(_APPEARS, self._within.total_seconds())

    def until(self, look: Callable[[], T | None]) -> T:
        """What ``look`` finds; AWS's silence and its errors are no answer, and are asked again."""
        pause, said = _FIRST_PAUSE, ""
        while True:
            found: T | None = None
            with self._aws.answering() as answer:
                found = look()
            if found is not None:
                return found
            said = "" if answer.ok else f" ({answer.code or answer.cause}: {answer.detail})"
            if time.monotonic() - self._began > self._within.total_seconds():
                raise CannotInject(f"{self._what} within {format_duration(self._within)}{said}")
            self._aws.wait(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)


def _volumes(aws: AWS, filters: list[FilterTypeDef]) -> list[VolumeTypeDef]:
    pages = aws.client("ec2").get_paginator("describe_volumes").paginate(Filters=filters)
    return [each for page in pages for each in page["Volumes"]]


def _filter(name: str, value: str) -> FilterTypeDef:
    """EC2 reads some characters in a value as wildcards; ids, and what we tag with, have none of them."""
    return {"Name": name, "Values": [value]}


def no_volume(before: Before, *names: str) -> str:
    """Which of these is no volume's id, in a few words, or ``""``."""
    wrong = [name for name in names if not re.fullmatch(r"vol-[0-9a-f]{8,17}", str(before.get(name)))]
    return f"its {wrong[0]} is {before.get(wrong[0])!r}, which is no volume's id" if wrong else ""


def no_device(before: Before) -> str:
    """Why ``device`` is no device's name, in a few words, or ``""``."""
    device = before.get("device")
    fits = isinstance(device, str) and re.fullmatch(r"[\w/]{1,32}", device)
    return "" if fits else f"its device is {device!r}, which is none"
