"""A real PostgreSQL for the tests: made, started and stopped by them, on a socket in a folder of its own."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "hunter2-never-shown"
REASON = "no PostgreSQL server on this machine (Debian: apt-get install postgresql)"


def _program(name: str) -> str:
    places = [str(folder) for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    return shutil.which(name, path=os.pathsep.join([*places, os.environ.get("PATH", "")])) or ""


def _is_child(process: Path, parent: int) -> bool:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1]) == parent
    except (OSError, IndexError):
        return False


class Postgres:
    """One cluster. PostgreSQL refuses to run as root, so root starts it as an unprivileged user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user:
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        words = ("--pgdata", str(folder / "data"), "--username", "gameday", "--pwfile", str(password))
        self._do("initdb", *words, "--auth", "scram-sha-256", "--no-sync", "--no-locale", "--encoding", "UTF8")
        with (folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(f"listen_addresses = ''\nunix_socket_directories = '{folder}'\n")
            settings.write("fsync = off\nmax_connections = 100\nshared_buffers = 16MB\n")
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._do("pg_ctl", "--pgdata", str(self.folder / "data"), "--log", str(self.folder / "log"), "--wait", "start")

    def stop(self) -> None:
        """End it as a crash would."""
        self._do("pg_ctl", "--pgdata", str(self.folder / "data"), "--mode", "immediate", "--wait", "stop")

    def restart(self) -> None:
        """Crash it and start it again."""
        self.stop()
        self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stopped as a partition stops it: its kernel acknowledges what is sent, and nobody answers."""
        server = [self.pid, *(int(one.name) for one in Path("/proc").iterdir() if _is_child(one, self.pid))]
        for pid in server:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in server:
                os.kill(pid, signal.SIGCONT)

    @property
    def pid(self) -> int:
        """Of the server's first process."""
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])

    def url(self, database: str, password: str = PASSWORD) -> str:
        """Where a journal is."""
        return f"postgresql://gameday:{password}@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """The URL of a database of its own."""
        import psycopg

        name = f"d{secrets.token_hex(4)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]  # a name of our own making
        return self.url(name)

    def _do(self, name: str, *words: str) -> None:
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        done = subprocess.run(
            [_program(name), *words],
            user=self._user,
            cwd=self.folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"{name}: {done.stderr}"


@contextmanager
def running() -> Iterator[Postgres]:
    """A cluster for as long as the block lasts; skips where there is no PostgreSQL, except under CI."""
    if not (_program("initdb") and _program("pg_ctl")):
        if os.environ.get("CI"):
            pytest.fail(REASON)
        pytest.skip(REASON)
    folder = Path(tempfile.mkdtemp(prefix="gd-pg-"))  # short: a socket's path has 107 characters at most
    folder.chmod(0o755)
    cluster = None
    try:
        cluster = Postgres(folder)
        yield cluster
    finally:
        if cluster is not None and (folder / "data" / "postmaster.pid").exists():
            cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
