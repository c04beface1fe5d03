"""Whether a run's rows and its chain of events tell the same.

The chain alone cannot say that its end is missing, and the rows (verdict, exit code, steps) are in no chain: each is
held against the other. Somebody who rewrites both alike is found by the last hash that a report keeps (``--head``).
"""

from __future__ import annotations

from collections.abc import Iterable

from gameday.journal.records import Journal, RunRecord, StepState
from gameday.sdk import (
    Closed,
    Note,
    RunFinished,
    RunPrepared,
    Sealed,
    StepClosed,
    StepInjected,
    StepIntended,
    first_broken,
)

INCOMPLETE = 9


def disagreements(run: RunRecord, events: list[Sealed], steps: list[StepState]) -> list[str]:
    """What does not agree, a sentence each; of a run that is still alive only its chain is looked at."""
    if (broken := first_broken(events)) is not None:
        return [f"at event {broken}: an event is missing, or was altered after it was written"]
    if strange := next((one for one in events if one.run != run.run), None):
        return [f"event {strange.seq} is of run {strange.run}"]
    if run.alive():
        return []
    return [*_row(run, events), *_steps(run, events, steps)]


def unaccounted(events: list[Sealed], steps: list[StepState]) -> dict[str, str]:
    """What a run's events say that it changed, and never closed, while no row is open for it: by step, a sentence."""
    finished = last_word(events)
    if finished is not None and finished.exit_code != INCOMPLETE:
        return {}
    rows = {state.record.id: state for state in steps}
    intended = {one.event.step for one in events if isinstance(one.event, StepIntended | StepInjected)}
    changed = [step for step in sorted(intended) if closed_in(events, step) is None]
    told = {step: f"step {step} was intended, and its row is gone" for step in changed if step not in rows}
    for step in changed:
        if step in rows and rows[step].state == "closed" and (why := _closing(rows[step], events)):
            told[step] = f"step {step} {why}"
    return told


def died_unaccounted(journal: Journal, runs: Iterable[RunRecord]) -> dict[str, list[str]]:
    """The same of each of these runs that has neither ended nor is alive, by run; costs the reading of its events."""
    died = [run.run for run in runs if run.finished_at is None and not run.alive()]
    rows = {run: journal.steps(run) for run in died}  # before the events: a watchdog at work writes them after the rows
    told = {run: [*unaccounted(journal.events(run), steps).values()] for run, steps in rows.items()}
    return {run: why for run, why in told.items() if why}


def closed_in(events: list[Sealed], step: str) -> StepClosed | None:
    """How the chain says that a step was closed at last; None where its last word is that it was changed."""
    last: StepClosed | None = None
    for sealed in events:
        match sealed.event:
            case StepClosed() as event if event.step == step:
                last = event
            case StepIntended() | StepInjected() as event if event.step == step:
                last = None
    return last


def last_word(events: list[Sealed]) -> RunFinished | None:
    """How the chain says that the run ended."""
    return next((one.event for one in reversed(events) if isinstance(one.event, RunFinished)), None)


def what_was_prepared(events: list[Sealed]) -> RunPrepared | None:
    """What the chain says that the run would change, and where."""
    return next((one.event for one in events if isinstance(one.event, RunPrepared)), None)


def _row(run: RunRecord, events: list[Sealed]) -> list[str]:
    finished = last_word(events)
    if run.finished_at is None:
        if finished is not None:
            return ["its events say that it has ended, and its row does not"]
        return ["it was prepared, and all its events are gone"] if run.target is not None and not events else []
    if finished is None:
        return ["it has ended, and the event that seals its end is missing: events were deleted"]
    row = (run.verdict, run.exit_code, run.story)
    chain = (str(finished.verdict), finished.exit_code, finished.story)
    names = ("verdict", "exit code", "story")
    return [
        f"its {name} is {said!r} in its row, and {sealed!r} in its sealed end"
        for name, said, sealed in zip(names, row, chain, strict=True)
        if said != sealed
    ]


def _steps(run: RunRecord, events: list[Sealed], steps: list[StepState]) -> list[str]:
    prepared = what_was_prepared(events)
    if prepared is None:
        return ["it has undo steps, and no event that says what it would change"] if steps and events else []
    found: list[str] = []
    if prepared.target != run.target:
        found.append("its target is another one in its row than in its events")
    named = {one.id: (one.uses, one.step, one.resource) for one in prepared.steps}
    rows = {state.record.id: state for state in steps}
    intended = {one.event.step for one in events if isinstance(one.event, StepIntended | StepInjected)}
    found += [f"step {step} was intended, and its row is gone" for step in sorted(intended - set(rows))]
    for step, state in rows.items():
        record = state.record
        if (record.run, named.get(step)) != (run.run, (record.uses, record.step, record.resource)):
            found.append(f"step {step} is not one that it was prepared for")
        elif why := _closing(state, events):
            found.append(f"step {step} {why}")
    return found


def _closing(state: StepState, events: list[Sealed]) -> str:
    step, finished = state.record.id, last_word(events)
    if state.state != "closed":
        over = finished is not None and finished.exit_code != INCOMPLETE
        sealed = closed_in(events, step)
        return f"is open in its row, and sealed as closed ({sealed.closed})" if over and sealed is not None else ""
    told = [one.event for one in events if isinstance(one.event, StepClosed) and one.event.step == step]
    if any((one.closed, one.detail) == (state.closed, state.detail or "") for one in told):
        return ""
    if told:
        return f"is closed as {state.closed} ({state.detail}) in its row, and its events say {told[-1].closed}"
    notes = [one.event.text for one in events if isinstance(one.event, Note)]
    by_receipt = f"{step} was closed as {state.closed} by the "  # how versions before 0.4 told of a receipt
    if any(text.startswith(by_receipt) for text in notes) or (state.closed == Closed.ABANDONED and not finished):
        return ""
    return f"is closed as {state.closed} in its row, and no event says so"
