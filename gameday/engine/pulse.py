"""The pulse: more than once a second the journal is told that the run lives, and says what others want of it."""

from __future__ import annotations

import logging
import threading

from gameday.errors import GamedayError
from gameday.journal import Journal
from gameday.machine.inputs import Pulsed
from gameday.rollback.hands import Clock, Post

log = logging.getLogger(__name__)

EVERY = 0.4
"""Seconds between pulses: a halt is heard within one, and a write costs the journal a millisecond or so."""


class Heart(threading.Thread):
    """Asks the journal again and again, on a thread of its own.

    A journal that hangs or fails is not judged here: the machine counts from the last answer (its LEASE).

    Parameters
    ----------
    journal: where; used from this thread and the journal's own.
    post: takes the answers.
    clock: the run's steady clock.
    """

    def __init__(self, journal: Journal, run: str, post: Post, clock: Clock) -> None:
        super().__init__(name="pulse", daemon=True)
        self._journal, self._run = journal, run
        self._post, self._clock = post, clock
        self._over = threading.Event()

    def run(self) -> None:
        """Beat until the run ends."""
        failing = False
        while not self._over.wait(EVERY):
            asked = self._clock()
            try:
                heard = self._journal.pulse(self._run)
            except GamedayError as error:
                if not failing:
                    log.warning("the run's pulse does not reach the journal: %s", error)
                failing = True
                continue
            except Exception:  # a journal's bug must not end the pulse of a run whose key is off
                log.exception("the pulse failed in a way that it should not")
                continue
            failing = False
            halted = f"game days are {heard.halt}; gameday resume ends that" if heard.halt else ""
            left = heard.abandon
            abandoned = f"abandoned by {left.by} at {left.at[:19]}Z: {left.reason}" if left else ""
            self._post(Pulsed(self._clock(), asked, heard.holds, halted, abandoned))

    def stop(self) -> None:
        """End after the beat that is under way."""
        self._over.set()
