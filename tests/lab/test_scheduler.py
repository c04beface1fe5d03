"""The scheduler as a dead man's switch, and alarms for guards."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from .conftest import refused
from .test_cloudtrail import look
from .test_policies import allow, document

TRUST = {"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}


@pytest.fixture
def switch(client):
    iam = client("iam")
    arn = iam.create_role(RoleName="switch", AssumeRolePolicyDocument=document(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="switch", PolicyName="p", PolicyDocument=document(allow("kms:EnableKey")))
    return arn


def arm(client, role, key, action="kms:enableKey", seconds=600, **more):
    at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    target = {
        "Arn": f"arn:aws:scheduler:::aws-sdk:{action}",
        "RoleArn": role,
        "Input": json.dumps({"KeyId": key}),
        **more,
    }
    return client("scheduler").create_schedule(
        Name="gameday-switch",
        ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
        Target=target,
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
    )


def state(client, key):
    return client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"]


def test_the_switch_enables_the_key_under_its_role(lab, client, key, switch):
    client("kms").disable_key(KeyId=key)
    arm(client, switch, key)
    lab.advance(590)
    assert state(client, key) == "Disabled"
    lab.advance(20)
    assert state(client, key) == "Enabled"
    (found,) = look(client, EventName="EnableKey")
    assert found["userIdentity"]["arn"] == "arn:aws:sts::123456789012:assumed-role/switch/gameday-switch"
    assert found["userIdentity"]["invokedBy"] == "scheduler.amazonaws.com"
    assert refused(client("scheduler").get_schedule, Name="gameday-switch")[0] == "ResourceNotFoundException"


def test_a_disarmed_switch_does_nothing(lab, client, key, switch):
    client("kms").disable_key(KeyId=key)
    arm(client, switch, key)
    client("scheduler").delete_schedule(Name="gameday-switch")
    lab.advance(1000)
    assert state(client, key) == "Disabled"


def test_the_switch_needs_its_permission_and_retries(lab, client, key, switch):
    client("kms").disable_key(KeyId=key)
    client("iam").delete_role_policy(RoleName="switch", PolicyName="p")
    arm(client, switch, key, RetryPolicy={"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 3600})
    lab.advance(610)
    assert state(client, key) == "Disabled"
    assert look(client, EventName="EnableKey")[0]["errorCode"] == "AccessDenied"
    client("iam").put_role_policy(RoleName="switch", PolicyName="p", PolicyDocument=document(allow("kms:EnableKey")))
    lab.advance(60)
    assert state(client, key) == "Enabled"


def test_what_could_not_fire_is_refused(client, key, switch):
    assert refused(arm, client=client, role=switch, key=key, action="kms:describeKey")[0] == "ValidationException"
    assert refused(arm, client=client, role="arn:aws:iam::123456789012:role/none", key=key)[0] == "ValidationException"


def test_alarms_can_be_set_and_read(client):
    watch = client("cloudwatch")
    watch.put_metric_alarm(
        AlarmName="checkout",
        MetricName="Errors",
        Namespace="app",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        Statistic="Sum",
    )
    watch.set_alarm_state(AlarmName="checkout", StateValue="ALARM", StateReason="a guard's test")
    (alarm,) = watch.describe_alarms(AlarmNames=["checkout"])["MetricAlarms"]
    assert alarm["StateValue"] == "ALARM"
