"""The definition, run by Athena over log files that stay where they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gameday.blastradius._answer import Answer, Coverage
from gameday.blastradius._dialects import ATHENA_RECORDS, TRINO
from gameday.blastradius._embedded import answer_of
from gameday.blastradius._files import Seen
from gameday.blastradius._layout import Wanted
from gameday.blastradius._question import Question
from gameday.blastradius._source import Progress, Watch
from gameday.blastradius._sql import rows_sql, uses_sql
from gameday.errors import Refused

if TYPE_CHECKING:
    from types_boto3_athena import AthenaClient
    from types_boto3_athena.type_defs import QueryExecutionTypeDef

DOLLARS_PER_TERABYTE = 5.0
"""Athena's price for data scanned by SQL queries in most Regions (its pricing page); some are dearer."""
_LEAST_SCANNED = 10_000_000
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_PLACE = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/(?:[A-Za-z0-9!_.*()/=-]*/)?")
_STRUCT = (
    "struct<type:string,principalid:string,arn:string,accountid:string,invokedby:string,accesskeyid:string,"
    "username:string,inscopeof:struct<issuertype:string,credentialsissuedto:string>,"
    "sessioncontext:struct<sessionissuer:struct<type:string,principalid:string,arn:string,accountid:string,"
    "username:string>>>"
)


@dataclass(frozen=True)
class Table:
    """A table of log files in Athena's catalogue, and how queries on it run.

    Parameters
    ----------
    output: ``s3://…`` for results, or ``""`` when the workgroup says.
    """

    database: str = "default"
    table: str = "cloudtrail_logs"
    workgroup: str = "primary"
    output: str = ""

    def __post_init__(self) -> None:
        for name in (self.database, self.table):
            if not _NAME.fullmatch(name):
                raise Refused(f"{name!r} is no name of a table or database: letters, digits and underscores")

    def __str__(self) -> str:
        return f"{self.database}.{self.table}"


@dataclass(frozen=True)
class _Columns:
    """What of the table's columns may be there or not."""

    partitions: tuple[str, ...] = ("account", "region", "day")
    shared: bool = True
    issued_to: bool = True
    category: bool = True


def table_ddl(table: Table, logs: str, accounts: Sequence[str], regions: Sequence[str]) -> str:
    """``CREATE EXTERNAL TABLE`` with projected partitions; ``logs`` ends before the accounts' folders.

    Accounts and Regions are listed in it: one that comes later is not read until the table is made again.
    """
    place = logs.rstrip("/") + "/"
    if not _PLACE.fullmatch(place):
        raise Refused(f"{logs!r} is no place of log files: write s3://BUCKET/PREFIX/AWSLogs/ (or …/AWSLogs/o-ID/)")
    texts = (
        "eventversion", "eventtime", "eventsource", "eventname", "awsregion", "sourceipaddress", "useragent",
        "errorcode", "errormessage", "requestparameters", "responseelements", "additionaleventdata", "requestid",
        "eventid", "eventtype", "recipientaccountid", "sharedeventid", "eventcategory",
    )  # fmt: skip
    columns = ",\n  ".join([f"useridentity {_STRUCT}", *(f"{name} string" for name in texts)])
    return f"""CREATE EXTERNAL TABLE IF NOT EXISTS {table} (
  {columns},
  resources array<struct<arn:string,accountid:string,type:string>>
)
PARTITIONED BY (account string, region string, day string)
ROW FORMAT SERDE 'org.apache.hive.hcatalog.data.JsonSerDe'
STORED AS INPUTFORMAT 'com.amazon.emr.cloudtrail.CloudTrailInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION '{place}'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.account.type' = 'enum',
  'projection.account.values' = '{",".join(accounts)}',
  'projection.region.type' = 'enum',
  'projection.region.values' = '{",".join(regions)}',
  'projection.day.type' = 'date',
  'projection.day.format' = 'yyyy/MM/dd',
  'projection.day.range' = '2013/11/01,NOW',
  'projection.day.interval' = '1',
  'projection.day.interval.unit' = 'DAYS',
  'storage.location.template' = '{place}${{account}}/CloudTrail/${{region}}/${{day}}'
)"""


@dataclass
class Athena:
    """Answers by two queries at most: the sums, and each use when they are asked for.

    Parameters
    ----------
    client: boto3's.
    create: the table's definition, run first; ``""`` when it is there.
    say: is told, in sentences, what is about to be paid for and what was.
    size: how many bytes the question would scan, when the log files can be listed.
    """

    client: AthenaClient
    table: Table
    create: str = ""
    say: Callable[[str], None] = lambda _: None
    size: Callable[[Seen], int] | None = None
    poll: float = 0.5
    _scanned: int = field(default=0, init=False)

    def ask(self, question: Question, watch: Watch) -> Answer:
        """Run, wait, read; raises Refused with Athena's reason when a query fails. Stopping cancels the query."""
        seen = Seen(question)
        if self.size is not None:
            listed = self.size(seen)
            self.say(f"before: {_bytes(listed)} of log files to scan, about {_dollars(listed)}")
        if self.create:
            self.say(self.create)
            self._run(self.create, watch, "creating the table")
        records = self._view(question)
        rows = self._run(rows_sql(question, TRINO, records), watch, "the query")
        uses = self._run(uses_sql(question, TRINO, records), watch, "the query") if question.detail and rows else []
        self.say(f"after: Athena scanned {_bytes(self._scanned)}, about {_dollars(self._scanned)}")
        coverage = Coverage(
            sources=(f"Athena's table {self.table}",),
            bytes=self._scanned,
            partial="interrupted, and the query cancelled" if watch.stopping.is_set() else "",
            notes=(
                f"Athena scanned {_bytes(self._scanned)}, about {_dollars(self._scanned)}.",
                "Athena does not say which files it could not read, nor which accounts its table leaves out.",
            ),
        )
        return answer_of(question, rows or [], uses or [], coverage)

    def _view(self, question: Question) -> str:
        """The flat view, by the columns that the table has; partitions narrow what is scanned, accounts never."""
        columns = self._columns()
        wanted = Wanted(question)
        where = ["1 = 1"]
        if "day" in columns.partitions:
            where.append(f"day BETWEEN '{wanted.first:%Y/%m/%d}' AND '{wanted.last:%Y/%m/%d}'")
        for name, values in (("region", question.reading_regions), ("account", question.accounts)):
            if name in columns.partitions and values:
                where.append(f"{name} IN ({', '.join(map(_quoted, values))})")
        return ATHENA_RECORDS.format(
            table=self.table,
            partitions=" AND ".join(where),
            shared="sharedeventid" if columns.shared else "''",
            category="eventcategory" if columns.category else "''",
            issued_to="useridentity.inscopeof.credentialsissuedto" if columns.issued_to else "''",
        )

    def _columns(self) -> _Columns:
        """A table that somebody else defined may lack some; one whose columns nobody tells is taken for ours."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            told = self.client.get_table_metadata(
                CatalogName="AwsDataCatalog", DatabaseName=self.table.database, TableName=self.table.table
            )["TableMetadata"]
        except (BotoCoreError, ClientError):
            return _Columns()
        types = {each["Name"].lower(): each.get("Type", "").lower() for each in told.get("Columns", [])}
        return _Columns(
            tuple(each["Name"].lower() for each in told.get("PartitionKeys", [])),
            shared="sharedeventid" in types,
            category="eventcategory" in types,
            issued_to="inscopeof" in types.get("useridentity", ""),
        )

    def _run(self, sql: str, watch: Watch, what: str) -> list[list[str]] | None:
        """A query's rows as texts, without the headings; None when it was cancelled."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            result = {"ResultConfiguration": {"OutputLocation": self.table.output}} if self.table.output else {}
            query = self.client.start_query_execution(
                QueryString=sql,
                QueryExecutionContext={"Database": self.table.database},
                WorkGroup=self.table.workgroup,
                **result,  # type: ignore[arg-type]  # absent, not empty
            )["QueryExecutionId"]
            execution = self._wait(query, watch)
            if execution is None:
                return None
            state = execution.get("Status", {}).get("State", "")
            if state != "SUCCEEDED":
                why = execution.get("Status", {}).get("StateChangeReason", state)
                raise Refused(f"Athena: {what} ended as {state}: {why}")
            self._scanned += execution.get("Statistics", {}).get("DataScannedInBytes", 0)
            return list(self._results(query))
        except (BotoCoreError, ClientError) as error:
            raise Refused(f"Athena: {what} on {self.table} was refused: {error}") from error

    def _wait(self, query: str, watch: Watch) -> QueryExecutionTypeDef | None:
        while True:
            execution = self.client.get_query_execution(QueryExecutionId=query)["QueryExecution"]
            if execution.get("Status", {}).get("State") not in ("QUEUED", "RUNNING"):
                return execution
            scanned = execution.get("Statistics", {}).get("DataScannedInBytes", 0)
            watch.tell(Progress(note=f"Athena has scanned {_bytes(scanned)}"))
            if watch.stopping.wait(self.poll):
                self.client.stop_query_execution(QueryExecutionId=query)
                return None

    def _results(self, query: str) -> Iterable[list[str]]:
        first = True
        for page in self.client.get_paginator("get_query_results").paginate(QueryExecutionId=query):
            for row in page["ResultSet"].get("Rows", []):
                if not first:
                    yield [cell.get("VarCharValue", "") for cell in row.get("Data", [])]
                first = False


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _bytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _dollars(size: int) -> str:
    cost = max(size, _LEAST_SCANNED) / 1e12 * DOLLARS_PER_TERABYTE
    return f"${cost:.2f}" if cost >= 0.01 else "less than $0.01"
