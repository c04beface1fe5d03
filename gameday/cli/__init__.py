"""The command line: ``gameday``. Every command's body is imported only when it runs."""

from __future__ import annotations

import sys
import traceback
from typing import NoReturn

import click

from gameday.cli.app import gameday
from gameday.errors import GamedayError

LISTINGS = ("show", "history", "probes", "faults", "schema")


def main() -> NoReturn:
    """The entry point; exits with one of the documented codes, and never with a traceback for a known error."""
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        gameday.main(prog_name="gameday", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("gameday: interrupted\n")
        return 3
    except GamedayError as error:
        sys.stderr.write(f"{error}\n" if error.exit_code == 2 else f"gameday: {error}\n")
        return error.exit_code
    except BrokenPipeError:  # gameday show | head; whoever asked for more than a listing does not get a 0 for it
        sys.stderr.close()
        return 0 if sys.argv[1:2] and sys.argv[1] in LISTINGS else 3
    except Exception:  # noqa: BLE001 - a bug has an exit code of its own, so that no script takes it for a verdict
        traceback.print_exc()
        sys.stderr.write("gameday: that is a bug, please report it; gameday status says whether all is well\n")
        return 70
    return 0
