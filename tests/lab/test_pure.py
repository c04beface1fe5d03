"""The lab's pure parts: the agenda, the knobs, policies, and S3's names."""

from __future__ import annotations

import json

import pytest

from gameday.errors import LabError
from gameday.lab.call import Caller
from gameday.lab.clock import Agenda
from gameday.lab.knobs import PRESETS, Knobs, preset
from gameday.lab.policy import MalformedError, Request, is_public, judge, parse
from gameday.lab.s3names import s3_action, s3_operation

ALICE = Caller("IAMUser", "arn:aws:iam::1:user/alice", "1", "AIDA", name="alice")


def test_the_agenda_does_what_is_due_in_order_and_chains():
    agenda, done = Agenda(), []

    def first():
        done.append("first")
        agenda.after(5, lambda: done.append("chained"))

    agenda.after(10, lambda: done.append("second"))
    agenda.after(1, first)
    agenda.drain()
    assert done == []
    agenda.advance(20)
    assert done == ["first", "chained", "second"]


def test_advancing_adds_up():
    agenda = Agenda()
    began = agenda.now()
    agenda.after(3, lambda: None)
    agenda.advance(10)
    assert 10 <= agenda.now() - began < 11


def test_presets_are_fresh_and_complete():
    assert preset("brisk") is not preset("brisk")
    assert {preset(name).enforce_key for name in PRESETS} == {True}
    with pytest.raises(LabError, match="no preset 'quick'; it has: instant, brisk, aws"):
        preset("quick")


def test_knobs_change_all_or_nothing():
    knobs = Knobs()
    with pytest.raises(LabError):
        knobs.change({"boot_seconds": 3, "nonsense": 1})
    assert knobs.boot_seconds == 0
    knobs.change({"boot_seconds": "3", "enforce_key": "false"})
    assert (knobs.boot_seconds, knobs.enforce_key) == (3.0, False)


def says(statement, action="kms:Decrypt", resource="arn:k", **context):
    text = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", **statement}]})
    said = judge(text, Request(action, resource, ALICE, context), resource_policy="Principal" in statement)
    return "deny" if said.denied else "allow" if said.allowed else "account" if said.delegated else "nothing"


@pytest.mark.parametrize(
    "statement, context, expected",
    [
        ({"Action": "kms:*"}, {}, "allow"),
        ({"Action": "KMS:decrypt"}, {}, "allow"),
        ({"Action": "kms:De?rypt"}, {}, "allow"),
        ({"Action": "kms:Encrypt"}, {}, "nothing"),
        ({"NotAction": "kms:Encrypt"}, {}, "allow"),
        ({"Action": "*", "Effect": "Deny"}, {}, "deny"),
        ({"Action": "*", "Resource": "arn:other"}, {}, "nothing"),
        ({"Action": "*", "Principal": "*"}, {}, "allow"),
        ({"Action": "*", "Principal": {"AWS": "1"}}, {}, "account"),
        ({"Action": "*", "Principal": {"AWS": "arn:aws:iam::1:user/alice"}}, {}, "allow"),
        ({"Action": "*", "Principal": {"AWS": "arn:aws:iam::2:root"}}, {}, "nothing"),
        ({"Action": "*", "Principal": {"Service": "ec2.amazonaws.com"}}, {}, "nothing"),
        ({"Action": "*", "Condition": {"StringEquals": {"a": ["x", "y"]}}}, {"a": "y"}, "allow"),
        ({"Action": "*", "Condition": {"StringEquals": {"a": "x"}}}, {}, "nothing"),
        ({"Action": "*", "Condition": {"StringEqualsIfExists": {"a": "x"}}}, {}, "allow"),
        ({"Action": "*", "Condition": {"StringNotEquals": {"a": ["x", "y"]}}}, {"a": "y"}, "nothing"),
        ({"Action": "*", "Condition": {"StringNotEquals": {"a": "x"}}}, {}, "allow"),
        ({"Action": "*", "Condition": {"StringLike": {"A": "x*"}}}, {"a": "xyz"}, "allow"),
        ({"Action": "*", "Condition": {"Bool": {"a": True}}}, {"a": "true"}, "allow"),
        ({"Action": "*", "Condition": {"Null": {"a": True}}}, {}, "allow"),
        ({"Action": "*", "Condition": {"NumericLessThan": {"a": "7"}}}, {"a": "3"}, "allow"),
        ({"Action": "*", "Condition": {"IpAddress": {"a": "10.0.0.0/8"}}}, {"a": "10.1.2.3"}, "allow"),
        ({"Action": "*", "Condition": {"IpAddress": {"a": "10.0.0.0/8"}}}, {"a": "11.1.2.3"}, "nothing"),
    ],
)
def test_policies(statement, context, expected):
    assert says(statement, **context) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"Statement": 3}',
        '{"Statement": [{"Effect": "Allow"}]}',
        '{"Version": "2013", "Statement": []}',
        '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Equals": {"a": "b"}}}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Why": "x"}]}',
    ],
)
def test_malformed_policies(text):
    with pytest.raises(MalformedError):
        parse(text, resource_policy=False)


def test_what_counts_as_public():
    def policy(principal, **more):
        one = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Principal": principal, **more}
        return json.dumps({"Statement": [one]})

    assert is_public(policy("*"))
    assert is_public(policy({"AWS": ["*"]}))
    assert not is_public(policy({"AWS": "arn:aws:iam::1:root"}))
    assert not is_public(policy("*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))
    assert is_public(policy("*", Condition={"StringLike": {"aws:Referer": "x"}}))


@pytest.mark.parametrize(
    "method, key, query, header, expected",
    [
        ("GET", "", {}, "", "ListObjects"),
        ("GET", "", {"list-type": "2"}, "", "ListObjectsV2"),
        ("PUT", "", {}, "", "CreateBucket"),
        ("PUT", "", {"policy": ""}, "", "PutBucketPolicy"),
        ("DELETE", "", {"publicAccessBlock": ""}, "", "DeletePublicAccessBlock"),
        ("GET", "k", {}, "", "GetObject"),
        ("HEAD", "k", {}, "", "HeadObject"),
        ("PUT", "k", {}, "/b/k", "CopyObject"),
        ("PUT", "k", {"uploadId": "1", "partNumber": "1"}, "", "UploadPart"),
        ("POST", "k", {"uploads": ""}, "", "CreateMultipartUpload"),
        ("POST", "k", {"uploadId": "1"}, "", "CompleteMultipartUpload"),
        ("PUT", "k", {"acl": ""}, "", "PutObjectAcl"),
        ("POST", "", {"delete": ""}, "", "DeleteObjects"),
    ],
)
def test_s3_operations(method, key, query, header, expected):
    assert s3_operation(method, "b", key, query, lambda _: header) == expected


def test_s3_actions():
    assert s3_action("HeadObject") == "s3:GetObject"
    assert s3_action("GetObject", versioned=True) == "s3:GetObjectVersion"
    assert s3_action("PutBucketEncryption") == "s3:PutEncryptionConfiguration"
