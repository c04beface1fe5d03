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

from collections.abc import Iterable
from dataclasses import replace

from gameday.blastradius._answer import Kind
from gameday.blastradius._dialects import Dialect
from gameday.blastradius._known import (
    CONTEXT_NAMES,
    CONTEXT_PATHS,
    DRY_RUN,
    EACH_TIME_ANOTHER,
    INSTANCE,
    INTERNAL,
    KEY_ARN,
    REFUSALS,
    REFUSED_ACTIONS,
)
from gameday.blastradius._question import KeyName, Question

ROW_COLUMNS = (
    "kind", "principal", "service", "resource", "uses", "errors", "refused", "first_used", "last_used",
    "first_refused", "last_refused", "last_succeeded", "actions", "error_codes", "accounts", "regions",
    "sessions", "issued_to", "repeated",
)  # fmt: skip
USE_COLUMNS = (
    "event_id", "shared_event_id", "request_id", "moment", "kind", "action", "principal", "session", "service",
    "resource", "instance", "error_code", "error_message", "user_agent", "source_ip", "account", "region",
)  # fmt: skip


def rows_sql(question: Question, dialect: Dialect, records: str) -> str:
    """The sums by kind, principal, service and resource; ``records`` gives ``_flat.COLUMNS``, none of them NULL."""
    return f"{uses_ctes(question, dialect, records)}\n{SUMS.format(**_distinct(dialect))}"


def uses_sql(question: Question, dialect: Dialect, records: str) -> str:
    """Each single use, oldest first."""
    columns = ", ".join(USE_COLUMNS)
    told = f"SELECT {columns} FROM uses WHERE kind <> '{Kind.DRY_RUN}' ORDER BY moment, event_id, action"  # noqa: S608
    return f"{uses_ctes(question, dialect, records)}\n{told}"


def _distinct(dialect: Dialect) -> dict[str, str]:
    return {name: dialect.distinct(name) for name in ("action", "error_code", "account", "region", "issued_to")}


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
  {issued_to} AS issued_to,
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
    {_or_empty(_steady(dialect.pairs("context")))} AS context_pairs,
    {_or_empty(", ".join(texts(parameters, [("granteePrincipal",)])))} AS grantee,
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
    dependent, error_code, error_message, user_agent, source_ip, identity_arn, issued_to, event_category,
    {_principal()} AS principal,
    {_session()} AS session,
    {_service()} AS service,
    {_first("known_resource", _ARN_IN_CONTEXT, "instance", _FUNCTION, "context_pairs")} AS resource
  FROM read
),
counted AS (
  SELECT named.*,
    CASE WHEN moment = '' THEN 'undated'
      WHEN error_code = '{DRY_RUN}' THEN '{Kind.DRY_RUN}'
      WHEN dependent = 0 THEN 'management'
      WHEN concat(' ', user_agent) LIKE '% gameday/%' OR user_agent LIKE '%[gameday/%'
        OR session LIKE 'gameday-%' THEN 'own'
      ELSE 'use' END AS kind,
    max(CASE WHEN event_category <> 'NetworkActivity' THEN 1 ELSE 0 END) OVER (PARTITION BY request_id, action) AS told,
    count(*) OVER (PARTITION BY {_IDENTITY}) AS copies,
    row_number() OVER (PARTITION BY {_IDENTITY} ORDER BY CASE WHEN identity_arn <> '' THEN 0 ELSE 1 END, event_id,
      account, moment, action, principal, session, service, resource, error_code, source_ip, user_agent) AS copy
  FROM named
),
uses AS (
  SELECT * FROM counted
  WHERE copy = 1 AND NOT (event_category = 'NetworkActivity' AND told = 1 AND request_id <> '')
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
    foreign = (
        f"CASE WHEN identity_account LIKE '{'_' * 12}' AND identity_account <> recipient_account "
        f"AND recipient_account <> '' AND ({by_id}) <> '' THEN concat(identity_account, ':', {by_id}) END"
    )
    anonymous = "CASE WHEN identity_account = 'ANONYMOUS_PRINCIPAL' THEN 'anonymous' END"
    return _first(
        "issuer_arn", role, arn, foreign, by_id, anonymous, "invoked_by", "identity_account", empty="", last="'unknown'"
    )


def _session() -> str:
    return (
        "CASE WHEN identity_arn LIKE 'arn:%:assumed-role/%/%' THEN coalesce(split_part(identity_arn, '/', 3), '') "
        "WHEN identity_arn = '' THEN principal_tail ELSE '' END"
    )


def _service() -> str:
    """Who called on the principal's behalf; ``AWS Internal`` says that someone did, and not who.

    The console's user agent tells less than the context does, which names the service for which the console asked.
    """

    def named(column: str) -> str:
        return (
            f"CASE WHEN {column} LIKE '%.amazonaws.com%' AND {column} <> 'internal.amazonaws.com' "
            f"AND {column} NOT LIKE '% %' THEN {column} END"
        )

    spelled = "regexp_extract(context_pairs, '(^|,)aws:([a-z][a-z0-9-]*):', 2)"
    spelled = f"CASE WHEN {spelled} <> '' THEN concat({spelled}, '.amazonaws.com') END"
    internal = (
        f"CASE WHEN '{INTERNAL}' IN (invoked_by, source_ip) "
        f"OR 'internal.amazonaws.com' IN (invoked_by, source_ip) THEN '{INTERNAL}' END"
    )
    whose = ("invoked_by", "source_ip")
    return _first(
        *(named(column) for column in whose),
        "CASE WHEN user_agent <> 'console.amazonaws.com' THEN " + named("user_agent") + " END",
        "context_service",
        spelled,
        named("grantee"),
        named("user_agent"),
        internal,
        last="'direct'",
    )


def _steady(pairs: str) -> str:
    """The context without what differs with each message."""
    return f"regexp_replace(regexp_replace({pairs}, '(^|,){EACH_TIME_ANOTHER}=[^,]*', ''), '^,', '')"


_ARN_IN_CONTEXT = "regexp_extract(context_pairs, '=(arn:aws[a-z-]*:[^,]*)', 1)"
_FUNCTION = "CASE WHEN issued_to LIKE 'arn:%:lambda:%' THEN issued_to END"


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
