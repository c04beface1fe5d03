"""Words, numbers and times as a person reads them, and text from outside made harmless."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TextIO

from rich.cells import cell_len
from rich.text import Text

from gameday.sdk import HARMLESS as HARMLESS
from gameday.sdk import ForeignChange, Interval
from gameday.sdk import clean as clean


def fit(text: str, width: int) -> str:
    """Cut to ``width`` cells, with an ellipsis where something was cut."""
    shown = Text(text, end="")
    shown.truncate(max(width, 1), overflow="ellipsis")
    return shown.plain


def pad(text: str, width: int) -> str:
    """Cut or fill to exactly ``width`` cells, counting wide signs as two."""
    shown = fit(text, width)
    return shown + " " * (width - cell_len(shown))


def span(seconds: float) -> str:
    """A length of time to two digits or so: ``41 ms``, ``3.2 s``, ``34 s``, ``3 min 20 s``, ``2 h 05 min``."""
    if not math.isfinite(seconds):
        return "?"
    if abs(seconds) < 0.095:
        return f"{seconds * 1000:.0f} ms"
    if abs(seconds) < 9.95:
        return f"{seconds:.0f} s" if seconds == int(seconds) else f"{seconds:.1f} s"
    whole = round(seconds)
    if abs(whole) < 120:
        return f"{whole} s"
    if abs(whole) < 7200:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(whole, 3600)
    return f"{hours} h {rest // 60:02} min"


def wall_clock(at: str) -> float:
    """A time of ISO 8601 in seconds since 1970; one that cannot be read is none."""
    try:
        return datetime.fromisoformat(at).timestamp()
    except (ValueError, OverflowError):
        return math.nan


def clock(seconds: float) -> str:
    """A running time: ``00:41``, ``1:02:03``; never below zero."""
    if not math.isfinite(seconds):
        return "--:--"
    minutes, rest = divmod(max(int(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def between(interval: Interval) -> str:
    """An interval with its unit once where both ends share it: ``2.2-3.2 s``."""
    by = span(interval.by)
    if not interval.after < interval.by:  # nothing between, or not numbers at all
        return by
    known = interval.after > interval.by / 100  # else a digit that nobody needs
    after = span(interval.after) if known else f"0 {by.rpartition(' ')[2]}"
    number, _, unit = after.rpartition(" ")
    if number.replace(".", "").isdigit() and by.count(" ") == 1 and by.endswith(f" {unit}"):
        return f"{number}\N{EN DASH}{by}" if after != by else by
    return f"{after} \N{EN DASH} {by}"


def short(resource: str) -> str:
    """The part of an ARN that tells it from its neighbours: ``key/12ab34cd…``, or what follows the account."""
    parts = resource.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn":
        return resource
    name = parts[5]
    if parts[2] == "kms" and name.startswith("key/") and len(name) > 16:
        return name[:12] + "…"
    return name


def deed(change: ForeignChange) -> str:
    """What somebody else did: who, what, to which resource, and when on the run's clock."""
    who = clean(short(change.who)) or "somebody else"
    when = f" at {clock(change.changed)}" if change.changed >= 0 else ""
    return f"{who}: {clean(change.what)} on {clean(short(change.resource))}{when} ({clean(change.source)})"


def count(number: int, one: str, many: str = "") -> str:
    """``1 leak``, ``2 leaks``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


class Sink:
    """A text stream that may go away: from then on it is silent, and the run goes on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream

    def line(self, text: str) -> None:
        """Write one line and flush it."""
        if self._stream is None:
            return
        try:
            try:
                self._stream.write(text + "\n")
            except UnicodeEncodeError:
                encoding = self._stream.encoding or "ascii"
                self._stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # the reader left (BrokenPipeError), or the stream was closed (ValueError)
            self._stream = None
