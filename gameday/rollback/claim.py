"""Whether a step of a dead run is still this actor's to undo: several may finish one run, and one of them is quicker.

Who has closed the last step gives the hold back, and a third run may take it: an undo that is repeated then would put
that run's resource back in the middle of its fault. So the journal is asked before each undo, as the fence is before
each inject.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from gameday.errors import GamedayError
from gameday.journal import Journal, StepState
from gameday.sdk import Closed

log = logging.getLogger(__name__)
ANSWERS_WITHIN = 0.5
"""Seconds for which an undo waits for the journal's word; the key is dark meanwhile."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Why a step is not to be undone.

    Parameters
    ----------
    closed: how another actor closed it; None when it is open, but under another run's hold.
    """

    detail: str
    closed: Closed | None = None


def lost(state: StepState | None, run: str, holder: str | None) -> Lost | None:
    """Judge what the journal says of a step, and of who holds its resource.

    A journal that does not know the step at all says nothing: the run may have died before its intent got there.
    """
    if state is None:
        return None
    if state.state == "closed":
        closed = Closed(state.closed or Closed.RESTORED)
        return Lost(f"another has closed it as {closed}: {state.detail or 'without a word'}", closed)
    if holder not in (None, run):
        return Lost(f"run {holder} holds {state.record.resource} now")
    return None


class Claim:
    """Asks the journal; while it does not answer, the undo goes on without it."""

    def __init__(self, journal: Journal, run: str) -> None:
        self._journal, self._run = journal, run
        self._hanging: threading.Thread | None = None

    def lost(self, step: str) -> Lost | None:
        """Why the step is not this run's to undo any more, or None; called immediately before an undo is sent."""
        if self._hanging is not None and self._hanging.is_alive():
            return None  # it has not answered the last time yet: the key must not wait for it again
        answer: SimpleQueue[Lost | None] = SimpleQueue()
        asking = threading.Thread(target=lambda: answer.put(self._ask(step)), name=f"claim {step}", daemon=True)
        try:
            asking.start()
            return answer.get(timeout=ANSWERS_WITHIN)
        except Empty:
            self._hanging = asking
        except RuntimeError:  # no more threads to be had
            pass
        return None

    def _ask(self, step: str) -> Lost | None:
        try:
            state = next((s for s in self._journal.steps(self._run) if s.record.id == step), None)
            holders = {hold.resource: hold.run for hold in self._journal.holds()}
            return lost(state, self._run, holders.get(state.record.resource) if state else None)
        except GamedayError:
            return None
        except Exception:  # whatever it is: a journal that fails must not stop an undo
            log.exception("the journal failed in a way that it should not")
            return None
