"""EC2 and EBS: the rows of LAB.md's table."""

from __future__ import annotations

import pytest

from .conftest import refused


def launch(ec2, key=None, **about):
    ebs = {"VolumeSize": 8, "Encrypted": True, "KmsKeyId": key} if key else {"VolumeSize": 8}
    image = ec2.describe_images(Filters=[{"Name": "architecture", "Values": ["x86_64"]}])["Images"][0]
    answer = ec2.run_instances(
        ImageId=image["ImageId"],
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.micro",
        BlockDeviceMappings=[{"DeviceName": image["RootDeviceName"], "Ebs": ebs}],
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "LabInstance"}]}],
        **about,
    )
    return answer["Instances"][0]["InstanceId"]


def about(ec2, instance):
    return ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]


def state(ec2, instance):
    return about(ec2, instance)["State"]["Name"]


def checks(ec2, instance):
    found = ec2.describe_instance_status(InstanceIds=[instance])["InstanceStatuses"]
    return [(s["InstanceStatus"]["Status"], s["SystemStatus"]["Status"]) for s in found]


def grants(client, key):
    return client("kms").list_grants(KeyId=key)["Grants"]


@pytest.fixture
def ec2(client):
    return client("ec2")


def test_the_root_volume_carries_the_keys_arn(ec2, key):
    instance = launch(ec2, "alias/MyKMSKey")
    volume = about(ec2, instance)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    shown = ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]
    assert (shown["Encrypted"], shown["KmsKeyId"]) == (True, key)
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    assert ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["KmsKeyId"] == key
    again = ec2.create_volume(SnapshotId=snapshot, AvailabilityZone="us-east-1a")["VolumeId"]
    assert ec2.describe_volumes(VolumeIds=[again])["Volumes"][0]["KmsKeyId"] == key


def test_boot_stop_and_status_checks_take_their_time(lab, ec2, key):
    lab.knobs(boot_seconds=30, stop_seconds=20, status_check_seconds=120)
    instance = launch(ec2, key)
    assert state(ec2, instance) == "pending"
    assert refused(ec2.stop_instances, InstanceIds=[instance])[0] == "IncorrectInstanceState"
    lab.advance(30)
    assert (state(ec2, instance), checks(ec2, instance)) == ("running", [("initializing", "initializing")])
    lab.advance(120)
    assert checks(ec2, instance) == [("ok", "ok")]
    change = ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("running", "stopping")
    assert refused(ec2.start_instances, InstanceIds=[instance])[0] == "IncorrectInstanceState"
    assert state(ec2, instance) == "stopping"
    lab.advance(20)
    assert state(ec2, instance) == "stopped"
    change = ec2.start_instances(InstanceIds=[instance])["StartingInstances"][0]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("stopped", "pending")
    ec2.start_instances(InstanceIds=[instance])
    lab.advance(30)
    assert state(ec2, instance) == "running"


def test_a_start_without_its_key_falls_back_to_stopped(lab, client, ec2, key):
    instance = launch(ec2, key)
    ec2.stop_instances(InstanceIds=[instance])
    client("kms").disable_key(KeyId=key)
    lab.knobs(boot_seconds=5)
    ec2.start_instances(InstanceIds=[instance])
    assert state(ec2, instance) == "pending"
    lab.advance(5)
    shown = about(ec2, instance)
    assert shown["State"]["Name"] == "stopped"
    assert shown["StateReason"] == {
        "Code": "Client.InternalError",
        "Message": "Client.InternalError: Client error on launch",
    }
    client("kms").enable_key(KeyId=key)
    ec2.start_instances(InstanceIds=[instance])
    lab.advance(5)
    assert state(ec2, instance) == "running"


def test_a_launch_without_its_key_ends_terminated(client, ec2, key):
    client("kms").disable_key(KeyId=key)
    instance = launch(ec2, key)
    shown = about(ec2, instance)
    assert (shown["State"]["Name"], shown["StateReason"]["Code"]) == ("terminated", "Client.InternalError")
    assert refused(launch, ec2=ec2, key=key, DryRun=True)[0] == "DryRunOperation"


def test_a_running_instance_lives_on_without_its_key(client, ec2, key):
    instance = launch(ec2, key)
    client("kms").disable_key(KeyId=key)
    assert state(ec2, instance) == "running"


def test_ec2s_grants_last_while_it_runs(client, ec2, key):
    instance = launch(ec2, key)
    assert state(ec2, instance) == "running"
    assert [g["GranteePrincipal"] for g in grants(client, key)] == [
        f"arn:aws:sts::123456789012:assumed-role/aws:ec2-infrastructure/{instance}"
    ]
    ec2.stop_instances(InstanceIds=[instance])
    assert state(ec2, instance) == "stopped"
    assert grants(client, key) == []
    ec2.start_instances(InstanceIds=[instance])
    assert len(grants(client, key)) == 1
    ec2.terminate_instances(InstanceIds=[instance])
    assert state(ec2, instance) == "terminated"
    assert grants(client, key) == []


def test_a_grant_for_an_attached_volume_goes_with_it_and_the_roots_stays(client, ec2, key):
    instance = launch(ec2, key)
    spare = ec2.create_volume(Size=8, AvailabilityZone="us-east-1a", Encrypted=True, KmsKeyId=key)["VolumeId"]
    roots = grants(client, key)
    ec2.attach_volume(VolumeId=spare, InstanceId=instance, Device="/dev/sdf")
    assert len(grants(client, key)) == 2
    ec2.detach_volume(VolumeId=spare)
    assert grants(client, key) == roots


@pytest.fixture
def halted(ec2, key):
    """A stopped instance with its root device and volume, and a free volume under the key in its zone."""
    instance = launch(ec2, key)
    ec2.stop_instances(InstanceIds=[instance])
    shown = about(ec2, instance)
    near = ec2.create_volume(
        Size=8, AvailabilityZone=shown["Placement"]["AvailabilityZone"], Encrypted=True, KmsKeyId=key
    )["VolumeId"]
    return instance, shown["RootDeviceName"], shown["BlockDeviceMappings"][0]["Ebs"]["VolumeId"], near


def test_a_volume_of_another_zone_is_not_attached(ec2, key, halted):
    instance, _, _, _ = halted
    far = ec2.create_volume(Size=8, AvailabilityZone="us-east-1c", Encrypted=True, KmsKeyId=key)["VolumeId"]
    asked = {"VolumeId": far, "InstanceId": instance, "Device": "/dev/sdf"}
    assert refused(ec2.attach_volume, **asked)[0] == "InvalidVolume.ZoneMismatch"


def test_an_occupied_device_takes_no_volume(ec2, halted):
    instance, device, _, near = halted
    asked = {"VolumeId": near, "InstanceId": instance, "Device": device}
    assert refused(ec2.attach_volume, **asked)[0] == "InvalidParameterValue"


def test_a_volume_without_its_key_is_not_attached(client, ec2, key, halted):
    instance, _, _, near = halted
    client("kms").disable_key(KeyId=key)
    asked = {"VolumeId": near, "InstanceId": instance, "Device": "/dev/sdf"}
    assert refused(ec2.attach_volume, **asked)[0] == "Client.CustomerKeyHasBeenRevoked"


def test_a_volume_is_detached_without_naming_its_instance(ec2, halted):
    _, _, root, _ = halted
    ec2.detach_volume(VolumeId=root)
    assert ec2.describe_volumes(VolumeIds=[root])["Volumes"][0]["State"] == "available"


def test_an_instance_without_its_root_volume_does_not_start(ec2, halted):
    instance, _, root, _ = halted
    ec2.detach_volume(VolumeId=root, InstanceId=instance)
    assert refused(ec2.start_instances, InstanceIds=[instance])[0] == "IncorrectInstanceState"


def test_volumes_move_within_their_zone_only(client, ec2, key):
    instance = launch(ec2, key)
    ec2.stop_instances(InstanceIds=[instance])
    shown = about(ec2, instance)
    device, root = shown["RootDeviceName"], shown["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    near = ec2.create_volume(Size=8, AvailabilityZone="us-east-1a", Encrypted=True, KmsKeyId=key)["VolumeId"]
    far = ec2.create_volume(Size=8, AvailabilityZone="us-east-1c", Encrypted=True, KmsKeyId=key)["VolumeId"]
    where = {"InstanceId": instance, "Device": device}
    assert refused(ec2.attach_volume, VolumeId=far, **where)[0] == "InvalidVolume.ZoneMismatch"
    assert refused(ec2.attach_volume, VolumeId=near, **where)[0] == "InvalidParameterValue"
    ec2.detach_volume(VolumeId=root)
    assert refused(ec2.start_instances, InstanceIds=[instance])[0] == "IncorrectInstanceState"
    client("kms").disable_key(KeyId=key)
    assert refused(ec2.attach_volume, VolumeId=near, **where)[:2] == (
        "Client.CustomerKeyHasBeenRevoked",
        f"Volume {near} cannot be attached. The encrypted volume was unable to access the KMS key.",
    )
    client("kms").enable_key(KeyId=key)
    ec2.attach_volume(VolumeId=near, **where)
    ec2.start_instances(InstanceIds=[instance])
    assert state(ec2, instance) == "running"


def test_any_image_id_launches(ec2):
    answer = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)
    instance = answer["Instances"][0]["InstanceId"]
    assert state(ec2, instance) == "running"
    ec2.stop_instances(InstanceIds=[instance])
    ec2.start_instances(InstanceIds=[instance])
    assert state(ec2, instance) == "running"


def test_a_volume_made_with_an_unusable_key_vanishes(client, ec2, key):
    client("kms").disable_key(KeyId=key)
    made = ec2.create_volume(Size=8, AvailabilityZone="us-east-1a", Encrypted=True, KmsKeyId=key)["VolumeId"]
    assert refused(ec2.describe_volumes, VolumeIds=[made])[0] == "InvalidVolume.NotFound"


def test_task_6_the_root_volume_is_replaced_by_an_encrypted_one(ec2, key):
    instance = launch(ec2)
    shown = about(ec2, instance)
    device, old = shown["RootDeviceName"], shown["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    zone = shown["Placement"]["AvailabilityZone"]
    assert ec2.describe_volumes(VolumeIds=[old])["Volumes"][0]["Encrypted"] is False
    assert refused(ec2.detach_volume, VolumeId=old)[0] == "OperationNotPermitted"
    ec2.stop_instances(InstanceIds=[instance])
    assert state(ec2, instance) == "stopped"
    ec2.detach_volume(VolumeId=old)
    snapshot = ec2.create_snapshot(VolumeId=old)["SnapshotId"]
    new = ec2.create_volume(SnapshotId=snapshot, AvailabilityZone=zone, Encrypted=True, KmsKeyId=key)["VolumeId"]
    ec2.attach_volume(VolumeId=new, InstanceId=instance, Device=device)
    ec2.start_instances(InstanceIds=[instance])
    assert state(ec2, instance) == "running"
    volume = ec2.describe_volumes(VolumeIds=[new])["Volumes"][0]
    assert (volume["Encrypted"], volume["KmsKeyId"], volume["State"]) == (True, key, "in-use")


def test_volumes_can_be_left_unencrypted_on_purpose(lab, ec2, key):
    lab.knobs(encrypt_volumes=False)
    made = ec2.create_volume(Size=1, AvailabilityZone="us-east-1a", Encrypted=True, KmsKeyId=key)["VolumeId"]
    assert ec2.describe_volumes(VolumeIds=[made])["Volumes"][0]["Encrypted"] is False


def test_a_boot_in_propagation_time_still_succeeds(lab, client, ec2, key):
    instance = launch(ec2, key)
    ec2.stop_instances(InstanceIds=[instance])
    lab.knobs(kms_propagation=60)
    client("kms").disable_key(KeyId=key)
    ec2.start_instances(InstanceIds=[instance])
    assert state(ec2, instance) == "running"
    ec2.stop_instances(InstanceIds=[instance])
    lab.advance(60)
    ec2.start_instances(InstanceIds=[instance])
    assert state(ec2, instance) == "stopped"


def test_a_running_instance_has_no_state_reason(ec2):
    instance = launch(ec2)
    assert "StateReason" not in about(ec2, instance)
