"""ec2.encrypt_root_volume: every step there and back; an independent client says what EC2 holds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from aws_rig import ACCOUNT, REGION

from gameday.aws.session import Session
from gameday.errors import CannotInject
from gameday.faults.ec2_encrypt_root_volume import EncryptRootVolume, _look
from gameday.lab import LabControl
from gameday.sdk import FAULTS, Before, Drifted, Rank, Restored, Step, StillOurs, rebuild_step
from gameday.stages.ec2_instance import Ec2Instance

Client = Callable[[str], Any]
Undone = list[tuple[Step, Before]]
NAMES = ["mark", "stop", "snapshot", "volume", "detach", "attach", "delete-on-termination", "start"]


def launch(aws: Session, client: Client, name: str) -> dict[str, Any]:
    """An instance without a key of its own, as EC2 describes it."""
    Ec2Instance(name=name).make(aws)
    named = [{"Name": "tag:Name", "Values": [name]}]
    return dict(client("ec2").describe_instances(Filters=named)["Reservations"][0]["Instances"][0])


@pytest.fixture
def plain(aws: Session, key: str, client: Client) -> str:
    """The ARN of an instance that runs from an unencrypted root volume with a speed and tags of its own."""
    found = launch(aws, client, "LabInstance-plain")
    root = found["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    client("ec2").modify_volume(VolumeId=root, VolumeType="gp3", Iops=4000, Throughput=250, Size=20)
    client("ec2").create_tags(Resources=[root], Tags=[{"Key": "team", "Value": "payments"}])
    return f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{found['InstanceId']}"


@pytest.fixture
def fault(plain: str, key: str) -> EncryptRootVolume:
    limits = dict.fromkeys(("stop_within", "snapshot_within", "volume_within", "attach_within"), timedelta(seconds=1))
    return EncryptRootVolume(instance=plain, key=key, **limits)


@pytest.fixture
def machine(client: Client, plain: str) -> Callable[[], dict[str, Any]]:
    which = plain.rsplit("/", 1)[-1]
    return lambda: dict(
        client("ec2").describe_instances(InstanceIds=[which])["Reservations"][0]["Instances"][0]  # as it is now
    )


@pytest.fixture
def held(client: Client, key: str) -> Callable[[], Any]:
    """All that the account holds and a swap could touch, without the times at which it was attached."""

    def read() -> Any:
        ec2, kms = client("ec2"), client("kms")
        machines = [each for group in ec2.describe_instances()["Reservations"] for each in group["Instances"]]
        volumes, snapshots = ec2.describe_volumes()["Volumes"], ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
        for mapping in (each for one in machines for each in one["BlockDeviceMappings"]):
            mapping["Ebs"].pop("AttachTime")
        for each in (*(one for volume in volumes for one in volume["Attachments"]), *machines):
            for name in ("AttachTime", "StateReason", "StateTransitionReason", "PublicIpAddress", "PublicDnsName"):
                each.pop(name, None)
        for one in machines:  # a stop and a start give another public address
            one["NetworkInterfaces"] = [each["NetworkInterfaceId"] for each in one["NetworkInterfaces"]]
        grants = kms.list_grants(KeyId=key)["Grants"]
        return machines, volumes, snapshots, kms.describe_key(KeyId=key)["KeyMetadata"], grants

    return read


def forward(aws: Session, fault: EncryptRootVolume, until: str = "start") -> Undone:
    done: Undone = []
    for step in fault.steps():
        before = step.capture(aws)
        step.inject(aws, before)
        done.append((step, before))
        if step.step == until:
            break
    return done


def back(aws: Session, done: Undone) -> None:
    """As another process does it: each step made again from what the journal holds of it."""
    for step, before in reversed(done):
        step.undo(aws, before)
        found = step.read_back(aws, before)
        assert isinstance(found, Restored), f"{step.step}: {found}"


def test_it_is_eight_steps_on_the_instance(fault: EncryptRootVolume, plain: str) -> None:
    assert FAULTS["ec2.encrypt_root_volume"] is EncryptRootVolume
    steps = fault.steps()
    assert [step.step for step in steps] == NAMES
    assert {(step.resource, step.rank) for step in steps} == {(plain, Rank.INSTANCE)}
    for step in steps:
        assert rebuild_step(fault.uses, fault.model_dump(mode="json"), step.step) == step
        assert step.calls.inject and step.calls.undo and step.calls.read


@pytest.mark.parametrize("last", NAMES)
def test_from_every_step_there_is_a_way_back(
    aws: Session, fault: EncryptRootVolume, held: Callable[[], Any], last: str
) -> None:
    found = held()
    done = forward(aws, fault, last)
    assert held() != found
    step, before = done[-1]
    if last != "delete-on-termination" or before["was"] != before["wanted"]:
        assert isinstance(step.read_back(aws, before), StillOurs)
    back(aws, done)
    assert held() == found


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_the_instance_boots_from_an_encrypted_copy(
    aws: Session,
    fault: EncryptRootVolume,
    key: str,
    client: Client,
    machine: Callable[[], dict[str, Any]],
    held: Callable[[], Any],
    state: str,
) -> None:
    if state == "stopped":
        client("ec2").stop_instances(InstanceIds=[machine()["InstanceId"]])
    before, found = machine(), held()
    old = client("ec2").describe_volumes()["Volumes"][0]
    done = forward(aws, fault)
    now = machine()
    (mapping,) = now["BlockDeviceMappings"]
    new = client("ec2").describe_volumes(VolumeIds=[mapping["Ebs"]["VolumeId"]])["Volumes"][0]
    assert now["State"]["Name"] == state
    assert (mapping["DeviceName"], mapping["Ebs"]["DeleteOnTermination"]) == (before["RootDeviceName"], True)
    assert (new["Encrypted"], new["KmsKeyId"]) == (True, key)
    for same in ("AvailabilityZone", "VolumeType", "Size", "Iops", "Throughput"):
        assert new[same] == old[same], same
    tags = {tag["Key"]: tag["Value"] for tag in new["Tags"]}
    assert tags["team"] == "payments"
    assert (tags["gameday:run"], tags["gameday:root-of"]) == (aws.run, now["InstanceId"])
    kept = client("ec2").describe_volumes(Filters=[{"Name": "tag:gameday:kept-by-run", "Values": [aws.run]}])
    assert [each["VolumeId"] for each in kept["Volumes"]] == [old["VolumeId"]]
    back(aws, done)
    assert held() == found


def test_a_volume_that_stays_when_its_instance_goes_still_does(
    aws: Session, fault: EncryptRootVolume, client: Client, machine: Callable[[], dict[str, Any]]
) -> None:
    def delete_on_termination() -> bool:
        return bool(machine()["BlockDeviceMappings"][0]["Ebs"]["DeleteOnTermination"])

    client("ec2").modify_instance_attribute(
        InstanceId=machine()["InstanceId"],
        BlockDeviceMappings=[{"DeviceName": machine()["RootDeviceName"], "Ebs": {"DeleteOnTermination": False}}],
    )
    done = forward(aws, fault)
    assert not delete_on_termination()
    back(aws, done)
    assert not delete_on_termination()


def test_every_step_makes_one_changing_call(aws: Session, fault: EncryptRootVolume, lab: LabControl) -> None:
    already = len(lab.calls("ec2"))
    forward(aws, fault)
    made = [c["operation"] for c in lab.calls("ec2")[already:] if not c["operation"].startswith("Describe")]
    assert made == [
        *("CreateTags", "StopInstances", "CreateSnapshot", "CreateVolume", "DetachVolume"),
        *("AttachVolume", "ModifyInstanceAttribute", "StartInstances"),
    ]


def test_the_preflight_changes_nothing_and_asks_for_every_permission(
    aws: Session, fault: EncryptRootVolume, held: Callable[[], Any], lab: LabControl
) -> None:
    found = held()
    for step in fault.steps():
        step.check(aws)
        step.rehearse(aws)
    assert held() == found
    needed = {action for step in fault.steps() for action in (*step.calls.inject, *step.calls.undo)}
    for action in sorted(action for action in needed if action.startswith("ec2:")):  # KMS has no DryRun for its own
        lab.trouble("refuse", service="ec2", operation=action.removeprefix("ec2:"), code="UnauthorizedOperation")
        with pytest.raises(CannotInject, match=f"{action} is not permitted: UnauthorizedOperation"):
            for step in fault.steps():
                step.rehearse(aws)
        lab.clear_trouble()


def test_two_instances_of_one_run_do_not_mix(aws: Session, fault: EncryptRootVolume, client: Client, key: str) -> None:
    other = launch(aws, client, "LabInstance-other")["InstanceId"]
    second = EncryptRootVolume(instance=f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{other}", key=key)
    one, two = forward(aws, fault), forward(aws, second)
    back(aws, one)
    encrypted = [each for each in client("ec2").describe_volumes()["Volumes"] if each["Encrypted"]]
    assert [each["Attachments"][0]["InstanceId"] for each in encrypted] == [other]
    back(aws, two)


# --- what is refused


def say(aws: Session, operation: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Let EC2's answer say something else, as this session hears it."""
    aws.client("ec2").meta.events.register(f"after-call.ec2.{operation}", lambda parsed, **_: change(parsed))


def refused(aws: Session, fault: EncryptRootVolume) -> str:
    with pytest.raises(CannotInject) as caught:
        fault.steps()[0].check(aws)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"RootDeviceType": "instance-store"}, "boots from an instance store"),
        ({"InstanceLifecycle": "spot"}, "is a spot instance"),
        ({"HibernationOptions": {"Configured": True}}, "is set up to hibernate"),
        ({"State": {"Name": "stopping", "Code": 64}}, "is stopping: it must be running or stopped"),
        ({"Tags": [{"Key": "aws:autoscaling:groupName", "Value": "web"}]}, "is in the Auto Scaling group web"),
        ({"RootDeviceName": "/dev/nothing"}, "has no root volume at /dev/nothing"),
        ({"Placement": {"AvailabilityZone": "us-east-1f"}}, "is in us-east-1a, and the instance is not"),
        ({"State": {"Name": "terminated", "Code": 48}}, "there is no instance"),
    ],
)
def test_an_instance_that_it_would_harm_is_refused(
    aws: Session, fault: EncryptRootVolume, change: dict[str, Any], why: str
) -> None:
    def alter(parsed: dict[str, Any]) -> None:
        for group in parsed.get("Reservations", []):
            group["Instances"][0].update(change)

    say(aws, "DescribeInstances", alter)
    assert why in refused(aws, fault)


def test_instance_store_volumes_and_stop_protection_are_refused(aws: Session, fault: EncryptRootVolume) -> None:
    say(
        aws,
        "DescribeInstanceAttribute",
        lambda parsed: parsed.update(DisableApiStop={"Value": True}),
    )
    assert "is protected against being stopped" in refused(aws, fault)
    say(aws, "DescribeInstanceTypes", lambda parsed: parsed["InstanceTypes"][0].update(InstanceStorageSupported=True))
    assert "would wipe its instance store volumes" in refused(aws, fault)


def test_an_encrypted_root_is_refused_and_its_key_named(aws: Session, instance: str, key: str) -> None:
    again = EncryptRootVolume(instance=instance, key=key)
    assert f"is already encrypted, with {key}" in refused(aws, again)


def test_a_key_that_is_not_enabled_is_refused(aws: Session, fault: EncryptRootVolume, client: Client) -> None:
    client("kms").disable_key(KeyId=fault.key)
    assert "is Disabled, not Enabled: no volume could be encrypted with it" in refused(aws, fault)


def test_a_root_volume_that_an_earlier_run_has_marked_is_refused(
    aws: Session, fault: EncryptRootVolume, client: Client, machine: Callable[[], dict[str, Any]]
) -> None:
    root = machine()["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    client("ec2").create_tags(Resources=[root], Tags=[{"Key": "gameday:kept-by-run", "Value": "0123"}])
    assert "carries the tag gameday:kept-by-run (0123) of an earlier run" in refused(aws, fault)


# --- what goes wrong on the way


def stuck(aws: Session, fault: EncryptRootVolume, at: str) -> str:
    """The sentence with which the step before which it gets stuck is refused; then everything is put back."""
    names = [step.step for step in fault.steps()]
    done = forward(aws, fault, names[names.index(at) - 1])
    with pytest.raises(CannotInject) as caught:
        fault.steps()[names.index(at)].capture(aws)
    for step, before in reversed(done):
        _patiently(aws, step, before)
    return str(caught.value)


def _patiently(aws: Session, step: Step, before: Before) -> None:
    """The machine's way: what is refused or not there yet is tried again, and the read-back decides."""
    for _ in range(50):
        with aws.answering(), suppress(LookupError):
            step.undo(aws, before)
        if isinstance(step.read_back(aws, before), Restored):
            return
        aws.wait(0.05)
    raise AssertionError(f"{step.step} does not come back")


def test_an_instance_that_will_not_stop(
    aws: Session, fault: EncryptRootVolume, lab: LabControl, held: Callable[[], Any]
) -> None:
    found = held()
    lab.knobs(stop_seconds=1.6)
    assert stuck(aws, fault, "snapshot").endswith("did not stop within 1s")
    assert held() == found


def test_a_key_that_ec2_may_not_use(
    aws: Session, fault: EncryptRootVolume, client: Client, held: Callable[[], Any]
) -> None:
    found = held()
    done = forward(aws, fault, "snapshot")
    client("kms").disable_key(
        KeyId=fault.key
    )  # after the preflight, so that CreateVolume is answered and comes to nothing
    volume, detach = fault.steps()[3:5]
    before = volume.capture(aws)
    volume.inject(aws, before)
    with pytest.raises(
        CannotInject, match=f"vanished: EC2 could not use {fault.key} for this caller; allow kms:Create"
    ):
        detach.capture(aws)
    client("kms").enable_key(KeyId=fault.key)
    _patiently(aws, volume, before)
    back(aws, done)
    assert held() == found


@pytest.mark.parametrize(
    ("at", "operation", "change", "why"),
    [
        ("volume", "DescribeSnapshots", {"State": "pending"}, "was not complete within 1s"),
        ("volume", "DescribeSnapshots", {"State": "error", "StateMessage": "no luck"}, "failed: no luck"),
        ("detach", "DescribeVolumes", {"State": "creating"}, "was not available within 1s"),
        ("detach", "DescribeVolumes", {"State": "error"}, "is in error: EC2 could not use arn:aws:kms"),
        ("detach", "DescribeVolumes", {"AvailabilityZone": "us-east-1f"}, "is in us-east-1f, and instance"),
        ("detach", "DescribeVolumes", {"KmsKeyId": "arn:aws:kms:other"}, "is encrypted with arn:aws:kms:other, not"),
        ("attach", "DescribeVolumes", {"State": "in-use"}, "was not detached within 1s"),
        ("delete-on-termination", "DescribeVolumes", {"Attachments": []}, "was not attached to"),
    ],
)
def test_what_does_not_come_in_time_is_said(
    aws: Session,
    fault: EncryptRootVolume,
    held: Callable[[], Any],
    at: str,
    operation: str,
    change: dict[str, Any],
    why: str,
) -> None:
    found, names = held(), [step.step for step in fault.steps()]
    done = forward(aws, fault, names[names.index(at) - 1])
    alter = {"on": True}

    def apply(parsed: dict[str, Any]) -> None:
        for each in parsed.get("Snapshots", parsed.get("Volumes", [])) if alter["on"] else []:
            each.update(change)

    say(aws, operation, apply)
    with pytest.raises(CannotInject, match=why):
        fault.steps()[names.index(at)].capture(aws)
    alter["on"] = False
    back(aws, done)
    assert held() == found


def test_a_volume_that_comes_up_unencrypted_never_replaces_the_old_one(
    aws: Session, fault: EncryptRootVolume, lab: LabControl, held: Callable[[], Any]
) -> None:
    found = held()
    lab.knobs(encrypt_volumes=False)
    assert "came up unencrypted" in stuck(aws, fault, "detach")
    lab.knobs(encrypt_volumes=True)
    assert held() == found


# --- others


def test_an_instance_that_someone_terminated_is_drift(
    aws: Session, fault: EncryptRootVolume, client: Client, machine: Callable[[], dict[str, Any]]
) -> None:
    done = {step.step: (step, before) for step, before in forward(aws, fault)}
    client("ec2").terminate_instances(InstanceIds=[machine()["InstanceId"]])
    for name in ("start", "detach", "stop"):
        step, before = done[name]
        assert isinstance(step.read_back(aws, before), Drifted), name
    for name in ("delete-on-termination", "attach"):
        step, before = done[name]
        assert isinstance(step.read_back(aws, before), Restored), name


def test_volumes_that_someone_else_took_are_left_to_him(aws: Session, fault: EncryptRootVolume, client: Client) -> None:
    ec2, other = client("ec2"), launch(aws, client, "LabInstance-other")["InstanceId"]
    done = {step.step: (step, before) for step, before in forward(aws, fault, "detach")}
    step, before = done["detach"]
    ec2.attach_volume(VolumeId=before["new"], InstanceId=other, Device="/dev/sdg")
    assert isinstance(done["volume"][0].read_back(aws, done["volume"][1]), Drifted)
    ec2.detach_volume(VolumeId=before["new"])
    ec2.attach_volume(VolumeId=before["old"], InstanceId=other, Device="/dev/sdf")
    assert "someone else attached" in step.read_back(aws, before).detail
    ec2.detach_volume(VolumeId=before["old"])
    ec2.delete_volume(VolumeId=before["old"])
    assert "someone deleted it" in step.read_back(aws, before).detail
    assert isinstance(done["mark"][0].read_back(aws, done["mark"][1]), Drifted)


def test_a_tag_that_someone_changed_stays(aws: Session, fault: EncryptRootVolume, client: Client) -> None:
    ((step, before),) = forward(aws, fault, "mark")
    client("ec2").create_tags(Resources=[before["old"]], Tags=[{"Key": "gameday:kept-by-run", "Value": "another"}])
    step.undo(aws, before)
    assert isinstance(step.read_back(aws, before), Restored)
    left = client("ec2").describe_volumes(VolumeIds=[before["old"]])["Volumes"][0]["Tags"]
    assert {"Key": "gameday:kept-by-run", "Value": "another"} in left


@pytest.mark.parametrize("step", ["snapshot", "volume"])
def test_a_list_that_shows_nothing_yet_does_not_count_as_an_answer(
    aws: Session, fault: EncryptRootVolume, step: str
) -> None:
    found = next(each for each in fault.steps() if each.step == step)
    with pytest.raises(LookupError, match="EC2 lists no"):
        found.undo(aws, {})
    assert isinstance(found.read_back(aws, {}), Restored)  # which the machine believes only when it lasts


def test_silence_is_asked_again(aws: Session, fault: EncryptRootVolume, lab: LabControl) -> None:
    lab.trouble("throttle", service="ec2", operation="DescribeInstances", times=2)
    wait = _look.Wait(aws, timedelta(seconds=5), "it did not come")
    assert wait.until(lambda: _look.instance(aws, fault.instance)) is not None
    lab.trouble("throttle", service="ec2", operation="DescribeInstances")
    with pytest.raises(CannotInject, match=r"it did not come within 300ms \(RequestLimitExceeded: "):
        _look.Wait(aws, timedelta(seconds=0.3), "it did not come").until(lambda: _look.instance(aws, fault.instance))
