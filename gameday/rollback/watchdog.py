"""The watchdog: a process in a session of its own that finishes a run's rollback when the runner cannot.

It is forked before the run begins, holds each undo step before its change is made, and has been through its rehearsal,
so that at the moment of need nothing must be imported, looked up or asked. It steps in when the runner's end of the
line closes, or when the runner has passed a limit; the first thing it does then is to kill the runner, which must not
wake up past its fence and inject.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from gameday.rollback.clock import steady
from gameday.rollback.means import Errand, Means
from gameday.rollback.orders import (
    LONGEST,
    ORDER,
    Answer,
    AnyOrder,
    Done,
    Guard,
    Limits,
    Lines,
    Meet,
    Ping,
    Prove,
)
from gameday.rollback.rescue import Rescue
from gameday.rollback.reserve import lift_limits, release
from gameday.rollback.terminal import Terminal
from gameday.rollback.vigil import MARGIN, SILENCE, Vigil

__all__ = ["Errand", "Watchdog", "main"]

LEAVES_WITHIN = 10.0
"""Seconds that a runner which holds nothing is given to end by itself once its end of the line is closed."""
DIES_WITHIN = 1.0
"""Seconds that a killed runner is waited for; one that the kernel cannot end does not hold up the rollback."""
IGNORED = ("SIGHUP", "SIGINT", "SIGTERM", "SIGQUIT", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGUSR1", "SIGUSR2")
LOOKS_EVERY = 0.25
TRIES_AGAIN_AFTER = 2.0
"""Seconds after which it tries again when something it did not foresee ended its rollback."""


def main(line: socket.socket, errand: Errand, runner: int) -> NoReturn:
    """Be the watchdog of a process; called right after the fork, and never returns."""
    terminal = Terminal.of_this_process()
    try:
        _detach()
        Watchdog(line, errand, runner, terminal).watch()
    except BaseException:  # noqa: BLE001 - whatever it is: a forked child must not go on as its parent; the runner notices
        terminal.say(f"gameday: a bug ended the watchdog of run {errand.run}: {traceback.format_exc()}")
    finally:
        os._exit(0)


def _detach() -> None:
    """A session of its own: neither the terminal's hang-up nor the end of the runner's process group reaches it."""
    lift_limits()
    os.setsid()
    for name in IGNORED:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # whoever reads the runner's output must see its end
        os.dup2(null, stream)
    os.chdir("/")
    with suppress(OSError):
        Path("/proc/self/comm").write_text("gameday-guard")


class Watchdog:
    """Watches over one run.

    Parameters
    ----------
    line: to the runner; it closes when the runner ends, however it ends.
    runner: its process.
    terminal: where the runner's people look.
    """

    def __init__(self, line: socket.socket, errand: Errand, runner: int, terminal: Terminal) -> None:
        self._line, self._errand, self._terminal = line, errand, terminal
        self._runner = Runner(runner)
        self._lines = Lines()
        self._vigil = Vigil()
        self._means = Means(errand, self._answer)
        self._heard = time.monotonic()
        self._late_since: float | None = None
        self._done = False

    def watch(self) -> None:
        """Wait until the run is over, in order or not; then see to it that nothing stays changed."""
        self._means.start()
        why = self._wait()
        if not self._done:
            # One that holds nothing changes nothing more, since each change waits for this process's word: it may be on
            # its way out with an exit code of its own, and is given the time.
            self._runner.end(0.0 if self._vigil.charges else LEAVES_WITHIN)
            self._drain()  # what it said last
        if self._done:
            return
        release()
        rescue = Rescue(self._errand, self._means, self._vigil, self._terminal)
        while True:
            try:
                rescue.finish(why)
            except Exception:  # noqa: BLE001 - no memory, no thread, a bug: what is open stays this process's to undo
                self._terminal.say(f"gameday: the watchdog of run {self._errand.run}: {traceback.format_exc()}")
                time.sleep(TRIES_AGAIN_AFTER)
            else:
                return

    def _wait(self) -> str:
        """Until the run is over; returns why the watchdog must step in, unless it is done."""
        ends = [self._line.fileno(), *self._runner.fds]
        while True:
            readable, _, _ = select.select(ends, [], [], LOOKS_EVERY)
            if self._line.fileno() in readable and not self._hear():
                return self._vigil.ended()
            if self._done:
                return ""
            if set(readable) & set(self._runner.fds):
                return self._vigil.ended()
            if why := self._overdue():
                return why

    def _overdue(self) -> str:
        """Why the runner must be taken for stopped; it is given a margin that does not pass while all sleep."""
        now = time.monotonic()
        if steady() <= self._vigil.due():
            self._late_since = None
        elif self._late_since is None:
            self._late_since = now
        elif now - self._late_since > MARGIN:
            return "the runner was past its limit and did not roll back"
        if self._vigil.charges and now - self._heard > SILENCE:
            return f"the runner has said nothing for {SILENCE:g} s"
        return ""

    def _drain(self) -> None:
        self._line.setblocking(False)
        with suppress(BlockingIOError):
            while self._hear():
                pass

    def _hear(self) -> bool:
        """Take in what has come; False at the end of the line."""
        try:
            piece, pipes, _, _ = socket.recv_fds(self._line, LONGEST, 4)
        except ConnectionResetError:
            return False
        self._means.pipes += pipes  # an embedded lab lives as long as somebody holds its pipe
        self._heard = time.monotonic()
        for line in self._lines.feed(piece):
            self._take(ORDER.validate_json(line))
        return bool(piece)

    def _take(self, order: AnyOrder) -> None:
        self._vigil = self._vigil.after(order, steady())
        match order:
            case Done():
                self._done = True
            case Meet() | Prove() | Guard():
                self._means.put(order)
        if isinstance(order, Guard | Ping | Limits):
            self._answer(Answer(id=order.id))

    def _answer(self, answer: Answer) -> None:
        with suppress(OSError):  # a runner that is gone is seen elsewhere
            self._line.sendall(answer.model_dump_json().encode() + b"\n")


class Runner:
    """The process that is watched; told apart from a later one of the same number where the system can."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.fds: tuple[int, ...] = ()
        """Readable when it has ended."""
        if sys.platform == "linux":
            with suppress(OSError):
                fd = os.pidfd_open(pid)
                # Opened after the fork: if the runner had died before, the number might be somebody else's.
                self.fds = (fd,) if os.getppid() == pid else ()

    def end(self, patience: float) -> None:
        """See to it that it has ended: by itself within ``patience`` seconds, else killed, stopped or not."""
        with suppress(ProcessLookupError):
            if self.fds and sys.platform == "linux":
                if select.select(self.fds, [], [], patience)[0]:
                    return
                signal.pidfd_send_signal(self.fds[0], signal.SIGKILL)
                select.select(self.fds, [], [], DIES_WITHIN)
                return
            until = time.monotonic() + patience
            while os.getppid() == self._pid and time.monotonic() < until:
                time.sleep(LOOKS_EVERY)
            if os.getppid() == self._pid:  # its number cannot have been given away while it is the parent
                os.kill(self._pid, signal.SIGKILL)
