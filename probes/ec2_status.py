"""Ask EC2 how an instance is."""

from __future__ import annotations

from typing import ClassVar

from gameday.sdk import AWS, Cause, Observation, OnInstances
from probes._ec2 import checks, look


class Ec2Status(OnInstances):
    """Read the state and both status checks of an instance, or of a sample by tag, and leave it alone.

    A running instance goes on when the key of its volumes is disabled (EBS keeps the data key in the memory of the
    host), so this suits a guard on what must stay up. Whether it would boot is what ``ec2.boot`` finds out.
    """

    uses: ClassVar[str] = "ec2.status"
    permissions: ClassVar[tuple[str, ...]] = ("ec2:DescribeInstances", "ec2:DescribeInstanceStatus")

    def observe(self, aws: AWS) -> Observation:
        """``ok`` when running and both checks are ok, ``unhealthy`` in any other state, ``not_found`` when gone."""
        found = look(aws, self.instance)
        if found.answer.cause is not Cause.OK:
            return found.answer
        if found.state != "running":
            said = f"{found.state}: {found.message}" if found.message else found.state
            return found.answer.model_copy(update={"cause": Cause.UNHEALTHY, "code": found.code, "detail": said})
        health = checks(aws, self.instance)
        said = "running, its status checks are " + health
        return found.answer.model_copy(
            update={"cause": Cause.OK if health == "ok" else Cause.UNHEALTHY, "detail": said}
        )
