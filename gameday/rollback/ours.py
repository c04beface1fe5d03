"""Whose change it is: what a run intended, and did not live to say that it had done, may be somebody else's by now.

That is so for a key's state alone: a disabled key looks the same whoever disabled it, and enabling it would override a
real revocation. The other steps put something there that is recognisably the run's (a statement, a policy, a tagged
volume), and their undo takes away nothing else.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from gameday.journal import RunRecord, StepState
from gameday.journal.audit import INCOMPLETE, closed_in, last_word, what_was_prepared
from gameday.journal.seal import Seal
from gameday.sdk import AWS, Rank, Restored, Sealed, Step, TrailRecord, first_broken

PAGES = 10
"""Pages of 50 of a run's calls; LookupEvents allows two requests a second to the whole account."""
CLOCKS_DIFFER = timedelta(minutes=2)
WINDOW = timedelta(minutes=15)
"""How long after the intent the call can have been recorded: far more than any call may take to land."""


def disagreement(
    state: StepState, step: Step, run: RunRecord, events: list[Sealed], *, ours: bool, seal: Seal | None = None
) -> str:
    """Why a step is not one that gameday wrote, in a sentence; ``""`` when all that the journal says of it agrees.

    Whoever can write the journal must not decide what an administrator's rollback does. So all that an undo uses is
    made again from the run's id and the step's parameters, and the rest must stand in the run's sealed events.
    ``ours`` vouches for what the events lack, and for nothing that can be made again.
    """
    record = state.record
    why = (
        ("it is filed under another run" if record.run != run.run else "")
        or _unlike("resource", record.resource, step.resource)
        or _unlike("rank", record.rank, int(step.rank))
        or _elsewhere(record.resource, run)
        or step.mismatch(run.run, record.before)
        or (seal.refusal(record, run.target) if seal else "")
        or ("" if ours else _unsealed(state, run, events))
    )
    if not why:
        return ""
    return (
        f"{record.uses} on {record.resource}: refused, since the journal does not agree with itself: {why}. Somebody "
        f"may have written to it; look at the resource, put it back by hand if the run changed it, and close the "
        f"step with: gameday abandon {run.run} --reason ..."
    )


def readdressed(run: RunRecord, events: list[Sealed], steps: list[StepState], *, ours: bool, seal: Seal | None) -> str:
    """Why the lab in a run's row may not be the AWS that the run changed, in a sentence.

    A lab that is gone closes the steps, so whoever rewrites the row must not make a real account one.
    """
    prepared = what_was_prepared(events)
    why = next((said for state in steps if seal and (said := seal.refusal(state.record, run.target))), "")
    if not (why or ours):
        if prepared is None:
            why = f"run {run.run} has no sealed event that says what it would change (--ours vouches for it)"
        elif prepared.target != run.target:
            why = f"run {run.run} was prepared for another target than the one in its row"
    return why and (
        f"refused, since the journal does not agree with itself: {why}. Somebody may have written to it; look at "
        f"{', '.join(dict.fromkeys(state.record.resource for state in steps))}, and put it back by hand if the run "
        "changed it"
    )


def _unlike(name: str, said: object, made: object) -> str:
    return "" if said == made else f"its {name} is {said!r}, and by its parameters it is {made!r}"


def _elsewhere(resource: str, run: RunRecord) -> str:
    """Whether a resource is in another account or Region than the run's; a bucket's ARN names neither."""
    _, _, _, region, account, *_ = [*resource.split(":"), *[""] * 5]
    if run.target is None or (account in ("", run.target.account) and region in ("", run.target.region)):
        return ""
    return f"it is in {account}/{region}, and the run was in {run.target.account}/{run.target.region}"


def _unsealed(state: StepState, run: RunRecord, events: list[Sealed]) -> str:
    """What the run's chain of events does not confirm."""
    record = state.record
    if (broken := first_broken(events)) is not None:
        return f"the chain of events of run {run.run} is broken at event {broken}"
    if any(sealed.run != run.run for sealed in events):
        return "the events are another run's"
    prepared = what_was_prepared(events)
    if prepared is None:
        return f"run {run.run} has no sealed event that says what it would change (--ours vouches for it)"
    if prepared.target != run.target:
        return f"run {run.run} was prepared for another target than the one in its row"
    mine = (record.id, record.uses, record.step, record.resource)
    if not any((one.id, one.uses, one.step, one.resource) == mine for one in prepared.steps):
        return f"run {run.run} was not prepared to change it"
    end, sealed = last_word(events), closed_in(events, record.id)
    if end is not None and end.exit_code != INCOMPLETE and sealed is not None:
        return f"the events of run {run.run} say that it was closed as {sealed.closed}, and that nothing was left open"
    return ""


def doubtful(state: StepState) -> bool:
    """Whether the journal says only that a key was to be changed, not that it was asked for."""
    return state.record.rank == Rank.KEY and state.state == "intended" and state.injected_at is None


def moment(at: str) -> datetime | None:
    """A moment in the journal; None for what gameday does not write."""
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        return None
    return found if found.tzinfo else None


def whose(state: StepState, step: Step, aws: AWS) -> str:
    """Why it must not be undone, in a sentence; ``""`` when it is the run's change, or none was made.

    Asked by another actor than the run's own, maybe hours later: a key that reads Disabled may by then have been
    disabled by somebody who meant it.
    """
    record = state.record
    intended = moment(state.intended_at)
    found = step.read_back(aws, record.before)
    if isinstance(found, Restored):
        return ""
    names = {action.partition(":")[2] for action in step.calls.inject}
    recorded = ""
    if intended is not None:
        with aws.answering() as answer:
            recorded = _recorded(aws, record.run, names, record.resource, intended)
    if recorded:
        return ""
    looked = "CloudTrail does not show that the run did it (it may take 15 minutes)"
    if intended is None:
        looked = f"when that was, its row does not say ({state.intended_at!r})"
    elif not answer.ok:
        looked = f"CloudTrail could not be asked ({answer.code or answer.cause})"
    return (
        f"{record.uses} on {record.resource}: {found.detail or 'it could not be read'}, but the run ended before it "
        f"could say that it had changed it, and {looked}. If you know that nobody else did: "
        f"gameday rollback {record.run} --ours"
    )


def _recorded(aws: AWS, run: str, names: set[str], resource: str, intended: datetime) -> str:
    """The name of the change that CloudTrail has of this run, or ``""``."""
    token = ""
    for _ in range(PAGES):
        more: dict[str, str] = {"NextToken": token} if token else {}
        page = aws.client("cloudtrail").lookup_events(
            LookupAttributes=[{"AttributeKey": "ReadOnly", "AttributeValue": "false"}],
            StartTime=intended - CLOCKS_DIFFER,
            EndTime=intended + WINDOW,
            **more,  # type: ignore[arg-type]  # a token that is absent, not empty
        )
        for event in page["Events"]:
            record = TrailRecord.parse(event.get("CloudTrailEvent", "{}"))
            theirs = record.name in names and not record.error_code and record.mentions(resource)
            if theirs and record.made_by(run):
                return record.name
        token = page.get("NextToken", "")
        if not token:
            break
    return ""
