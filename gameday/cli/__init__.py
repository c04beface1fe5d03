"""The command line: ``gameday``. Every command's body is imported only when it runs."""

from __future__ import annotations

import sys
import traceback


def main() -> None:
    """The entry point; exits with one of the documented codes, and never with a traceback for a known error."""
    from gameday.cli.app import gameday
    from gameday.errors import GamedayError

    try:
        gameday(prog_name="gameday")
    except GamedayError as error:
        sys.stderr.write(f"gameday: {error}\n" if error.exit_code != 2 else f"{error}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:  # gameday show | head
        sys.stderr.close()
        sys.exit(0)
    except Exception:  # noqa: BLE001 - a bug has an exit code of its own, so that no script takes it for a verdict
        traceback.print_exc()
        sys.stderr.write("gameday: that is a bug, please report it; gameday status says whether all is well\n")
        sys.exit(70)
