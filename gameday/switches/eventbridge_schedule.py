"""A one-time schedule of EventBridge Scheduler, as a dead man's switch."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, ClassVar

from pydantic import JsonValue

from gameday.errors import CannotInject
from gameday.sdk import AWS, Before, Calls, ReadBack, Restored, StillOurs, Switch, Unknown

if TYPE_CHECKING:
    from types_boto3_scheduler.type_defs import GetScheduleOutputTypeDef, TargetTypeDef

RETRY_FOR = 3600
"""Seconds for which the call is tried again: an hour late it still saves a night, and a day late it could overrule
somebody who has revoked the key for good."""
RETRIES = 185
"""As many as EventBridge Scheduler knows: it is the time that ends them."""
MISSING = "ResourceNotFoundException"


class Schedule(Switch):
    """A schedule that fires once, ``after`` seconds from its arming, under a role of its own, and then deletes itself.

    EventBridge Scheduler fires within the minute that is named, so the time is rounded up to a full one. It is counted
    on AWS's clock, as its answers date themselves: this machine's may be wrong.

    Source: EventBridge Scheduler User Guide, "Schedule types", "Using universal targets", "Deleting a schedule after
    completion"; API Reference, CreateSchedule.
    """

    uses: ClassVar[str] = "eventbridge.schedule"
    permissions: ClassVar[tuple[str, ...]] = (
        *("scheduler:CreateSchedule", "scheduler:GetSchedule", "scheduler:DeleteSchedule", "iam:PassRole"),
    )
    step: ClassVar[str] = "schedule"
    calls: ClassVar[Calls] = Calls(
        inject=("scheduler:CreateSchedule", "iam:PassRole"),
        undo=("scheduler:DeleteSchedule",),
        read=("scheduler:GetSchedule",),
    )

    schedule: str
    """Its ARN, …:schedule/GROUP/NAME."""
    dead_letter_queue: str = ""
    """The ARN of an SQS queue for a call that never worked."""

    @property
    def resource(self) -> str:
        """The schedule's ARN, under which nothing is before and nothing is after."""
        return self.schedule

    @property
    def name(self) -> str:
        """Its name within its group."""
        return self.schedule.rsplit("/", 1)[1]

    @property
    def group(self) -> str:
        """Its group, which must exist."""
        return self.schedule.rsplit("/", 2)[1]

    def capture(self, aws: AWS) -> Before:
        """There must be no such schedule yet; the time is fixed here, so that it is written down before it counts."""
        scheduler = aws.client("scheduler")
        now = captured = datetime.now(UTC)
        with aws.answering() as answer:
            try:
                scheduler.get_schedule(Name=self.name, GroupName=self.group)
            except scheduler.exceptions.ResourceNotFoundException as missing:
                dated = missing.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
                now = parsedate_to_datetime(dated) if dated else now
                raise
        if answer.ok:
            raise CannotInject(f"there is a schedule {self.name} in group {self.group} already")
        if answer.code != MISSING:
            raise CannotInject(f"schedules cannot be looked up ({answer.code or answer.cause}: {answer.detail})")
        if answer.detail.lower().startswith("schedule group"):
            raise CannotInject(f"there is no schedule group {self.group} in {aws.region}: make it, or name another")
        fires = now + timedelta(seconds=self.after)
        fires += timedelta(seconds=-fires.timestamp() % 60)
        # The first is AWS's time, the second this machine's: how long ago it was is told by the clock that told it.
        return {"fires_at": f"{fires.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", "captured_at": captured.isoformat()}

    def mismatch(self, run: str, before: Before) -> str:
        """The schedule's name, which has the run in it; no other schedule is deleted."""
        own = self.name.startswith(f"gameday-{run}-") and self.name.rpartition("-")[2].isdecimal()
        return "" if own else f"the schedule is {self.name!r}, and the run's would be gameday-{run}-NUMBER"

    def inject(self, aws: AWS, before: Before) -> None:
        """CreateSchedule, once; AWS refuses it when the role does not trust scheduler.amazonaws.com."""
        aws.changing("scheduler").create_schedule(
            Name=self.name,
            GroupName=self.group,
            Description=f"gameday: puts {self.about} back when run {aws.run} is dead",
            ScheduleExpression=_at(before),
            ScheduleExpressionTimezone="UTC",
            FlexibleTimeWindow={"Mode": "OFF"},
            ActionAfterCompletion="DELETE",
            State="ENABLED",
            Target=self._target(),
            ClientToken=self.name,
        )

    def undo(self, aws: AWS, before: Before) -> None:
        """DeleteSchedule; one that is gone has fired, or was taken away before."""
        scheduler = aws.changing("scheduler")
        try:
            scheduler.delete_schedule(Name=self.name, GroupName=self.group)
        except scheduler.exceptions.ResourceNotFoundException:
            return

    def read_back(self, aws: AWS, before: Before) -> ReadBack:
        """StillOurs while it is armed exactly as asked, Restored once it is gone; anything else is neither."""
        found: GetScheduleOutputTypeDef | None = None
        with aws.answering() as answer:
            found = aws.client("scheduler").get_schedule(Name=self.name, GroupName=self.group)
        if answer.code == MISSING:
            due = datetime.fromisoformat(str(before["fires_at"])) <= datetime.now(UTC)
            fired = f"gone; it was due at {before['fires_at']}, so AWS may have made the call: {self.call.permission}"
            return Restored(fired if due else "gone")
        if found is None:
            return Unknown(f"{answer.code or answer.cause}: {answer.detail}")
        compared = self._compared(found, before)
        wrong = [f"{name} is {now!r}, not {asked!r}" for name, asked, now in compared if now != asked]
        if wrong:
            return Unknown(f"it is there, but its {'; its '.join(wrong)}")
        return StillOurs(f"{self.call.permission} on {self.about} at {before['fires_at']}")

    def rehearse(self, aws: AWS) -> None:
        """DeleteSchedule of a schedule that is not there yet; and EnableKey, as the role that will make the call.

        The first is refused where it is not permitted, and finds nothing where it is. The second changes nothing on a
        key that is still enabled; it is made only where gameday may become the role, which few will want to allow.
        """
        self.undo(aws, {})
        if self.call.permission == "kms:EnableKey":
            switch = aws.as_role(self.role)
            with switch.answering() as answer:
                switch.client("sts").get_caller_identity()
            if answer.ok:
                switch.changing("kms").enable_key(KeyId=self.about)

    def _target(self) -> TargetTypeDef:
        partition = self.schedule.split(":")[1]
        target: TargetTypeDef = {
            "Arn": f"arn:{partition}:scheduler:::aws-sdk:{self.call.service}:{self.call.action}",
            "RoleArn": self.role,
            "Input": json.dumps(self.call.parameters, sort_keys=True),
            "RetryPolicy": {"MaximumEventAgeInSeconds": RETRY_FOR, "MaximumRetryAttempts": RETRIES},
        }
        if self.dead_letter_queue:
            target["DeadLetterConfig"] = {"Arn": self.dead_letter_queue}
        return target

    def _compared(self, found: GetScheduleOutputTypeDef, before: Before) -> list[tuple[str, object, object]]:
        """What matters of it: name, as asked, as found."""
        asked, now = self._target(), found["Target"]
        return [
            ("state", "ENABLED", found.get("State")),
            ("time", _at(before), found.get("ScheduleExpression")),
            ("time zone", "UTC", found.get("ScheduleExpressionTimezone")),
            ("time window", "OFF", found.get("FlexibleTimeWindow", {}).get("Mode")),
            ("end", "DELETE", found.get("ActionAfterCompletion")),
            ("call", asked["Arn"], now["Arn"]),
            ("role", asked["RoleArn"], now["RoleArn"]),
            ("input", self.call.parameters, _json(now.get("Input", ""))),
            ("retries", asked["RetryPolicy"], now.get("RetryPolicy")),
            ("dead letter queue", self.dead_letter_queue, now.get("DeadLetterConfig", {}).get("Arn", "")),
        ]


def _at(before: Before) -> str:
    return f"at({str(before['fires_at']).removesuffix('Z')})"


def _json(text: str) -> JsonValue:
    try:
        found: JsonValue = json.loads(text)
    except ValueError:
        return text
    return found
