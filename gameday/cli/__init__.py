"""The command line: ``gameday``. Every command's body is imported only when it runs."""

from __future__ import annotations

from typing import NoReturn

from gameday.cli import output


def main() -> NoReturn:
    """The entry point; exits with one of the documented codes, and never with a traceback for a known error."""
    output.prepare()
    from gameday.cli.app import gameday
    from gameday.cli.leaving import leave

    leave(lambda: gameday.main(prog_name="gameday", standalone_mode=False))
