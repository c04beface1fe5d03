"""The one place that every command leaves through.

Whatever a command returned or raised, no exit code but 9 is given while an undo step of the run that it is about is
open, or while that cannot be known.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, NoReturn

import click

from gameday.cli import output
from gameday.errors import ExitCode, GamedayError

if TYPE_CHECKING:
    from gameday.journal.sql import SqlJournal

JOURNAL_ANSWERS_WITHIN = 7.0
"""Seconds for which the journal is asked; longer than it waits for another writer."""


_SHORT = {
    errno.ENOMEM: "memory (ulimit -v)",
    errno.EMFILE: "file descriptors (ulimit -n)",
    errno.ENFILE: "file descriptors",
    errno.EAGAIN: "processes (ulimit -u)",
    errno.ENOSPC: "disk",
    errno.EDQUOT: "disk (quota)",
    errno.EFBIG: "disk (ulimit -f)",
}


_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Leave(BaseException):
    """End the process with this exit code and leave behind whatever hangs: no atexit, no joining of threads."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class _About:
    """What the command that goes on in this process may have left changed."""

    journal: SqlJournal | None = None
    runs: tuple[str, ...] = ()
    own: str = ""
    finish_with: str = "gameday rollback --all"
    known: bool = False
    read_back: bool = False


_about = _About()


def touched(journal: SqlJournal) -> None:
    """The command reads or writes this journal."""
    _about.journal = journal


def about(runs: Sequence[str], finish_with: str, *, own: bool = False) -> None:
    """The command is about these runs, by their ids or the beginnings of them (``""``: every run that has ended).

    ``own`` if it is the run itself, and must not excuse itself as still running.
    """
    _about.runs, _about.finish_with = tuple(runs), finish_with
    _about.own = runs[0] if own else ""
    if not own:  # a run listens for itself
        _interruptible()


def _interruptible() -> None:
    """Have what ends a process end the command as Ctrl-C does, so that its exit code still says what is open."""
    for name in _ENDING:
        with suppress(ValueError):  # not the main thread
            if signal.getsignal(name) == signal.SIG_DFL:  # nohup's stays
                signal.signal(name, signal.default_int_handler)


def all_is_read_back(*, recorded: bool) -> None:
    """The run itself has read back all that it changed: its word stands where the journal cannot be asked.

    A journal that could not be written, which does not have it ``recorded``, need not be asked at all.
    """
    _about.read_back, _about.known = True, not recorded


def leave(command: Callable[[], object]) -> NoReturn:
    """Carry out a command and end the process with one of the documented codes."""
    at_once = False
    try:
        code = _carried_out(command)
    except Leave as end:
        code, at_once = end.code, True
    with suppress(ValueError):  # not the main thread
        for name in (signal.SIGINT, *(one for one in _ENDING if signal.getsignal(one) != signal.SIG_DFL)):
            signal.signal(name, signal.SIG_IGN)
    code = output.end(sys.argv[1] if sys.argv[1:] else "", _checked(code))
    if at_once:
        os._exit(code)
    sys.exit(code)


def _carried_out(command: Callable[[], object]) -> int:
    try:
        command()
    except click.ClickException as error:
        shown = StringIO()
        error.show(file=shown)
        sys.stderr.write(_harmless(shown.getvalue()))
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("gameday: interrupted\n")
        return ExitCode.ABORTED
    except GamedayError as error:
        said = _harmless(str(error))
        sys.stderr.write(f"{said}\n" if error.exit_code == ExitCode.INVALID else f"gameday: {said}\n")
        return error.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Leave:
        raise
    except (MemoryError, OSError, ImportError, RuntimeError, SystemError) as error:
        if not (lacking := _lacking(error)):
            return _bug()
        _say(f"this machine has run out of {lacking}: {error or type(error).__name__}")
        return ExitCode.REFUSED
    except BaseException:  # noqa: BLE001 - a bug has an exit code of its own, so that no script takes it for a verdict
        return _bug()
    return ExitCode.PASSED


def _bug() -> int:
    with suppress(Exception):  # no memory is left, perhaps
        traceback.print_exc()
        sys.stderr.write("gameday: that is a bug, please report it\n")
    return ExitCode.BUG


def _lacking(error: Exception) -> str:
    """What of the machine's there was not enough of for this command, or ``""`` for a bug."""
    if isinstance(error, MemoryError) or "failed to map segment" in str(error):  # dlopen's words
        return "memory (ulimit -v)"
    if isinstance(error, SystemError) and _is_limited() and "without" in str(error):
        return "memory (ulimit -v)"  # CPython, short of memory in the middle of a call, forgets to say so
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return "threads (ulimit -u)"
    return _SHORT.get(error.errno or 0, "") if isinstance(error, OSError) else ""


def _is_limited() -> bool:
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def _checked(code: int) -> int:
    """The command's own code, or 9."""
    if code == ExitCode.INCOMPLETE or _about.known:
        return code
    if _about.journal is None:  # it would not open; to a rollback that is no "nothing was touched"
        return ExitCode.INCOMPLETE if _about.runs and not _about.own and code != ExitCode.INVALID else code
    if not _about.runs and code != ExitCode.BUG:
        return code
    try:
        open_ = _asked(_about.journal)
    except BaseException as error:  # noqa: BLE001 - what cannot be known may be changed, whatever kept it from being known
        _say(f"the journal cannot say whether something is still changed ({type(error).__name__}: {error})")
        return code if _about.read_back else ExitCode.INCOMPLETE
    for sentence in open_:
        _say(f"STILL CHANGED, or could not be read back: {sentence}")
    if open_:
        _say(f"finish it with: {_about.finish_with}")
    return ExitCode.INCOMPLETE if open_ else code


def _say(text: str) -> None:
    with suppress(Exception):  # the exit code says it too
        try:
            shown = _harmless(text)
        except Exception:  # noqa: BLE001 - no memory is left to load what cleans it
            shown = ascii(text)
        sys.stderr.write(f"gameday: {shown}\n")


def _harmless(text: str) -> str:
    """Lines for a terminal: an error's words come from AWS, the journal, or whoever wrote the file."""
    from gameday.sdk import clean_lines

    return clean_lines(text)


def _asked(journal: SqlJournal) -> list[str]:
    """One sentence for each open step of the runs that the command is about, else of every run that has ended."""
    answer: list[list[str] | BaseException] = []

    def ask() -> None:
        try:
            answer.append(_open_steps(journal))
        except BaseException as error:  # noqa: BLE001 - carried to the thread that asked
            answer.append(error)

    asking = threading.Thread(target=ask, name="leaving", daemon=True)
    asking.start()
    asking.join(JOURNAL_ANSWERS_WITHIN)
    if not answer:
        raise TimeoutError(f"no answer within {JOURNAL_ANSWERS_WITHIN:g} s")
    if isinstance(answer[0], BaseException):
        raise answer[0]
    return answer[0]


def _open_steps(journal: SqlJournal) -> list[str]:
    said = []
    for step in journal.steps(only_open=True):
        run = step.record.run
        if not run.startswith(_about.runs or "") or (run != _about.own and journal.run(run).alive()):
            continue
        said.append(f"{step.record.uses} on {step.record.resource} (run {run})")
    rows = journal.unreadable
    said += [why for row, why in rows.items() if not _about.own or _about.own in row]  # others' rows are theirs
    return said
