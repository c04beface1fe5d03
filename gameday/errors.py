"""Every error that gameday raises on purpose.

::

    GamedayError                 a sentence for the reader, and the exit code that belongs to it
    ├── PlaybookInvalid     2    a file or the command line is wrong; nothing was touched
    ├── Refused             5    a reason not to begin; nothing was touched
    │   ├── TargetError     5    the account, Region, credentials or endpoint are not what was asked for
    │   ├── LabError        5    the embedded lab did not start, or its port is taken
    │   ├── HoldTaken       5    another run holds the resource
    │   ├── Halted          5    game days are halted until gameday resume
    │   └── CannotInject    5    the resource is not in the state that the fault breaks
    ├── JournalError        5    the journal cannot be opened, read or written
    ├── Interrupted         3    the run is over; whoever still works for it stops here
    └── RollbackIncomplete  9    something is still changed, or could not be read back

Anything else that escapes is a bug: exit code 70, or 9 where something may still be changed.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """How a command ends; README and ``--help`` show the same table. 9 outranks every other code."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> ExitCode:
        """A number that knows what it means."""
        code = int.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code

    PASSED = 0, "passed, everything restored"
    FAILED = 1, "failed: an expectation did not hold; everything restored"
    INVALID = 2, "the playbook or the command line is invalid; nothing was touched"
    ABORTED = 3, "aborted (guard, signal, max_fault); everything restored"
    INCONCLUSIVE = 4, "inconclusive (too little seen, no evidence in time, drift left alone), or abandoned on purpose"
    REFUSED = 5, "refused in preflight or baseline, or the surroundings failed; nothing was touched"
    INCOMPLETE = 9, "ROLLBACK INCOMPLETE: something is still changed, or could not be read back"
    BUG = 70, "a bug in gameday; the journal was asked, and nothing of this command's is open"


class GamedayError(Exception):
    """Base of all: ``str(error)`` says what happened, where, and what to do next."""

    exit_code: ClassVar[int] = ExitCode.BUG


class PlaybookInvalid(GamedayError):
    """A playbook, target file or command line is wrong; holds every mistake found, one a line."""

    exit_code = ExitCode.INVALID


class Refused(GamedayError):
    """There is a reason not to begin; nothing was touched."""

    exit_code = ExitCode.REFUSED


class TargetError(Refused):
    """The account, Region, credentials or endpoint are not what was asked for."""


class LabError(Refused):
    """The embedded lab did not start, or its port is taken."""


class HoldTaken(Refused):
    """Another run holds the resource."""


class Halted(Refused):
    """Game days on this journal are halted; ``gameday resume`` ends that."""


class CannotInject(Refused):
    """The resource is not in the state that the fault breaks, or could not be put back exactly."""


class JournalError(GamedayError):
    """The journal cannot be opened, read or written."""

    exit_code = ExitCode.REFUSED


class Interrupted(GamedayError):
    """The run is over, or its fence is gone; whoever still works for it stops here."""

    exit_code = ExitCode.ABORTED


class RollbackIncomplete(GamedayError):
    """Something is still changed, or could not be read back."""

    exit_code = ExitCode.INCOMPLETE
