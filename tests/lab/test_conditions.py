"""Every condition operator and variable of IAM's policy language, without a lab."""

import json

import pytest

from gameday.lab.call import Caller
from gameday.lab.policy import MalformedError, Request, judge

JANE = Caller("IAMUser", "arn:aws:iam::123456789012:user/jane", "123456789012", "AIDA", name="jane")


def allowed(condition, context, resource="*", asked="arn:aws:s3:::b/o", version="2012-10-17"):
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": resource, "Condition": condition}
    text = json.dumps({"Version": version, "Statement": statement})
    return judge(text, Request("s3:GetObject", asked, JANE, context), resource_policy=False).allowed


@pytest.mark.parametrize(
    ("operator", "want", "yes", "no"),
    [
        ("StringEquals", "Ab", "Ab", "ab"),
        ("StringNotEquals", ["a", "b"], "c", "b"),
        ("StringEqualsIgnoreCase", "Ab", "aB", "a"),
        ("StringNotEqualsIgnoreCase", "Ab", "x", "aB"),
        ("StringLike", "a*?", "abc", "a"),
        ("StringNotLike", ["a*", "b*"], "cd", "bd"),
        ("ArnEquals", "arn:aws:sns:*:123456789012:t", "arn:aws:sns:eu:123456789012:t", "arn:aws:sns:eu:1:2:t"),
        ("ArnLike", "arn:aws:s3:::b/*", "arn:aws:s3:::b/c:d", "arn:aws:sqs:::b/c"),
        ("ArnNotLike", "arn:aws:s3:::b/*", "arn:aws:s3:::c/d", "arn:aws:s3:::b/d"),
        ("ArnNotEquals", "arn:aws:s3:::b", "arn:aws:s3:::c", "arn:aws:s3:::b"),
        ("Bool", "true", "True", "false"),
        ("Bool", False, "false", "true"),
        ("BinaryEquals", "QmluYXJ5", "QmluYXJ5", "QmluYQ=="),
        ("NumericEquals", 10, "10.0", "11"),
        ("NumericNotEquals", "10", "9", "10"),
        ("NumericLessThan", "10", "9", "10"),
        ("NumericLessThanEquals", "10", "10", "11"),
        ("NumericGreaterThan", "10", "11", "10"),
        ("NumericGreaterThanEquals", "10", "10", "9"),
        ("DateEquals", "2026-01-02T00:00:00Z", "1767312000", "1767312001"),
        ("DateNotEquals", "2026-01-02", "2026-01-03", "2026-01-02"),
        ("DateLessThan", "2026-01-02T00:00:00+02:00", "2026-01-01T21:59:59Z", "2026-01-01T22:00:00Z"),
        ("DateLessThanEquals", "2026", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"),
        ("DateGreaterThan", "2026-01-02", "2026-01-02T00:00:01Z", "2026-01-02T00:00:00Z"),
        ("DateGreaterThanEquals", "1767312000", "2026-01-02", "2026-01-01"),
        ("IpAddress", ["10.0.0.0/8", "2001:db8::/32"], "2001:db8::1", "11.0.0.1"),
        ("NotIpAddress", ["10.0.0.0/8", "127.0.0.1"], "192.0.2.1", "127.0.0.1"),
        ("ForAllValues:StringEquals", ["a", "b"], "a\nb", "a\nc"),
        ("ForAllValues:StringNotEquals", ["a", "b"], "c\nd", "c\na"),
        ("ForAnyValue:StringLike", ["a*"], "x\nab", "x\ny"),
        ("ForAnyValue:StringNotEquals", ["a"], "a\nb", "a\na"),
        ("stringequals", "a", "a", "b"),
    ],
)
def test_operators(operator, want, yes, no):
    assert allowed({operator: {"aws:Key": want}}, {"AWS:key": yes})
    assert not allowed({operator: {"aws:Key": want}}, {"AWS:key": no})


@pytest.mark.parametrize(
    ("operator", "holds"),
    [
        ("StringEquals", False),
        ("StringNotEquals", True),
        ("ArnNotLike", True),
        ("NotIpAddress", True),
        ("Bool", False),
        ("StringEqualsIfExists", True),
        ("ForAllValues:StringEquals", True),
        ("ForAnyValue:StringNotEquals", False),
        ("ForAnyValue:StringLikeIfExists", True),
    ],
)
def test_a_key_that_the_request_has_not(operator, holds):
    value = {"Bool": "true", "NotIpAddress": "10.0.0.0/8"}.get(operator, "x")
    assert allowed({operator: {"aws:Key": value}}, {}) == holds


def test_null():
    assert allowed({"Null": {"k": "true"}}, {}) and not allowed({"Null": {"k": True}}, {"k": "x"})
    assert allowed({"Null": {"k": "false"}}, {"k": "x"}) and not allowed({"Null": {"k": "false"}}, {})


def test_variables():
    context = {"aws:username": "jane", "aws:PrincipalTag/team": "*"}
    home = "arn:aws:s3:::b/${aws:UserName}/*"
    assert allowed({}, context, home, "arn:aws:s3:::b/jane/x") and not allowed(
        {}, context, home, "arn:aws:s3:::b/joe/x"
    )
    assert not allowed({}, context, home, "arn:aws:s3:::b/jane/x", version="2008-10-17")
    assert allowed({}, {}, "arn:aws:s3:::b/${aws:username, 'any'}", "arn:aws:s3:::b/any")
    assert not allowed({}, {}, "arn:aws:s3:::b/${aws:username}*", "arn:aws:s3:::b/")
    tag = {"StringLike": {"s3:prefix": "${aws:PrincipalTag/team}/x"}}
    assert allowed(tag, context | {"s3:prefix": "*/x"}) and not allowed(tag, context | {"s3:prefix": "ops/x"})
    star = {"StringLike": {"s3:prefix": "a${*}b"}}
    assert allowed(star, {"s3:prefix": "a*b"}) and not allowed(star, {"s3:prefix": "axb"})
    assert allowed({"StringEquals": {"s3:prefix": "${$}{a}"}}, {"s3:prefix": "${a}"})


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("StringEqual", "a"),
        ("ForSomeValues:StringEquals", "a"),
        ("NumericEquals", "ten"),
        ("IpAddress", "10.0.0"),
        ("DateLessThan", "tomorrow"),
        ("Bool", "yes"),
        ("NullIfExists", "true"),
    ],
)
def test_what_iam_does_not_know_is_refused(operator, value):
    with pytest.raises(MalformedError):
        allowed({operator: {"k": value}}, {"k": "a"})
