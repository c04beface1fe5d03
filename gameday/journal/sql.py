"""The journal on SQLAlchemy: SQLite by default, another database by its URL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from sqlalchemy import Connection, Engine, Row, create_engine, event, insert, inspect, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from gameday.errors import HoldTaken, JournalError
from gameday.journal import schema
from gameday.journal.owner import Owner
from gameday.journal.records import HoldRecord, RunRecord, StepRecord, StepState
from gameday.sdk import SEALED, AnyEvent, Closed, RunFinished, Sealed, TargetFacts, seal

BUSY_SECONDS = 5
"""How long a write waits for another process's; the driver never waits for the journal once it rolls back."""


def now() -> str:
    """This moment, as the journal writes it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def default_place() -> str:
    """``$GAMEDAY_JOURNAL``, or the file under the XDG state directory."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return os.environ.get("GAMEDAY_JOURNAL") or str(Path(state) / "gameday" / "journal.db")


class SqlJournal:
    """A :class:`gameday.journal.Journal` in a database.

    Parameters
    ----------
    place: a file's path, or a database URL as SQLAlchemy writes it.
    create: make the file and the tables when they are missing; without it a missing journal is empty.

    Raises JournalError when it cannot be opened, or is of another version.
    """

    def __init__(self, place: str, *, create: bool = True) -> None:
        url = place if "://" in place else f"sqlite:///{Path(place).expanduser().absolute()}"
        try:
            self._url = make_url(url)
        except ArgumentError as error:
            raise JournalError("the journal is neither a file nor a database URL that can be read") from error
        self._file = Path(self._url.database or "") if self._url.get_backend_name() == "sqlite" else None
        with self._failing("cannot be opened"):
            self._engine = self._connect(create)
            self._prepare()

    @property
    def place(self) -> str:
        """Where it is, without a password."""
        return str(self._file) if self._file else self._url.render_as_string(hide_password=True)

    def _connect(self, create: bool) -> Engine:
        if self._file is None:
            return create_engine(self._url, pool_pre_ping=True)
        if create or self._file.exists():
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file.touch(mode=0o600)
            engine = create_engine(self._url, connect_args={"timeout": BUSY_SECONDS})
        else:
            engine = create_engine("sqlite://")
        event.listen(engine, "connect", _durable)
        event.listen(engine, "begin", _immediate)
        return engine

    def _prepare(self) -> None:
        with self._engine.begin() as db:
            if not inspect(db).has_table(schema.meta.name):
                schema.metadata.create_all(db)
            found = db.execute(select(schema.meta.c.value).where(schema.meta.c.name == "schema")).scalar()
            if found is None:
                db.execute(insert(schema.meta).values(name="schema", value=str(schema.VERSION)))
            elif found != str(schema.VERSION):
                raise JournalError(
                    f"the journal at {self.place} has version {found}, and this gameday reads {schema.VERSION}; "
                    "use the gameday that wrote it, or another journal with --journal"
                )

    @contextmanager
    def _failing(self, what: str) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError, ImportError) as error:
            cause = getattr(error, "orig", None) or error
            raise JournalError(f"the journal at {self.place} {what}: {cause}") from error

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._failing("cannot be written"), self._engine.begin() as db:
            yield db

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._failing("cannot be read"), self._engine.connect().execution_options(only_reads=True) as db:
            yield db

    def open_run(self, run: str, playbook: str, owner: Owner) -> None:
        """Note that a run begins."""
        row = {"run": run, "playbook": playbook, "started_at": now(), "heartbeat_at": now()}
        with self._writing() as db:
            db.execute(insert(schema.runs).values(**row, owner=owner.model_dump_json(), target=""))

    def set_target(self, run: str, target: TargetFacts) -> None:
        """Note which AWS the run speaks to."""
        self._update_run(run, target=target.model_dump_json())

    def heartbeat(self, run: str) -> None:
        """Note that the run's owner is alive."""
        self._update_run(run, heartbeat_at=now())

    def finish_run(self, run: str, finished: RunFinished) -> None:
        """Note how the run ended."""
        self._update_run(
            run,
            finished_at=now(),
            verdict=str(finished.verdict),
            exit_code=finished.exit_code,
            story=finished.story,
        )

    def _update_run(self, run: str, **values: str | int) -> None:
        with self._writing() as db:
            db.execute(update(schema.runs).where(schema.runs.c.run == run).values(**values))

    def record(self, events: list[Sealed]) -> None:
        """Append events."""
        rows = [{"run": e.run, "seq": e.seq, "body": e.model_dump_json()} for e in events]
        with self._writing() as db:
            db.execute(insert(schema.events), rows)

    def append(self, run: str, event: AnyEvent) -> Sealed:
        """Seal an event behind the run's last one and append it."""
        table = schema.events
        query = select(table.c.body).where(table.c.run == run).order_by(table.c.seq.desc()).limit(1)
        with self._writing() as db:
            body = db.execute(query).scalar()
            last = SEALED.validate_json(body) if body else None
            seq, previous = (last.seq + 1, last.hash) if last else (0, "")
            sealed = seal(run, seq, now(), previous, event)
            db.execute(insert(table).values(run=run, seq=seq, body=sealed.model_dump_json()))
        return sealed

    def take_hold(self, run: str, owner: Owner, resource: str) -> None:
        """Take the hold on a resource; raises HoldTaken, naming who has it."""
        try:
            with self._engine.begin() as db:
                found = self._hold(db, resource)
                if found is None:
                    row = {"resource": resource, "run": run, "taken_at": now(), "owner": owner.model_dump_json()}
                    db.execute(insert(schema.holds).values(row))
        except IntegrityError:  # taken between the look and the insert (databases without BEGIN IMMEDIATE)
            with self._reading() as db:
                found = self._hold(db, resource)
        except SQLAlchemyError as error:
            raise JournalError(f"the journal at {self.place} cannot be written: {error}") from error
        if found is not None and found.run != run:
            raise HoldTaken(
                f"{resource} is held by run {found.run} ({found.owner}) since {found.taken_at}; "
                f"wait for it, or see gameday status"
            )

    def _hold(self, db: Connection, resource: str) -> HoldRecord | None:
        row = db.execute(select(schema.holds).where(schema.holds.c.resource == resource)).first()
        return _hold_record(row) if row else None

    def release(self, run: str, resource: str) -> None:
        """Give back one's own hold."""
        with self._writing() as db:
            db.execute(schema.holds.delete().where(schema.holds.c.run == run, schema.holds.c.resource == resource))

    def intend(self, record: StepRecord) -> None:
        """Write down an undo step durably, under a hold that is still the run's."""
        row = {"run": record.run, "step": record.id, "body": record.model_dump_json(), "state": "intended"}
        with self._writing() as db:
            found = self._hold(db, record.resource)
            if found is None or found.run != record.run:
                raise HoldTaken(f"the hold on {record.resource} is no longer this run's; nothing may be changed")
            db.execute(insert(schema.steps).values(**row, intended_at=now()))

    def injected(self, run: str, step: str, *, certain: bool) -> None:
        """Note that the change was made; without ``certain`` it may have been, or may still be."""
        self._update_step(run, step, state="injected" if certain else "intended", injected_at=now())

    def close(self, run: str, step: str, closed: Closed, detail: str) -> None:
        """Note how the step was closed."""
        self._update_step(run, step, state="closed", closed=str(closed), closed_at=now(), detail=detail)

    def reopen(self, run: str, step: str) -> None:
        """Note that a step which was closed is open again."""
        table = schema.steps
        with self._writing() as db:
            mine = (table.c.run == run, table.c.step == step)
            db.execute(
                update(table).where(*mine).values(state="intended", closed=None, closed_at=None, injected_at=now())
            )

    def _update_step(self, run: str, step: str, **values: str) -> None:
        table = schema.steps
        with self._writing() as db:
            db.execute(
                update(table)
                .where(table.c.run == run, table.c.step == step, table.c.state != "closed")
                .values(**values)
            )

    def run(self, run: str) -> RunRecord:
        """One run, by its id or the beginning of it."""
        with self._reading() as db:
            query = select(schema.runs).where(schema.runs.c.run.startswith(run, autoescape=True)).limit(3)
            rows = db.execute(query).all()
        if len(rows) != 1:
            count = "no run" if not rows else "more than one run"
            raise JournalError(f"{count} in the journal at {self.place} begins with {run!r}; see gameday history")
        return _run_record(rows[0])

    def runs(self, limit: int) -> list[RunRecord]:
        """The latest runs, newest first."""
        with self._reading() as db:
            rows = db.execute(select(schema.runs).order_by(schema.runs.c.started_at.desc()).limit(limit)).all()
        return [_run_record(row) for row in rows]

    def events(self, run: str) -> list[Sealed]:
        """A run's events, in order."""
        with self._reading() as db:
            query = select(schema.events.c.body).where(schema.events.c.run == run).order_by(schema.events.c.seq)
            return [SEALED.validate_json(body) for body in db.execute(query).scalars()]

    def steps(self, run: str | None = None, *, only_open: bool = False) -> list[StepState]:
        """Undo steps, of one run or of all."""
        query = select(schema.steps).order_by(schema.steps.c.intended_at)
        if run is not None:
            query = query.where(schema.steps.c.run == run)
        if only_open:
            query = query.where(schema.steps.c.state != "closed")
        with self._reading() as db:
            return [_step_state(row) for row in db.execute(query)]

    def holds(self) -> list[HoldRecord]:
        """All holds."""
        with self._reading() as db:
            return [_hold_record(row) for row in db.execute(select(schema.holds).order_by(schema.holds.c.taken_at))]


def _durable(connection: DBAPIConnection, _record: object) -> None:
    """WAL with a full sync: what was written is there after a power cut."""
    connection.isolation_level = None  # SQLAlchemy's own BEGIN below, not the driver's late one
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_SECONDS * 1000}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _immediate(db: Connection) -> None:
    """A deferred BEGIN that turns into a write fails at once, whatever the timeout; so ask for the lock first."""
    db.exec_driver_sql("BEGIN" if db.get_execution_options().get("only_reads") else "BEGIN IMMEDIATE")


def _run_record(row: Row[tuple[object, ...]]) -> RunRecord:
    values = dict(row._mapping)
    target = cast(str, values.pop("target"))
    values["owner"] = Owner.model_validate_json(cast(str, values["owner"]))
    values["target"] = TargetFacts.model_validate_json(target) if target else None
    return RunRecord.model_validate(values)


def _hold_record(row: Row[tuple[object, ...]]) -> HoldRecord:
    values = dict(row._mapping)
    values["owner"] = Owner.model_validate_json(cast(str, values["owner"]))
    return HoldRecord.model_validate(values)


def _step_state(row: Row[tuple[object, ...]]) -> StepState:
    values = dict(row._mapping)
    return StepState.model_validate({**values, "record": StepRecord.model_validate_json(cast(str, values["body"]))})
