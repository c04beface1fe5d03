"""cloudwatch.alarm: OK is ok, ALARM is not, and silence is what was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.stub import Stubber

from gameday.aws.session import Session
from gameday.lab import LabControl
from gameday.sdk import Cause
from probes.cloudwatch_alarm import CloudWatchAlarm


@pytest.fixture
def say(client: Callable[[str], Any]) -> Callable[[str], None]:
    cloudwatch = client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="checkout",
        MetricName="Errors",
        Namespace="shop",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    return lambda state: cloudwatch.set_alarm_state(AlarmName="checkout", StateValue=state, StateReason="as\ntold")


@pytest.mark.parametrize(
    ("state", "silence", "cause", "code"),
    [
        ("OK", "unhealthy", Cause.OK, ""),
        ("ALARM", "unhealthy", Cause.UNHEALTHY, "ALARM"),
        ("ALARM", "ok", Cause.UNHEALTHY, "ALARM"),
        ("INSUFFICIENT_DATA", "unhealthy", Cause.UNHEALTHY, "INSUFFICIENT_DATA"),
        ("INSUFFICIENT_DATA", "ok", Cause.OK, ""),
    ],
)
def test_its_state(aws: Session, say: Callable[[str], None], state: str, silence: Any, cause: Cause, code: str) -> None:
    say(state)
    seen = CloudWatchAlarm(alarm="checkout", insufficient_data=silence).observe(aws)
    assert (seen.cause, seen.code, seen.detail) == (cause, code, f"{state}: as told")
    assert seen.request_id


def test_a_composite_alarm(aws: Session) -> None:
    """moto has none; CloudWatch leaves them out unless it is asked for them by type."""
    with Stubber(aws.client("cloudwatch")) as stub:
        stub.add_response(
            "describe_alarms",
            {"CompositeAlarms": [{"AlarmName": "shop", "StateValue": "ALARM", "StateReason": "checkout"}]},
            {"AlarmNames": ["shop"], "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]},
        )
        seen = CloudWatchAlarm(alarm="shop").observe(aws)
    assert (seen.cause, seen.detail) == (Cause.UNHEALTHY, "ALARM: checkout")


def test_there_is_none(aws: Session) -> None:
    seen = CloudWatchAlarm(alarm="checkout").observe(aws)
    assert (seen.cause, seen.detail) == (Cause.NOT_FOUND, "there is no alarm checkout")


def test_trouble(lab: LabControl, aws: Session) -> None:
    lab.trouble("throttle", service="cloudwatch")
    assert CloudWatchAlarm(alarm="checkout").observe(aws).cause is Cause.THROTTLED
