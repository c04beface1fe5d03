"""The journal's database: opened, brought to this version's tables, and given in short transactions.

SQLite is written by one process at a time whatever it writes. On PostgreSQL only what must not interleave (holds,
intents, claims) is ordered, by an advisory lock that a transaction gives back however it ends.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from gameday.errors import JournalError
from gameday.journal.place import not_ours_alone, replaceable
from gameday.journal.versions import bring_up_to_date

BUSY_SECONDS = 5
"""How long a write waits for another process's; the driver never waits for the journal once it rolls back."""
ONE_AT_A_TIME = 0x67616D65646179
"""PostgreSQL's advisory lock of this journal: "gameday" in ASCII."""


def default_place() -> str:
    """``$GAMEDAY_JOURNAL``, or the file under the XDG state directory."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return os.environ.get("GAMEDAY_JOURNAL") or str(Path(state) / "gameday" / "journal.db")


def is_url(place: str) -> bool:
    """Whether a journal's place is a URL and not a file's path; the one place that decides it for every command."""
    return re.match(r"postgres(ql)?:|[^/]*://", place) is not None


class Database:
    """A journal's database.

    Parameters
    ----------
    place: a file's path, or ``postgresql://USER@HOST/DATABASE``.
    create: make the file and the tables when they are missing; without it a missing file is an empty journal.

    Raises JournalError when it cannot be opened, is somebody else's, or is of a version that cannot be read.
    """

    def __init__(self, place: str, *, create: bool = True) -> None:
        url = _url(place)
        self._file = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
        self.place = str(self._file) if self._file else _shown(url)
        self._opened = False
        with self._failing("cannot be opened"):
            self._engine = self._connect(url, create)
        bring_up_to_date(self)
        self._identity = self._which_file()
        self._opened = True

    @property
    def shared(self) -> bool:
        """Whether other machines may use it too."""
        return self._file is None

    def now(self, db: Connection) -> datetime:
        """This moment in UTC, by the clock that all who share the journal can see."""
        if not self.shared:
            return datetime.now(UTC)
        at = db.execute(select(func.clock_timestamp())).scalar_one()
        assert isinstance(at, datetime)
        return at.astimezone(UTC)

    def skew(self) -> float:
        """Seconds by which this machine's clock is ahead of the journal's; half a round trip is its error."""
        with self.reading() as db:
            before = datetime.now(UTC)
            there = self.now(db)
            here = before + (datetime.now(UTC) - before) / 2
        return (here - there).total_seconds() if self.shared else 0.0

    @contextmanager
    def writing(self, *, alone: bool = False) -> Iterator[Connection]:
        """A transaction that is durable once the block has ended; ``alone``, no other such one goes on meanwhile."""
        with self._failing("cannot be written"), self._engine.begin() as db:
            self._be_the_same()
            if alone and self.shared:
                db.execute(select(func.pg_advisory_xact_lock(ONE_AT_A_TIME)))
            yield db

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self._failing("cannot be read"), self._engine.connect().execution_options(only_reads=True) as db:
            yield db

    def _which_file(self) -> tuple[int, int] | None:
        if self._file is None or not self._file.exists():
            return None
        found = self._file.stat()
        return found.st_dev, found.st_ino

    def _be_the_same(self) -> None:
        """What is written to a file that was deleted or replaced is lost without an error: SQLite does not look."""
        if self._opened and self._identity != self._which_file():
            raise OSError("it is not the file that was opened: somebody has deleted or replaced it")

    @contextmanager
    def _failing(self, what: str) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError, ImportError) as error:
            what = what if self._opened else "cannot be opened"
            cause = " ".join(str(getattr(error, "orig", None) or error).split())
            raise JournalError(f"the journal at {self.place} {what}: {cause}") from error

    def _be_ours_alone(self, file: Path) -> None:
        """Raise JournalError where somebody else may write the journal: it says what a rollback does."""
        for path in (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
            if path.exists() and (why := not_ours_alone(path, regular=True)):
                raise JournalError(f"the journal is refused, since others may write to it: {why}")
        folder = file.parent
        mine = folder == Path(default_place()).parent
        if why := not_ours_alone(folder) if mine else replaceable(folder):
            raise JournalError(f"the journal at {file} is refused, since others may replace it: {why}")

    def _connect(self, url: URL, create: bool) -> Engine:
        if self._file is None:
            try:
                from gameday.journal.postgres import engine  # psycopg is an extra, and slow to load
            except ImportError as error:
                why = "needs PostgreSQL support: pip install 'kms-gameday[postgres]'"
                raise JournalError(f"the journal at {self.place} {why}") from error
            return engine(url)
        if create or self._file.exists():
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._be_ours_alone(self._file)
            self._file.touch(mode=0o600)
            made = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
        else:
            one_for_all = {"check_same_thread": False}  # each thread would have an empty database of its own
            made = create_engine("sqlite://", poolclass=StaticPool, connect_args=one_for_all)
        event.listen(made, "connect", _durable)
        event.listen(made, "begin", _immediate)
        return made


def iso(moment: datetime) -> str:
    """A moment as the journal writes it: UTC, in microseconds, so that text sorts as time does."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _url(place: str) -> URL:
    try:
        if not is_url(place):  # never as text: % and ? mean something there, and are ordinary in a path
            return URL.create("sqlite", database=str(Path(place).expanduser().absolute()))
        url = make_url(place)
    except (ArgumentError, ValueError):
        url = URL.create("unreadable")
    kind = url.get_backend_name()
    if kind in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if kind == "sqlite" and url.database:
        return url
    # The place is not repeated: what cannot be read as a URL may hold a password anywhere.
    raise JournalError("the journal is neither a file nor postgresql://USER@HOST/DATABASE; see docs/operating.md")


def _shown(url: URL) -> str:
    """Where it is, without a password and without options, among which one could stand too."""
    host = url.query.get("host", url.host or "")
    where = URL.create("postgresql", username=url.username, host=url.host, port=url.port, database=url.database)
    inside = f"?host={quote(host, safe='/,')}" if isinstance(host, str) and host != (url.host or "") else ""
    return where.render_as_string(hide_password=True) + inside


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
