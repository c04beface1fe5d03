"""The definition in SQL says what plain Python says, whatever the records look like."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from gameday.blastradius import Answer, Embedded, KeyName, Kind, Question, Row, Window
from tests.blastradius import oracle
from tests.blastradius.shapes import ACCOUNT, ARN, ID, OTHER, OTHER_ARN, QUESTION, RECORDS, REGION, Given, made

EXAMPLES = int(os.environ.get("GAMEDAY_RADIUS_EXAMPLES", "20"))


def ask(*records: dict[str, Any], question: Question = QUESTION) -> Answer:
    return Embedded(Given(*records)).ask(question)


def only_row(*records: dict[str, Any]) -> Row:
    (row,) = ask(*records).rows
    return row


def sums_of(answer: Answer) -> oracle.Sums:
    return {
        (kind, row.principal, row.service, row.resource): (
            row.uses,
            row.errors,
            row.refused,
            row.first_used,
            row.last_used,
        )
        for kind, rows in (("use", answer.rows), ("own", answer.own), ("management", answer.management))
        for row in rows
    }


def unlike(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of records that claim to be one delivery, the first: which of two different ones is told is nobody's promise."""
    seen: dict[str, dict[str, Any]] = {}
    for number, record in enumerate(records):
        seen.setdefault(record.get("sharedEventID") or record.get("eventID") or str(number), record)
    return list(seen.values())


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(some.lists(RECORDS, min_size=10, max_size=40))
def test_the_answer_is_the_oracles(records: list[dict[str, Any]]) -> None:
    given_ = [oracle_safe(record) for record in unlike(records)]
    twice = [*given_, *given_]  # each delivered twice
    assert sums_of(ask(*twice)) == {
        (kind, clean(who), clean(via), clean(what)): told
        for (kind, who, via, what), told in oracle.sums(given_, QUESTION).items()
    }


def clean(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def oracle_safe(value: Any) -> Any:
    """What no database keeps is replaced before, so that two texts that become one are one in both."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(name): oracle_safe(each) for name, each in value.items()}
    return [oracle_safe(each) for each in value] if isinstance(value, list) else value


def test_a_services_decrypt_names_its_key_in_resources_only() -> None:
    assert only_row(made()).resource == "arn:aws:s3:::data"


def test_a_denied_forwarded_call_names_its_key_in_the_message_only() -> None:
    said = f"User: x is not authorized to perform: kms:Decrypt on resource: {ARN} because no policy allows it"
    row = only_row(made(requestParameters=None, resources=..., errorCode="AccessDenied", errorMessage=said))
    assert (row.errors, row.refused, row.resource) == (1, 0, "")


def test_a_longer_key_id_is_another_key() -> None:
    assert not ask(made(resources=[{"ARN": f"{ARN}0"}])).rows
    assert not ask(made(resources=..., errorMessage=f"{ARN}0 is disabled.")).rows


@pytest.mark.parametrize("name", [ARN, ID, "alias/MyKMSKey", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/MyKMSKey"])
def test_a_key_is_known_by_each_of_its_names(name: str) -> None:
    assert only_row(made(resources=..., requestParameters={"keyId": name})).uses == 1


@pytest.mark.parametrize("name", [ID, "alias/MyKMSKey"])
@pytest.mark.parametrize("elsewhere", [{"awsRegion": "us-east-1"}, {"recipientAccountId": OTHER}])
def test_a_bare_name_means_the_key_of_the_records_own_account_and_region(name: str, elsewhere: Any) -> None:
    assert not ask(made(resources=..., requestParameters={"keyId": name}, **elsewhere)).rows


def test_an_alias_that_stood_for_another_key_then_is_not_this_one() -> None:
    assert not ask(made(resources=[{"ARN": OTHER_ARN}], requestParameters={"keyId": "alias/MyKMSKey"})).rows


def test_a_key_given_by_its_id_alone_is_found_in_every_account() -> None:
    question = Question(KeyName.parse(ID), QUESTION.window)
    assert ask(made(), question=question).totals.uses == 1
    assert not ask(made(resources=[{"ARN": OTHER_ARN}]), question=question).rows


def test_the_principal_is_the_role_and_never_the_session() -> None:
    other = made(eventID="2")
    other["userIdentity"] = other["userIdentity"] | {"arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/app/build-8"}
    row = only_row(made(), other)
    assert (row.principal, row.uses, row.sessions) == (f"arn:aws:iam::{ACCOUNT}:role/team/app", 2, 2)


def test_an_old_record_without_an_issuer_still_names_its_role() -> None:
    row = only_row(made(userIdentity={"arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/app/build-7"}))
    assert row.principal == f"arn:aws:iam::{ACCOUNT}:role/app"


@pytest.mark.parametrize("member", ["requestParameters", "userIdentity", "resources"])
def test_a_truncated_record_is_read_all_the_same(member: str) -> None:
    """AWS replaces the members of one that is too large by a sentence, or leaves them out."""
    named = {} if member == "requestParameters" else {"requestParameters": {"keyId": ARN}}
    assert ask(made(**named, **{member: "has been truncated"})).totals.uses == 1


def test_ec2s_infrastructure_is_told_by_its_instance() -> None:
    about = f"arn:aws:sts::{ACCOUNT}:assumed-role/aws:ec2-infrastructure/i-0123456789abcdef0"
    question = Question(QUESTION.key, QUESTION.window, detail=True)
    answer = ask(made(userIdentity={"arn": about}, requestParameters={}), question=question)
    assert answer.uses[0].instance == answer.rows[0].resource == "i-0123456789abcdef0"
    issued = {"inScopeOf": {"credentialsIssuedTo": f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0aaaaaaaaaaaaaaaa"}}
    assert only_row(made(userIdentity=issued, requestParameters={})).resource == "i-0aaaaaaaaaaaaaaaa"


@pytest.mark.parametrize(
    "context", ["aws:s3:arn", "aws:ebs:id", "PARAMETER_ARN", "SecretARN", "aws:lambda:FunctionArn", "aws:rds:db-id",
                "aws:rds:dbc-id", "aws:dynamodb:tableName", "aws:logs:arn", "aws:sqs:arn", "aws:sns:topicArn"]
)  # fmt: skip
def test_the_encryption_context_names_the_resource(context: str) -> None:
    assert only_row(made(requestParameters={"encryptionContext": {"a": "b", context: "it"}})).resource == "it"


def test_what_is_unknown_is_kept_under_its_own_name() -> None:
    assert only_row(made(requestParameters={"encryptionContext": {"b": "2", "a": "1"}})).resource == "a=1,b=2"


def test_re_encryption_is_about_the_context_of_this_key() -> None:
    contexts = {"sourceEncryptionContext": {"SecretARN": "from"}, "destinationEncryptionContext": {"SecretARN": "to"}}
    both = [{"ARN": ARN}, {"ARN": OTHER_ARN}]
    into = made(eventName="ReEncrypt", resources=both, requestParameters={"destinationKeyId": ID, **contexts})
    out = made(eventName="ReEncrypt", resources=both, requestParameters={"destinationKeyId": OTHER_ARN, **contexts})
    assert (only_row(into).resource, only_row(out).resource) == ("to", "from")


@pytest.mark.parametrize("kind", ["encryptionContextSubset", "encryptionContextEquals"])
def test_a_grant_is_about_what_its_constraints_name(kind: str) -> None:
    limits = {"constraints": {kind: {"aws:ebs:id": "vol-1"}}, "keyId": ARN}
    assert only_row(made(eventName="CreateGrant", requestParameters=limits)).resource == "vol-1"


def test_a_record_delivered_twice_counts_once() -> None:
    answer = ask(made(), made(), made())
    assert (answer.totals.uses, answer.coverage.repeated) == (1, 2)


def test_one_call_in_two_accounts_logs_counts_once_and_keeps_its_caller() -> None:
    owners = made(eventID="1", sharedEventID="s", userIdentity={"type": "AWSAccount", "principalId": "AROAX:x"})
    callers = made(eventID="2", sharedEventID="s", recipientAccountId=OTHER)
    row = only_row(owners, callers)
    assert (row.uses, row.principal) == (1, f"arn:aws:iam::{ACCOUNT}:role/team/app")


def test_records_without_any_id_are_told_apart_by_what_they_say() -> None:
    one, other = made(eventID=...), made(eventID=..., eventTime="2026-11-23T10:07:42Z")
    assert only_row(one, one, other).uses == 2


def test_gamedays_own_calls_are_kept_apart() -> None:
    by_agent = made(userAgent="Boto3/1.43 gameday/7f3a", eventID="1")
    by_role = made(eventID="2", userIdentity={"arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/app/gameday-7f3a"})
    somebody = made(userAgent="notgameday/7f3a", eventID="3")
    answer = ask(by_agent, by_role, somebody)
    assert (answer.totals.uses, answer.totals.own) == (1, 2)


def test_calls_that_a_disabled_key_does_not_refuse_are_kept_apart() -> None:
    answer = ask(made(), made(eventName="DescribeKey", eventID="2"), made(eventName="RetireGrant", eventID="3"))
    assert (answer.totals.uses, answer.totals.management) == (1, 2)


@pytest.mark.parametrize("code", ["DisabledException", "KMS.DisabledException", "KMSInvalidStateException"])
def test_a_refusal_is_known_by_its_code(code: str) -> None:
    row = only_row(made(errorCode=code, errorMessage=f"{ARN} is disabled."))
    assert (row.refused, row.first_refused, row.last_succeeded) == (
        1,
        datetime(2026, 11, 23, 10, 7, 41, tzinfo=UTC),
        None,
    )


def test_the_window_ends_before_its_end() -> None:
    edges = Window(datetime(2026, 11, 23, 10, 7, 41, tzinfo=UTC), datetime(2026, 11, 23, 10, 7, 42, tzinfo=UTC))
    before = made(eventTime="2026-11-23T10:07:40Z", eventID="1")
    after = made(eventTime="2026-11-23T10:07:42Z", eventID="2")
    assert ask(before, made(), after, question=Question(QUESTION.key, edges)).totals.uses == 1


def test_a_record_without_a_time_is_counted_and_in_no_window() -> None:
    wrong = ("yesterday", ..., "2026-11-23T99:99:99Z", "2026-11-31T00:00:00Z", "2026-11-23")
    answer = ask(made(), *(made(eventTime=time, eventID=str(number)) for number, time in enumerate(wrong)))
    assert (answer.totals.uses, answer.coverage.undated) == (1, len(wrong))


def test_an_old_record_of_an_internal_service_is_told_by_its_context() -> None:
    inside = "internal.amazonaws.com"
    record = made(sourceIPAddress=inside, userAgent=inside)
    record["userIdentity"] = record["userIdentity"] | {"invokedBy": inside}
    assert only_row(record).service == "s3.amazonaws.com"
    by_hand = made(userIdentity={}, userAgent="aws-cli", sourceIPAddress="10.0.0.1", requestParameters={})
    assert only_row(by_hand).service == "direct"


def test_another_service_that_names_the_key_has_not_used_it() -> None:
    assert not ask(made(eventSource="s3.amazonaws.com")).rows


def test_each_use_is_given_when_asked_for() -> None:
    question = Question(QUESTION.key, QUESTION.window, detail=True)
    answer = ask(made(eventID="2"), made(eventID="1", eventTime="2026-11-22T00:00:00Z"), question=question)
    assert [use.event_id for use in answer.uses] == ["1", "2"]
    first = answer.uses[0]
    assert (first.kind, first.session, first.service) == (Kind.USE, "build-7", "s3.amazonaws.com")


def test_a_dry_run_is_neither_a_use_nor_a_failure() -> None:
    answer = ask(made(), made(eventID="2", errorCode="DryRunOperationException"))
    assert (answer.totals.uses, answer.totals.errors, answer.totals.dry_runs) == (1, 0, 1)


def test_an_addendum_is_the_same_call() -> None:
    late = made(eventID="2", addendum={"reason": "UPDATED_DATA", "originalEventID": made()["eventID"]})
    answer = ask(made(), late)
    assert (answer.totals.uses, answer.coverage.repeated) == (1, 1)


def test_a_network_activity_event_is_the_same_call_where_there_is_another() -> None:
    twin = made(eventID="2", eventCategory="NetworkActivity", eventType="AwsVpceEvent")
    alone = made(eventID="3", eventCategory="NetworkActivity", requestID="other", errorCode="VpceAccessDenied")
    answer = ask(made(), twin, alone)
    assert (answer.totals.uses, answer.totals.errors) == (2, 1)


def test_what_differs_with_each_message_is_no_resource() -> None:
    contexts = [{"aws-crypto-public-key": f"A{number}+/==", "table": "orders"} for number in range(3)]
    records = [made(eventID=str(n), requestParameters={"encryptionContext": each}) for n, each in enumerate(contexts)]
    assert [row.resource for row in ask(*records).rows] == ["table=orders"]


ECR = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/web"


@pytest.mark.parametrize(
    ("changes", "service", "resource"),
    [
        ({"requestParameters": {"encryptionContext": {"aws:ecr:arn": ECR}}}, "ecr.amazonaws.com", ECR),
        ({"requestParameters": {"encryptionContext": {"aws:new:thing": "x"}}}, "new.amazonaws.com", "aws:new:thing=x"),
        ({"requestParameters": {"granteePrincipal": "rds.amazonaws.com"}}, "rds.amazonaws.com", ""),
        ({"requestParameters": {"encryptionContext": {"team": "x"}}}, "AWS Internal", "team=x"),
    ],
)
def test_a_service_that_is_not_named_is_told_by_what_it_left(
    changes: dict[str, object], service: str, resource: str
) -> None:
    identity = made()["userIdentity"] | {"invokedBy": "AWS Internal"}
    agent = {"userAgent": "console.amazonaws.com"} if service.startswith("ecr") else {"userAgent": "AWS Internal"}
    (row,) = ask(made(userIdentity=identity, sourceIPAddress="AWS Internal", **agent, **changes)).rows
    assert (row.service, row.resource) == (service, resource)


def test_a_caller_of_another_account_is_told_with_it() -> None:
    identity = {"type": "AWSAccount", "principalId": "AROAX:job", "accountId": OTHER}
    assert ask(made(userIdentity=identity)).rows[0].principal == f"{OTHER}:AROAX"


def test_two_functions_of_one_role_are_told_apart() -> None:
    names = [f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}" for name in ("one", "two")]
    identities = [made()["userIdentity"] | {"inScopeOf": {"credentialsIssuedTo": name}} for name in names]
    calls = [made(eventID=str(n), userIdentity=each, requestParameters={}) for n, each in enumerate(identities)]
    assert sorted(row.resource for row in ask(*calls).rows) == names
    calls = [made(eventID=str(n), userIdentity=each) for n, each in enumerate(identities)]
    assert [row.issued_to for row in ask(*calls).rows] == [tuple(names)]


def test_a_key_of_the_same_id_elsewhere_is_no_answer() -> None:
    asked = Question(KeyName.parse(ARN.replace(ACCOUNT, OTHER)), QUESTION.window)
    coverage = Embedded(Given(made())).ask(asked).coverage
    assert (coverage.complete, ARN in coverage.gaps[0]) == (False, True)
