"""The journal on SQLAlchemy: SQLite by default, PostgreSQL by its URL."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Row, exists, func, insert, select, update

from gameday.errors import Halted, HoldTaken, JournalError, Refused
from gameday.journal import schema
from gameday.journal.database import Database, default_place, iso
from gameday.journal.owner import Owner
from gameday.journal.records import (
    SILENCE,
    Abandon,
    Halt,
    HoldRecord,
    Pulse,
    RowUnreadable,
    RunRecord,
    StepRecord,
    StepState,
    seconds_since,
)
from gameday.journal.seal import Seal
from gameday.sdk import SEALED, AnyEvent, Closed, RunFinished, Sealed, TargetFacts, format_duration, seal

__all__ = ["SqlJournal", "default_place"]

T = TypeVar("T")
PRUNED_AT_ONCE = 200
"""Runs in one statement: databases limit its parameters."""


class SqlJournal:
    """A :class:`gameday.journal.Journal` in a database.

    Parameters
    ----------
    place: a file's path, or ``postgresql://USER@HOST/DATABASE``.
    create: make the file and the tables when they are missing; without it a missing journal is empty.
    seal: what seals the undo steps that are written here.

    Raises JournalError when it cannot be opened, or is of a version that cannot be read.
    """

    def __init__(self, place: str, *, create: bool = True, seal: Seal | None = None) -> None:
        self._seal = seal
        self.database = Database(place, create=create)
        self._writing, self._reading = self.database.writing, self.database.reading
        self.unreadable: dict[str, str] = {}
        """Rows that were read and are none of gameday's, each with its sentence; what they stand for may be open."""

    def _readable(self, table: str, read: Callable[[Row[Any]], T], rows: Iterable[Row[Any]]) -> list[T]:
        """What the rows say; one that cannot be read is noted, and takes no other with it."""
        found: list[T] = []
        for row in rows:
            try:
                found.append(read(row))
            except (ValueError, TypeError, AttributeError, OverflowError) as error:  # pydantic's, and those of dates
                self._note_unreadable(table, row, error)
        return found

    def _note_unreadable(self, table: str, row: Row[Any], error: Exception) -> str:
        values = row._mapping
        names = ("run", "step", "seq", "resource")
        which = ", ".join(f"{name} {values[name]!r}" for name in names if values.get(name) not in ("", None))
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        said = f"a row of {table} cannot be read ({which}): {why}; what it stands for may still be changed"
        self.unreadable[f"{table} {which}"] = said
        return said

    @property
    def place(self) -> str:
        """Where it is, without a password."""
        return self.database.place

    def _now(self, db: Connection) -> str:
        return iso(self.database.now(db))

    def open_run(self, run: str, playbook: str, owner: Owner) -> None:
        """Note that a run begins."""
        due = schema.due
        with self._writing(alone=True) as db:
            settled = db.execute(select(due.c.detail).where(due.c.run == run, due.c.outcome.is_not(None))).scalar()
            if settled is not None:  # the daemon that started it was taken for dead, and its due time given up
                raise Refused(f"run {run} comes too late: {settled}")
            at = self._now(db)
            row = {"run": run, "playbook": playbook, "started_at": at, "heartbeat_at": at, "target": ""}
            db.execute(insert(schema.runs).values(**row, owner=owner.model_dump_json()))

    def set_target(self, run: str, target: TargetFacts) -> None:
        """Note which AWS the run speaks to."""
        with self._writing() as db:
            _update_run(db, run, target=target.model_dump_json())

    def pulse(self, run: str) -> Pulse:
        """Note that the run's owner is alive, and learn what others want of it."""
        runs, holds = schema.runs, schema.holds
        with self._writing() as db:
            _update_run(db, run, heartbeat_at=self._now(db))
            asked = db.execute(select(runs.c.abandon).where(runs.c.run == run)).scalar()
            held = db.execute(select(holds.c.resource).where(holds.c.run == run)).scalars()
            return Pulse(
                halt=_halt_in_force(db),
                abandon=_abandon(asked),
                holds=frozenset(held),
            )

    def finish_run(self, run: str, finished: RunFinished) -> None:
        """Note how the run ended."""
        with self._writing() as db:
            _update_run(
                db,
                run,
                finished_at=self._now(db),
                verdict=str(finished.verdict),
                exit_code=finished.exit_code,
                story=finished.story,
            )

    def record(self, events: list[Sealed]) -> None:
        """Append events."""
        rows = [{"run": e.run, "seq": e.seq, "body": e.model_dump_json()} for e in events]
        with self._writing() as db:
            db.execute(insert(schema.events), rows)

    def append(self, run: str, event: AnyEvent) -> Sealed:
        """Seal an event behind the run's last one and append it."""
        table = schema.events
        query = select(table).where(table.c.run == run).order_by(table.c.seq.desc()).limit(1)
        with self._writing(alone=True) as db:
            # Behind a row that nobody can read the chain is broken, as gameday verify says; it is no reason to stop.
            last = next(iter(self._readable("gameday_events", _sealed, row := db.execute(query).all())), None)
            seq, previous = (row[0].seq + 1 if row else 0), (last.hash if last else "")
            sealed = seal(run, seq, self._now(db), previous, event)
            db.execute(insert(table).values(run=run, seq=seq, body=sealed.model_dump_json()))
        return sealed

    def take_hold(self, run: str, owner: Owner, resource: str) -> None:
        """Take the hold on a resource, unless another has it, or left an undo step open on it."""
        with self._writing(alone=True) as db:
            if halt := _halt_in_force(db):
                raise Halted(f"game days are {halt}; gameday resume ends that")
            found = _hold(db, resource)
            if found is None:
                self._nothing_open(db, run, resource)
                row = {"resource": resource, "run": run, "taken_at": self._now(db), "owner": owner.model_dump_json()}
                db.execute(insert(schema.holds).values(row))
            elif found.run != run:
                age = seconds_since(found.taken_at, self.database.now(db))
                raise HoldTaken(
                    f"{resource} is held by run {found.run} ({found.owner}) for {lasting(age)}; "
                    f"wait for it, or see gameday status"
                )

    def _nothing_open(self, db: Connection, run: str, resource: str) -> None:
        """The hold of a run that has ended may be gone while its change is not: never inject over that."""
        table = schema.steps
        open_ = select(table.c.run).where(table.c.resource == resource, table.c.run != run, table.c.state != "closed")
        other = db.execute(open_.limit(1)).scalar()
        if other is not None:
            raise HoldTaken(
                f"{resource} has an open undo step of run {other}; finish it with: gameday rollback {other}"
            )

    def release(self, run: str, resource: str) -> None:
        """Give back a run's hold, unless an undo step of the run is still open on the resource."""
        holds, steps = schema.holds, schema.steps
        still = exists().where(steps.c.run == run, steps.c.resource == resource, steps.c.state != "closed")
        with self._writing(alone=True) as db:
            db.execute(holds.delete().where(holds.c.run == run, holds.c.resource == resource, ~still))

    def intend(self, record: StepRecord) -> None:
        """Write down an undo step durably, under a hold that is still the run's."""
        row = {"run": record.run, "step": record.id, "resource": record.resource, "state": "intended"}
        with self._writing(alone=True) as db:
            found = _hold(db, record.resource)
            if found is None or found.run != record.run:
                raise HoldTaken(f"the hold on {record.resource} is no longer this run's; nothing may be changed")
            if self._seal is not None:
                target = db.execute(select(schema.runs.c.target).where(schema.runs.c.run == record.run)).scalar()
                facts = TargetFacts.model_validate_json(target) if target else None
                record = record.model_copy(update={"seal": self._seal.of(record, facts)})
            row |= {"body": record.model_dump_json(), "intended_at": self._now(db)}
            db.execute(insert(schema.steps).values(**row))

    def injected(self, run: str, step: str, *, certain: bool) -> None:
        """Note that the change was made; without ``certain`` it may have been, or may still be."""
        with self._writing() as db:
            _update_open(db, run, step, state="injected" if certain else "intended", injected_at=self._now(db))

    def close(self, run: str, step: str, closed: Closed, detail: str) -> None:
        """Note how the step was closed."""
        with self._writing() as db:
            _update_open(db, run, step, state="closed", closed=str(closed), closed_at=self._now(db), detail=detail)

    def reopen(self, run: str, step: str) -> None:
        """Note that a step which was closed is open again."""
        table = schema.steps
        with self._writing() as db:
            again = {"state": "intended", "closed": None, "closed_at": None, "injected_at": self._now(db)}
            db.execute(update(table).where(table.c.run == run, table.c.step == step).values(again))

    def halt(self, by: str, reason: str) -> Halt:
        """Make every run on this journal roll back, and let none begin."""
        with self._writing(alone=True) as db:
            if (found := _halt_in_force(db)) is not None:
                return found
            halt = Halt(by=by, reason=reason, at=self._now(db))
            db.execute(insert(schema.halts).values(**halt.model_dump()))
        return halt

    def resume(self, by: str) -> Halt | None:
        """End the halt."""
        table = schema.halts
        with self._writing(alone=True) as db:
            found = _halt_in_force(db)
            ended = {"resumed_by": by, "resumed_at": self._now(db)}
            db.execute(update(table).where(table.c.resumed_at.is_(None)).values(**ended))
        return found

    def halted(self) -> Halt | None:
        """The halt that is in force."""
        with self._reading() as db:
            return _halt_in_force(db)

    def abandon(self, run: str, by: str, reason: str) -> Abandon:
        """Ask a run to leave everything as it is."""
        with self._writing(alone=True) as db:
            asked = db.execute(select(schema.runs.c.abandon).where(schema.runs.c.run == run)).scalar()
            if (found := _abandon(asked)) is not None:
                return found
            abandon = Abandon(by=by, reason=reason, at=self._now(db))
            _update_run(db, run, abandon=abandon.model_dump_json())
        return abandon

    def prune(self, seconds: float) -> int:
        """Forget the runs that ended, or were last heard of, longer ago than that; how many.

        A run with an open undo step stays whatever its age, and so does one that may still be alive.
        """
        runs, steps, halts = schema.runs, schema.steps, schema.halts
        with self._writing(alone=True) as db:
            before = iso(self.database.now(db) - timedelta(seconds=max(seconds, SILENCE)))
            last = func.coalesce(runs.c.finished_at, runs.c.heartbeat_at)
            open_ = exists().where(steps.c.run == runs.c.run, steps.c.state != "closed")
            old = db.execute(select(runs.c.run, runs.c.owner, runs.c.finished_at).where(last < before, ~open_)).all()
            gone = [run for run, owner, ended in old if ended or _dead(owner)]
            for start in range(0, len(gone), PRUNED_AT_ONCE):
                some = gone[start : start + PRUNED_AT_ONCE]
                for table in (schema.events, schema.steps, schema.holds, schema.runs):
                    db.execute(table.delete().where(table.c.run.in_(some)))
            db.execute(halts.delete().where(halts.c.resumed_at < before))
            self._prune_due(db, before)
        return len(gone)

    def _prune_due(self, db: Connection, before: str) -> None:
        """The last due time of each schedule stays: it says since when there is something to be missed."""
        due = schema.due
        last = select(due.c.schedule, func.max(due.c.due_at).label("at")).group_by(due.c.schedule).subquery()
        newer = exists().where(last.c.schedule == due.c.schedule, last.c.at > due.c.due_at)
        db.execute(due.delete().where(due.c.settled_at < before, newer))

    def run(self, run: str) -> RunRecord:
        """One run, by its id or the beginning of it."""
        with self._reading() as db:
            query = select(schema.runs).where(schema.runs.c.run.startswith(run, autoescape=True)).limit(3)
            found, now = db.execute(query).all(), self.database.now(db)
        if len(found) != 1:
            count = "no run" if not found else "more than one run"
            raise JournalError(f"{count} in the journal at {self.place} begins with {run!r}; see gameday history")
        return self._run_record(found[0], now)

    def _run_record(self, row: Row[Any], now: datetime) -> RunRecord:
        try:
            return _run_record(row, now)
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise RowUnreadable(self._note_unreadable("gameday_runs", row, error)) from error

    def known(self, run: str) -> RunRecord | None:
        """The run of that id, if there is one."""
        with self._reading() as db:
            row = db.execute(select(schema.runs).where(schema.runs.c.run == run)).first()
            return self._run_record(row, self.database.now(db)) if row else None

    def runs(self, limit: int) -> list[RunRecord]:
        """The latest runs, newest first."""
        with self._reading() as db:
            rows = db.execute(select(schema.runs).order_by(schema.runs.c.started_at.desc()).limit(limit)).all()
            now = self.database.now(db) if rows else datetime.now(UTC)
            return self._readable("gameday_runs", lambda row: _run_record(row, now), rows)

    def events(self, run: str) -> list[Sealed]:
        """A run's events, in order."""
        with self._reading() as db:
            query = select(schema.events).where(schema.events.c.run == run).order_by(schema.events.c.seq)
            rows = db.execute(query).all()
            return self._readable("gameday_events", _sealed, rows)

    def steps(self, run: str | None = None, *, only_open: bool = False) -> list[StepState]:
        """Undo steps, of one run or of all."""
        query = select(schema.steps).order_by(schema.steps.c.intended_at)
        if run is not None:
            query = query.where(schema.steps.c.run == run)
        if only_open:
            query = query.where(schema.steps.c.state != "closed")
        with self._reading() as db:
            return self._readable("gameday_steps", _step_state, db.execute(query).all())

    def holds(self) -> list[HoldRecord]:
        """All holds."""
        with self._reading() as db:
            rows = db.execute(select(schema.holds).order_by(schema.holds.c.taken_at)).all()
            return self._readable("gameday_holds", _hold_record, rows)


def _sealed(row: Row[Any]) -> Sealed:
    return SEALED.validate_json(row.body)


def _dead(owner: str) -> bool:
    """Whether an owner is not seen alive; one that cannot be read may be."""
    try:
        return not Owner.model_validate_json(owner).alive()
    except (ValueError, TypeError):
        return False


def lasting(seconds: float) -> str:
    """A time for a sentence: ``3m12s``."""
    return format_duration(timedelta(seconds=max(0, round(seconds))))


def _update_run(db: Connection, run: str, **values: str | int) -> None:
    db.execute(update(schema.runs).where(schema.runs.c.run == run).values(**values))


def _update_open(db: Connection, run: str, step: str, **values: str) -> None:
    table = schema.steps
    mine = (table.c.run == run, table.c.step == step, table.c.state != "closed")
    db.execute(update(table).where(*mine).values(**values))


def _hold(db: Connection, resource: str) -> HoldRecord | None:
    row = db.execute(select(schema.holds).where(schema.holds.c.resource == resource)).first()
    try:
        return _hold_record(row) if row else None
    except (ValueError, TypeError) as error:
        raise HoldTaken(
            f"{resource} is held, but its row in gameday_holds cannot be read; see gameday status"
        ) from error


def _halt_in_force(db: Connection) -> Halt | None:
    table = schema.halts
    query = select(table.c.by, table.c.reason, table.c.at).where(table.c.resumed_at.is_(None)).limit(1)
    row = db.execute(query).first()
    return Halt.model_validate(dict(row._mapping)) if row else None


def _abandon(asked: str | None) -> Abandon | None:
    """What was asked of a run; words that nobody can read ask nothing, and above all no living run to stop undoing."""
    try:
        return Abandon.model_validate_json(asked) if asked else None
    except (ValueError, TypeError):
        return None


def _run_record(row: Row[tuple[object, ...]], now: datetime) -> RunRecord:
    values = dict(row._mapping)
    abandon = cast(str | None, values.pop("abandon"))
    values["abandon"] = _abandon(abandon)
    values["silence"] = seconds_since(cast(str, values["heartbeat_at"]), now)
    values["age"] = seconds_since(cast(str, values["started_at"]), now)
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
    record = StepRecord.model_validate_json(cast(str, values["body"]))
    if (record.run, record.id) != (values["run"], values["step"]):  # else it would be taken for another run's
        raise ValueError(f"its body is of step {record.id!r} of run {record.run!r}")
    return StepState.model_validate({**values, "record": record})
