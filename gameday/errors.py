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

Anything else that escapes is a bug: exit code 70.
"""

from __future__ import annotations

from typing import ClassVar


class GamedayError(Exception):
    """Base of all: ``str(error)`` says what happened, where, and what to do next."""

    exit_code: ClassVar[int] = 70


class PlaybookInvalid(GamedayError):
    """A playbook, target file or command line is wrong; holds every mistake found, one a line."""

    exit_code = 2


class Refused(GamedayError):
    """There is a reason not to begin; nothing was touched."""

    exit_code = 5


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

    exit_code = 5


class Interrupted(GamedayError):
    """The run is over, or its fence is gone; whoever still works for it stops here."""

    exit_code = 3


class RollbackIncomplete(GamedayError):
    """Something is still changed, or could not be read back."""

    exit_code = 9
