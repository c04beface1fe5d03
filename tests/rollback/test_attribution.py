"""An undo does only what gameday itself would have done, whatever the journal says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gameday.journal import Owner, RunRecord, StepRecord, StepState
from gameday.rollback.ours import disagreement
from gameday.sdk import AnyEvent, RunPrepared, Sealed, Step, StepFacts, TargetFacts, rebuild_step, seal

RUN = "aaaa1111"
ACCOUNT = "123456789012"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1"
INSTANCE = f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-0123456789abcdef0"
VOLUME = f"arn:aws:ec2:us-east-1:{ACCOUNT}:volume/vol-0123456789abcdef0"
TARGET = TargetFacts(kind="aws", account=ACCOUNT, region="us-east-1")
OLD, NEW = "vol-0123456789abcdef0", "vol-0123456789abcdef1"
BLOCK = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
OWN_GRANT = {"Grantee": {"Type": "CanonicalUser", "ID": "me"}, "Permission": "FULL_CONTROL"}
ROOT = {"instance": INSTANCE, "key": KEY}
TAGS = {
    "gameday:kept-by-run": RUN,
    "gameday:root-of": "i-0123456789abcdef0",
    "gameday:device": "/dev/xvda",
    "gameday:power": "running",
    "gameday:delete-on-termination": "true",
}
SCHEDULE = f"arn:aws:scheduler:us-east-1:{ACCOUNT}:schedule/default/"
SWITCH = {
    "about": KEY,
    "call": {"service": "kms", "action": "enableKey", "parameters": {"KeyId": KEY}, "permission": "kms:EnableKey"},
    "role": f"arn:aws:iam::{ACCOUNT}:role/switch",
    "after": 60.0,
}

DENY = {"principal": "role/victim", "key": KEY}
KEY_DENY = {"principals": ["role/victim"], "key": KEY}
OPEN_POLICY = {"bucket": "clocks", "keys": ["a.png"], "how": "policy"}
OPEN_ACL = {"bucket": "clocks", "keys": ["a.png"], "how": "acl"}

# uses, parameters, step, what the run captured (None: made from the name), and what a forger writes instead.
ROWS: list[tuple[str, dict[str, Any], str, dict[str, Any], list[dict[str, Any]]]] = [
    ("kms.disable_key", {"key": KEY}, "disable", {"state": "Enabled"}, [{"state": "Disabled"}, {}]),
    ("kms.schedule_deletion", {"key": KEY}, "schedule deletion", {"state": "Enabled"}, [{"state": "x"}, {}]),
    ("iam.deny", DENY, "deny", {}, [{"policy": "GuardRail"}, {"policy": f"gameday-deny-{RUN}-000000000000"}, {}]),
    ("kms.deny", KEY_DENY, "deny", {"policy": ""}, [{"sid": "CustomerDeny"}, {"sid": "GamedayDeny000000000000"}, {}]),
    ("s3.open_public_access", OPEN_POLICY, "bucket policy", {"policy": ""}, [{"sid": "TheirDeny"}, {}]),
    (
        *("s3.open_public_access", OPEN_POLICY, "public access block"),
        {"block": BLOCK},
        [{"block": {"BlockPublicAcls": False}}, {"block": {**BLOCK, "BlockPublicAcls": "yes"}}, {}],
    ),
    ("s3.open_public_access", OPEN_ACL, "ownership controls", {"ownership": ""}, [{"ownership": "Nobody"}, {}]),
    (
        *("s3.open_public_access", OPEN_ACL, "object acl"),
        {"version": "", "grants": [OWN_GRANT]},
        [{"version": "", "grants": [{"Grantee": {"URI": ALL_USERS}, "Permission": "READ"}]}, {"version": ""}, {}],
    ),
    (
        *("ec2.encrypt_root_volume", ROOT, "mark"),
        {"old": OLD, "tags": TAGS},
        [
            {"old": OLD, "tags": {"team": "payments"}},
            {"old": OLD, "tags": {**TAGS, "gameday:kept-by-run": "bbbb2222"}},
            {"old": "i-0123456789abcdef0", "tags": TAGS},
        ],
    ),
    ("ec2.encrypt_root_volume", ROOT, "stop", {"state": "running"}, [{"state": "terminated"}, {}]),
    ("ec2.encrypt_root_volume", ROOT, "start", {"state": "stopped"}, [{"state": "terminated"}, {}]),
    (
        *("ec2.encrypt_root_volume", ROOT, "detach"),
        {"old": OLD, "new": NEW, "device": "/dev/xvda", "delete": True},
        [{"old": "*", "new": NEW, "device": "/dev/xvda"}, {"old": OLD, "new": NEW, "device": "a b"}],
    ),
    ("ec2.encrypt_root_volume", ROOT, "attach", {"new": NEW, "device": "/dev/xvda"}, [{"new": "i-1", "device": "x"}]),
    (
        *("ec2.encrypt_root_volume", ROOT, "delete-on-termination"),
        {"new": NEW, "device": "/dev/xvda", "was": False, "wanted": True},
        [{"new": NEW, "device": None}],
    ),
    ("ec2.boot", {"instance": INSTANCE}, "power", {"state": "running"}, [{"state": "terminated"}, {}]),
    ("ebs.attach", {"volume": VOLUME, "instance": INSTANCE}, "attachment", {"state": "available"}, [{"state": "x"}]),
]
FORGED = [(*row[:4], before) for row in ROWS for before in row[4]]


def rebuilt(uses: str, params: dict[str, Any], step: str, before: dict[str, Any]) -> tuple[Step, StepState]:
    """A step, and its row; a name that only the run has is made by the step itself."""
    made = rebuild_step(uses, params, step)
    named = {"iam.deny": "_policy", "kms.deny": "_sid"}.get(uses, "_sid" if step == "bucket policy" else "")
    own = {"policy" if uses == "iam.deny" else "sid": getattr(made, named)(RUN)} if named else {}
    record = StepRecord(
        run=RUN,
        id=f"{uses}/{step}",
        uses=uses,
        params=params,
        step=step,
        resource=made.resource,
        rank=made.rank,
        chain=0,
        order=0,
        before={**before, **own},
    )
    return made, StepState(record=record, state="injected", intended_at="2026-01-01T00:00:00+00:00")


def run_of(target: TargetFacts = TARGET) -> RunRecord:
    at = "2026-01-01T00:00:00+00:00"
    return RunRecord(
        run=RUN, playbook="p", started_at=at, heartbeat_at=at, owner=Owner.this(), target=target, silence=99.0, age=99.0
    )


def chain(*records: StepRecord, target: TargetFacts = TARGET) -> list[Sealed]:
    steps = tuple(StepFacts(id=r.id, uses=r.uses, step=r.step, resource=r.resource) for r in records)
    events: list[AnyEvent] = [RunPrepared(target=target, probes=(), steps=steps, limits={})]
    return [seal(RUN, 0, "2026-01-01T00:00:00+00:00", "", events[0])]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}/{row[2]}")
def test_what_the_run_wrote_is_believed(row: Any) -> None:
    step, state = rebuilt(*row[:4])
    assert disagreement(state, step, run_of(), chain(state.record), ours=False) == ""


@pytest.mark.parametrize("row", FORGED, ids=lambda row: f"{row[0]}/{row[2]}/{row[4]}")
@pytest.mark.parametrize("ours", [False, True])
def test_what_somebody_else_wrote_is_refused_even_where_a_human_vouches(row: Any, ours: bool) -> None:
    step, state = rebuilt(*row[:4])
    forged = state.model_copy(update={"record": state.record.model_copy(update={"before": row[4]})})
    said = disagreement(forged, step, run_of(), chain(state.record), ours=ours)
    assert said.startswith(f"{row[0]} on {step.resource}: refused")
    assert f"gameday abandon {RUN}" in said


def test_only_the_runs_own_schedule_is_deleted() -> None:
    for name, theirs in ((f"gameday-{RUN}-1", False), ("nightly-backup", True), ("gameday-bbbb2222-1", True)):
        step, state = rebuilt("eventbridge.schedule", {**SWITCH, "schedule": SCHEDULE + name}, "schedule", {})
        assert bool(disagreement(state, step, run_of(), chain(state.record), ours=True)) is theirs, name


def other(**values: object) -> Callable[[StepState], StepState]:
    return lambda state: state.model_copy(update={"record": state.record.model_copy(update=values)})


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (other(run="bbbb2222"), "filed under another run"),
        (other(resource=KEY.replace("key/1", "key/2")), "its resource is"),
        (other(rank=1), "its rank is"),
    ],
)
def test_a_row_that_does_not_agree_with_its_parameters_is_refused(
    forge: Callable[[StepState], StepState], said: str
) -> None:
    step, state = rebuilt("kms.disable_key", {"key": KEY}, "disable", {"state": "Enabled"})
    assert said in disagreement(forge(state), step, run_of(), chain(state.record), ours=True)


def test_another_account_or_region_is_refused() -> None:
    for elsewhere in (
        TARGET.model_copy(update={"account": "0" * 12}),
        TARGET.model_copy(update={"region": "eu-west-1"}),
    ):
        step, state = rebuilt("kms.disable_key", {"key": KEY}, "disable", {"state": "Enabled"})
        said = disagreement(state, step, run_of(elsewhere), chain(state.record, target=elsewhere), ours=True)
        assert "and the run was in" in said


def test_what_the_sealed_events_do_not_confirm_takes_a_human_who_vouches_for_it() -> None:
    step, state = rebuilt("kms.disable_key", {"key": KEY}, "disable", {"state": "Enabled"})
    _, another = rebuilt("kms.disable_key", {"key": KEY.replace("key/1", "key/2")}, "disable", {"state": "Enabled"})
    whole = chain(state.record)
    altered = [whole[0].model_copy(update={"event": chain(another.record)[0].event})]
    for events, said in (
        ([], "no sealed event"),
        (chain(another.record), "was not prepared to change it"),
        (altered, "broken at event 0"),
        (chain(state.record, target=TARGET.model_copy(update={"endpoint": "http://evil"})), "another target"),
    ):
        assert said in disagreement(state, step, run_of(), events, ours=False)
        assert disagreement(state, step, run_of(), events, ours=True) == ""
