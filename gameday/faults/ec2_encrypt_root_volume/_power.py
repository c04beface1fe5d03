"""Marking the old root volume, stopping the instance, and starting it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from gameday.errors import CannotInject
from gameday.faults.ec2_encrypt_root_volume import _fit, _look
from gameday.faults.ec2_encrypt_root_volume._step import DELETE, DEVICE, KEPT_BY, POWER, ROOT_OF, RootStep
from gameday.sdk import AWS, Before, Calls, Drifted, ReadBack, Restored, StillOurs, unlike

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import InstanceTypeDef


class Mark(RootStep):
    """Writes on the root volume, as tags, how it was found; taking the tags away is the undo."""

    step: ClassVar[str] = "mark"
    calls: ClassVar[Calls] = Calls(inject=("ec2:CreateTags",), undo=("ec2:DeleteTags",), read=("ec2:DescribeVolumes",))

    def check(self, aws: AWS) -> None:
        """Everything that stands against it is found out here, before anything is touched."""
        self.capture(aws)

    def capture(self, aws: AWS) -> Before:
        """The instance must be fit for it, its root volume unencrypted, and the key usable."""
        machine = _look.known_instance(aws, self.instance)
        _fit.check_instance(aws, machine)
        _fit.check_key(aws, self.key)
        device = machine["RootDeviceName"]
        mapping = _look.at(machine, device)
        root = _look.volume(aws, mapping["Ebs"]["VolumeId"]) if mapping else None
        if mapping is None or root is None:
            raise CannotInject(f"instance {self.id} has no root volume at {device}")
        _fit.check_root(machine, root)
        tags = {
            KEPT_BY: aws.run,
            ROOT_OF: self.id,
            DEVICE: device,
            POWER: machine["State"]["Name"],
            DELETE: str(mapping["Ebs"].get("DeleteOnTermination", False)).lower(),
        }
        return {"old": root["VolumeId"], "tags": dict(tags)}

    def mismatch(self, run: str, before: Before) -> str:
        """A volume's id, and our own tags and no others: a tag of somebody else's is never taken away."""
        tags = before.get("tags")
        if not isinstance(tags, dict) or set(tags) != {KEPT_BY, ROOT_OF, DEVICE, POWER, DELETE}:
            return f"its tags are {tags!r}, which are not the run's"
        own = unlike(tags, **{KEPT_BY: run, ROOT_OF: self.id, POWER: ("running", "stopped"), DELETE: ("true", "false")})
        return own or _look.no_volume(before, "old")

    def inject(self, aws: AWS, before: Before) -> None:
        """CreateTags, once."""
        aws.changing("ec2").create_tags(Resources=[str(before["old"])], Tags=_look.as_tags(_tags(before)))

    def undo(self, aws: AWS, before: Before) -> None:
        """DeleteTags, with their values: a tag that someone else has changed stays."""
        aws.changing("ec2").delete_tags(Resources=[str(before["old"])], Tags=_look.as_tags(_tags(before)))

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """Restored when none of our tags is left."""
        old = _look.volume(aws, str(before["old"]))
        if old is None:
            return Drifted(f"the root volume {before['old']} is gone: someone deleted it")
        left = sorted(set(_tags(before).items()) & set(_look.tags_of(old).items()))
        return StillOurs(f"{before['old']} is still tagged {left[0][0]}") if left else Restored("without our tags")

    def dry_runs(self, aws: AWS, machine: InstanceTypeDef, root: str) -> dict[str, Callable[[], Any]]:
        """CreateTags and DeleteTags."""
        ec2, tags = aws.changing("ec2"), _look.as_tags({KEPT_BY: aws.run})
        return {
            "ec2:CreateTags": lambda: ec2.create_tags(Resources=[root], Tags=tags, DryRun=True),
            "ec2:DeleteTags": lambda: ec2.delete_tags(Resources=[root], Tags=tags, DryRun=True),
        }


class Stop(RootStep):
    """Stops the instance; it is put back to running or stopped, as it was found."""

    step: ClassVar[str] = "stop"
    aspect: ClassVar[str] = "power"
    calls: ClassVar[Calls] = Calls(
        inject=("ec2:StopInstances",), undo=("ec2:StartInstances", "ec2:StopInstances"), read=("ec2:DescribeInstances",)
    )

    def capture(self, aws: AWS) -> Before:
        """At rest, or else it is not what the first step found."""
        state = _look.known_instance(aws, self.instance)["State"]["Name"]
        if state not in ("running", "stopped"):
            raise CannotInject(f"instance {self.id} is {state}: it must be running or stopped")
        return {"state": state}

    def mismatch(self, run: str, before: Before) -> str:
        """At rest."""
        return unlike(before, state=("running", "stopped"))

    def inject(self, aws: AWS, before: Before) -> None:
        """StopInstances, once; on a stopped instance it does nothing."""
        _power(aws, self.id, "stopped")

    def undo(self, aws: AWS, before: Before) -> None:
        """StartInstances or StopInstances, as captured; on its way elsewhere, EC2 refuses, and is asked again."""
        _power(aws, self.id, str(before["state"]))

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """Restored when at rest as captured; ``pending`` is not."""
        return _at_rest(aws, self.instance, str(before["state"]))

    def dry_runs(self, aws: AWS, machine: InstanceTypeDef, root: str) -> dict[str, Callable[[], Any]]:
        """StartInstances and StopInstances."""
        ec2 = aws.changing("ec2")
        return {
            "ec2:StartInstances": lambda: ec2.start_instances(InstanceIds=[self.id], DryRun=True),
            "ec2:StopInstances": lambda: ec2.stop_instances(InstanceIds=[self.id], DryRun=True),
        }


class Start(RootStep):
    """Starts the instance from its new root volume, if it was running; stopping it is the undo."""

    step: ClassVar[str] = "start"
    aspect: ClassVar[str] = "power"
    calls: ClassVar[Calls] = Calls(
        inject=("ec2:StartInstances", "ec2:StopInstances"),
        undo=("ec2:StopInstances",),
        read=("ec2:DescribeInstances", "ec2:DescribeVolumes"),
    )

    def capture(self, aws: AWS) -> Before:
        """Whether it was running stands in the old volume's tags."""
        return {"state": _look.tags_of(self.marked(aws))[POWER]}

    def mismatch(self, run: str, before: Before) -> str:
        """At rest."""
        return unlike(before, state=("running", "stopped"))

    def inject(self, aws: AWS, before: Before) -> None:
        """StartInstances, once; StopInstances, which does nothing, where it was found stopped."""
        _power(aws, self.id, str(before["state"]))

    def undo(self, aws: AWS, before: Before) -> None:
        """StopInstances, harmless on a stopped instance."""
        _power(aws, self.id, "stopped")

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """Restored when it is stopped, as it was between the two volumes."""
        return _at_rest(aws, self.instance, "stopped")


def _power(aws: AWS, instance_id: str, state: str) -> None:
    if state == "running":
        aws.changing("ec2").start_instances(InstanceIds=[instance_id])
    else:
        aws.changing("ec2").stop_instances(InstanceIds=[instance_id])


def _at_rest(aws: AWS, arn: str, wanted: str) -> ReadBack:
    machine = _look.instance(aws, arn)
    if machine is None:
        return Drifted("the instance is gone: someone terminated it")
    state = machine["State"]["Name"]
    return Restored(state) if state == wanted else StillOurs(f"the instance is {state}")


def _tags(before: Before) -> dict[str, str]:
    tags = before["tags"]
    assert isinstance(tags, dict)
    return {name: str(value) for name, value in tags.items()}
