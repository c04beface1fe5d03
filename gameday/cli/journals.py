"""Opening a journal for a command, and what every command says about it."""

from __future__ import annotations

import getpass
import shlex
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gameday.cli.leaving import touched
from gameday.cli.say import say
from gameday.errors import JournalError
from gameday.journal.database import is_url
from gameday.journal.sql import SqlJournal, default_place

if TYPE_CHECKING:
    from gameday.journal.seal import Seal
    from gameday.playbook import TargetFile


def place_of(place: str | None) -> str:
    """Where the journal to read is: what --journal says, which may name a target file, or the usual place."""
    return _named(place) or default_place()


def _named(place: str | None) -> str | None:
    if place and place.endswith((".yaml", ".yml")):
        from gameday.playbook import load_target

        return load_target(place).journal
    return place


def open_journal(place: str | None) -> SqlJournal:
    """The journal to read; the usual one may not exist yet and is empty then, one given by --journal must be there."""
    place = _named(place)
    if place and not is_url(place) and not Path(place).expanduser().exists():
        raise JournalError(f"there is no journal at {place}")
    journal = SqlJournal(place or default_place(), create=False)
    touched(journal)
    return journal


def rollback_command(run: str, place: str | None) -> str:
    """The command that finishes a run's rollback; a URL's password is not repeated."""
    if not place:
        return f"gameday rollback {run}"
    shown = "URL" if is_url(place) else shlex.quote(place)
    return f"gameday rollback {run} --journal {shown}"


def warn_of_open_steps(journal: SqlJournal, place: str | None) -> None:
    """Say on standard error what runs that have ended left changed; one query where nothing is open."""
    open_: dict[str, int] = {}
    for step in journal.steps(only_open=True):
        open_[step.record.run] = open_.get(step.record.run, 0) + 1
    for run, count in open_.items():
        with suppress(JournalError):  # pruned meanwhile, or a drill's
            if journal.run(run).alive():
                continue
        steps = "an undo step" if count == 1 else f"{count} undo steps"
        again = rollback_command(run, place)
        say(f"gameday: WARNING: run {run} has ended and left {steps} open; put it back with: {again}", err=True)


def somebody() -> str:
    """Who gives this command, as the journal names people."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as in containers
        user = "somebody"
    return f"{user} on {socket.gethostname()}"


def seal_of(file: TargetFile | None) -> Seal | None:
    """What a target file seals its journal with; raises Refused where its key cannot be had."""
    from gameday.journal.seal import Seal

    asked = file.journal_seal if file else None
    return Seal.from_file(asked.key_file, required=asked.required) if asked else None


def seal_at(place: str | None) -> Seal | None:
    """The same where --journal names a target file."""
    if not (place and place.endswith((".yaml", ".yml"))):
        return None
    from gameday.playbook import load_target

    return seal_of(load_target(place))
