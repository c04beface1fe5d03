"""What the steps share: their fields, their tags, and proving in preflight that their calls are permitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from gameday.errors import CannotInject
from gameday.faults.ec2_encrypt_root_volume import _look
from gameday.sdk import AWS, Duration, InstanceId, KeyId, Rank, Step, dry_run

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import InstanceTypeDef, VolumeTypeDef

KEPT_BY = "gameday:kept-by-run"
"""On the old root volume: the run that took it out. ``gameday unstage`` looks for it."""
ROOT_OF = "gameday:root-of"
"""On everything that the run makes or takes out: the instance it belongs to."""
DEVICE, POWER, DELETE = "gameday:device", "gameday:power", "gameday:delete-on-termination"
"""On the old root volume: where it was attached, whether the instance ran, and whether it went with the instance.

With these a human finds the way back even without a journal, and the later steps find what the first one found.
"""


class RootStep(Step):
    """One step of encrypting a root volume; the hold is on the instance, once for all of them."""

    rank: ClassVar[Rank] = Rank.INSTANCE

    instance: InstanceId
    key: KeyId
    within: Duration
    """How long the step before may take to have its effect."""

    @property
    def resource(self) -> str:
        """The instance's ARN, which is what ``instance`` was pinned to."""
        return self.instance

    @property
    def id(self) -> str:
        """The instance's id."""
        return _look.id_of(self.instance)

    def check(self, aws: AWS) -> None:
        """What this step works on is made by the steps before it; the first one looks at all there is."""

    def rehearse(self, aws: AWS) -> None:
        """A dry run of each of the step's calls; EC2 answers DryRunOperation when it is permitted.

        Another refusal than of the permission says nothing about it (the volume is in use, the id made up).
        """
        machine = _look.known_instance(aws, self.instance)
        root = _look.at(machine, machine["RootDeviceName"])
        if root is None:
            raise CannotInject(f"instance {self.id} has no root volume")
        volume = root["Ebs"]["VolumeId"]
        find = (
            f"look at instance {self.id}, at its root volume {volume} (tag {KEPT_BY}), and for snapshots and volumes "
            f"that carry the tag gameday:run={aws.run}"
        )
        for action, call in self.dry_runs(aws, machine, volume).items():
            dry_run(aws, action, call, find=find)

    def dry_runs(self, aws: AWS, machine: InstanceTypeDef, root: str) -> dict[str, Callable[[], Any]]:
        """The changing calls of inject and undo as dry runs, by their IAM action."""
        return {}

    def marked(self, aws: AWS) -> VolumeTypeDef:
        """The old root volume, found by the tags that the first step gave it."""
        wait = _look.Wait(aws, self.within, f"the old root volume of {self.id} could not be found by its tags")
        return wait.until(lambda: next(iter(_look.volumes(aws, {KEPT_BY: aws.run, ROOT_OF: self.id})), None))


def born(aws: AWS, instance_id: str, step: str) -> dict[str, str]:
    """The tags by which what a step makes is found again, in any process."""
    return {"gameday:run": aws.run, "gameday:step": f"encrypt-root-volume/{step}", ROOT_OF: instance_id}
