"""The live view of a run in a terminal, and the summary that it leaves behind."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from exporters.fold import RunView, time_of
from exporters.frame import frame
from exporters.summary import summary
from gameday.sdk import Exporter, Sealed

# What a terminal that is gone answers: the run goes on without it.
_GONE = (OSError, ValueError)


class TerminalView(Exporter):
    """Draws the run while it goes on, between its events too, and leaves the summary when it is over.

    Parameters
    ----------
    console: where to draw; standard error by default, so that standard output stays free for ``--json``.
    journal: where the journal is, for the summary.
    clock: a steady clock in seconds, for the time between two events.
    refresh: pictures a second at the most; nothing is drawn while nothing changes.
    """

    def __init__(
        self,
        console: Console | None = None,
        journal: str = "",
        *,
        clock: Callable[[], float] = time.monotonic,
        refresh: float = 8.0,
    ) -> None:
        self._console = console or Console(stderr=True)
        self._journal, self._clock, self._pause = journal, clock, 1.0 / refresh
        self._view = RunView()
        self._zero = math.inf
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._shown: tuple[object, ...] = ()
        self._painter = threading.Thread(target=self._paint, name="terminal", daemon=True)

    def consume(self, sealed: Sealed) -> None:
        """Take the next event; the picture follows within one refresh."""
        with self._lock:
            self._view.consume(sealed)
            at = time_of(sealed.event)
            if at is not None and math.isfinite(at):
                # Events come late, never early: the earliest beginning that any of them tells is the true one.
                self._zero = min(self._zero, self._clock() - at)
        if not self._painter.ident and self._console.is_terminal:
            self._painter.start()

    def close(self) -> None:
        """Take the picture away and print the summary."""
        self._over.set()
        if self._painter.ident:
            self._painter.join(timeout=1.0)
        with self._lock:
            print_summary(self._view, self._console, self._journal)

    def picture(self) -> Group:
        """What stands on the screen now."""
        with self._lock:
            now = self._view.now
            if math.isfinite(self._zero) and self._view.finished is None:
                now = max(now, self._clock() - self._zero)
            # One line stays free: a picture as high as the terminal would scroll at each drawing.
            lines = frame(self._view, now, self._console.width, max(self._console.height - 1, 1))
        return Group(*lines)

    def _paint(self) -> None:
        # Redirecting the standard streams would put --json's lines into the picture.
        live = Live(
            console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        try:
            with live:
                while not self._over.is_set():
                    self._draw(live)
                    self._over.wait(self._pause)
        except _GONE:
            return

    def _draw(self, live: Live) -> None:
        picture = self.picture()
        looks = (self._console.size, *((line.plain, tuple(line.spans)) for line in _texts(picture)))
        if looks != self._shown:
            self._shown = looks
            live.update(picture, refresh=True)


def _texts(picture: Group) -> Iterable[Text]:
    return (line for line in picture.renderables if isinstance(line, Text))


def print_summary(view: RunView, console: Console, journal: str = "") -> None:
    """Print the summary of a run, live or from the journal."""
    try:
        for line in summary(view, journal, console.width):
            console.print(line, soft_wrap=bool(line.no_wrap))
    except _GONE:
        return
