"""Writes what a rollback outside the runner does: into the journal while it answers, else as receipts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

from gameday.errors import JournalError
from gameday.journal import Journal, release_holds
from gameday.journal.audit import closed_in
from gameday.machine.commands import CloseStep
from gameday.rollback.receipts import Receipts, merge_quietly
from gameday.rollback.writer import JournalWriter
from gameday.sdk import AnyEvent, RunFinished, Sealed, StepClosed, Verdict, seal

log = logging.getLogger(__name__)
T = TypeVar("T")


class Scribe:
    """Nobody waits for it but who asks; what the journal does not take is on a receipt.

    Parameters
    ----------
    journal: where the run is.
    by: who rolls back.
    teller: is handed each event, sealed, whether the journal took it or not; called from the journal's thread.
    away: why the journal must not be touched at all; empty when it may be.
    """

    def __init__(
        self, journal: Journal, run: str, by: str, teller: Callable[[Sealed], None] = lambda _: None, *, away: str = ""
    ) -> None:
        self._journal, self._run, self._by, self._teller = journal, run, by, teller
        self._receipts = Receipts(run, journal.place, by.replace(" ", "-"))
        self._unheard: dict[str, CloseStep] = {}
        self._away = away
        self.troubles: list[str] = [away] if away else []
        """What the journal did not take, and why."""
        self._writer = JournalWriter(journal, self._failed)

    def emit(self, event: AnyEvent) -> None:
        """Append an event behind the run's last."""

        def write(journal: Journal) -> None:
            try:
                self._be_there()
                self._teller(journal.append(self._run, event))
            except JournalError:
                self._teller(seal(self._run, 0, "", "", event))
                raise

        self._writer.write(write)

    def close(self, command: CloseStep) -> None:
        """Write down how a step was closed."""
        self._unheard[command.step] = command

        def write(journal: Journal) -> None:
            self._be_there()
            journal.close(self._run, command.step, command.closed, command.detail)

        def refused(why: str) -> None:
            self._failed(why)
            self._receipt(command)

        self._writer.write(write, lambda: self._heard(command), refused)

    def closed_by_runner(self, command: CloseStep, at: float) -> None:
        """Write down that the runner closed a step, and say so where it did not live to."""
        event = StepClosed(step=command.step, at=at, closed=command.closed, detail=command.detail)

        def write(journal: Journal) -> None:
            self._be_there()
            if closed_in(journal.events(self._run), command.step) is None:
                self._teller(journal.append(self._run, event))

        self.close(command)
        self._writer.write(write, refused=self._failed)

    def reopen(self, step: str, done: Callable[[], None]) -> None:
        """Write down that a step is open again, as its runner may not have; ``done`` when that is known."""
        self._writer.write(lambda journal: journal.reopen(self._run, step), done, self._failed)

    def finish(self, at: float, open_: tuple[str, ...], again: str, *, release: bool = True) -> None:
        """Write down how the run ended, and give its holds back when nothing is open any more.

        Without ``release`` they stay, since a call of the dead run may still land; who needs one takes it in time.
        """

        def write(journal: Journal) -> None:
            self._be_there()
            event = last_word(journal, self._run, at, open_, by=self._by, again=again)
            self._teller(journal.append(self._run, event))
            journal.finish_run(self._run, event)
            if release and not open_:
                release_holds(journal, self._run)

        def refused(why: str) -> None:
            self._failed(why)
            event = _word(Verdict.ABORTED, at, open_, by=self._by, again=again)
            if trouble := self._receipts.finished(event):
                log.critical(trouble)

        self._writer.write(write, refused=refused)

    def ask(self, question: Callable[[Journal], T], within: float) -> T | None:
        """Ask the journal something; None when it does not answer in time."""
        answer: SimpleQueue[T | None] = SimpleQueue()
        self._writer.write(lambda journal: answer.put(question(journal)), refused=lambda _: answer.put(None))
        try:
            return answer.get(timeout=within)
        except Empty:
            return None

    def end(self, within: float) -> bool:
        """Wait until all is written; what is not by then is left as receipts. Whether the journal has all of it."""
        self._writer.flush(within)
        for command in tuple(self._unheard.values()):  # the journal hangs
            self._receipt(command)
            self.troubles.append(f"the journal at {self._journal.place} does not answer")
        return not self.troubles

    def _failed(self, why: str) -> None:
        self._away = why
        self.troubles.append(why)

    def _be_there(self) -> None:
        """A journal that has failed is not waited for again with every line; receipts are brought in later."""
        if self._away:
            raise JournalError(self._away)

    def merge(self) -> bool:
        """Try once more to bring the receipts into the journal."""
        return merge_quietly(self._journal, [])

    def _heard(self, command: CloseStep) -> None:
        self._unheard.pop(command.step, None)

    def _receipt(self, command: CloseStep) -> None:
        self._unheard.pop(command.step, None)
        if trouble := self._receipts.closed(command.step, command.closed, command.detail):
            log.critical(trouble)


def last_word(journal: Journal, run: str, at: float, open_: tuple[str, ...], *, by: str, again: str) -> RunFinished:
    """A run that died without a word gets its last one here; one that ended keeps its verdict, or sheds its 9."""
    record = journal.run(run)
    verdict = Verdict(record.verdict) if record.verdict else Verdict.ABORTED
    return _word(verdict, at, open_, by=by, again=again, touched=bool(journal.steps(run)))


def _word(
    verdict: Verdict, at: float, open_: tuple[str, ...], *, by: str, again: str, touched: bool = True
) -> RunFinished:
    who = by if by.startswith("gameday") else f"the {by}"
    story = f"The run did not put everything back itself; {who} did."
    if open_:
        story = f"ROLLBACK INCOMPLETE: the run did not put everything back itself, and {who} could not yet."
    elif not touched:
        story = "The runner ended without a word, before anything was changed."
    return RunFinished(
        at=at,
        verdict=verdict,
        exit_code=9 if open_ else 3,
        story=story,
        reasons=open_,
        finish_with=again if open_ else "",
    )
