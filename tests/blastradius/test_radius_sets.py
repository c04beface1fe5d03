"""Who was refused against who was predicted, as sets; no AWS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from gameday.blastradius import Kind, Use, Window
from gameday.blastradius.observed import Away, Behind, fits, observe
from gameday.blastradius.prediction import Limits, Prediction, merged
from gameday.sdk import Dependent, Gap, Latent

OFF = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
ON = OFF + timedelta(minutes=5)
ROLE = "arn:aws:iam::123456789012:role/"
S3, EC2 = "s3.amazonaws.com", "ec2.amazonaws.com"
count = iter(range(10**9))


def use(principal: str, second: float, *, service: str = S3, resource: str = "", error: str = "", **more: str) -> Use:
    given_ = dict.fromkeys(("shared_event_id", "session", "instance", "user_agent", "source_ip"), "") | more
    return Use(
        event_id=str(next(count)),
        request_id=given_.pop("request_id", ""),
        time=OFF + timedelta(seconds=second),
        kind=Kind(given_.pop("kind", "use")),
        action="Decrypt",
        principal=ROLE + principal,
        service=service,
        resource=resource,
        error_code=error,
        error_message=given_.pop("error_message", ""),
        account="123456789012",
        region="us-east-1",
        **given_,
    )


def used(principal: str, service: str = S3, resource: str = "") -> Dependent:
    return Dependent(principal=ROLE + principal, service=service, resource=resource, why="used", uses=1)


def test_each_fate_by_an_example() -> None:
    predicted = [used("alice", resource="arn:aws:s3:::b/1"), used("bob"), used("carol")]
    found = observe(
        predicted,
        [
            use("alice", 3, error="DisabledException"),
            use("alice", 310, resource="arn:aws:s3:::b/1"),
            use("bob", 20),
            use("mallory", 4, error="KMSInvalidStateException"),
        ],
        Away(OFF, ON),
    )
    fates = {(one.principal.removeprefix(ROLE), one.fate) for one in found.seen}
    expected = {("alice", "as predicted"), ("bob", "spared"), ("carol", "silent"), ("mallory", "unexpected")}
    assert fates == expected
    (alice,) = [one for one in found.seen if one.fate == "as predicted"]
    assert (alice.effect, alice.recover) == (Gap(after=0, by=3), Gap(after=0, by=10))
    assert found.refused == 2 and found.counts["unexpected"] == 1


def test_a_success_before_the_first_refusal_is_propagation_and_spares_nobody() -> None:
    found = observe([used("bob")], [use("bob", 1), use("mallory", 3, error="DisabledException")], Away(OFF, ON))
    assert found.counts["spared"] == 0 and found.counts["silent"] == 1


def test_calls_of_gamedays_own_are_kept_apart_however_they_are_known() -> None:
    own = [
        use("runner", 2, error="DisabledException", kind="own"),
        use("runner", 2, error="DisabledException", request_id="probe"),
        use("runner", 2, error="DisabledException", service=EC2, request_id="start"),
    ]
    found = observe(
        [], own, Away(OFF), {"start": Behind("StartInstances", "i-01234567", own=True)}, frozenset({"probe"})
    )
    assert (found.own, found.refused, found.seen) == (3, 0, ())


def test_a_success_after_the_runs_own_first_refusal_is_spared() -> None:
    own = use("runner", 3, error="DisabledException", kind="own")
    found = observe([used("bob"), used("carol")], [use("carol", 1), own, use("bob", 5)], Away(OFF, ON))
    assert found.counts["spared"] == 1 and found.counts["silent"] == 1


def test_what_ebs_does_for_an_instance_that_gameday_started_is_its_own() -> None:
    infrastructure = used("aws:ec2-infrastructure", EC2, "vol-1")
    decrypt = use("aws:ec2-infrastructure", 9, service=EC2, resource="vol-1", instance="i-01234567")
    start = Behind("StartInstances", "i-01234567", own=True)
    assert observe([infrastructure], [decrypt], Away(OFF, ON), {"r": start}).counts["spared"] == 0
    assert observe([infrastructure], [decrypt], Away(OFF, ON)).counts["spared"] == 1


def test_who_the_run_is_may_be_refused_something_of_somebody_elses() -> None:
    run = Dependent(principal=ROLE + "runner", why="this run")
    error = "DisabledException"

    def fates(*uses: Use) -> list[str]:
        return [one.fate for one in observe([run], uses, Away(OFF, ON)).seen]

    assert fates(use("runner", 2, error=error)) == ["as predicted"]  # S3 for somebody: perhaps for a probe
    assert fates(use("runner", 2, error=error, service="direct")) == ["unexpected"]  # gameday's agent would be there
    mine = use("runner", 1, error=error, kind="own", session="gameday-7f3a")
    assert fates(mine, use("runner", 2, error=error, session="alice")) == ["unexpected"]
    assert fates(use("runner", 2, error=error, session="alice")) == ["as predicted"]  # the run may be alice's session


def test_a_refused_start_is_joined_to_its_instance_and_so_to_its_volume() -> None:
    volume = Dependent(service=EC2, resource="vol-0123", instance="i-01234567", why="protected")
    refused = [use("bob", 2, service=EC2, error="DisabledException", request_id="r")]
    found = observe([volume], refused, Away(OFF), {"r": Behind("StartInstances", "i-01234567")})
    assert [one.fate for one in found.seen] == ["as predicted"]
    assert found.seen[0].behind == ("StartInstances i-01234567",)
    assert observe([volume], refused, Away(OFF)).counts["unexpected"] == 1  # without the join nobody was predicted


def test_what_is_only_protected_predicts_nobody_by_itself() -> None:
    bucket = Dependent(service=S3, resource="arn:aws:s3:::b", why="protected")
    assert not fits(bucket, (ROLE + "x", S3, "", ""))
    assert fits(bucket, (ROLE + "x", S3, "arn:aws:s3:::b/key", ""))
    assert not fits(bucket, (ROLE + "x", S3, "arn:aws:s3:::bb/key", ""))


def test_an_object_is_meant_where_a_bucket_key_names_its_bucket() -> None:
    one = used("x", resource="arn:aws:s3:::b/key")
    assert fits(one, (ROLE + "x", S3, "arn:aws:s3:::b", ""))
    assert not fits(one, (ROLE + "x", S3, "arn:aws:s3:::b/other", ""))


def test_an_explicit_deny_is_a_refusal_only_where_that_is_the_fault() -> None:
    denied = use("bob", 2, error="AccessDenied", error_message="... with an explicit deny in a resource-based policy")
    assert observe([], [denied], Away(OFF)).refused == 0
    assert observe([], [denied], Away(OFF, denied=True)).refused == 1


names = st.sampled_from("abcd")
whos = st.tuples(names, st.sampled_from([S3, EC2, "direct"]), st.sampled_from(["", "r1", "r2"]))


@settings(max_examples=150, deadline=None)
@given(
    st.sets(whos, max_size=6),
    st.lists(st.tuples(whos, st.integers(0, 400), st.booleans(), st.booleans()), max_size=12),
)
def test_every_refusal_and_every_dependent_is_accounted_for_once(
    predicted: set[tuple[str, str, str]], calls: list[tuple[tuple[str, str, str], int, bool, bool]]
) -> None:
    dependents = [used(p, s, r) for p, s, r in predicted]
    uses = [
        use(p, second, service=s, resource=r, error="DisabledException" if bad else "", kind="own" if own else "use")
        for (p, s, r), second, bad, own in calls
    ]
    found = observe(dependents, uses, Away(OFF, ON))
    bad = [one for one in uses if one.error_code]
    assert found.refused + found.own == len(bad)
    assert found.own == sum(1 for one in bad if one.kind is Kind.OWN)
    groups = {(one.principal, one.service, one.resource) for one in bad if one.kind is Kind.USE}
    told = [one for one in found.seen if one.refused]
    assert {(one.principal, one.service, one.resource) for one in told} == groups and len(told) == len(groups)
    for one in told:
        by_hand = any(
            d.principal == one.principal
            and d.service == one.service
            and (not d.resource or not one.resource or d.resource == one.resource)
            for d in dependents
        )
        assert (one.fate == "as predicted") == by_hand
    rest = [one for one in found.seen if not one.refused]
    refused_dependents = [d for d in dependents if any(fits(d, (p, s, r, "")) for p, s, r in groups)]
    assert len(rest) == len(dependents) - len(refused_dependents)
    assert sum(found.counts.values()) == len(found.seen)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(whos, st.sampled_from(["used", "granted", "protected"])), max_size=10))
def test_merging_loses_nobody_and_counts_nobody_twice(found: list[tuple[tuple[str, str, str], str]]) -> None:
    given_ = [
        Dependent(principal="" if why == "protected" else ROLE + p, service=s, resource=r, why=why)  # type: ignore[arg-type]
        for (p, s, r), why in found
    ]
    kept = merged(given_)
    names_ = [(one.principal, one.service, one.resource) for one in kept]
    assert len(names_) == len(set(names_))
    assert {one.resource for one in kept} == {one.resource for one in given_}
    assert {one.principal for one in kept if one.why != "protected"} == {
        one.principal for one in given_ if one.why != "protected"
    }


def prediction(*dependents: Dependent, latent: tuple[Latent, ...] = (), unknown: tuple[str, ...] = ()) -> Prediction:
    return Prediction("key", Window(OFF, ON), dependents, latent, unknown)


def test_limits_refuse_each_for_its_own_reason_and_never_the_runner() -> None:
    runner = Dependent(principal=ROLE + "runner", why="this run")
    found = prediction(used("alice"), used("runner"), used("bob", EC2, "vol-1"), runner, unknown=("a page is missing",))
    assert Limits(unknown=True).refusals(found) == []
    assert Limits().refusals(found) == ["it is not known for certain: a page is missing"]
    assert Limits(roles=("alice", "role/bob"), unknown=True).refusals(found) == []
    assert Limits(roles=("alice",), unknown=True).refusals(found) == [
        f"{ROLE}bob may not depend on the key (allow_roles)"
    ]
    assert Limits(services=("s3",), unknown=True).refusals(found) == [
        f"{EC2} may not depend on the key (allow_services)"
    ]
    (why,) = Limits(at_most={"resources": 0, "principals": 3}, unknown=True).refusals(found)
    assert why == "1 resources depend on the key, and at most 0 may (at_most)"


def test_what_does_not_come_back_refuses_unless_it_is_named() -> None:
    arn = "arn:aws:rds:us-east-1:123456789012:db:reports"
    database = Latent(service="rds.amazonaws.com", resource=arn, when="later", unrecoverable=True, needs="a start")
    found = prediction(latent=(database,))
    assert "does not come back" in Limits().refusals(found)[0]
    for name in (arn, "reports", "rds"):
        assert Limits(unrecoverable=(name,)).refusals(found) == []
    assert Limits(unrecoverable=("other",)).refusals(found)
