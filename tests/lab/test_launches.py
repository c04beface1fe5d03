"""Every way to launch meets the key, and a launch keeps the figures that it was asked for."""

from __future__ import annotations

import json

import pytest

AMI = "ami-0ab1c2d3e4f567890"
TYPE = {"InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}


def mapped(**ebs):
    return [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, **ebs}}]


def instance(client, wanted):
    found = client("ec2").describe_instances(InstanceIds=[wanted])["Reservations"]
    return found[0]["Instances"][0]


def run(client, **about):
    return client("ec2").run_instances(**{"ImageId": AMI, **TYPE, **about})["Instances"][0]["InstanceId"]


def template(client, key):
    data = {"ImageId": AMI, "InstanceType": "t3.micro"}
    data["BlockDeviceMappings"] = mapped(Encrypted=True, KmsKeyId=key)
    made = client("ec2").create_launch_template(LaunchTemplateName="nodes", LaunchTemplateData=data)
    return made["LaunchTemplate"]["LaunchTemplateId"]


def by_template(client, key):
    made = template(client, key)
    return lambda: run(client, LaunchTemplate={"LaunchTemplateId": made})


def by_fleet(client, key):
    specification = {"LaunchTemplateId": template(client, key), "Version": "$Default"}
    about = {
        "Type": "instant",
        "LaunchTemplateConfigs": [{"LaunchTemplateSpecification": specification}],
        "TargetCapacitySpecification": {"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "on-demand"},
    }
    return lambda: client("ec2").create_fleet(**about)["Instances"][0]["InstanceIds"][0]


def by_group(client, key):
    made, scaling = template(client, key), client("autoscaling")

    def launch():
        about = {"MinSize": 1, "MaxSize": 1, "LaunchTemplate": {"LaunchTemplateId": made}}
        name = f"g{len(scaling.describe_auto_scaling_groups()['AutoScalingGroups'])}"
        scaling.create_auto_scaling_group(AutoScalingGroupName=name, AvailabilityZones=["us-east-1a"], **about)
        found = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]
        return found["Instances"][0]["InstanceId"]

    return launch


def by_image(client, key):
    first = run(client, BlockDeviceMappings=mapped(Encrypted=True, KmsKeyId=key))
    image = client("ec2").create_image(InstanceId=first, Name="golden")["ImageId"]
    return lambda: run(client, ImageId=image)


def by_registered_image(client, key):
    ec2 = client("ec2")
    about = {"AvailabilityZone": "us-east-1a", "Size": 8, "Encrypted": True, "KmsKeyId": key}
    snapshot = ec2.create_snapshot(VolumeId=ec2.create_volume(**about)["VolumeId"])["SnapshotId"]
    mappings = [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}]
    image = ec2.register_image(Name="registered", RootDeviceName="/dev/xvda", BlockDeviceMappings=mappings)["ImageId"]
    return lambda: run(client, ImageId=image)


def by_default(client, key):
    client("ec2").enable_ebs_encryption_by_default()
    client("ec2").modify_ebs_default_kms_key_id(KmsKeyId=key)
    return lambda: run(client)


WAYS = [by_template, by_fleet, by_group, by_image, by_registered_image, by_default]


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
def test_a_launch_runs_with_the_key_and_ends_without_it(client, key, way):
    launch = way(client, key)
    about = instance(client, launch())
    assert about["State"]["Name"] == "running"
    ids = [one["Ebs"]["VolumeId"] for one in about["BlockDeviceMappings"]]
    volumes = client("ec2").describe_volumes(VolumeIds=ids)["Volumes"]
    assert [(volume["Encrypted"], volume["KmsKeyId"]) for volume in volumes] == [(True, key)]
    client("kms").disable_key(KeyId=key)
    about = instance(client, launch())
    assert about["State"]["Name"] == "terminated"
    assert about["StateReason"] == {
        "Code": "Client.InternalError",
        "Message": "Client.InvalidKMSKey.InvalidState: The KMS key provided is in an incorrect state",
    }


@pytest.mark.parametrize(
    ("asked", "there"),
    [
        ({"VolumeType": "gp3", "Iops": 4000, "Throughput": 250}, (4000, 250)),
        ({"VolumeType": "gp3"}, (3000, 125)),
        ({"VolumeType": "io2", "Iops": 500}, (500, None)),
    ],
)
def test_a_launch_keeps_its_figures(client, lab, asked, there):
    about = instance(client, run(client, BlockDeviceMappings=mapped(**asked)))
    volume = about["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    found = client("ec2").describe_volumes(VolumeIds=[volume])["Volumes"][0]
    assert found["VolumeType"] == asked["VolumeType"]
    assert (found.get("Iops"), found.get("Throughput")) == there


def test_new_volumes_are_encrypted_by_default(client, key):
    ec2 = client("ec2")
    ec2.modify_ebs_default_kms_key_id(KmsKeyId=key)
    chosen = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, Encrypted=True)
    assert chosen["KmsKeyId"] == key
    assert ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["Encrypted"] is False
    ec2.enable_ebs_encryption_by_default()
    assert ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["KmsKeyId"] == key


def test_a_copy_of_a_snapshot_needs_the_key(client, key):
    ec2 = client("ec2")
    about = {"AvailabilityZone": "us-east-1a", "Size": 8, "Encrypted": True, "KmsKeyId": key}
    snapshot = ec2.create_snapshot(VolumeId=ec2.create_volume(**about)["VolumeId"])["SnapshotId"]
    states = []
    for turn in (client("kms").enable_key, client("kms").disable_key):
        turn(KeyId=key)
        copied = ec2.copy_snapshot(SourceRegion="us-east-1", SourceSnapshotId=snapshot)["SnapshotId"]
        states.append(ec2.describe_snapshots(SnapshotIds=[copied])["Snapshots"][0]["State"])
    assert states == ["completed", "error"]


def test_a_fleet_without_a_right_to_the_key(client, key):
    launch = by_fleet(client, key)
    root = {"AWS": "arn:aws:iam::123456789012:root"}
    allow = {"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
    deny = {**allow, "Effect": "Deny", "Principal": "*", "Action": "kms:CreateGrant"}
    client("kms").put_key_policy(KeyId=key, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow, deny]}))
    about = instance(client, launch())
    assert (about["State"]["Name"], about["StateReason"]["Message"]) == (
        "terminated",
        "Client.InternalError: Client error on launch",
    )
