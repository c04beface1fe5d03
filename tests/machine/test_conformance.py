"""What the simulation stands on is held to the real thing: its journal to the SQL one, its KMS to the lab's."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from gameday.errors import GamedayError
from gameday.journal import Owner, StepRecord
from gameday.journal.sql import SqlJournal
from gameday.lab import start
from gameday.sdk import Closed, RunFinished, Verdict
from tests.machine.memory_journal import MemoryJournal
from tests.machine.model_kms import Key

RUNS, RESOURCES, STEPS = ("aaaa", "bbbb"), ("arn:one", "arn:two"), ("s1", "s2")
OWNER = Owner.this()
ENDED = RunFinished(at=1.0, verdict=Verdict.PASSED, exit_code=0, story="")

runs, resources, steps = st.sampled_from(RUNS), st.sampled_from(RESOURCES), st.sampled_from(STEPS)
calls = st.one_of(
    st.tuples(st.just("take_hold"), runs, resources),
    st.tuples(st.just("release"), runs, resources),
    st.tuples(st.just("intend"), runs, steps, resources),
    st.tuples(st.just("injected"), runs, steps, st.booleans()),
    st.tuples(st.just("close"), runs, steps, st.sampled_from(Closed)),
    st.tuples(st.just("reopen"), runs, steps),
    st.tuples(st.just("pulse"), runs),
    st.tuples(st.just("halt")),
    st.tuples(st.just("resume")),
    st.tuples(st.just("abandon"), runs),
    st.tuples(st.just("finish_run"), runs),
)


def record(run: str, step: str, resource: str) -> StepRecord:
    place = {"uses": "x", "params": {}, "step": "x", "rank": 0, "chain": 0, "order": 0, "before": {}}
    return StepRecord(run=run, id=step, resource=resource, **place)  # type: ignore[arg-type]


def ask(journal: SqlJournal | MemoryJournal, call: tuple[Any, ...]) -> object:  # noqa: C901 - one short case a call
    """One call; what it answers, without its times, or the kind of its refusal."""
    memory = isinstance(journal, MemoryJournal)
    try:
        match call:
            case ("take_hold", run, resource):
                journal.take_hold(run, resource) if memory else journal.take_hold(run, OWNER, resource)  # type: ignore[call-arg,arg-type]
            case ("release", run, resource):
                journal.release(run, resource)
            case ("intend", run, step, resource):
                journal.intend(record(run, step, resource))
            case ("injected", run, step, certain):
                journal.injected(run, step, certain=certain)
            case ("close", run, step, closed):
                journal.close(run, step, closed, "why")
            case ("reopen", run, step):
                journal.reopen(run, step)
            case ("pulse", run):
                heard = journal.pulse(run)
                return bool(heard.halt), bool(heard.abandon), heard.holds
            case ("halt",):
                return journal.halt("ann", "fire").by
            case ("resume",):
                journal.resume() if memory else journal.resume("ann")  # type: ignore[call-arg]
            case ("abandon", run):
                return journal.abandon(run, "ann", "incident").by
            case ("finish_run", run):
                journal.finish_run(run) if memory else journal.finish_run(run, ENDED)  # type: ignore[call-arg]
    except GamedayError as error:
        return type(error).__name__
    return None


def told(journal: SqlJournal | MemoryJournal) -> object:
    """All that it holds, without its times."""
    holds = journal.holds()
    owners = holds if isinstance(holds, dict) else {hold.resource: hold.run for hold in holds}
    state = {
        (s.record.run, s.record.id): (s.record.resource, s.state, s.closed, bool(s.injected_at))
        for s in journal.steps()
    }
    open_ = {(s.record.run, s.record.id) for s in journal.steps(only_open=True)}
    ended = {run: (journal.run(run).finished_at is not None, journal.run(run).abandon is not None) for run in RUNS}
    return owners, state, open_, ended


@settings(max_examples=40, deadline=None)
@given(st.lists(calls, max_size=25))
def test_the_journal_in_memory_answers_as_the_sql_one(sequence: list[tuple[Any, ...]]) -> None:
    memory = MemoryJournal(lambda: datetime.now(UTC))
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as place:
        sql = SqlJournal(str(Path(place) / "journal.db"))
        for run in RUNS:
            memory.open_run(run)
            sql.open_run(run, "playbook", OWNER)
        for number, call in enumerate(sequence):
            assert ask(memory, call) == ask(sql, call), f"{number}: {call}"
        assert told(memory) == told(sql)


@pytest.fixture(scope="module")
def kms() -> Iterator[Any]:
    with start("instant") as lab:
        yield boto3.client(
            "kms",
            endpoint_url=lab.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
        )


def code(call: Any, **parameters: Any) -> str:
    try:
        call(**parameters)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def test_the_models_kms_answers_as_the_labs(kms: Any) -> None:
    """The same sequences of calls on both: every answer, and the state in the end."""
    seen: set[tuple[str, str, str]] = set()
    blob = {}
    for seed in range(16):
        draw, key = random.Random(seed), Key()
        made = kms.create_key()["KeyMetadata"]["KeyId"]
        blob[made] = kms.encrypt(KeyId=made, Plaintext=b"x")["CiphertextBlob"]
        both = {
            "enable": lambda key=key: key.enable(0, "us"),
            "disable": lambda key=key: key.disable(0, "us"),
            "delete": lambda key=key: key.schedule_deletion(0, "us"),
            "cancel": lambda key=key: key.cancel_deletion(0, "us"),
            "use": lambda key=key: key.use(),
        }
        real = {
            "enable": lambda made=made: code(kms.enable_key, KeyId=made),
            "disable": lambda made=made: code(kms.disable_key, KeyId=made),
            "delete": lambda made=made: code(kms.schedule_key_deletion, KeyId=made, PendingWindowInDays=7),
            "cancel": lambda made=made: code(kms.cancel_key_deletion, KeyId=made),
            "use": lambda made=made: code(kms.decrypt, KeyId=made, CiphertextBlob=blob[made]),
        }
        for _ in range(12):
            name, before = draw.choice(sorted(both)), key.now.state
            mine, theirs = both[name](), real[name]()
            seen.add((before, name, mine))
            assert mine == theirs, f"seed {seed}: {name} on a key that is {before}"
        assert key.now.state == kms.describe_key(KeyId=made)["KeyMetadata"]["KeyState"], f"seed {seed}"
    assert len(seen) == 15, "every call in every state"
