"""Ask CloudWatch for the state of an alarm."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from gameday.sdk import AWS, Cause, Observation, Probe


class CloudWatchAlarm(Probe):
    """Read an alarm, metric or composite; for guards on what must stay up.

    An alarm looks at periods that are over, so it speaks later than a probe of the thing itself. One that has too
    little data counts as unhealthy: what does not report may be what is down. Whether missing data is to be read as
    an alarm is decided in the alarm too (``TreatMissingData``).
    """

    uses: ClassVar[str] = "cloudwatch.alarm"
    permissions: ClassVar[tuple[str, ...]] = ("cloudwatch:DescribeAlarms",)

    alarm: str = Field(min_length=1, max_length=255)
    """Its name."""
    insufficient_data: Literal["unhealthy", "ok"] = "unhealthy"
    """What INSUFFICIENT_DATA counts as."""

    def observe(self, aws: AWS) -> Observation:
        """DescribeAlarms: OK is ok, ALARM is ``unhealthy``."""
        state = reason = ""
        with aws.answering() as answer:
            # Without the types it looks for metric alarms only (CloudWatch API reference, DescribeAlarms).
            found = aws.client("cloudwatch").describe_alarms(
                AlarmNames=[self.alarm], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
            )
            for alarm in (*found.get("MetricAlarms", []), *found.get("CompositeAlarms", [])):
                state, reason = alarm.get("StateValue", ""), " ".join(alarm.get("StateReason", "").split())[:400]
        if not answer.ok:
            return answer.observation()
        if not state:
            missing = answer.observation(f"there is no alarm {self.alarm}")
            return missing.model_copy(update={"cause": Cause.NOT_FOUND})
        well = state == "OK" or (state == "INSUFFICIENT_DATA" and self.insufficient_data == "ok")
        seen = {"cause": Cause.OK if well else Cause.UNHEALTHY, "code": "" if well else state}
        return answer.observation(f"{state}: {reason}" if reason else state).model_copy(update=seen)
