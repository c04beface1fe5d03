"""PostgreSQL, so patiently and no longer: whatever hangs there ends in an error here."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import psycopg
from psycopg.rows import TupleRow
from sqlalchemy import URL, Engine, create_engine

CONNECT_SECONDS = 4
STATEMENT_SECONDS = 4
"""Of the server's own; a lock that another holds is waited for within them."""
ANSWER_SECONDS = 5.0
"""For which a server that has stopped answering is waited for."""
STALLED_SECONDS = 10
"""After which the server ends the transaction, and with it the locks, of a client that has gone silent."""
SESSION = (
    f"SET statement_timeout = '{STATEMENT_SECONDS}s'",
    f"SET lock_timeout = '{STATEMENT_SECONDS - 1}s'",
    f"SET idle_in_transaction_session_timeout = '{STALLED_SECONDS}s'",
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
)


class Impatient(psycopg.Connection[TupleRow]):
    """A connection on which nothing waits longer than :data:`ANSWER_SECONDS` for the server.

    libpq has no such limit: a server that is stopped, or whose disk hangs, keeps its TCP connection alive.
    """

    def wait(self, gen: Generator[Any, Any, Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        """Let psycopg wait, within the limit; what is in an unknown state after it is closed."""
        try:
            return super().wait(gen, interval, ANSWER_SECONDS if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise


def engine(url: URL) -> Engine:
    """An engine on a database; nothing is connected yet."""

    def connect() -> Impatient:
        made = Impatient.connect(
            url.set(drivername="postgresql").render_as_string(hide_password=False),
            connect_timeout=CONNECT_SECONDS,
            tcp_user_timeout=int(ANSWER_SECONDS * 1000),
            keepalives_idle=STATEMENT_SECONDS,
            application_name="gameday",
            autocommit=True,
        )
        for statement in SESSION:
            made.execute(statement)
        made.autocommit = False
        return made

    return create_engine(
        url,
        creator=connect,
        pool_pre_ping=True,
        pool_size=4,
        pool_timeout=CONNECT_SECONDS,
        hide_parameters=True,
        use_native_hstore=False,
    )
