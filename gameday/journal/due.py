"""Due times in the journal: each is claimed by one daemon, whoever else sees it come."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import cast

from sqlalchemy import ColumnElement, Connection, Row, Select, func, insert, select, update

from gameday.errors import Interrupted
from gameday.journal import schema
from gameday.journal.database import Database, iso
from gameday.journal.owner import Owner
from gameday.journal.records import DueRecord, seconds_since

WATCHED = "watched"
"""The outcome of the row that says since when a schedule is watched: nothing before it was ever missed."""


class DueTimes:
    """The due times of all schedules on a journal; every method raises JournalError when it does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last(self, schedule: str, owner: Owner) -> datetime:
        """The last due time of a schedule that somebody dealt with; for a new one, now."""
        table = schema.due
        query = select(func.max(table.c.due_at)).where(table.c.schedule == schedule)
        with self._database.reading() as db:
            found = db.execute(query).scalar()
        if found is None:
            with self._database.writing(alone=True) as db:
                found = db.execute(query).scalar()
                if found is None:
                    found = self._now(db)
                    self._insert(db, schedule, found, owner, "", outcome=WATCHED, detail="watched from here on")
        return datetime.fromisoformat(found)

    def now(self) -> datetime:
        """This moment, by the clock that counts."""
        with self._database.reading() as db:
            return self._database.now(db)

    def claim(self, schedule: str, due: datetime, owner: Owner, run: str) -> bool:
        """Whether the due time is ours; at most one of all who ask is told so, ever."""
        return self._first(schedule, due, owner, run)

    def note(self, schedule: str, due: datetime, owner: Owner, outcome: str, detail: str) -> bool:
        """Settle a due time for which nothing is run; whether nobody had claimed it before."""
        return self._first(schedule, due, owner, "", outcome=outcome, detail=detail)

    def begin(self, schedule: str, due: datetime, owner: Owner, limit: int) -> str:
        """Note that a claimed due time's game day begins; or why it may not, with no more than ``limit`` under way.

        Raises Interrupted when another daemon has taken it over meanwhile.
        """
        table = schema.due
        with self._database.writing(alone=True) as db:
            ours = (*self._mine(schedule, iso(due)), table.c.outcome.is_(None))
            if db.execute(select(table.c.claimed_by).where(*ours)).scalar() != owner.model_dump_json():
                raise Interrupted("another daemon has taken this due time over")
            under_way = (table.c.outcome.is_(None), table.c.began_at.is_not(None))
            others = db.execute(select(table.c.schedule, table.c.run).where(*under_way)).all()
            for other, run in others:
                if other == schedule:
                    return f"its run {run} is still on"
            if len(others) >= limit:
                return f"{len(others)} game days are under way, and the limit is {limit}"
            self._update(db, schedule, iso(due), began_at=self._now(db))
        return ""

    def story(self, run: str) -> str | None:
        """How a run has ended, in its own words; "" while it has not said so, None when it never began."""
        query = select(schema.runs.c.run, schema.runs.c.story).where(schema.runs.c.run == run)
        with self._database.reading() as db:
            row = db.execute(query).first()
        return None if row is None else str(row.story or "")

    def verdict(self, run: str) -> str | None:
        """A run's verdict; None while there is none."""
        with self._database.reading() as db:
            return db.execute(select(schema.runs.c.verdict).where(schema.runs.c.run == run)).scalar()

    def beat(self, schedule: str, due: datetime) -> None:
        """Note that whoever claimed it is alive."""
        with self._database.writing() as db:
            self._update(db, schedule, iso(due), heartbeat_at=self._now(db))

    def settle(self, schedule: str, due: datetime, outcome: str, detail: str) -> bool:
        """Note what became of a due time; whether nobody had done so before."""
        with self._database.writing() as db:
            changed = self._update(db, schedule, iso(due), outcome=outcome, detail=detail, settled_at=self._now(db))
        return changed == 1

    def take_over(self, record: DueRecord, owner: Owner) -> bool:
        """Make a due time whose daemon is gone ours; whether we were the first."""
        table = schema.due
        with self._database.writing(alone=True) as db:
            query = select(table.c.claimed_by).where(*self._mine(record.schedule, record.due_at))
            if db.execute(query).scalar() != record.claimed_by.model_dump_json():
                return False
            ours = {"claimed_by": owner.model_dump_json(), "heartbeat_at": self._now(db)}
            return self._update(db, record.schedule, record.due_at, **ours) == 1

    def give_up(self, record: DueRecord, outcome: str, detail: str) -> bool:
        """Settle a due time whose run never began, so that it never will; False when it has begun after all."""
        runs = schema.runs
        with self._database.writing(alone=True) as db:
            if db.execute(select(runs.c.run).where(runs.c.run == record.run)).scalar() is not None:
                return False
            values = {"outcome": outcome, "detail": detail, "settled_at": self._now(db)}
            return self._update(db, record.schedule, record.due_at, **values) == 1

    def under_way(self) -> list[DueRecord]:
        """The due times that nobody has settled, oldest first."""
        table = schema.due
        return self._records(select(table).where(table.c.outcome.is_(None)).order_by(table.c.due_at))

    def of(self, run: str) -> DueRecord | None:
        """The due time that a run was begun for."""
        return next(iter(self._records(select(schema.due).where(schema.due.c.run == run))), None)

    def latest(self, limit: int) -> list[DueRecord]:
        """The latest due times, newest first."""
        table = schema.due
        query = select(table).where(table.c.outcome.is_distinct_from(WATCHED))
        return self._records(query.order_by(table.c.due_at.desc()).limit(limit))

    def _records(self, query: Select[tuple[object, ...]]) -> list[DueRecord]:
        with self._database.reading() as db:
            rows = db.execute(query).all()
            now = self._database.now(db) if rows else datetime.now(UTC)
        found: list[DueRecord] = []
        for row in rows:
            with suppress(ValueError, TypeError, AttributeError, OverflowError):  # a row of nobody's is no due time
                found.append(_record(row, now))
        return found

    def _first(self, schedule: str, due: datetime, owner: Owner, run: str, **values: str) -> bool:
        table = schema.due
        with self._database.writing(alone=True) as db:
            if db.execute(select(table.c.run).where(*self._mine(schedule, iso(due)))).first() is not None:
                return False
            self._insert(db, schedule, iso(due), owner, run, **values)
        return True

    def _insert(self, db: Connection, schedule: str, due: str, owner: Owner, run: str, **values: str) -> None:
        at = self._now(db)
        row = {"schedule": schedule, "due_at": due, "run": run, "claimed_at": at, "heartbeat_at": at, **values}
        row |= {"settled_at": at} if "outcome" in values else {}
        db.execute(insert(schema.due).values(**row, claimed_by=owner.model_dump_json()))

    def _update(self, db: Connection, schedule: str, due: str, **values: str) -> int:
        mine = (*self._mine(schedule, due), schema.due.c.outcome.is_(None))
        return int(db.execute(update(schema.due).where(*mine).values(**values)).rowcount)

    @staticmethod
    def _mine(schedule: str, due: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        return (schema.due.c.schedule == schedule, schema.due.c.due_at == due)

    def _now(self, db: Connection) -> str:
        return iso(self._database.now(db))


def _record(row: Row[tuple[object, ...]], now: datetime) -> DueRecord:
    values = dict(row._mapping)
    values["claimed_by"] = Owner.model_validate_json(cast(str, values["claimed_by"]))
    values["silence"] = seconds_since(cast(str, values["heartbeat_at"]), now)
    return DueRecord.model_validate(values)
