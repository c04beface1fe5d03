"""``gameday blast-radius``: ask, show how far it is, draw the answer."""

from __future__ import annotations

import re
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from exporters.text import clean
from gameday.blastradius import (
    Answer,
    Coverage,
    Embedded,
    Engine,
    FolderSource,
    KeyName,
    Progress,
    Question,
    Watch,
    Window,
    incomplete_sentences,
    is_alias,
)
from gameday.cli.blast_radius_draw import DRAWN
from gameday.cli.say import say
from gameday.errors import Refused
from gameday.sdk import parse_duration

if TYPE_CHECKING:
    from gameday.aws.session import Session

USED, PARTIAL, INCOMPLETE = 1, 3, 4


@dataclass(frozen=True)
class Asked:
    """The command line, as click read it."""

    key: str
    source: str
    since: str
    until: str
    aliases: tuple[str, ...]
    only_accounts: tuple[str, ...]
    only_regions: tuple[str, ...]
    roles: tuple[str, ...]
    target: str | None
    account: str | None
    region: str | None
    profile: str | None
    format_: str
    limit: int
    sort: str
    fail_if_used: bool
    logs: str | None
    master: str | None
    database: str
    table: str
    workgroup: str
    output: str | None
    create_table: bool


def print_blast_radius(**options: object) -> None:
    """Answer, draw, and exit with what the answer is worth."""
    asked = Asked(**options)  # type: ignore[arg-type]  # click made them so
    _check(asked)
    # Records carry whole seconds and a window ends before its end: this second's belong to what there is now.
    now = (datetime.now(UTC) + timedelta(seconds=1)).replace(microsecond=0)
    window = Window(read_time(asked.since, now, "--since"), read_time(asked.until, now, "--until"))
    with ExitStack() as open_:
        session = _session(asked, open_)
        key = _key(asked, session).also_in(asked.only_regions)
        _check_regions(asked, key)
        question = Question(key, window, asked.only_accounts, asked.only_regions)
        engine = _engine(asked, session, key)
        with _watching() as watch:
            answer = engine.ask(question, watch)
        if session is not None and asked.source != "lookup" and not watch.stopping.is_set():
            answer = replace(answer, coverage=answer.coverage + _trails(asked, session))
    _tell(asked, answer)
    if asked.fail_if_used and answer.rows:
        raise SystemExit(USED)
    if watch.stopping.is_set():
        raise SystemExit(PARTIAL)
    if not answer.coverage.complete:
        raise SystemExit(INCOMPLETE)


def _tell(asked: Asked, answer: Answer) -> None:
    for text in DRAWN[asked.format_](answer, asked.limit, asked.sort):
        click.echo(text, nl=False)
    if asked.format_ in ("csv", "mermaid"):  # these have no room for it
        for sentence in incomplete_sentences(answer):
            click.echo(clean(sentence), err=True)


def _check(asked: Asked) -> None:
    if not asked.source:
        raise click.UsageError("--source is empty: name a folder or file, s3://BUCKET/PREFIX, lookup, athena or spark")
    for account in asked.only_accounts:
        if not re.fullmatch(r"\d{12}", account):
            raise click.UsageError(f"--only-account {account!r} is no account's id: 12 digits")


def _check_regions(asked: Asked, key: KeyName) -> None:
    """A key is used in its own Region alone: elsewhere nothing would be found, and that would look like an answer."""
    if asked.only_regions and key.regions and not set(asked.only_regions) & set(key.regions):
        raise click.UsageError(
            f"--only-region {', '.join(asked.only_regions)}: {key} is used in {key.region} alone, whose records would "
            "not be read"
        )


def read_time(text: str, now: datetime, option: str) -> datetime:
    """``90d`` ago, or a time; without an offset it is UTC. Raises click.UsageError."""
    try:
        ago = parse_duration(text)
    except ValueError:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise click.UsageError(
                f"{option} {text!r} is neither a time (2026-11-01, 2026-11-01T10:00Z) nor a duration (90d, 36h)"
            ) from None
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    assert isinstance(ago, timedelta)
    try:
        return now - ago
    except OverflowError:
        raise click.UsageError(f"{option} {text} is before there were years") from None


def _session(asked: Asked, open_: ExitStack) -> Session | None:
    if not asked.target:
        for name in ("account", "region", "profile"):
            if getattr(asked, name):
                more = f"; to read only some logs there is --only-{name}" if name != "profile" else ""
                raise click.UsageError(f"--{name} belongs to --target aws{more}")
        return None
    from gameday.cli.target_options import read_target  # all of AWS' client comes with them
    from gameday.target import open_target

    choice = read_target(asked.target, asked.account, asked.region, asked.profile, "brisk")
    if choice.kind == "embedded":
        raise click.UsageError("an embedded lab has no past: name one that is up with --target lab=URL")
    target = open_target(choice, f"radius-{secrets.token_hex(4)}", datetime.now(UTC))
    open_.callback(target.close)
    return target.session


def _key(asked: Asked, session: Session | None) -> KeyName:
    """The key and its aliases, from AWS where there is one; raises Refused for an alias without."""
    if session is None:
        return KeyName.parse(asked.key, asked.aliases)
    from gameday.blastradius import resolve_key

    return resolve_key(asked.key, asked.aliases, session, must=is_alias(asked.key) or not asked.key.startswith("arn:"))


def _engine(asked: Asked, session: Session | None, key: KeyName) -> Engine:
    """Who answers."""
    if asked.roles and asked.source != "lookup":
        raise click.UsageError("--role belongs to --source lookup: log files of several accounts are in one place")
    if asked.source in ("athena", "lookup") or asked.source.startswith("s3://"):
        if session is None:
            raise click.UsageError(
                f"--source {asked.source} needs an AWS: --target aws --account ID --region REGION (or lab=URL); log "
                "files in a folder need none: --source DIR"
            )
        return _of_aws(asked, session, key)
    if asked.source == "spark":
        from gameday.blastradius import Spark

        if not asked.master or not asked.logs:
            raise click.UsageError("--source spark needs --master URL and --logs PLACE, which every worker can reach")
        return Spark(asked.master, asked.logs)
    return Embedded(FolderSource(Path(asked.source)))


def _of_aws(asked: Asked, session: Session, key: KeyName) -> Engine:
    if asked.source == "lookup":
        from gameday.blastradius.lookup import Lookup

        sessions = tuple(_histories(asked, session, key))
        return Embedded(Lookup(sessions, budget=timedelta(days=1)))  # it is the reader who decides when to stop
    if asked.source.startswith("s3://"):
        from gameday.blastradius import BucketSource

        files = BucketSource(asked.source, region=session.region, endpoint=session.endpoint, keys=session.current_keys)
        return Embedded(files)
    if asked.source == "athena":
        return _athena(asked, session)
    raise click.UsageError(f"--source {asked.source} is not there yet")


def _trails(asked: Asked, session: Session) -> Coverage:
    """What the trails that write the log files leave out of them."""
    from gameday.blastradius.trails import Trails

    return Trails.behind(session, asked.source if asked.source.startswith("s3://") else asked.logs or "").told()


def _histories(asked: Asked, session: Session, key: KeyName) -> Iterator[Session]:
    """Whose event history is read: each account's, as the role that was named for it, in each Region."""
    accounts = [session]
    for role in asked.roles:
        found = re.fullmatch(r"arn:aws[\w-]*:iam::(\d{12}):role/.+", role)
        if not found:
            raise click.UsageError(f"--role {role!r} is no role's ARN: arn:aws:iam::ACCOUNT:role/NAME")
        accounts.append(session.as_role(role).but(account=found[1]))
    for one in accounts:
        if not asked.only_accounts or one.account in asked.only_accounts:
            yield from (one.in_region(region) for region in asked.only_regions or key.regions or (session.region,))


def _athena(asked: Asked, session: Session) -> Engine:
    from gameday.blastradius import Athena, Table, table_ddl
    from gameday.blastradius import BucketSource as Bucket

    table = Table(asked.database, asked.table, asked.workgroup, asked.output or "")
    logs = None
    if asked.logs:
        logs = Bucket(asked.logs, region=session.region, endpoint=session.endpoint, keys=session.current_keys)
    create = ""
    if asked.create_table:
        if logs is None or asked.logs is None:
            raise click.UsageError("--create-table needs --logs s3://BUCKET/PREFIX/AWSLogs/")
        accounts = logs.folders("")
        if not accounts:
            raise Refused(f"there are no accounts' folders below {asked.logs}: give the place that ends before them")
        regions = sorted({region for account in accounts for region in logs.folders(f"{account}/CloudTrail/")})
        create = table_ddl(table, asked.logs, accounts, regions)
    return Athena(
        session.client("athena"),
        table,
        create,
        say=lambda sentence: say(sentence, err=True),
        size=(lambda seen: sum(found.size for found in logs.list(seen))) if logs else None,
    )


@contextmanager
def _watching() -> Iterator[Watch]:
    """Ctrl-C once stops reading and shows what was found; a second one ends at once."""
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()

    before = [(each, signal.signal(each, stop)) for each in (signal.SIGINT, signal.SIGTERM)]
    teller = _teller() if sys.stderr.isatty() else None
    try:
        yield Watch(teller, stopping) if teller else Watch(stopping=stopping)
    finally:
        for each, handler in before:
            signal.signal(each, handler)
        if teller:
            sys.stderr.write("\r\x1b[K")


def _teller() -> Callable[[Progress], None]:
    began = time.monotonic()
    last = 0.0

    def tell(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < 0.2:
            return
        last = now
        sys.stderr.write(f"\r{progress_line(progress, now - began)}\x1b[K")
        sys.stderr.flush()

    return tell


def progress_line(progress: Progress, seconds: float) -> str:
    """Files, records, hits, and the time left by the bytes that are listed so far."""
    done = f"{progress.files:,} of {progress.files_in_all:,} files"
    found = f"about {progress.records:,} records, {progress.hits:,} that name the key"
    left = ""
    if progress.bytes and seconds > 1:
        rest = seconds * (progress.bytes_in_all - progress.bytes) / progress.bytes
        left = f", {rest // 60:.0f}:{rest % 60:02.0f} left"
    return f"{progress.note or done}, {found}{left}   [Ctrl-C = show what was found]"
