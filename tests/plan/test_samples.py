"""Instances by tag, sampled: who is in the sample, where it is said, and that nobody else is touched."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from gameday.lab import start
from tests.plan.conftest import REGION, Account

PLAYBOOK = """
playbook: fleet
vars: {key: alias/fleet, role: web}
stage:
  - uses: kms.key
    with: {alias: "${key}"}
probes:
  boot:
    uses: ec2.boot
    with: {tag: {Role: "${role}", Stage: test}, sample: 2}
    expect: {baseline: ok, fault: [key_disabled, key_unusable, boot_refused], recovery: ok}
guards:
  database:
    uses: ec2.status
    with: {tag: {Role: db}, sample: 5}
    every: 200ms
faults:
  - uses: kms.disable_key
    with: {key: "${key}"}
timing: {hold: 0s, settle: 1s}
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An account with five instances in service, and some beside them that are none of theirs."""
    with start("instant") as lab:
        account = Account(lab, tmp_path_factory.mktemp("fleet"))
        (account.home / "fleet.yaml").write_text(PLAYBOOK)
        assert account.on_lab("stage", str(account.home / "fleet.yaml")).returncode == 0
        for count, tags in (
            (5, {"Role": "web", "Stage": "test"}),
            (1, {"Role": "web", "Stage": "live"}),
            (1, {"Role": "w*b", "Stage": "test"}),
            (1, {"Role": "db"}),
        ):
            launch(account, count, tags)
        terminated = launch(account, 1, {"Role": "web", "Stage": "test"})
        account.client("ec2").terminate_instances(InstanceIds=terminated)
        yield account


def launch(account: Account, count: int, tags: dict[str, str]) -> list[str]:
    ec2 = account.client("ec2")
    labels = [{"Key": key, "Value": value} for key, value in tags.items()]
    image = ec2.describe_images()["Images"][0]
    root = {"Encrypted": True, "KmsKeyId": "alias/fleet", "VolumeSize": 8}
    made = ec2.run_instances(
        ImageId=image["ImageId"],
        InstanceType="t3.micro",
        MinCount=count,
        MaxCount=count,
        BlockDeviceMappings=[{"DeviceName": image["RootDeviceName"], "Ebs": root}],
        TagSpecifications=[{"ResourceType": "instance", "Tags": labels}],
    )
    return [one["InstanceId"] for one in made["Instances"]]


def carrying(account: Account, role: str, stage: str) -> list[str]:
    groups = account.client("ec2").describe_instances()["Reservations"]
    wanted = [{"Key": "Role", "Value": role}, {"Key": "Stage", "Value": stage}]
    alive = [one for group in groups for one in group["Instances"] if one["State"]["Name"] == "running"]
    return sorted(one["InstanceId"] for one in alive if all(tag in one["Tags"] for tag in wanted))


def stopped(account: Account, since: int) -> set[str]:
    """The instances that were told to stop since so many calls, as CloudTrail has them."""
    events = account.client("cloudtrail").lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "StopInstances"}]
    )["Events"]
    records = [json.loads(event["CloudTrailEvent"]) for event in events[: len(events) - since]]
    done = [record for record in records if not record.get("errorCode")]
    return {one["instanceId"] for record in done for one in record["requestParameters"]["instancesSet"]["items"]}


def test_a_sample_by_tag_is_stated_booted_and_put_back_and_nobody_else_is_touched(fleet: Account) -> None:
    five = carrying(fleet, "web", "test")
    assert len(five) == 5
    sample = [five[0], five[2]]  # evenly spread over the ids
    said = f"2 of the 5 instances tagged Role=web and Stage=test: {', '.join(sample)}"
    path = str(fleet.home / "fleet.yaml")
    plan = fleet.on_lab("plan", path)
    assert plan.returncode == 0, plan.stderr + plan.stdout
    assert f"sample  boot: {said}\n" in plan.stdout
    assert re.search(r"^Plan: 1 change, \d+ probes?, key off at most \d+ (s|min)", plan.stdout, re.M), plan.stdout
    assert [line for line in plan.stdout.splitlines() if line in ("Changes", "Probes", "Checks")] == [
        "Changes",
        "Probes",
        "Checks",
    ]
    assert "sample  database: 1 of the 1 instances tagged Role=db: i-" in plan.stdout
    policy = json.loads(fleet.on_lab("iam-policy", path).stdout)["rollback"]
    assert [named(one["Resource"]) for one in policy["Statement"] if "ec2:StartInstances" in one["Action"]] == [
        [one] for one in sample
    ]
    run = fleet.on_lab("run", path, "--json")
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr
    events: list[dict[str, Any]] = [json.loads(line)["event"] for line in run.stdout.splitlines()]
    assert {"check": "sample of boot", "detail": said}.items() <= next(
        one.items() for one in events if one.get("check") == "sample of boot"
    )
    [prepared] = [one for one in events if one["kind"] == "run_prepared"]
    looks = {one["name"]: one["resource"] for one in prepared["probes"]}
    assert set(looks) == {"boot#1", "boot#2", "database"}
    assert sample[1] in looks["boot#2"]
    assert looks["boot#2"].endswith("number 2 of a sample of 2 of the 5 instances tagged Role=web and Stage=test")
    seen = {(one["probe"], one["phase"]): one["cause"] for one in events if one["kind"] == "expectation_met"}
    assert {seen[f"boot#{number}", "fault"] for number in (1, 2)} <= {"key_disabled", "boot_refused"}
    assert stopped(fleet, 0) == set(sample)
    assert carrying(fleet, "web", "test") == five


def named(arns: list[str]) -> list[str]:
    return [arn.rsplit("/", 1)[-1] for arn in arns]


def test_a_tag_that_nothing_carries_refuses_the_run_in_one_sentence(fleet: Account) -> None:
    refused = fleet.on_lab("run", str(fleet.home / "fleet.yaml"), "--var", "role=nobody")
    assert refused.returncode == 5
    assert "there is no instance tagged Role=nobody and Stage=test in account 123456789012" in refused.stdout
    assert "changed " not in refused.stdout


def test_an_instance_that_two_probes_would_boot_refuses_the_run(fleet: Account) -> None:
    again = "  again: {uses: ec2.boot, with: {tag: {Stage: test}, sample: 20}, expect: {baseline: ok}}\nguards:"
    path = fleet.home / "twice.yaml"
    path.write_text(PLAYBOOK.replace("guards:", again))
    refused = fleet.on_lab("run", str(path))
    assert refused.returncode == 5
    assert "two probes ec2.boot name arn:aws:ec2:us-east-1" in refused.stdout


def test_a_watch_looks_at_each_of_the_sample(fleet: Account) -> None:
    from gameday.aws.made import LAB_KEYS
    from gameday.aws.session import Session
    from gameday.engine.watch import targets
    from gameday.playbook import load

    path = fleet.home / "watched.yaml"
    path.write_text(PLAYBOOK.replace("{Role: db}, sample: 5", "{Role: web}, sample: 2"))
    session = Session(region=REGION, run="watch", account="123456789012", endpoint=fleet.lab.url, keys=LAB_KEYS)
    assert [one.name for one in targets([load(path)], session)] == ["database#1", "database#2"]
