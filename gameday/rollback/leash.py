"""The runner's end of its watchdog: starts it, tells it what it must be able to undo, and notices when it is gone."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from gameday.journal import Owner
from gameday.rollback import watchdog
from gameday.rollback.orders import LONGEST, Answer, AnyOrder, Done, Lines, Ping
from gameday.rollback.watchdog import Errand

ANSWERS_WITHIN = 6.0
"""Seconds without an answer to a ping after which the watchdog counts as gone."""
PROVES_WITHIN = 25.0
"""Seconds for what it must call AWS for; less than the machine waits for a rehearsal."""
SENDS_WITHIN = 0.5
"""Seconds that a full pipe is waited for: nobody reads at the other end any more."""
LEAVES_WITHIN = 0.5
PINGS_EVERY = 1.0


Refused = Callable[[str, bool], None]
"""Told why, and whether it is sure that no call of the watchdog's may still land."""


@dataclass
class Asked:
    """A question on its way."""

    done: Callable[[], None]
    refused: Refused
    until: float


class Leash:
    """A watchdog and the line to it. None of its methods waits for an answer, or raises."""

    def __init__(self, line: socket.socket, pid: int) -> None:
        self.owner = Owner.of(pid)
        self._line, self.pid = line, pid
        self._line.settimeout(SENDS_WITHIN)
        self._lock = threading.RLock()
        self._asked: dict[int, Asked] = {}
        self._count = 0
        self._gone = ""
        self._lost: Callable[[str], None] = lambda _: None
        self._pinged, self._heard = 0.0, time.monotonic()

    @property
    def gone(self) -> str:
        """Why the watchdog is no longer there, or ``""``."""
        return self._gone

    def attach(self, lost: Callable[[str], None]) -> None:
        """Begin to listen; ``lost`` is told once, in a sentence, when the watchdog is gone, on any thread."""
        self._lost = lost
        threading.Thread(target=self._listen, name="watchdog", daemon=True).start()

    def tell(self, order: AnyOrder, pipe: int = -1) -> None:
        """Say something that wants no answer; ``pipe`` is a descriptor to hold open with it."""
        with self._lock:
            self._send(order, pipe)

    def ask(
        self,
        order: AnyOrder,
        done: Callable[[], None],
        refused: Refused,
        within: float = PROVES_WITHIN,
    ) -> None:
        """Say something and go on; ``done`` or ``refused`` is called from another thread, or here if it is gone."""
        with self._lock:
            if not self._gone:
                self._count += 1
                self._asked[self._count] = Asked(done, refused, time.monotonic() + within)
                self._send(order.model_copy(update={"id": self._count}))
                return
        refused(self._gone, True)

    def beat(self) -> None:
        """Let it know that the runner lives, and see whether it does; called several times a second."""
        now = time.monotonic()
        late: list[Asked] = []
        with self._lock:
            late = [self._asked.pop(id_) for id_, asked in tuple(self._asked.items()) if asked.until < now]
            if not self._gone and now - self._pinged >= PINGS_EVERY:
                self._pinged = now
                self._count += 1
                self._send(Ping(id=self._count))
        for asked in late:
            asked.refused("the watchdog did not answer in time", False)
        if now - self._heard > ANSWERS_WITHIN:
            self._lose(f"the watchdog (process {self.pid}) has not answered for {ANSWERS_WITHIN:g} s")

    def let_go(self) -> None:
        """The run is over in order: tell it to leave."""
        with self._lock:
            self._send(Done())
            self._lost = lambda _: None
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_WR)
        until = time.monotonic() + LEAVES_WITHIN
        with suppress(ChildProcessError):
            while os.waitpid(self.pid, os.WNOHANG) == (0, 0) and time.monotonic() < until:
                time.sleep(0.001)

    def _send(self, order: AnyOrder, pipe: int = -1) -> None:
        if self._gone:
            return
        data = order.model_dump_json().encode() + b"\n"
        try:
            if pipe >= 0:
                sent = socket.send_fds(self._line, [data], [pipe])
                data = data[sent:]
            self._line.sendall(data)
        except OSError as error:  # a time-out may have cut the line in two, so nothing more can be said either way
            why = f"the watchdog (process {self.pid}) cannot be told any more: {error or type(error).__name__}"
            threading.Thread(target=self._lose, args=(why,), daemon=True).start()

    def _listen(self) -> None:
        lines = Lines()
        with suppress(OSError):
            while piece := self._receive():
                self._heard = time.monotonic()
                for line in lines.feed(piece):
                    self._answered(Answer.model_validate_json(line))
        self._lose(f"the watchdog (process {self.pid}) has ended")

    def _receive(self) -> bytes:
        while True:
            with suppress(TimeoutError):
                return self._line.recv(LONGEST)

    def _answered(self, answer: Answer) -> None:
        with self._lock:
            asked = self._asked.pop(answer.id, None)
        if asked is None:
            return
        if answer.why:
            asked.refused(answer.why, answer.sure)
        else:
            asked.done()

    def _lose(self, why: str) -> None:
        with self._lock:
            if self._gone:
                return
            self._gone = why
            waiting, self._asked = tuple(self._asked.values()), {}
            lost = self._lost
        for asked in waiting:
            asked.refused(why, False)
        lost(why)


def unleash(errand: Errand) -> Leash:
    """Start a watchdog by a fork, so that it has everything loaded at once and costs its start nothing.

    Call it while this process has one thread only: a lock that another thread holds would stay locked in the child.
    """
    if threading.active_count() > 1:
        raise RuntimeError("a watchdog must be started before any thread is")
    ours, theirs = socket.socketpair()
    runner = os.getpid()
    pid = os.fork()
    if pid == 0:
        ours.close()
        watchdog.main(theirs, errand, runner)
    theirs.close()
    return Leash(ours, pid)
