"""The watchdog's own rollback: the same code as the runner's, and it tries on after ``rollback_within``."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from functools import partial
from math import inf

from gameday.journal import Journal
from gameday.journal.touch import deadly
from gameday.machine.commands import CloseStep
from gameday.machine.rollback import Rollback, Undoing
from gameday.machine.spec import Timing
from gameday.rollback.claim import Claim, Lost
from gameday.rollback.clock import steady
from gameday.rollback.driver import roll_back
from gameday.rollback.means import Errand, Means
from gameday.rollback.recovery import spec_of
from gameday.rollback.scribe import Scribe
from gameday.rollback.terminal import Terminal
from gameday.rollback.vigil import Charge, Vigil
from gameday.sdk import AnyEvent

BY = "watchdog"
TRIES_FOR = 24 * 3600.0
"""Seconds for which it tries on; after that ``gameday rollback`` and the alert on open steps are left."""
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
ROUND = 20.0
"""Seconds of a later round, besides the time in which an injected call may still land: some attempts."""
JOURNAL_MAY_TAKE = 12.0
RECEIPTS_FOR = 600.0
"""Seconds for which it tries to bring its receipts into a journal that does not answer."""


class Rescue:
    """Finishes the rollback of a run whose runner is dead.

    Parameters
    ----------
    vigil: what the runner said last.
    """

    def __init__(self, errand: Errand, means: Means, vigil: Vigil, terminal: Terminal) -> None:
        self._errand, self._means, self._vigil, self._terminal = errand, means, vigil, terminal
        self._charges: Mapping[str, Charge] = vigil.charges
        self._since = self._clock()
        self._scribe: Scribe | None = None
        self._claim: Claim | None = None
        self._again = {id_ for id_, charge in vigil.charges.items() if charge.again}
        # An undo of the runner's own may be on the wire.
        self._loose_until = self._since + self._lands if vigil.back_at < inf else 0.0
        self._abandoned = threading.Event()

    def finish(self, why: str) -> None:
        """Undo, read back, close and write it down, for as long as it takes."""
        journal = self._means.journal
        if journal is None and not self._charges:
            return  # the run ended before it began
        if journal is not None:
            self._take_pen(journal)
        began, pause, first = time.monotonic(), FIRST_PAUSE, True
        if not self._charges:
            self._let_rehearsals_land()
            self._say((), why)
        while self._charges:
            state = self._round(why, first=first)
            if self._abandoned.is_set() or state.overtaken:  # whoever did that has written it down
                break
            if first or not state.open:
                self._say(state.sentences(), why)
            if not state.open or time.monotonic() - began > TRIES_FOR:
                break
            first = False
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)
        self._end()

    def _take_pen(self, journal: Journal) -> None:
        """Ask and write to the journal, unless that would end this process too: then receipts must do."""
        trouble = deadly(journal.place)
        self._scribe = Scribe(journal, self._errand.run, BY, away=trouble)
        if trouble:
            left = f"the journal at {journal.place} is left alone: {trouble}"
            self._terminal.say(f"gameday: run {self._errand.run}: {left}")
            return
        self._claim = Claim(journal, self._errand.run)
        for step in tuple(self._again):
            self._scribe.reopen(step, partial(self._again.discard, step))
        threading.Thread(target=self._watch_for_abandon, name="abandon", daemon=True).start()

    def _let_rehearsals_land(self) -> None:
        """A run that died while it was armed may have a rehearsal on the wire: its holds outlast it."""
        run = self._errand.run
        if self._scribe is None or self._claim is None:
            return
        if self._scribe.ask(lambda journal: any(hold.run == run for hold in journal.holds()), JOURNAL_MAY_TAKE):
            time.sleep(max(0.0, self._since + self._lands - self._clock()))

    @property
    def _lands(self) -> float:
        return Timing(settle=self._vigil.limits.settle).lands_after_death

    def _clock(self) -> float:
        return steady() - self._means.began

    def _round(self, why: str, *, first: bool) -> Rollback:
        """One rollback. Later rounds are told if they succeed."""
        assert self._means.aws is not None  # without it no step was proved, and none was handed over
        told: list[AnyEvent] = []
        limits = self._vigil.limits
        state = roll_back(
            tuple(self._undoing(charge) for charge in self._charges.values()),
            self._means.steps,
            self._means.aws,
            timing=Timing(
                rollback_within=limits.rollback_within if first else ROUND + limits.settle, settle=limits.settle
            ),
            clock=self._clock,
            emit=self._emit if first else told.append,
            close=self._close,
            by=BY,
            reason=why,
            abandoned=self._abandoned.is_set,
            is_lost=self._is_lost,
        )
        self._loose_until = state.loose_until
        left = {step.spec.id for step in state.open}
        if len(left) < len(self._charges):
            for event in told:
                self._emit(event)
        self._charges = {id_: charge for id_, charge in self._charges.items() if id_ in left}
        return state

    def _undoing(self, charge: Charge) -> Undoing:
        """The runner is dead: its last call may still land, unless it was answered; so may the round before's undo."""
        lands = 0.0 if charge.over else self._since + Timing(settle=charge.record.settle).lands_after_death
        spec = spec_of(charge.record, self._means.steps[charge.record.id])  # proved before it was handed over
        return Undoing(spec, charge.record.before, settle_until=lands, loose_until=self._loose_until)

    def _is_lost(self, step: str) -> Lost | None:
        """``gameday rollback`` or ``gameday abandon`` may have been quicker."""
        if self._claim is None or step in self._again:
            return None
        return self._claim.lost(step)

    def _emit(self, event: AnyEvent) -> None:
        if self._scribe is not None:
            self._scribe.emit(event)

    def _close(self, command: CloseStep) -> None:
        if self._scribe is not None:
            self._scribe.close(command)

    def _say(self, open_: tuple[str, ...], why: str) -> None:
        """The journal and the terminal hear how it stands."""
        if self._scribe is not None:
            for let in self._vigil.closed.values():  # the runner closed them; the journal may not have heard
                self._scribe.closed_by_runner(CloseStep(let.step, let.closed, let.detail), self._clock())
            self._scribe.finish(self._clock(), open_, self._errand.finish_with)
        if open_:
            what = f"ROLLBACK INCOMPLETE, and the watchdog tries on: {'; '.join(open_)}"
            self._terminal.say(
                f"gameday: run {self._errand.run}: {why}. {what}\r\nFinish it with: {self._errand.finish_with}"
            )
        else:
            what = "the watchdog has put everything back" if self._vigil.charges else "nothing was left changed"
            self._terminal.say(f"gameday: run {self._errand.run}: {why}; {what}")

    def _watch_for_abandon(self) -> None:
        """``gameday abandon`` is heard within a second or two, also in the middle of a rollback."""
        run = self._errand.run

        def question(journal: Journal) -> bool:
            return journal.run(run).abandon is not None

        assert self._scribe is not None
        while not self._scribe.ask(question, JOURNAL_MAY_TAKE):
            time.sleep(1.0)
        self._abandoned.set()

    def _end(self) -> None:
        """What the journal has not taken is on receipts; bring them in while there is hope, and no danger."""
        if self._scribe is None or self._scribe.end(JOURNAL_MAY_TAKE) or self._claim is None:
            return
        until = time.monotonic() + RECEIPTS_FOR
        while time.monotonic() < until and not self._scribe.merge():
            time.sleep(5.0)
