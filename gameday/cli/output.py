"""Standard output and error that cannot end a command: closed, full, gone, or of an encoding that lacks our signs."""

from __future__ import annotations

import codecs
import errno
import io
import os
import signal
import sys
from contextlib import suppress

from gameday.errors import ExitCode

DOERS = ("run", "rollback", "abandon", "halt", "resume", "stage", "unstage", "schedule", "watch", "drill", "lab")
"""Commands that are there for what they do: their exit code says how that went, whoever reads the output."""
LISTINGS = ("show", "history", "probes", "faults", "schema")
"""Commands of which a reader often wants the beginning only; a closed pipe is a success."""
_PLAIN = str.maketrans(
    {
        "…": "...",
        "→": "->",
        "\N{EN DASH}": "-",
        "—": "-",
        "\N{MULTIPLICATION SIGN}": "x",
        "·": "-",
        "≤": "<=",
        "≥": ">=",
    }
)


class _Descriptor(io.FileIO):
    """A descriptor whose first failure is kept, and which swallows what is written after it."""

    trouble: OSError | None = None

    def write(self, data: io._WrittenBuffer, /) -> int:  # type: ignore[name-defined]  # typeshed's own name
        """Write, or drop."""
        if self.trouble is None:
            try:
                return super().write(data)
            except OSError as error:
                self.trouble = error
        return memoryview(data).nbytes


_ours: dict[str, _Descriptor] = {}


def prepare() -> None:
    """Make the three standard streams usable; call it before anything opens a file.

    A descriptor that is closed would be given to the next file that is opened, such as the journal, and what is
    printed would be written into it.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one
    codecs.register_error("gameday", _replaced)
    for name, fd in (("stdout", 1), ("stderr", 2)):
        setattr(sys, name, _stream(name, fd, getattr(sys, name)))


def end(command: str, code: int) -> int:
    """Flush, and return the exit code; does not return where a closed pipe ends the process as it ends other tools."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    trouble = _ours["stdout"].trouble if "stdout" in _ours else None
    if trouble is None:
        return code
    if trouble.errno != errno.EPIPE:
        with suppress(OSError, ValueError):
            sys.stderr.write(f"gameday: standard output cannot be written: {trouble.strerror}\n")
            sys.stderr.flush()
        return code if code or command in DOERS else ExitCode.REFUSED
    if not code and command not in DOERS + LISTINGS:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    return code


def _stream(name: str, fd: int, old: io.TextIOWrapper | None) -> io.TextIOWrapper:
    raw = _ours[name] = _Descriptor(fd, "w", closefd=False)
    unbuffered = old is not None and isinstance(old.buffer, io.RawIOBase)  # python -u
    return io.TextIOWrapper(
        raw if unbuffered else io.BufferedWriter(raw),
        encoding=old.encoding if old is not None else "utf-8",
        errors="gameday",
        line_buffering=name == "stderr" or (old is not None and old.line_buffering),
        write_through=unbuffered,
    )


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """Signs that the encoding lacks, in plain ones."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    said = error.object[error.start : error.end].translate(_PLAIN)
    return said.encode("ascii", "replace").decode("ascii"), error.end
