"""Stop an instance, start it, and see whether it boots."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar

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
    OnInstances,
    Rank,
    ReadBack,
    Restored,
    Step,
    StillOurs,
    Unknown,
    classify,
    format_duration,
    unlike,
)
from probes._ec2 import GONE, Look, checks, harm, key_cause, look, rehearse_power

_SETTLE = 5.0
"""EC2's reads are eventually consistent: this long, an instance may still be shown as it was before the start."""
_KEY_CAUSES = (Cause.KEY_DISABLED, Cause.KEY_PENDING_DELETION, Cause.KEY_UNUSABLE, Cause.KEY_POLICY_DENIED)


class InstancePower(Step):
    """Puts an instance back to running or stopped, as it was found."""

    step: ClassVar[str] = "power"
    aspect: ClassVar[str] = "power"
    rank: ClassVar[Rank] = Rank.INSTANCE
    calls: ClassVar[Calls] = Calls(
        inject=("ec2:StopInstances", "ec2:StartInstances", "kms:CreateGrant"),
        undo=("ec2:StartInstances", "ec2:StopInstances", "kms:CreateGrant"),
        read=("ec2:DescribeInstances",),
    )

    instance: InstanceId

    @property
    def resource(self) -> str:
        """The instance's ARN, which is what ``instance`` was pinned to."""
        return self.instance

    def capture(self, aws: AWS) -> Before:
        """The instance must be at rest: running or stopped."""
        found = look(aws, self.instance)
        if found.state not in ("running", "stopped"):
            said = f"is {found.state}" if found.state else f"could not be read ({found.said})"
            raise CannotInject(f"instance {self.instance} {said}: it must be running or stopped")
        return {"state": found.state}

    def mismatch(self, run: str, before: Before) -> str:
        """At rest."""
        return unlike(before, state=("running", "stopped"))

    def inject(self, aws: AWS, before: Before) -> None:
        """StopInstances; the probe does it itself while it looks."""
        aws.changing("ec2").stop_instances(InstanceIds=[_id(self.instance)])

    def undo(self, aws: AWS, before: Before) -> None:
        """StartInstances or StopInstances, as captured; on an instance that is so already, both do nothing.

        While it is on its way elsewhere EC2 answers IncorrectInstanceState, and the undo is tried again.
        """
        if before["state"] == "running":
            aws.changing("ec2").start_instances(InstanceIds=[_id(self.instance)])
        else:
            aws.changing("ec2").stop_instances(InstanceIds=[_id(self.instance)])

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """Restored when at rest as captured; ``pending`` is not: the key may still be refused, and it falls back."""
        found = look(aws, self.instance)
        if found.state == before["state"]:
            return Restored(found.state)
        if found.state in GONE or found.answer.cause is Cause.NOT_FOUND:
            return Drifted("the instance is gone: someone terminated it")
        return StillOurs(found.state) if found.state else Unknown(found.said)

    def rehearse(self, aws: AWS) -> None:
        """A dry run of StartInstances and of StopInstances, which EC2 answers with DryRunOperation when permitted."""
        rehearse_power(aws, self.instance)


class Ec2Boot(OnInstances, InvasiveProbe):
    """Boot an instance, or each of a sample by tag: stop it if it runs, start it, and see whether it gets healthy.

    A volume that is attached goes on working when its key is disabled; the loss shows at the next start. The call to
    start **succeeds** then: the instance goes pending, and back to stopped, with a StateReason of
    ``Client.InternalError`` (``boot_refused``: EC2 does not say why) or ``Client.InvalidKMSKey.InvalidState`` (then
    KMS is asked which state, for ``key_disabled`` or ``key_pending_deletion``).

    It leaves the instance running, or stopped when it did not boot; its undo step puts back what was found. A public
    address that is not an Elastic IP changes with every stop. Instances that a stop would harm are refused. Those of a
    sample are stopped and started at the same time, so the sample must be one that can be spared.
    """

    uses: ClassVar[str] = "ec2.boot"
    permissions: ClassVar[tuple[str, ...]] = (
        *("ec2:DescribeInstances", "ec2:DescribeInstanceStatus", "ec2:StartInstances", "ec2:StopInstances"),
        *("ec2:DescribeInstanceTypes", "autoscaling:DescribeAutoScalingInstances"),
        *("ec2:DescribeVolumes", "kms:DescribeKey", "kms:CreateGrant"),
    )

    boot_within: Duration = timedelta(minutes=5)
    """From the start to both status checks."""
    stop_within: Duration = timedelta(minutes=5)
    poll: Duration = timedelta(seconds=1)
    """The longest pause between two looks at its state."""

    def steps(self) -> tuple[Step, ...]:
        """Its power, as it was found."""
        return (InstancePower(instance=self.instance),)

    def refusal(self, aws: AWS) -> str:
        """Auto Scaling, spot, hibernation, instance store, stop protection, or not at rest."""
        return harm(aws, self.instance)

    def observe(self, aws: AWS) -> Observation:
        """One stop where needed, one start, and looks until it is decided; ``latency`` counts from the start."""
        found = look(aws, self.instance)
        if found.state in ("pending", "running", "stopping"):
            found = self._stopped(aws, found)
        return self._boot(aws, found) if found.state == "stopped" else found.answer

    def _stopped(self, aws: AWS, found: Look) -> Look:
        """Wait until it has stopped, else say why not. One still pending cannot be stopped: that is asked again."""
        until, asked = time.monotonic() + self.stop_within.total_seconds(), False
        for pause in self._pauses():
            if found.state in ("running", "pending") and not asked:
                with aws.answering() as answer:
                    aws.changing("ec2").stop_instances(InstanceIds=[_id(self.instance)])
                asked = answer.ok
                if not answer.ok and answer.code != "IncorrectInstanceState":
                    return Look(answer.observation())
            aws.wait(pause)
            found = look(aws, self.instance)
            if found.state in ("stopped", *GONE):
                break
            if time.monotonic() > until:
                detail = f"{found.state or found.said} {format_duration(self.stop_within)} after it was told to stop"
                return Look(found.answer.model_copy(update={"cause": Cause.CONFLICT, "detail": detail}))
        return found

    def _boot(self, aws: AWS, before: Look) -> Observation:
        asked = time.monotonic()
        with aws.answering() as answer:
            aws.changing("ec2").start_instances(InstanceIds=[_id(self.instance)])
        if not answer.ok:
            return answer.observation()
        moved = False
        for pause in self._pauses():
            aws.wait(pause)
            found, taken = look(aws, self.instance), time.monotonic() - asked
            moved = moved or found.state not in ("", "stopped") or found.reason != before.reason
            health = checks(aws, self.instance) if found.state == "running" else ""
            verdict: tuple[Cause, str, str] | None = None
            if health == "ok":
                verdict = (Cause.OK, "", f"running and healthy {taken:.1f} s after the start")
            elif found.state in GONE or (found.state == "stopped" and (moved or taken > _SETTLE)):
                verdict = (self._why(aws, found), found.code, f"back to {found.state}: {found.message}")
            elif taken > self.boot_within.total_seconds():
                verdict = self._late(found, health)
            if verdict:
                cause, code, detail = verdict
                return Observation(cause=cause, code=code, detail=detail, request_id=answer.request_id, latency=taken)
        raise AssertionError("the pauses never end")

    def _why(self, aws: AWS, found: Look) -> Cause:
        cause = classify(found.code, found.message)
        if cause is Cause.KEY_UNUSABLE:
            return key_cause(aws, found.root_volume)
        return cause if cause in _KEY_CAUSES else Cause.BOOT_REFUSED

    def _late(self, found: Look, health: str) -> tuple[Cause, str, str]:
        limit = format_duration(self.boot_within)
        if found.state == "running":
            return Cause.UNHEALTHY, "", f"running, but its status checks are {health} {limit} after the start"
        if found.state:
            return Cause.BOOT_REFUSED, "", f"still {found.state} {limit} after the start"
        return found.answer.cause, found.answer.code, f"{found.said}, for as long as {limit} after the start"

    def _pauses(self) -> Iterator[float]:
        """Short at first, so that a quick boot is not made slow by looking at it."""
        pause, longest = 0.05, self.poll.total_seconds()
        while True:
            yield min(pause, longest)
            pause *= 1.5


def _id(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]
