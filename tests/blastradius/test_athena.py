"""Athena's client against moto's Athena: what it asks, how it waits, cancels, reads and says what it cost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from gameday.aws.session import Session
from gameday.blastradius import Athena, Embedded, Question, Table, Watch, table_ddl
from gameday.blastradius._sql import ROW_COLUMNS
from gameday.errors import Refused
from tests.blastradius.corpus import records, told
from tests.blastradius.shapes import ACCOUNT, KEY, QUESTION, Given


class Queries:
    """boto3's client, and what became of its queries; states and bytes that moto does not have are put in."""

    def __init__(self, client: Any, *states: str, scanned: int = 0, why: str = "") -> None:
        self._client, self._states, self._scanned, self._why = client, list(states), scanned, why
        self.asked: list[dict[str, Any]] = []
        self.stopped: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def start_query_execution(self, **asked: Any) -> Any:
        self.asked.append(asked)
        return self._client.start_query_execution(**asked)

    def stop_query_execution(self, **asked: Any) -> Any:
        self.stopped.append(asked["QueryExecutionId"])
        return self._client.stop_query_execution(**asked)

    def get_query_execution(self, **asked: Any) -> Any:
        answer = self._client.get_query_execution(**asked)
        status = answer["QueryExecution"]["Status"]
        status["State"] = self._states.pop(0) if self._states else "SUCCEEDED"
        status["StateChangeReason"] = self._why
        answer["QueryExecution"]["Statistics"] = {"DataScannedInBytes": self._scanned}
        return answer


@pytest.fixture
def queries(aws: Session) -> Callable[..., Queries]:
    return lambda *states, **more: Queries(aws.client("athena"), *states, **more)


def table(**more: str) -> Table:
    return Table(**{"output": "s3://gameday-results/", **more})


def test_the_rows_become_the_same_answer(aws: Session, queries: Callable[..., Queries]) -> None:
    expected = Embedded(Given(*records())).ask(QUESTION)
    rows = [
        [text(getattr(row, name, kind), name) for name in ROW_COLUMNS]
        for kind, each in (("use", expected.rows), ("own", expected.own), ("management", expected.management))
        for row in each
    ]
    rows = [[*row[:-1], "0"] for row in rows]
    undated = ["undated", "x", "direct", "", "1", *["0"] * 2, *[""] * 5, "Decrypt", "", "", "", "0", "", "0"]
    client = queries("QUEUED", "RUNNING", scanned=2_000_000_000)
    said: list[str] = []
    athena = Athena(client, table(), say=said.append, size=lambda _: 4_000_000_000, poll=0)
    original = client._client.get_paginator

    class Paginator:
        def paginate(self, **asked: str) -> list[dict[str, Any]]:
            assert original("get_query_results")
            pages = [[list(ROW_COLUMNS), *rows[:5]], [*rows[5:], undated]]
            return [
                {"ResultSet": {"Rows": [{"Data": [{"VarCharValue": c} if c else {} for c in row]} for row in page]}}
                for page in pages
            ]

    client.get_paginator = lambda _: Paginator()
    answer = athena.ask(QUESTION, Watch())
    assert told(answer) == told(expected)
    assert said == ["before: 4.00 GB of log files to scan, about $0.02", "after: Athena scanned 2.00 GB, about $0.01"]
    assert "day BETWEEN '2026/11/01' AND '2026/12/01'" in client.asked[0]["QueryString"]
    assert "region IN ('eu-central-1')" in client.asked[0]["QueryString"]
    assert "account IN ('111122223333')" not in client.asked[0]["QueryString"]


def text(value: object, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if hasattr(value, "tzinfo") else str(value)


def test_moto_runs_it(aws: Session, queries: Callable[..., Queries]) -> None:
    answer = Athena(queries(), table(), poll=0).ask(Question(KEY, QUESTION.window, detail=True), Watch())
    assert not answer.rows
    assert answer.coverage.sources == ("Athena's table default.cloudtrail_logs",)


def test_interrupting_cancels_the_query(aws: Session, queries: Callable[..., Queries]) -> None:
    stopping = threading.Event()
    client = queries("RUNNING", "RUNNING")
    answer = Athena(client, table(), poll=0.01).ask(QUESTION, Watch(lambda _: stopping.set(), stopping))
    assert len(client.stopped) == 1
    assert answer.coverage.partial == "interrupted, and the query cancelled"


def test_a_query_that_fails_says_why(queries: Callable[..., Queries]) -> None:
    with pytest.raises(Refused, match="FAILED: HIVE_BAD_DATA"):
        Athena(queries("FAILED", why="HIVE_BAD_DATA: x"), table(), poll=0).ask(QUESTION, Watch())


def test_the_table_is_created_when_asked(queries: Callable[..., Queries]) -> None:
    ddl = table_ddl(table(), "s3://trail/AWSLogs/o-abcdefghij", [ACCOUNT, "444455556666"], ["eu-central-1"])
    said: list[str] = []
    client = queries()
    Athena(client, table(), create=ddl, say=said.append, poll=0).ask(QUESTION, Watch())
    assert client.asked[0]["QueryString"] == ddl == said[0]
    assert (
        "'storage.location.template' = 's3://trail/AWSLogs/o-abcdefghij/${account}/CloudTrail/${region}/${day}'" in ddl
    )
    assert "'projection.account.values' = '111122223333,444455556666'" in ddl
    assert "CloudTrailInputFormat" in ddl
    assert "requestparameters string" in ddl


@pytest.mark.parametrize("name", ["a; DROP TABLE x", "a'b", ""])
def test_names_that_are_no_names_are_refused(name: str) -> None:
    with pytest.raises(Refused, match="is no name of a table"):
        Table(table=name)
    with pytest.raises(Refused, match="is no place of log files"):
        table_ddl(Table(), f"s3://bucket/{name}'", [], [])
