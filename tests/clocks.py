"""A real process whose wall clock is another than everybody else's.

time-machine shifts every clock that Python calls one of the wall, and leaves alone those that nobody sets. Debian's
libfaketime 0.9.10 cannot: it breaks clock_nanosleep, or shifts the monotonic clocks too, and then waits never end.
"""

from __future__ import annotations

from pathlib import Path

_SHIFTED = """
import datetime, pathlib, sys, threading, time
import time_machine
_file, _real = pathlib.Path({file!r}), time_machine.escape_hatch.time.time
_clock = time_machine.travel(datetime.datetime.now(datetime.timezone.utc), tick=True).start()
def _set():
    off = float(_file.read_text()) - (time.time() - _real())
    if abs(off) > 0.01:
        _clock.shift(off)
_set()
def _follow():
    while True:
        time.sleep(0.05)
        _set()
if "schedule" in sys.orig_argv:  # what it starts is over soon
    threading.Thread(target=_follow, daemon=True).start()
"""


class WallClock:
    """The wall clock of some processes: ``code`` stands in their sitecustomize; it can be put at any time."""

    def __init__(self, file: Path, ahead: float = 0.0) -> None:
        self._file = file
        self.put(ahead)
        self.code = _SHIFTED.format(file=str(file))

    def put(self, ahead: float) -> None:
        """So many seconds ahead of everybody else's."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{ahead:.6f}")
        fresh.replace(self._file)
