"""The main thread of a run: it waits for signals, and for nothing else.

A signal's byte arrives on a descriptor whatever Python is busy with; a handler would wait for the interpreter.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from types import FrameType

from gameday.engine.control import Control
from gameday.engine.job import Job

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
STOPPING = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
"""A run that stands still keeps the key off past every limit, so Ctrl-Z does nothing."""


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Parameters
    ----------
    code: its exit code.
    restored: whether the run itself saw all that it had changed closed.
    recorded: whether the journal holds all of it.
    """

    code: int
    restored: bool
    recorded: bool


def run(job: Job) -> Ended:
    """Run a playbook to its end; call it on the main thread, and leave with ``os._exit`` after it.

    Threads that hang are left behind, so an ordinary exit could wait for them.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # under nohup a hang-up stays ignored
            signal.signal(number, _noted)
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    control = Control(job, done=lambda: _wake(writer))
    control.start()
    while True:
        for byte in os.read(reader, 64):
            if byte == 0:
                return Ended(control.exit_code, control.restored, control.recorded)
            control.signalled(signal.Signals(byte).name)


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The byte on the descriptor says it all; a handler of Python's own must be there for it to be written."""


def _wake(writer: int) -> None:
    os.write(writer, b"\0")
