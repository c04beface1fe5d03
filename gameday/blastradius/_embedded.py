"""The definition, run by DuckDB in this process over what the sources gave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gameday.blastradius._answer import Answer, Coverage, Kind, Row, Totals, Use
from gameday.blastradius._dialects import DUCKDB
from gameday.blastradius._flat import COLUMNS
from gameday.blastradius._known import KEY_ARN
from gameday.blastradius._question import Question
from gameday.blastradius._source import Source, Watch, new_hits
from gameday.blastradius._sql import ROW_COLUMNS, USE_COLUMNS, rows_sql, uses_sql

if TYPE_CHECKING:
    import duckdb

ROOMS = ("224MB", "2GB")
"""Memory, one after another until there is enough: beyond it DuckDB goes on in the hits' folder, but it needs some that
it cannot put there. On one thread, since each takes half as much again and the counting is a twentieth of the time."""
Counted = tuple[list[tuple[object, ...]], list[tuple[object, ...]], list[str]]
"""Rows, single uses, and the ARNs of other keys of the same id."""
_NEVER = datetime.min.replace(tzinfo=UTC)
"""Of records without a time; no row that is shown has any."""
_MAXIMUM_LINE = 2 * 2**20
"""What ``_flat`` keeps of a record is less, were every character escaped; DuckDB's buffers are twice as large."""


class Embedded:
    """Counts the records of one or several sources; records that come from more than one count once."""

    def __init__(self, *sources: Source) -> None:
        self._sources = sources

    def ask(self, question: Question, watch: Watch | None = None) -> Answer:
        """Read the sources one after another, then count; when stopped, what was read until then is counted."""
        watch = watch or Watch()
        coverage = Coverage()
        with new_hits() as hits:
            for source in self._sources:
                coverage += source.read(question, hits, watch)
            hits.close()
            rows, uses, others = _counted(question, hits.folder)
        if others and not rows:
            gap = (
                f"the records name a key of this id as {', '.join(others[:3])}, which is another key than was asked for"
            )
            coverage += Coverage(gaps=(gap,))
        return answer_of(question, rows, uses, coverage)


def _counted(question: Question, folder: Path) -> Counted:
    import duckdb

    for memory in ROOMS[:-1]:
        with suppress(duckdb.OutOfMemoryException), _database(folder, memory) as database:
            return _count(database, question, folder)
    with _database(folder, ROOMS[-1]) as database:
        return _count(database, question, folder)


def _count(database: duckdb.DuckDBPyConnection, question: Question, folder: Path) -> Counted:
    files = sorted(str(file) for file in folder.glob("*.ndjson") if file.stat().st_size)
    if not files:
        return [], [], []
    columns = ", ".join(f"c[{number}] AS {name}" for number, name in enumerate(COLUMNS, 1))
    listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    records = (
        f"SELECT {columns} FROM read_ndjson([{listed}], records = false, "  # noqa: S608 (our own files)
        f"columns = {{c: 'VARCHAR[]'}}, maximum_object_size = {_MAXIMUM_LINE})"
    )
    rows = database.sql(rows_sql(question, DUCKDB, records)).fetchall()
    uses = database.sql(uses_sql(question, DUCKDB, records)).fetchall() if question.detail else []
    return rows, uses, [] if rows else _others(database, question, records)


def _others(database: duckdb.DuckDBPyConnection, question: Question, records: str) -> list[str]:
    """Keys of the same id in another account or Region: an ARN is soon mistyped there."""
    said = "concat(resources, ' ', error_message, ' ', request_parameters)"
    sql = f"SELECT DISTINCT unnest(regexp_extract_all({said}, '{KEY_ARN}')) AS arn FROM ({records}) ORDER BY arn"  # noqa: S608 (our own files)
    arns = (str(found[0]) for found in database.sql(sql).fetchall())
    return [arn for arn in arns if arn.endswith(f":key/{question.key.id}") and arn not in question.key.arns]


@contextmanager
def _database(folder: Path, memory: str) -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb

    settings = {
        "memory_limit": memory,
        "temp_directory": str(folder / "spill"),
        "threads": "1",
        "preserve_insertion_order": "false",
        "allocator_bulk_deallocation_flush_threshold": "1MB",  # what is done with goes back: a third of the peak
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    database = duckdb.connect(":memory:", config=settings)  # type: ignore[arg-type]  # values of other types exist
    try:
        yield database
    finally:
        database.close()


def answer_of(
    question: Question,
    rows: Iterable[Sequence[object]],
    uses: Iterable[Sequence[object]],
    coverage: Coverage,
) -> Answer:
    """The answer from what the definition gave, whichever engine ran it; every value may come as text."""
    by_kind: dict[str, list[Row]] = {}
    repeated = 0
    for values in rows:
        found = {name: "" if value is None else str(value) for name, value in zip(ROW_COLUMNS, values, strict=True)}
        repeated += int(found["repeated"])
        by_kind.setdefault(found["kind"], []).append(_row(found))
    used = by_kind.get(Kind.USE, [])
    own, management = by_kind.get(Kind.OWN, []), by_kind.get(Kind.MANAGEMENT, [])
    undated = sum(row.uses for row in by_kind.get("undated", []))
    found_in_all = sum(row.uses for rows_ in by_kind.values() for row in rows_)
    return Answer(
        key=str(question.key),
        window=question.window,
        rows=tuple(used),
        totals=_totals(used).but(
            own=sum(row.uses for row in own),
            management=sum(row.uses for row in management),
            dry_runs=sum(row.uses for row in by_kind.get(Kind.DRY_RUN, [])),
        ),
        coverage=coverage.but(hits=found_in_all - undated, repeated=repeated, undated=undated),
        own=tuple(own),
        management=tuple(management),
        uses=tuple(_uses(uses)),
    )


def _row(found: dict[str, str]) -> Row:
    return Row(
        principal=found["principal"],
        service=found["service"],
        resource=found["resource"],
        uses=int(found["uses"]),
        errors=int(found["errors"]),
        refused=int(found["refused"]),
        first_used=_time(found["first_used"]) or _NEVER,
        last_used=_time(found["last_used"]) or _NEVER,
        first_refused=_time(found["first_refused"]),
        last_refused=_time(found["last_refused"]),
        last_succeeded=_time(found["last_succeeded"]),
        actions=tuple(filter(None, found["actions"].split(","))),
        error_codes=tuple(filter(None, found["error_codes"].split(","))),
        accounts=tuple(filter(None, found["accounts"].split(","))),
        regions=tuple(filter(None, found["regions"].split(","))),
        sessions=int(found["sessions"]),
        issued_to=tuple(filter(None, found["issued_to"].split(","))),
    )


def _uses(uses: Iterable[Sequence[object]]) -> Iterator[Use]:
    for values in uses:
        found = {name: "" if value is None else str(value) for name, value in zip(USE_COLUMNS, values, strict=True)}
        time = _time(found.pop("moment"))
        kind = found.pop("kind")
        if time is not None:
            yield Use(time=time, kind=Kind(kind), **found)


def _totals(rows: Sequence[Row]) -> Totals:
    return Totals(
        uses=sum(row.uses for row in rows),
        errors=sum(row.errors for row in rows),
        refused=sum(row.refused for row in rows),
        principals=len({row.principal for row in rows}),
        services=len({row.service for row in rows}),
        resources=len({row.resource for row in rows if row.resource}),
        rows=len(rows),
        first_used=min((row.first_used for row in rows), default=None),
        last_used=max((row.last_used for row in rows), default=None),
    )


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
