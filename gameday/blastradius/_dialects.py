"""Where the engines differ: how each reads JSON and lists, and the flat view over the records as it has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gameday.blastradius._flat import COLUMNS

JsonPath = tuple[str, ...]


@dataclass(frozen=True)
class Dialect:
    """Where the engines differ.

    Parameters
    ----------
    texts: the texts of a JSON document's members, by their paths; NULL where there is none.
    parts: the JSON texts of members that are objects; NULL where there is none.
    pairs: a JSON object of texts as ``name=value`` in order of names, with commas between.
    distinct: the distinct values of a column but for ``''``, in order, with commas between.
    """

    name: str
    texts: Callable[[str, Sequence[JsonPath]], Sequence[str]]
    parts: Callable[[str, Sequence[JsonPath]], Sequence[str]]
    pairs: Callable[[str], str]
    distinct: Callable[[str], str]


def _bracketed(path: JsonPath, quote: str) -> str:
    return "$" + "".join(f"[{quote}{name}{quote}]" for name in path)


def _dotted(path: JsonPath) -> str:
    return "$" + "".join(f'."{name}"' for name in path)


def _listed(function: str, doc: str, paths: Sequence[JsonPath]) -> list[str]:
    """One call for all paths, which DuckDB makes once: each call would keep a parser's memory of its own."""
    listed = ", ".join(f"'{_dotted(path)}'" for path in paths)
    return [f"{function}({doc}, [{listed}])[{number}]" for number in range(1, len(paths) + 1)]


def _pairs(pairs: str) -> str:
    return f"array_join(transform(array_sort(map_keys({pairs})), name -> concat(name, '=', {pairs}[name])), ',')"


DUCKDB = Dialect(
    name="duckdb",
    texts=lambda doc, paths: _listed("json_extract_string", doc, paths),
    parts=lambda doc, paths: [f"CAST({found} AS VARCHAR)" for found in _listed("json_extract", doc, paths)],
    pairs=lambda doc: (
        f"array_to_string(list_transform(list_sort(map_entries(CAST(CAST({doc} AS JSON) AS MAP(VARCHAR, VARCHAR)))), "
        "lambda e: concat(e.key, '=', e.value)), ',')"
    ),
    # Not string_agg(DISTINCT … ORDER BY …): it keeps a sort for each group, and memory is out at 25,000 rows.
    distinct=lambda column: f"array_to_string(list_sort(array_agg(DISTINCT nullif({column}, ''))), ',')",
)
TRINO = Dialect(
    name="trino",
    texts=lambda doc, paths: [f"json_extract_scalar({doc}, '{_bracketed(path, chr(34))}')" for path in paths],
    parts=lambda doc, paths: [f"json_format(json_extract({doc}, '{_bracketed(path, chr(34))}'))" for path in paths],
    pairs=lambda doc: _pairs(f"TRY(CAST(json_parse({doc}) AS MAP(VARCHAR, VARCHAR)))"),
    distinct=lambda column: f"array_join(array_sort(array_agg(DISTINCT nullif({column}, ''))), ',')",
)
SPARK = Dialect(
    name="spark",
    texts=lambda doc, paths: [f'get_json_object({doc}, "{_bracketed(path, chr(39))}")' for path in paths],
    parts=lambda doc, paths: [f'get_json_object({doc}, "{_bracketed(path, chr(39))}")' for path in paths],
    pairs=lambda doc: _pairs(f"from_json({doc}, 'map<string,string>')"),
    distinct=lambda column: f"array_join(array_sort(collect_set(nullif({column}, ''))), ',')",
)


ATHENA_RECORDS = """  SELECT
    coalesce(eventid, '') AS event_id,
    coalesce({shared}, '') AS shared_event_id,
    coalesce(requestid, '') AS request_id,
    coalesce(eventtime, '') AS event_time,
    coalesce(eventsource, '') AS event_source,
    coalesce(eventname, '') AS event_name,
    coalesce(errorcode, '') AS error_code,
    coalesce(errormessage, '') AS error_message,
    coalesce(useragent, '') AS user_agent,
    coalesce(sourceipaddress, '') AS source_ip,
    coalesce(awsregion, '') AS region,
    coalesce(recipientaccountid, '') AS recipient_account,
    coalesce(useridentity.type, '') AS identity_type,
    coalesce(useridentity.arn, '') AS identity_arn,
    coalesce(useridentity.principalid, '') AS principal_id,
    coalesce(useridentity.accountid, '') AS identity_account,
    coalesce(useridentity.sessioncontext.sessionissuer.arn, '') AS issuer_arn,
    coalesce(useridentity.invokedby, '') AS invoked_by,
    coalesce({issued_to}, '') AS issued_to,
    coalesce({category}, '') AS event_category,
    coalesce(requestparameters, '{{}}') AS request_parameters,
    coalesce(array_join(transform(resources, r -> r.arn), ','), '') AS resources
  FROM {table}
  WHERE {partitions}"""
"""The flat view over a table as Athena knows log files: ``requestparameters`` is text, the identity a struct."""

SPARK_RECORDS = """  SELECT {columns},
    coalesce(get_json_object(record, '$.requestParameters'), '{{}}') AS request_parameters,
    coalesce(array_join(transform(from_json(get_json_object(record, '$.resources'), 'array<struct<ARN:string>>'),
      r -> r.ARN), ','), '') AS resources
  FROM {table}"""
"""The flat view over records as Spark gives them, each the text of its JSON."""

_SPARK_PATHS = (
    "eventID", "sharedEventID", "requestID", "eventTime", "eventSource", "eventName", "errorCode", "errorMessage",
    "userAgent", "sourceIPAddress", "awsRegion", "recipientAccountId", "userIdentity.type", "userIdentity.arn",
    "userIdentity.principalId", "userIdentity.accountId", "userIdentity.sessionContext.sessionIssuer.arn",
    "userIdentity.invokedBy", "userIdentity.inScopeOf.credentialsIssuedTo",
    "eventCategory",
)  # fmt: skip

_ADDENDUM = "nullif(get_json_object(record, '$.addendum.originalEventID'), ''), "
"""A record that completes an earlier one is about the same call."""


def spark_hits(column: str, needles: Iterable[str]) -> str:
    """Of an array of records, those that hold one of the texts: few, and no other is parsed."""
    found = " OR ".join(f"contains(record, '{needle}')" for needle in needles)
    return f"filter({column}, record -> {found})"


def spark_records(table: str) -> str:
    """The view over ``table``, whose column ``record`` is a record's JSON."""
    columns = ",\n    ".join(
        f"coalesce({_ADDENDUM if name == 'event_id' else ''}get_json_object(record, '$.{path}'), '') AS {name}"
        for path, name in zip(_SPARK_PATHS, COLUMNS, strict=False)
    )
    return SPARK_RECORDS.format(columns=columns, table=table)
