"""Looks for ever: a wheel that says whose turn it is, and workers that look.

A target has one look out at a time, so one that hangs costs one worker; where workers are missing more are taken on, so
that a thousand hanging targets do not delay the one that answers.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Protocol

from gameday.sdk import Cause, Observation, Probe

log = logging.getLogger(__name__)

CREW = 16
"""Workers that stay; 16 hold 1,000 S3 reads a second (benchmarks/watch.py)."""
_HELPERS = 48
"""More workers that may be taken on because answers take their time: 64 hold 1,000 answers of 60 ms a second.

More would only stand in each other's way for the interpreter, so beyond them one is taken on for each that is stuck.
"""
_ENOUGH_CPU = 0.6
"""Of one core: looks that wait for the interpreter wait longer with more who ask for it."""
_STUCK = 0.5
"""Seconds after which a look is taken to hang: its worker is not counted on."""
_MOST = 2000
_TICK = 0.005
"""Looks that are due within one tick begin together: a wake-up for each would cost more than the look's own turn."""
_CHECK = 0.02
"""Seconds after which a look that no worker has taken is given one more."""
_IDLE = 10.0
"""Seconds without a look after which a worker that is one too many leaves."""


@dataclass(frozen=True)
class Target:
    """A probe of a playbook, as a watch looks with it.

    Parameters
    ----------
    every: seconds from the start of one look to the start of the next.
    timeout: seconds after which a look is not waited for any longer.
    role: who looks, ``""`` for the watch itself.
    expect: the causes and codes that are as they should be; None where the playbook does not say.
    """

    playbook: str
    name: str
    uses: str
    probe: Probe
    every: float
    timeout: float
    role: str = ""
    expect: frozenset[str] | None = None


class Told(Protocol):
    """Who is told what a watch sees; called from many threads."""

    def look(self, playbook: str, probe: str, uses: str, seen: Observation, meets: bool | None) -> None:
        """A look came back, or is not waited for any longer."""

    def late(self, seconds: float) -> None:
        """A look began so late."""

    def skipped(self, playbook: str, probe: str) -> None:
        """A look was left out, because the one before is still out."""

    def forget(self, playbook: str, probe: str) -> None:
        """A probe is watched no more; said again after a look that was still out."""

    def watching(self, probes: int, workers: int) -> None:
        """How much there is to do, and how many do it."""


@dataclass(eq=False)
class _Turn:
    """A target on the wheel."""

    target: Target
    due: float
    wanted: float = 0.0
    """When the look that is out should have begun."""
    out: bool = False
    began: float | None = None
    gone: bool = False
    stop: threading.Event = field(default_factory=threading.Event)


class Wheel(threading.Thread):
    """Gives each target its turns.

    Parameters
    ----------
    look: looks once; called from the workers. None when it was stopped.
    told: learns what was seen.
    """

    def __init__(self, look: Callable[[Target, threading.Event], Observation | None], told: Told) -> None:
        super().__init__(name="wheel", daemon=True)
        self._look, self._told = look, told
        self._lock = threading.Condition()
        self._heap: list[tuple[float, int, _Turn]] = []
        self._count = itertools.count()
        self._turns: dict[Target, _Turn] = {}
        self._names: set[tuple[str, str]] = set()
        self._jobs: SimpleQueue[_Turn] = SimpleQueue()
        self._workers = self._busy = self._waiting = 0
        self._checked = self._measured = self._used = 0.0
        self._computing = False
        self._out: dict[_Turn, float] = {}
        """The looks that are out, and since when."""

    def watch(self, targets: Sequence[Target]) -> None:
        """Watch these from now on; those that are watched already keep their turns, all others are let go."""
        with self._lock:
            now, kept = time.monotonic(), self._turns
            self._names = {(target.playbook, target.name) for target in targets}
            # Spread over their interval, so that they do not all come at once.
            spread = {t: now + t.every * number / len(targets) for number, t in enumerate(targets)}
            self._turns = {target: kept.get(target) or _Turn(target, spread[target]) for target in targets}
            for target, turn in kept.items():
                if target not in self._turns:
                    turn.gone = True
                    turn.stop.set()
            for target, turn in self._turns.items():
                if target not in kept:
                    heapq.heappush(self._heap, (turn.due, next(self._count), turn))
            self._tell_size()
            self._lock.notify_all()

    def run(self) -> None:
        """Turn until the process ends."""
        for _ in range(CREW):
            self._hire()
        while True:
            with self._lock:
                now = time.monotonic()
                while self._heap and self._heap[0][0] <= now:
                    self._give(heapq.heappop(self._heap)[2], now)
                self._check(now)
                pause = self._heap[0][0] - time.monotonic() if self._heap else 1.0
                if self._waiting:
                    pause = min(pause, _CHECK)
                self._lock.wait(min(max(pause, _TICK), 1.0))

    def _give(self, turn: _Turn, now: float) -> None:
        """It is a target's turn."""
        if turn.gone:
            return
        target = turn.target
        if not turn.out:
            turn.out, turn.wanted = True, turn.due
            self._waiting += 1
            self._jobs.put(turn)
        else:
            self._told.skipped(target.playbook, target.name)
            if turn.began is not None and now - turn.began > target.timeout:
                turn.stop.set()
                why = f"no answer in {target.timeout:g} s"
                seen = Observation(cause=Cause.UNREACHABLE, detail=why, latency=now - turn.began)
                self._told.look(target.playbook, target.name, target.uses, seen, None)
        # Turns are counted from the first one, so that they do not drift; those that nobody could have are left out.
        turn.due += (1 + max(0, int((now - turn.due) / target.every))) * target.every
        heapq.heappush(self._heap, (turn.due, next(self._count), turn))

    def _check(self, now: float) -> None:
        """Take on more workers where looks wait and all are busy."""
        if now - self._checked < _CHECK:
            return
        self._checked = now
        if not self._waiting or self._busy < self._workers:
            return
        cpu, wall = time.process_time() - self._used, now - self._measured
        if wall > 0.1:
            self._used, self._measured = time.process_time(), now
            self._computing = cpu > _ENOUGH_CPU * wall
        stuck = sum(now - began > _STUCK for began in self._out.values())
        helpers = 0 if self._computing else _HELPERS
        room = min(CREW + helpers + stuck, _MOST) - self._workers
        for _ in range(min(self._waiting, CREW, room)):
            self._hire()

    def _hire(self) -> None:
        try:
            threading.Thread(target=self._work, name="look", daemon=True).start()
        except RuntimeError:  # no more threads to be had: those that there are must do
            return
        self._workers += 1
        self._tell_size()

    def _tell_size(self) -> None:
        self._told.watching(len(self._turns), self._workers)

    def _work(self) -> None:
        while True:
            try:
                turn = self._jobs.get(timeout=_IDLE)
            except Empty:
                with self._lock:
                    if self._workers <= CREW:
                        continue
                    self._workers -= 1
                    self._tell_size()
                return
            if not self._one(turn):
                return

    def _one(self, turn: _Turn) -> bool:
        """Look once; whether the worker is still needed afterwards."""
        target = turn.target
        with self._lock:
            self._waiting -= 1
            self._busy += 1
            turn.began, turn.stop = time.monotonic(), threading.Event()
            stop = turn.stop
            self._out[turn] = turn.began
            late = turn.began - turn.wanted
            if turn.gone:
                stop.set()
        self._told.late(late)
        seen = None if stop.is_set() else self._look(target, stop)
        if seen is not None and not stop.is_set():
            meets = None if target.expect is None else seen.matches(target.expect)
            self._told.look(target.playbook, target.name, target.uses, seen, meets)
        with self._lock:
            self._busy -= 1
            turn.out, turn.began = False, None
            del self._out[turn]
            gone = turn.gone and (target.playbook, target.name) not in self._names
            # All are woken in turn, so that none is idle for long, be there ever so many.
            needed = self._workers <= CREW or self._waiting > 0 or self._busy >= self._workers // 4
            if not needed:
                self._workers -= 1
                self._tell_size()
        if gone:
            self._told.forget(target.playbook, target.name)
        return needed
