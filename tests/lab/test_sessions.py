"""Who may become whom, and what a session may: trust policies, tags, session policies, boundaries, tokens."""

import json

import pytest

from .conftest import refused

ACCOUNT = "123456789012"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def say(action, effect="Allow", resource="*", **condition):
    return {"Effect": effect, "Action": action, "Resource": resource} | ({"Condition": condition} if condition else {})


@pytest.fixture
def user(client):
    def make(name, *statements, **more):
        client("iam").create_user(UserName=name, **more)
        client("iam").put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document(*statements))
        key = client("iam").create_access_key(UserName=name)["AccessKey"]
        return lambda service: client(service, key=key["AccessKeyId"], secret=key["SecretAccessKey"])

    return make


@pytest.fixture
def role(client):
    def make(name, *statements, actions="sts:AssumeRole", **condition):
        trust = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": actions, "Condition": condition}
        made = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]
        if statements:
            client("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(*statements))
        return made["Arn"]

    return make


def acting(client, given):
    made = given["Credentials"]
    whose = {"key": made["AccessKeyId"], "secret": made["SecretAccessKey"], "token": made["SessionToken"]}
    return lambda service: client(service, **whose)


def test_the_callers_own_policies_count(user, role):
    arn = role("ops")
    silent, denied = user("silent", say("s3:*")), user("no", say("sts:*"), say("sts:AssumeRole", "Deny", arn))
    for who in (silent, denied):
        assert refused(who("sts").assume_role, RoleArn=arn, RoleSessionName="jane")[::2] == ("AccessDenied", 403)
    user("yes", say("sts:AssumeRole", resource=arn))("sts").assume_role(RoleArn=arn, RoleSessionName="jane")


def test_conditions_of_a_trust_policy(user, role):
    arn = role("ops", StringLike={"sts:RoleSessionName": "jane*", "aws:PrincipalArn": "arn:aws:iam::*:user/j*"})
    sts = user("jane", say("sts:AssumeRole"))("sts")
    sts.assume_role(RoleArn=arn, RoleSessionName="jane1")
    assert refused(sts.assume_role, RoleArn=arn, RoleSessionName="joe")[0] == "AccessDenied"


def test_session_tags(client, user, role):
    both = ["sts:AssumeRole", "sts:TagSession"]
    team = say("s3:ListAllMyBuckets", StringEquals={"aws:PrincipalTag/team": "ops"})
    untagged, arn = role("untagged"), role("tagged", team, actions=both)
    sts, given = user("jane", say(both))("sts"), {"RoleSessionName": "jane", "Tags": [{"Key": "team", "Value": "ops"}]}
    assert refused(sts.assume_role, RoleArn=untagged, **given)[1].count("sts:TagSession")
    acting(client, sts.assume_role(RoleArn=arn, **given))("s3").list_buckets()
    plain = acting(client, sts.assume_role(RoleArn=arn, RoleSessionName="jane"))
    assert refused(plain("s3").list_buckets)[0] == "AccessDenied"


def test_a_session_needs_its_own_token(client, role):
    made = client("sts").assume_role(RoleArn=role("all", say("*")), RoleSessionName="jane")["Credentials"]
    whose = {"key": made["AccessKeyId"], "secret": made["SecretAccessKey"]}
    assert refused(client("sts", **whose).get_caller_identity)[0] == "InvalidClientTokenId"
    assert refused(client("s3", token="other", **whose).list_buckets)[0] == "InvalidToken"


def test_session_policies_narrow(client, role):
    arn = role("all", say("*"))
    narrow = client("sts").assume_role(RoleArn=arn, RoleSessionName="jane", Policy=document(say("s3:*")))
    acting(client, narrow)("s3").list_buckets()
    assert refused(acting(client, narrow)("kms").list_keys)[0] == "AccessDeniedException"
    told = refused(client("sts").assume_role, RoleArn=arn, RoleSessionName="jane", Policy='{"Statement": 1}')
    assert told[0] == "MalformedPolicyDocument"


def test_tokens_of_users(client, user):
    jane = user("jane", say("*"))
    session = acting(client, jane("sts").get_session_token())
    assert session("sts").get_caller_identity()["Arn"].endswith(":user/jane")
    session("s3").list_buckets()
    assert refused(session("sts").get_session_token)[0] == "AccessDenied"
    given = jane("sts").get_federation_token(Name="fed", Policy=document(say("s3:*")))
    fed = acting(client, given)
    assert fed("sts").get_caller_identity()["Arn"] == f"arn:aws:sts::{ACCOUNT}:federated-user/fed"
    fed("s3").list_buckets()
    assert refused(fed("kms").list_keys)[0] == "AccessDeniedException"
    assert (
        refused(acting(client, jane("sts").get_federation_token(Name="none"))("s3").list_buckets)[0] == "AccessDenied"
    )


def test_boundaries(client, user):
    iam = client("iam")
    arn = iam.create_policy(PolicyName="only-s3", PolicyDocument=document(say("s3:*")))["Policy"]["Arn"]
    jane = user("jane", say("*"), PermissionsBoundary=arn)
    jane("s3").list_buckets()
    assert refused(jane("kms").list_keys)[0] == "AccessDeniedException"
    iam.delete_user_permissions_boundary(UserName="jane")
    jane("kms").list_keys()
    iam.put_user_permissions_boundary(UserName="jane", PermissionsBoundary=arn)
    assert refused(jane("kms").list_keys)[0] == "AccessDeniedException"


def test_what_is_malformed_is_refused_before_it_is_stored(client, user):
    iam = client("iam")
    nobody = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/nobody"},
        "Action": "sts:AssumeRole",
    }
    for trust in ("{", "[]", '{"Statement": []}', document(nobody), document(nobody | {"Resource": "*"})):
        told = refused(iam.create_role, RoleName="r", AssumeRolePolicyDocument=trust)
        assert told[::2] == ("MalformedPolicyDocument", 400)
    user("jane", say("*"))
    bad = document(say("kms:*", "Deny", StringEqual={"aws:username": "jane"}))
    assert refused(iam.put_user_policy, UserName="jane", PolicyName="q", PolicyDocument=bad)[0].startswith("Malformed")
    told = refused(client("sts").assume_role, RoleArn="arn:aws:iam::12:role/nonsense", RoleSessionName="jane")
    assert told[::2] == ("ValidationError", 400)
