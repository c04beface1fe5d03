"""Steps that a run's rows call closed and its events do not: a crash between the two, or a journal that was written to.

A row is closed at once, its event follows with others; whoever dies in between leaves what a forger would leave. The
resource knows: what reads as restored is told in the events, and all else stays in doubt.
"""

from __future__ import annotations

from collections.abc import Callable

from gameday.errors import JournalError
from gameday.journal import Journal, RunRecord
from gameday.journal.audit import unaccounted
from gameday.journal.records import StepState
from gameday.journal.seal import Seal
from gameday.rollback.ours import disagreement
from gameday.rollback.recovery import rebuild
from gameday.sdk import AWS, Closed, Restored, Sealed, StepClosed


def in_doubt(
    journal: Journal,
    run: RunRecord,
    events: list[Sealed],
    reach: Callable[[], AWS | None],
    *,
    seal: Seal | None,
    vouched: str,
) -> list[str]:
    """A sentence for each step of which nobody knows whether it is open; what is known now is told in the events.

    ``reach`` gives what the resources are read with, or None where there is nothing. ``vouched`` is who says that a
    step that does not read as restored is as it should be, or ``""``.
    """
    rows = {state.record.id: state for state in journal.steps(run.run)}
    left: list[str] = []
    for step, why in unaccounted(events, list(rows.values())).items():
        row = rows.get(step)
        if row is not None and _is_restored(row, run, events, reach, seal):
            journal.append(run.run, StepClosed(step=step, at=0.0, closed=Closed.RESTORED, detail=row.detail or ""))
        elif vouched:
            journal.append(run.run, StepClosed(step=step, at=0.0, closed=Closed.ABANDONED, detail=vouched))
        else:
            left.append(why)
    return left


def _is_restored(
    row: StepState, run: RunRecord, events: list[Sealed], reach: Callable[[], AWS | None], seal: Seal | None
) -> bool:
    """Whether a step that its row closes as restored is the run's own, and its resource says the same."""
    if row.closed != Closed.RESTORED:
        return False
    try:
        step = rebuild(row.record)
    except JournalError:  # a part that this installation lacks cannot be asked
        return False
    if disagreement(row, step, run, events, ours=False, seal=seal) or (aws := reach()) is None:
        return False
    found: object = None
    with aws.answering() as answer:
        found = step.read_back(aws, row.record.before)
    return answer.ok and isinstance(found, Restored)
