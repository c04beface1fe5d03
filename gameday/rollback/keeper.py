"""Keeps a run's undo steps where they outlive the runner: with the watchdog, in the journal, and on receipts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from gameday.journal import Journal, StepRecord
from gameday.machine.commands import CloseStep
from gameday.machine.spec import Timing
from gameday.rollback.leash import Leash, Refused
from gameday.rollback.orders import Guard, Let, Limits, Made, Meet, Prove, RollingBack, StandDown
from gameday.rollback.receipts import Receipts, merge_quietly
from gameday.rollback.writer import JournalWriter, Refusal
from gameday.sdk import RunFinished, TargetFacts

log = logging.getLogger(__name__)
Done = Callable[[], None]


class Keeper:
    """What the runner writes down of its steps; nothing here waits.

    Parameters
    ----------
    journal, writer: the journal, and the thread that writes to it.
    leash: the watchdog, if there is one.
    failed: told, in a sentence, that the journal did not take how a step was closed.
    """

    def __init__(self, run: str, journal: Journal, writer: JournalWriter, leash: Leash | None, failed: Refusal) -> None:
        self._run, self._journal, self._writer, self._leash, self._failed = run, journal, writer, leash, failed
        self._receipts = Receipts(run, journal.place, "runner")
        self._lock = threading.Lock()
        self._unheard: dict[str, CloseStep] = {}
        self._finished: RunFinished | None = None
        self._on_receipt = False

    def meet(self, target: TargetFacts, began: float, pipe: int) -> None:
        """Say which AWS it is, so that the watchdog can reach it too."""
        if self._leash is not None:
            self._leash.tell(Meet(target=target, began=began), pipe)

    def limit(self, timing: Timing) -> None:
        """Say how long what may take."""
        if self._leash is not None:
            limits = Limits(max_fault=timing.max_fault, rollback_within=timing.rollback_within, settle=timing.settle)
            self._leash.tell(limits)

    def prove(self, record: StepRecord, done: Done, refused: Refused) -> None:
        """Have the watchdog rehearse the undo too: it is another process, and may be another identity."""
        if self._leash is None:
            done()
        else:
            self._leash.ask(Prove(record=record), done, refused)

    def intend(self, intent: StepRecord, done: Done, refused: Refusal) -> None:
        """Hand a step to the watchdog, then to the journal; ``done`` when both have it."""

        def write() -> None:
            self._writer.write(lambda journal: journal.intend(intent), done, refused)

        if self._leash is None:
            write()
        else:
            self._leash.ask(Guard(record=intent), write, lambda why, _: refused(why))

    def injected(self, step: str, *, certain: bool) -> None:
        """The change was made, or may have been."""
        if certain and self._leash is not None:
            self._leash.tell(Made(step=step))
        self._writer.write(lambda journal: journal.injected(self._run, step, certain=certain))

    def reopen(self, intent: StepRecord) -> None:
        """A closed step is open again."""
        if self._leash is not None:
            self._leash.tell(Guard(record=intent))
        with self._lock:
            self._unheard.pop(intent.id, None)
        self._receipts.reopened(intent.id)
        self._writer.write(lambda journal: journal.reopen(self._run, intent.id))

    def close(self, command: CloseStep) -> None:
        """Write down how a step was closed; on a receipt where the journal does not take it."""
        with self._lock:
            self._unheard[command.step] = command
        if self._leash is not None:
            self._leash.tell(Let(step=command.step, closed=command.closed, detail=command.detail))

        def refused(why: str) -> None:
            self._receipt(command)
            self._failed(why)

        self._writer.write(
            lambda journal: journal.close(self._run, command.step, command.closed, command.detail),
            lambda: self._heard(command),
            refused,
        )

    def rolling_back(self) -> None:
        """The watchdog need not."""
        if self._leash is not None:
            self._leash.tell(RollingBack())

    def stand_down(self) -> None:
        """The run was abandoned."""
        if self._leash is not None:
            self._leash.tell(StandDown())

    def finish(self, finished: RunFinished) -> None:
        """Write down how the run ended."""
        self._finished = finished

        def written() -> None:
            self._finished = None

        self._writer.write(lambda journal: journal.finish_run(self._run, finished), written, self._failed)

    def end(self, within: float) -> bool:
        """Let the journal finish; what it does not hold then is on receipts. Whether it holds all of it."""
        whole = self._writer.flush(within)
        with self._lock:
            left = tuple(self._unheard.values())
        for command in left:  # the journal hangs, or is slower than anyone may wait
            self._receipt(command)
        if (finished := self._finished) is not None:
            self._on_receipt = True
            self._say(self._receipts.finished(finished))
        if self._on_receipt and self._finished is None and not left:
            return merge_quietly(self._journal, []) and whole  # it refused, and may be there again
        return whole and not self._on_receipt

    @property
    def receipt(self) -> str:
        """Where the receipt is, or ``""`` when the journal holds all that one says."""
        return str(self._receipts.path) if self._receipts.path.exists() else ""

    def _heard(self, command: CloseStep) -> None:
        with self._lock:
            if self._unheard.get(command.step) is command:
                del self._unheard[command.step]

    def _receipt(self, command: CloseStep) -> None:
        self._heard(command)
        self._on_receipt = True
        self._say(self._receipts.closed(command.step, command.closed, command.detail))

    def _say(self, trouble: str) -> None:
        if trouble:
            log.critical(trouble)
