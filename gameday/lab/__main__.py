"""``python -m gameday.lab``: serve the lab until interrupted."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading

from gameday.errors import LabError

from . import PRESETS, describe, instructions, serve


def main(argv: list[str] | None = None) -> int:
    """The command line; 0, 2 for a wrong knob or preset, 5 when the lab cannot start."""
    options = _parser().parse_args(argv)
    if options.describe:
        for found in describe():
            sys.stdout.write(f"{found['service']:<12}{found['standing']:<12}{found['behaviour']}\n")
        return 0
    knobs = dict(pair.split("=", 1) if "=" in pair else (pair, "true") for pair in options.set)
    if options.until_stdin_closes:
        _live_with_owner()
    else:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    try:
        serve(options.host, options.port, options.preset, _say, **knobs)
    except LabError as error:
        sys.stderr.write(f"gameday lab: {error}\n")
        return 5
    except KeyboardInterrupt:
        return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gameday lab", description="An AWS on loopback that enforces its keys.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port, 0 for any free one (default)")
    parser.add_argument("--preset", choices=PRESETS, default="instant", help="all delays at once")
    parser.add_argument("--set", action="append", default=[], metavar="KNOB=VALUE", help="one knob; repeatable")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when standard input does")
    parser.add_argument("--describe", action="store_true", help="list what the lab adds to moto, and its standing")
    return parser


def _say(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()  # whoever waits for the URL gets it alone, and first
    sys.stdout.write(instructions(url))
    sys.stdout.flush()


def _live_with_owner() -> None:
    """Outlive Ctrl-C and a closed terminal (the rollback needs AWS), but never the owner's pipe."""
    for name in (signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
