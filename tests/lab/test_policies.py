"""Identity, bucket and key policies."""

from __future__ import annotations

import json

import pytest

from .conftest import refused
from .test_cloudtrail import look
from .test_ec2 import about, launch

ROOT = "arn:aws:iam::123456789012:root"
ENABLE_IAM = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"}


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions, resource="*", **more):
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


@pytest.fixture
def user(client):
    """Makes users; returns a maker of clients for each."""
    iam = client("iam")

    def make(name, *statements):
        iam.create_user(UserName=name)
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document(*statements))
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return lambda service: client(service, key=made["AccessKeyId"], secret=made["SecretAccessKey"])

    return make


@pytest.fixture
def role(client):
    """Makes roles that root may assume; returns a maker of clients for a session of each."""

    def make(name, *statements, session="someone"):
        trust = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "sts:AssumeRole"}
        arn = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
        if statements:
            client("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(*statements))
        made = client("sts").assume_role(RoleArn=arn, RoleSessionName=session)["Credentials"]
        return lambda service: client(
            service, key=made["AccessKeyId"], secret=made["SecretAccessKey"], token=made["SessionToken"]
        )

    return make


def test_root_is_who_an_unknown_key_is(client):
    assert client("sts").get_caller_identity()["Arn"] == ROOT


def test_users_and_roles_are_themselves(client, user, role):
    assert user("alice")("sts").get_caller_identity()["Arn"] == "arn:aws:iam::123456789012:user/alice"
    arn = role("voclabs")("sts").get_caller_identity()["Arn"]
    assert arn == "arn:aws:sts::123456789012:assumed-role/voclabs/someone"


def test_a_role_must_exist_and_trust(client, user):
    unknown = "arn:aws:iam::123456789012:role/none"
    assert refused(client("sts").assume_role, RoleArn=unknown, RoleSessionName="xx")[0] == "AccessDenied"
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    arn = client("iam").create_role(RoleName="svc", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    assert refused(client("sts").assume_role, RoleArn=arn, RoleSessionName="xx")[0] == "AccessDenied"


def test_identity_policies_bind_users(client, user, key):
    alice = user("alice", allow("kms:DescribeKey", "ec2:Describe*", "s3:ListAllMyBuckets"))
    alice("kms").describe_key(KeyId=key)
    code, message, status = refused(alice("kms").disable_key, KeyId=key)
    assert (code, status) == ("AccessDeniedException", 400)
    assert message.startswith("User: arn:aws:iam::123456789012:user/alice is not authorized to perform: kms:DisableKey")
    alice("ec2").describe_instances()
    assert refused(alice("ec2").stop_instances, InstanceIds=["i-1"])[0::2] == ("UnauthorizedOperation", 403)
    alice("s3").list_buckets()
    client("s3").create_bucket(Bucket="gameday-clock")
    assert refused(alice("s3").put_object, Bucket="gameday-clock", Key="x", Body=b"")[0::2] == (
        "AccessDenied",
        403,
    )
    assert look(client, EventName="DisableKey")[0]["errorCode"] == "AccessDenied"
    assert look(client, EventName="DisableKey")[0]["userIdentity"]["userName"] == "alice"


def test_key_policies_bind_without_delegation(client, user, key):
    alice = user("alice", allow("kms:*"))
    alice("kms").encrypt(KeyId=key, Plaintext=b"x")
    only_root = {**ENABLE_IAM, "Condition": {"ArnEquals": {"aws:PrincipalArn": ROOT}}}
    client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=document(only_root))
    assert refused(alice("kms").encrypt, KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"


def test_a_key_policy_can_name_a_role(client, role, key):
    voclabs = role("voclabs")
    assert refused(voclabs("kms").encrypt, KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"
    users = allow("kms:Encrypt", Principal={"AWS": "arn:aws:iam::123456789012:role/voclabs"})
    client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=document(ENABLE_IAM, users))
    voclabs("kms").encrypt(KeyId=key, Plaintext=b"x")
    assert refused(voclabs("kms").disable_key, KeyId=key)[0] == "AccessDeniedException"


def test_a_deny_in_the_key_policy_stops_s3_and_ec2_for_root_too(client, key):
    s3, ec2 = client("s3"), client("ec2")
    s3.create_bucket(Bucket="gameday-clock")
    s3.put_object(Bucket="gameday-clock", Key="c", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    instance = launch(ec2, key)
    ec2.stop_instances(InstanceIds=[instance])
    deny = {"Effect": "Deny", "Principal": "*", "Action": ["kms:Decrypt", "kms:CreateGrant"], "Resource": "*"}
    client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=document(ENABLE_IAM, deny))
    code, message, status = refused(s3.get_object, Bucket="gameday-clock", Key="c")
    assert (code, status) == ("AccessDenied", 403)
    assert "kms:Decrypt" in message and "explicit deny" in message
    ec2.start_instances(InstanceIds=[instance])
    assert about(ec2, instance)["State"]["Name"] == "stopped"
    assert look(client, EventName="CreateGrant")[0]["errorCode"] == "AccessDenied"
    client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=document(ENABLE_IAM))
    s3.get_object(Bucket="gameday-clock", Key="c")


def test_via_service_and_encryption_context(client, role, key):
    s3 = client("s3")
    s3.create_bucket(Bucket="gameday-clock")
    s3.put_object(Bucket="gameday-clock", Key="c", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    app = role("app", allow("s3:GetObject"))
    assert refused(app("s3").get_object, Bucket="gameday-clock", Key="c")[0::2] == ("AccessDenied", 403)
    condition = {
        "StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com", "kms:CallerAccount": "123456789012"},
        "StringLike": {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::gameday-clock/*"},
    }
    via = allow("kms:Decrypt", "kms:Encrypt", Principal={"AWS": "*"}, Condition=condition)
    client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=document(ENABLE_IAM, via))
    app("s3").get_object(Bucket="gameday-clock", Key="c")
    assert refused(app("kms").encrypt, KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"


def test_policy_changes_propagate_like_states(lab, client, key):
    lab.knobs(kms_propagation=60)
    deny = {"Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*"}
    client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=document(ENABLE_IAM, deny))
    client("kms").encrypt(KeyId=key, Plaintext=b"x")
    lab.advance(60)
    assert refused(client("kms").encrypt, KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"


def test_lock_out_and_malformed_key_policies_are_refused(client, key):
    kms = client("kms")
    other = {**ENABLE_IAM, "Principal": {"AWS": "arn:aws:iam::999999999999:root"}}
    assert refused(kms.put_key_policy, KeyId=key, PolicyName="default", Policy=document(other))[:2] == (
        "MalformedPolicyDocumentException",
        "The new key policy will not allow you to update the key policy in the future.",
    )
    for bad in ("{", "{}", document({"Effect": "Perhaps"}), document({**ENABLE_IAM, "Action": "everything"})):
        assert refused(kms.put_key_policy, KeyId=key, PolicyName="default", Policy=bad)[0] == (
            "MalformedPolicyDocumentException"
        )
    assert refused(kms.create_key, Policy=document(other))[0] == "MalformedPolicyDocumentException"


def test_bucket_policies_deny_and_allow(client, user):
    s3 = client("s3")
    s3.create_bucket(Bucket="gameday-clock")
    s3.put_object(Bucket="gameday-clock", Key="c", Body=b"x")
    bob = user("bob")
    assert refused(bob("s3").get_object, Bucket="gameday-clock", Key="c")[0] == "AccessDenied"
    mine = allow(
        "s3:GetObject",
        resource="arn:aws:s3:::gameday-clock/*",
        Principal={"AWS": "arn:aws:iam::123456789012:user/bob"},
    )
    s3.put_bucket_policy(Bucket="gameday-clock", Policy=document(mine))
    bob("s3").get_object(Bucket="gameday-clock", Key="c")
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::gameday-clock", "arn:aws:s3:::gameday-clock/*"],
    }
    s3.put_bucket_policy(Bucket="gameday-clock", Policy=document(mine, deny))
    assert refused(bob("s3").get_object, Bucket="gameday-clock", Key="c")[0] == "AccessDenied"
    assert refused(s3.get_object, Bucket="gameday-clock", Key="c")[0] == "AccessDenied"
    s3.delete_bucket_policy(Bucket="gameday-clock")
    s3.get_object(Bucket="gameday-clock", Key="c")


def test_managed_policies_and_groups_count(client, user, key):
    iam = client("iam")
    alice = user("alice")
    managed = iam.create_policy(PolicyName="describe", PolicyDocument=document(allow("kms:DescribeKey")))
    iam.attach_user_policy(UserName="alice", PolicyArn=managed["Policy"]["Arn"])
    alice("kms").describe_key(KeyId=key)
    iam.create_group(GroupName="g")
    iam.add_user_to_group(GroupName="g", UserName="alice")
    iam.put_group_policy(GroupName="g", PolicyName="p", PolicyDocument=document(allow("kms:ListAliases")))
    alice("kms").list_aliases()


def test_the_simulator(client, user, role, key):
    iam = client("iam")
    user("alice", allow("kms:DisableKey"), {"Effect": "Deny", "Action": "kms:EnableKey", "Resource": "*"})
    alice = "arn:aws:iam::123456789012:user/alice"
    found = iam.simulate_principal_policy(
        PolicySourceArn=alice,
        ActionNames=["kms:DisableKey", "kms:EnableKey", "kms:Encrypt"],
        ResourceArns=[key],
    )
    assert [(r["EvalActionName"], r["EvalDecision"]) for r in found["EvaluationResults"]] == [
        ("kms:DisableKey", "allowed"),
        ("kms:EnableKey", "explicitDeny"),
        ("kms:Encrypt", "implicitDeny"),
    ]
    role("voclabs")
    assert (
        refused(
            iam.simulate_principal_policy,
            PolicySourceArn="arn:aws:iam::123456789012:role/voclabs",
            ActionNames=["kms:Encrypt"],
            ResourcePolicy=document(ENABLE_IAM),
        )[0]
        == "InvalidInput"
    )
    assert (
        refused(
            iam.simulate_principal_policy,
            PolicySourceArn="arn:aws:iam::123456789012:role/none",
            ActionNames=["kms:Encrypt"],
        )[0]
        == "NoSuchEntity"
    )


def test_policies_can_be_switched_off(lab, user, key):
    lab.knobs(enforce_policies=False)
    user("alice")("kms").encrypt(KeyId=key, Plaintext=b"x")


def test_role_sessions_stand_in_the_trail(client, role, key):
    voclabs = role("voclabs", allow("kms:DescribeKey"), session="gameday-7f3a")
    voclabs("kms").describe_key(KeyId=key)
    (found,) = look(
        client,
        Username="gameday-7f3a",
    )
    identity = found["userIdentity"]
    assert identity["type"] == "AssumedRole"
    assert identity["sessionContext"]["sessionIssuer"]["arn"] == "arn:aws:iam::123456789012:role/voclabs"
