"""``gameday schedule``."""

from __future__ import annotations

import logging
import sys
import tempfile
from datetime import UTC, datetime
from heapq import merge
from itertools import groupby, islice
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from gameday.cli.journals import warn_of_open_steps
from gameday.cli.leaving import Leave, touched
from gameday.cli.say import say
from gameday.cli.target_options import journal_of, load_for, read_target
from gameday.errors import PlaybookInvalid
from gameday.journal.database import is_url
from gameday.journal.sql import SqlJournal, default_place
from gameday.playbook import Playbook, Schedule, find
from gameday.schedule.calendar import due_after
from gameday.schedule.daemon import Daemon, Settings
from gameday.schedule.entries import Entries, Entry, Where
from gameday.schedule.launch import Launcher
from gameday.schedule.windows import utc, why_not


def run_schedule(
    playbooks: tuple[str, ...],
    var: tuple[str, ...],
    targets: tuple[str, ...],
    account: str | None,
    region: str | None,
    profile: str | None,
    preset: str,
    upcoming: int | None,
    limit: int,
    listen: str,
    results: str | None,
    when_stopped: str,
    patrol_every: float,
    journal: str | None,
) -> None:
    """Run the daemon, or print what it would do; raises PlaybookInvalid when nothing can be scheduled."""
    choices = {target: read_target(target, account, region, profile, preset) for target in targets}

    def load(place: str, target: str) -> tuple[Playbook, Schedule | None, Where]:
        choice = read_target(target, account, region, profile, preset)  # read again: SIGHUP is for it too
        playbook = load_for(place, var, choice)
        named = choice.file.target if choice.file else choice.kind
        scheduled = choice.file.schedule if choice.file else None
        return playbook, scheduled or playbook.schedule, (named, *choice.where[1:])

    places = [place if Path(place).is_dir() else str(find(place)) for place in playbooks]
    entries = Entries(places, targets, load)
    if upcoming is not None:
        _print_next(entries, upcoming, limit)
        return
    found, wrong = entries.load()
    if not found or wrong:
        raise PlaybookInvalid("\n".join(wrong) or "no playbook here has a schedule")
    kept = {journal_of(journal, choice) or "" for choice in choices.values()}
    if len(kept) > 1:
        raise click.UsageError("the targets name different journals; start a daemon for each, or give --journal")
    place = kept.pop() or default_place()
    words = [word for pair in var for word in ("--var", pair)] + ["--preset", preset]
    for option, value in (("--account", account), ("--region", region), ("--profile", profile)):
        words += [option, value] if value else []
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    kept_in = SqlJournal(place)
    touched(kept_in)
    warn_of_open_steps(kept_in, journal)
    with tempfile.TemporaryDirectory(prefix="gameday-schedule-") as folder:
        if results:
            Path(results).mkdir(parents=True, exist_ok=True)
        launcher = Launcher(
            Path(folder),
            Path(results) if results else None,
            tuple(words),
            {"GAMEDAY_JOURNAL": place},
            ("--journal", place) if journal and not is_url(place) else (),
        )
        settings = Settings(_address(listen), limit, when_stopped == "rollback", patrol_every)
        code = Daemon(entries, kept_in, launcher, settings).run()
    raise Leave(code)  # whatever still hangs is left behind


def _address(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise click.UsageError(f"--listen {listen!r} is not HOST:PORT")
    return host, int(port)


def _print_next(entries: Entries, count: int, limit: int) -> None:
    found, wrong = entries.load()
    if wrong:
        raise PlaybookInvalid("\n".join(wrong))
    if not found:
        raise PlaybookInvalid("no playbook here has a schedule")
    now = datetime.now(UTC)

    def coming(entry: Entry) -> list[tuple[datetime, Entry]]:
        return [(due, entry) for due in islice(due_after(entry.schedule, now), count)]

    every = list(merge(*(coming(e) for e in found.values()), key=lambda one: one[0]))
    shown = every[:count]
    for due, entry in shown:
        local = due.astimezone(ZoneInfo(entry.schedule.timezone)).isoformat(timespec="seconds")
        why = why_not(entry.schedule, due, entry.longest)
        later = entry.schedule.jitter
        notes = (f"  (up to {later} later)" if later else "") + (f"  REFUSED: {why}" if why else "")
        say(f"{local}  {utc(due)}  {entry.name}{notes}")
    until = shown[-1][0] if shown else now
    for due, together in groupby((one for one in every if one[0] <= until), key=lambda one: one[0]):
        if warning := _too_many(due, [entry for _, entry in together], limit):
            say(warning, err=True)


def _too_many(due: datetime, together: list[Entry], limit: int) -> str:
    """What becomes of the game days of one time that are more than may be under way at once; ``""`` for none."""
    if len(together) <= limit or any(entry.schedule.jitter for entry in together):
        return ""
    skipped = sum(entry.schedule.when_busy == "skip" for entry in together)
    fate = "the others are skipped" if skipped == len(together) else "the others wait, or are skipped or missed"
    if not skipped:
        fate = "the others wait, and are missed once their grace is over"
    return (
        f"WARNING: {len(together)} game days are due at {utc(due)}, and --limit {limit} runs {limit} at once: {fate}. "
        f"Give them different times, or start the daemon with --limit {len(together)}."
    )
