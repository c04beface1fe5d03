"""The one definition of the blast radius, in SQL over a flat view of CloudTrail's records.

DuckDB, Athena (Trino) and Spark run the same text. What differs between them is in ``Dialect``: how a value is taken
out of JSON, how texts are put together, and the view that gives the columns of ``_flat.COLUMNS``. Regular expressions
hold no backslash, and names no quote, so that a literal means the same everywhere.

What AWS' records look like, and why each rule is there, is in AWS' documentation and in records seen:

- a service's Decrypt names its key in ``resources`` only; a denied forwarded call has neither parameters nor resources,
  and the key stands in ``errorMessage`` alone;
- ``keyId`` may be an ARN, a bare id, an alias or an alias' ARN. An id or an alias means the key of the record's own
  account and Region; an alias may have stood for another key then, so ``resources`` outranks it;
- a call from another account is recorded in both, under two event ids and one ``sharedEventID``;
- the owner's copy of such a call may lack the caller's ARN, so the copy that has it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from gameday.blastradius._flat import COLUMNS
from gameday.blastradius._question import KeyName, Question

REFUSED_ACTIONS = (
    "CreateGrant",
    "Decrypt",
    "DeriveSharedSecret",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "GetPublicKey",
    "ReEncrypt",
    "ReplicateKey",
    "Sign",
    "Verify",
    "VerifyMac",
)
"""What a disabled key refuses: "Key states of AWS KMS keys" in KMS' developer guide. All else works on."""

REFUSALS = (
    "Disabled",
    "DisabledException",
    "KMSInvalidStateException",
    "KmsInvalidStateException",
    "KMSDisabledException",
    "InvalidStateException",
    "KeyUnavailableException",
)
"""Error codes that say that the key cannot be used now: KMS' API reference (DisabledException,
KMSInvalidStateException, KeyUnavailableException) and the spellings under which services pass them on
(``KMS.DisabledException`` in S3, so a prefix up to a dot is left out before comparing)."""

CONTEXT_NAMES = (
    ("aws:s3:arn", "s3.amazonaws.com"),
    ("aws:ebs:id", "ec2.amazonaws.com"),
    ("PARAMETER_ARN", "ssm.amazonaws.com"),
    ("SecretARN", "secretsmanager.amazonaws.com"),
    ("aws:lambda:FunctionArn", "lambda.amazonaws.com"),
    ("aws:rds:db-id", "rds.amazonaws.com"),
    ("aws:rds:dbc-id", "rds.amazonaws.com"),
    ("aws:dynamodb:tableName", "dynamodb.amazonaws.com"),
    ("aws:logs:arn", "logs.amazonaws.com"),
    ("aws:sqs:arn", "sqs.amazonaws.com"),
    ("aws:sns:topicArn", "sns.amazonaws.com"),
    ("aws:kinesis:arn", "kinesis.amazonaws.com"),
    ("aws:elasticfilesystem:filesystem:id", "elasticfilesystem.amazonaws.com"),
    ("aws:cloudtrail:arn", "cloudtrail.amazonaws.com"),
)
"""Members of the encryption context that name a resource, and the service that writes them (its developer guide's page
on encryption at rest). Other members are kept under their own names."""

CONTEXT_PATHS = (
    ("destinationEncryptionContext",),
    ("encryptionContext",),
    ("sourceEncryptionContext",),
    ("constraints", "encryptionContextSubset"),
    ("constraints", "encryptionContextEquals"),
)
"""Where a request says its encryption context: the destination's belongs to ReEncrypt's second key."""

INSTANCE = "i-[0-9a-f]{8,17}"
KEY_ARN = "arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+"


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

ROW_COLUMNS = (
    "kind", "principal", "service", "resource", "uses", "errors", "refused", "first_used", "last_used",
    "first_refused", "last_refused", "last_succeeded", "actions", "error_codes", "accounts", "regions",
    "sessions", "repeated",
)  # fmt: skip
USE_COLUMNS = (
    "event_id", "shared_event_id", "request_id", "moment", "kind", "action", "principal", "session", "service",
    "resource", "instance", "error_code", "error_message", "user_agent", "source_ip", "account", "region",
)  # fmt: skip


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
)  # fmt: skip


def spark_hits(column: str, needles: Iterable[str]) -> str:
    """Of an array of records, those that hold one of the texts: few, and no other is parsed."""
    found = " OR ".join(f"contains(record, '{needle}')" for needle in needles)
    return f"filter({column}, record -> {found})"


def spark_records(table: str) -> str:
    """The view over ``table``, whose column ``record`` is a record's JSON."""
    columns = ",\n    ".join(
        f"coalesce(get_json_object(record, '$.{path}'), '') AS {name}"
        for path, name in zip(_SPARK_PATHS, COLUMNS, strict=False)
    )
    return SPARK_RECORDS.format(columns=columns, table=table)


def rows_sql(question: Question, dialect: Dialect, records: str) -> str:
    """The sums by kind, principal, service and resource; ``records`` gives ``_flat.COLUMNS``, none of them NULL."""
    return f"{uses_ctes(question, dialect, records)}\n{SUMS.format(**_distinct(dialect))}"


def uses_sql(question: Question, dialect: Dialect, records: str) -> str:
    """Each single use, oldest first."""
    columns = ", ".join(USE_COLUMNS)
    return f"{uses_ctes(question, dialect, records)}\nSELECT {columns} FROM uses ORDER BY moment, event_id, action"


def _distinct(dialect: Dialect) -> dict[str, str]:
    return {name: dialect.distinct(name) for name in ("action", "error_code", "account", "region")}


SUMS = """SELECT
  kind, principal, service, resource,
  count(*) AS uses,
  sum(CASE WHEN error_code <> '' THEN 1 ELSE 0 END) AS errors,
  sum(refused) AS refused,
  min(moment) AS first_used,
  max(moment) AS last_used,
  min(CASE WHEN refused = 1 THEN moment END) AS first_refused,
  max(CASE WHEN refused = 1 THEN moment END) AS last_refused,
  max(CASE WHEN error_code = '' THEN moment END) AS last_succeeded,
  {action} AS actions,
  {error_code} AS error_codes,
  {account} AS accounts,
  {region} AS regions,
  count(DISTINCT nullif(session, '')) AS sessions,
  sum(copies - 1) AS repeated
FROM uses
GROUP BY kind, principal, service, resource
ORDER BY uses DESC, principal, service, resource, kind"""


def uses_ctes(question: Question, dialect: Dialect, records: str) -> str:
    """The common table expressions up to ``uses``: each call on the key in the window, once."""
    texts, parameters = dialect.texts, "request_parameters"
    asked = texts(parameters, [("keyId",), ("sourceKeyId",), ("destinationKeyId",)])
    key_id, source_key, destination_key = (_or_empty(text) for text in asked)
    destination, *others = dialect.parts(parameters, CONTEXT_PATHS)
    to_us = f"CASE WHEN {_is_key(question.key, 'destination_key')} THEN {destination} END"
    contexts = _first(to_us, *others, empty="{}", last="'{}'")
    known = texts("context", [(name,) for name, _ in CONTEXT_NAMES])
    by_context = " ".join(
        f"WHEN {column} <> '' THEN '{service}'" for column, (_, service) in zip(known, CONTEXT_NAMES, strict=True)
    )
    since, until = (f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (question.window.since, question.window.until))
    return f"""WITH records AS (
{records}
),
asked AS (
  SELECT records.*,
    {_MOMENT} AS moment,
    coalesce(nullif(recipient_account, ''), identity_account) AS account,
    {key_id} AS asked_key,
    {source_key} AS source_key,
    {destination_key} AS destination_key,
    coalesce(regexp_extract(error_message, '{KEY_ARN}', 0), '') AS message_key
  FROM records
  WHERE event_source = 'kms.amazonaws.com'{_where(question)}
),
about AS (
  SELECT asked.*, {contexts} AS context
  FROM asked
  WHERE (moment = '' OR (moment >= '{since}' AND moment < '{until}'))
    AND ({_about(question.key)})
),
read AS (
  SELECT about.*,
    {_first(*known)} AS known_resource,
    {_or_empty(dialect.pairs("context"))} AS context_pairs,
    CASE {by_context} ELSE '' END AS context_service,
    {_last_part("principal_id", ":")} AS principal_tail,
    {
        _first(
            f"regexp_extract(issued_to, '{INSTANCE}', 0)",
            _infrastructure("identity_arn"),
            _infrastructure("principal_id"),
            _infrastructure(*texts(parameters, [("granteePrincipal",)])),
        )
    } AS instance,
    CASE WHEN event_name IN ({_list(REFUSED_ACTIONS)}) THEN 1 ELSE 0 END AS dependent,
    CASE WHEN regexp_extract(error_code, '[^.]*$', 0) IN ({_list(REFUSALS)}) THEN 1 ELSE 0 END AS refused
  FROM about
),
named AS (
  SELECT moment, event_id, shared_event_id, request_id, event_name AS action, region, account, instance, refused,
    dependent, error_code, error_message, user_agent, source_ip, identity_arn,
    {_principal()} AS principal,
    {_session()} AS session,
    {_service()} AS service,
    {_first("known_resource", "nullif(instance, '')", "context_pairs")} AS resource
  FROM read
),
counted AS (
  SELECT named.*,
    CASE WHEN moment = '' THEN 'undated'
      WHEN dependent = 0 THEN 'management'
      WHEN concat(' ', user_agent) LIKE '% gameday/%' OR user_agent LIKE '%[gameday/%'
        OR session LIKE 'gameday-%' THEN 'own'
      ELSE 'use' END AS kind,
    count(*) OVER (PARTITION BY {_IDENTITY}) AS copies,
    row_number() OVER (PARTITION BY {_IDENTITY} ORDER BY CASE WHEN identity_arn <> '' THEN 0 ELSE 1 END, event_id,
      account, moment, action, principal, session, service, resource, error_code, source_ip, user_agent) AS copy
  FROM named
),
uses AS (
  SELECT * FROM counted WHERE copy = 1
)"""  # noqa: S608 (every value in it is a name that KeyName and Question have checked)


_MOMENT = (
    "CASE WHEN event_time LIKE '____-__-__T__:__:__%Z' "
    "AND TRY_CAST(concat(substr(event_time, 1, 10), ' ', substr(event_time, 12, 8)) AS TIMESTAMP) IS NOT NULL "
    "THEN concat(substr(event_time, 1, 19), 'Z') ELSE '' END"
)
"""CloudTrail's times are of one form, which sorts as text; what has the form and is no time (month 13) is none."""
_IDENTITY = (
    "CASE WHEN shared_event_id <> '' THEN shared_event_id WHEN event_id <> '' THEN event_id "
    "ELSE concat(moment, '|', request_id, '|', action, '|', identity_arn, '|', principal, '|', resource, '|', "
    "error_code) END"
)
"""What makes two records one call; the few that carry no id are one when all that is known of them is the same."""


def _about(key: KeyName) -> str:
    """Whether a record is about the key, exactly."""
    mine = _is_key(key, "asked_key"), _is_key(key, "source_key"), _is_key(key, "destination_key")
    if key.arn:
        listed = " OR ".join(f"concat(',', resources, ',') LIKE '%,{arn},%'" for arn in key.arns)
        message = f"message_key IN ({_list(key.arns)})"
    else:
        listed = f"concat(',', resources, ',') LIKE '%:key/{key.id},%'"
        message = f"message_key LIKE '%:key/{key.id}'"
    found = [listed, message, *mine]
    if key.aliases:
        here = replace(key, replicas=())  # an alias of the same name elsewhere may stand for something else
        names = [f"asked_key IN ({_list(key.aliases)}) AND {_local(here)}"] if key.arn else []
        arns = [f"arn:{key.partition}:kms:{key.region}:{key.account}:{name}" for name in key.aliases if key.arn]
        names += [f"asked_key IN ({_list(arns)})"] if arns else [_alias_anywhere(key.aliases)]
        found.append(f"(resources NOT LIKE '%:key/%' AND ({' OR '.join(f'({each})' for each in names)}))")
    return " OR ".join(found)


def _alias_anywhere(aliases: Iterable[str]) -> str:
    return " OR ".join(
        f"asked_key = '{name}' OR asked_key LIKE 'arn:%:{name.replace('_', '!_')}' ESCAPE '!'" for name in aliases
    )


def _is_key(key: KeyName, column: str) -> str:
    if not key.arn:
        return f"({column} = '{key.id}' OR {column} LIKE '%:key/{key.id}')"
    return f"({column} IN ({_list(key.arns)}) OR ({column} = '{key.id}' AND {_local(key)}))"


def _local(key: KeyName) -> str:
    return f"region IN ({_list(key.regions)}) AND account IN ('{key.account}', '')"


def _where(question: Question) -> str:
    regions, accounts = question.regions, question.accounts
    where = f"\n    AND region IN ({_list(regions)})" if regions else ""
    if accounts:
        where += f"\n    AND coalesce(nullif(recipient_account, ''), identity_account) IN ({_list(accounts)})"
    return where


def _principal() -> str:
    """The role behind a session, else whoever has a name; a principal id is cut before its session."""
    arn, slash = "identity_arn", "'/'"
    role = (
        f"CASE WHEN {arn} LIKE 'arn:%:sts::%:assumed-role/%' THEN concat('arn:', split_part({arn}, ':', 2), ':iam::', "
        f"split_part({arn}, ':', 5), ':role/', split_part({arn}, {slash}, 2)) END"
    )
    by_id = (
        "CASE WHEN principal_tail <> '' THEN substr(principal_id, 1, length(principal_id) - length(principal_tail) - 1)"
        " ELSE principal_id END"
    )
    anonymous = "CASE WHEN identity_account = 'ANONYMOUS_PRINCIPAL' THEN 'anonymous' END"
    return _first(
        "issuer_arn", role, arn, by_id, anonymous, "invoked_by", "identity_account", empty="", last="'unknown'"
    )


def _session() -> str:
    return (
        "CASE WHEN identity_arn LIKE 'arn:%:assumed-role/%/%' THEN coalesce(split_part(identity_arn, '/', 3), '') "
        "WHEN identity_arn = '' THEN principal_tail ELSE '' END"
    )


def _service() -> str:
    """Who called on the principal's behalf; ``internal.amazonaws.com`` says that someone did, and not who."""
    named = [
        f"CASE WHEN {column} LIKE '%.amazonaws.com%' AND {column} <> 'internal.amazonaws.com' "
        f"AND {column} NOT LIKE '% %' THEN {column} END"
        for column in ("invoked_by", "source_ip", "user_agent")
    ]
    return _first(*named, "context_service", last="'direct'")


def _infrastructure(column: str) -> str:
    """``…:aws:ec2-infrastructure:i-…`` or ``…/aws:ec2-infrastructure/i-…``."""
    return f"regexp_extract(regexp_extract({column}, 'aws:ec2-infrastructure[:/]{INSTANCE}', 0), '{INSTANCE}', 0)"


def _last_part(column: str, separator: str) -> str:
    return (
        f"CASE WHEN {column} LIKE '%{separator}%' THEN coalesce(regexp_extract({column}, '[^{separator}]*$', 0), '') "
        "ELSE '' END"
    )


def _first(*values: str, empty: str = "", last: str = "''") -> str:
    """The first that is there: not NULL, not ``''``, not ``empty``."""
    present = (f"nullif(nullif({value}, ''), '{empty}')" if empty else f"nullif({value}, '')" for value in values)
    return f"coalesce({', '.join(present)}, {last})"


def _or_empty(value: str) -> str:
    return f"coalesce({value}, '')"


def _list(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)
