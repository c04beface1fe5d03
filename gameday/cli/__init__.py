"""The command line: ``gameday``. Every command's body is imported only when it runs."""

from __future__ import annotations

import os
from typing import NoReturn

from gameday.cli import output
from gameday.errors import ExitCode


def main() -> NoReturn:
    """The entry point; exits with one of the documented codes, and never with a traceback for a known error."""
    try:
        output.prepare()
        from gameday.cli.app import gameday
        from gameday.cli.leaving import leave
    except (MemoryError, ImportError, OSError) as error:  # Python itself would end with 1, which is a verdict
        os.write(2, f"gameday: it could not be loaded: {type(error).__name__}: {error}\n".encode())
        os._exit(ExitCode.REFUSED)
    leave(lambda: gameday.main(prog_name="gameday", standalone_mode=False))
