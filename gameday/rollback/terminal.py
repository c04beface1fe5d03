"""The terminal of a runner that was killed: its cursor is hidden, and its people do not know what happened."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass

SHOW_CURSOR = "\x1b[?25h\x1b[0m"


@dataclass(frozen=True)
class Terminal:
    """A terminal by its name, so that nobody holds it open; an empty one is none."""

    path: str = ""

    @classmethod
    def of_this_process(cls) -> Terminal:
        """Where this process's output goes, if that is a terminal."""
        for stream in (1, 2):
            with suppress(OSError):
                return cls(os.ttyname(stream))
        return cls()

    def say(self, text: str) -> None:
        """Show the cursor again and say something; a terminal that is gone or does not read is left alone."""
        if not self.path:
            return
        with suppress(OSError):
            file = os.open(self.path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
            try:
                os.write(file, f"{SHOW_CURSOR}\r\n{text}\r\n".encode())
            finally:
                os.close(file)
