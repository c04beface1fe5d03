"""Bringing an older journal to this version's tables: in one transaction, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, bindparam, insert, inspect, select, text, update

from gameday.errors import JournalError
from gameday.journal import schema
from gameday.journal.owner import Owner
from gameday.journal.records import SILENCE, StepRecord, seconds_since

if TYPE_CHECKING:
    from gameday.journal.database import Database


def bring_up_to_date(database: Database) -> None:
    """Make the tables, migrate older ones, or raise JournalError for what is not this gameday's to write."""
    with database.reading() as db:
        found = _version(db, database)
    if found == schema.VERSION:
        return
    with database.writing(alone=True) as db:
        found = _version(db, database)  # another process may have been quicker
        if found == 1:
            _nobody_writes_it(db, database)
            _from_1_to_2(db)
        if found is None:
            schema.metadata.create_all(db)
            db.execute(insert(schema.meta).values(name="schema", value=str(schema.VERSION)))
        elif found != schema.VERSION:
            db.execute(update(schema.meta).where(schema.meta.c.name == "schema").values(value=str(schema.VERSION)))


def _version(db: Connection, database: Database) -> int | None:
    """The version of the tables there, or None for a database that is empty."""
    looked = inspect(db)
    if not looked.has_table(schema.meta.name):
        others = looked.get_table_names()
        if others and not database.shared:  # a PostgreSQL database may be home to others as well
            raise JournalError(
                f"{database.place} is a database, but not gameday's (it holds {others[0]}); name another file"
            )
        return None
    found = db.execute(select(schema.meta.c.value).where(schema.meta.c.name == "schema")).scalar()
    if found is None or not found.isdecimal() or not 1 <= int(found) <= schema.VERSION:
        raise JournalError(
            f"the journal at {database.place} has version {found}, and this gameday reads 1 to {schema.VERSION}; "
            "use the gameday that wrote it, or another journal with --journal"
        )
    return int(found)


def _nobody_writes_it(db: Connection, database: Database) -> None:
    """An older gameday in the middle of a run would go on writing what this one does not read."""
    runs = schema.runs
    open_runs = select(runs.c.run, runs.c.owner, runs.c.heartbeat_at).where(runs.c.finished_at.is_(None))
    for run, owner, heartbeat_at in db.execute(open_runs):
        who = Owner.model_validate_json(owner)
        silent = seconds_since(heartbeat_at, database.now(db))
        if who.alive() or (who.alive() is None and silent < SILENCE):
            raise JournalError(
                f"the journal at {database.place} is of an older gameday, whose run {run} ({who}) still goes on; "
                "wait until it has ended, then the journal is migrated"
            )


def _from_1_to_2(db: Connection) -> None:
    """Steps say their resource in a column; runs can be abandoned; halts and due times are new."""
    db.execute(text("ALTER TABLE gameday_runs ADD COLUMN abandon TEXT"))
    db.execute(text("ALTER TABLE gameday_steps ADD COLUMN resource VARCHAR(512) DEFAULT '' NOT NULL"))
    steps = schema.steps
    found = db.execute(select(steps.c.run, steps.c.step, steps.c.body)).all()
    rows = [{"r": run, "s": step, "arn": StepRecord.model_validate_json(body).resource} for run, step, body in found]
    if rows:
        mine = (steps.c.run == bindparam("r"), steps.c.step == bindparam("s"))
        db.execute(update(steps).where(*mine).values(resource=bindparam("arn")), rows)
    schema.metadata.create_all(db, tables=[schema.halts, schema.due])
