"""One text in three dialects: what Athena and Spark are given says what DuckDB is given, by SQLGlot's translation."""

# ruff: noqa: E501  (SQL)
from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
import sqlglot

from gameday.blastradius import Embedded, Question
from gameday.blastradius._athena import _STRUCT
from gameday.blastradius._dialects import ATHENA_RECORDS, DUCKDB, SPARK, TRINO, spark_records
from gameday.blastradius._embedded import answer_of
from gameday.blastradius._sql import rows_sql, uses_sql
from tests.blastradius.corpus import records, told
from tests.blastradius.shapes import KEY, QUESTION, Given

SCHEMAS = {
    "'array<struct<ARN:string>>'": """'[{"ARN":"VARCHAR"}]'""",
    "'map<string,string>'": """'"MAP(VARCHAR,VARCHAR)"'""",
}
"""What SQLGlot does not translate: a schema is a text of its own in both."""
DETAIL = Question(KEY, QUESTION.window, detail=True)


def as_athena_reads(database: duckdb.DuckDBPyConnection, folder: Path) -> str:
    """Athena's table: names in lower case, the identity a struct, parameters as text, and the view over it."""
    lines = []
    for record in records():
        row = lowered(record)
        parameters = record.get("requestParameters")
        row["requestparameters"] = None if parameters is None else json.dumps(parameters)
        lines.append(json.dumps(row))
    (folder / "table.ndjson").write_text("\n".join(lines))
    texts = (
        "eventtime",
        "eventsource",
        "eventname",
        "awsregion",
        "sourceipaddress",
        "useragent",
        "errorcode",
        "errormessage",
        "requestparameters",
        "requestid",
        "eventid",
        "recipientaccountid",
        "sharedeventid",
        "eventcategory",
    )
    columns = ", ".join(
        [
            f"'useridentity': '{duck_type(_STRUCT)}'",
            "'resources': 'STRUCT(arn VARCHAR)[]'",
            *(f"'{name}': 'VARCHAR'" for name in texts),
        ]
    )
    database.execute(
        f"CREATE TABLE logs AS SELECT *, '2026/11/23' AS day FROM read_ndjson('{folder}/table.ndjson', columns={{{columns}}})"
    )
    return ATHENA_RECORDS.format(
        table="logs",
        partitions="day <> ''",
        shared="sharedeventid",
        category="eventcategory",
        issued_to="useridentity.inscopeof.credentialsissuedto",
    )


def lowered(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    deeper = {"userIdentity", "sessionContext", "sessionIssuer", "inScopeOf"}
    told_: dict[str, object] = {}
    for name, each in value.items():
        if name in deeper and isinstance(each, dict):
            told_[name.lower()] = lowered(each)
        elif name == "resources" and isinstance(each, list):
            told_["resources"] = [lowered(one) for one in each]
        else:
            told_[name.lower()] = each
    return told_


def duck_type(hive: str) -> str:
    return (
        hive.replace("struct<", "STRUCT(")
        .replace(">", ")")
        .replace(":string", " VARCHAR")
        .replace(":STRUCT", " STRUCT")
    )


def as_spark_reads(database: duckdb.DuckDBPyConnection, folder: Path) -> str:
    database.execute("CREATE TABLE logs (record VARCHAR)")
    database.executemany("INSERT INTO logs VALUES (?)", [[json.dumps(record)] for record in records()])
    return spark_records("logs")


@pytest.mark.parametrize(
    ("dialect", "read", "view"), [(TRINO, "trino", as_athena_reads), (SPARK, "spark", as_spark_reads)]
)
def test_the_text_for_a_cluster_says_the_same(dialect: object, read: str, view: object, tmp_path: Path) -> None:
    expected = Embedded(Given(*records())).ask(DETAIL)
    with duckdb.connect() as database:
        source = view(database, tmp_path)
        asked = [
            sqlglot.transpile(text(DETAIL, dialect, source), read=read, write="duckdb")[0]
            for text in (rows_sql, uses_sql)
        ]
        for schema, ducks in SCHEMAS.items():
            asked = [sql.replace(schema, ducks) for sql in asked]
        rows, uses = (database.sql(sql).fetchall() for sql in asked)
    answer = answer_of(DETAIL, rows, uses, expected.coverage)
    assert told(answer) == told(expected)
    assert answer.uses == expected.uses


@pytest.mark.parametrize(("dialect", "read"), [(DUCKDB, "duckdb"), (TRINO, "athena"), (SPARK, "spark")])
def test_the_text_is_of_its_dialect_and_has_no_backslash(dialect: object, read: str) -> None:
    view = "SELECT * FROM logs"
    for text in (rows_sql(QUESTION, dialect, view), uses_sql(QUESTION, dialect, view)):
        assert sqlglot.parse_one(text, read=read)
        assert "\\" not in text
