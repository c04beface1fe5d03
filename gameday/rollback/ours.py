"""Whose change it is: what a run intended, and did not live to say that it had done, may be somebody else's by now.

That is so for a key's state alone: a disabled key looks the same whoever disabled it, and enabling it would override a
real revocation. The other steps put something there that is recognisably the run's (a statement, a policy, a tagged
volume), and their undo takes away nothing else.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from gameday.journal import StepState
from gameday.sdk import AWS, Rank, Restored, Step, TrailRecord

PAGES = 10
"""Pages of 50 of a run's calls; LookupEvents allows two requests a second to the whole account."""
CLOCKS_DIFFER = timedelta(minutes=2)
WINDOW = timedelta(minutes=15)
"""How long after the intent the call can have been recorded: far more than any call may take to land."""


def doubtful(state: StepState) -> bool:
    """Whether the journal says only that a key was to be changed, not that it was asked for."""
    return state.record.rank == Rank.KEY and state.state == "intended" and state.injected_at is None


def whose(state: StepState, step: Step, aws: AWS) -> str:
    """Why it must not be undone, in a sentence; ``""`` when it is the run's change, or none was made.

    Asked by another actor than the run's own, maybe hours later: a key that reads Disabled may by then have been
    disabled by somebody who meant it.
    """
    record = state.record
    found = step.read_back(aws, record.before)
    if isinstance(found, Restored):
        return ""
    names = {action.partition(":")[2] for action in step.calls.inject}
    recorded = ""
    with aws.answering() as answer:
        recorded = _recorded(aws, record.run, names, record.resource, datetime.fromisoformat(state.intended_at))
    if recorded:
        return ""
    looked = "CloudTrail does not show that the run did it (it may take 15 minutes)"
    if not answer.ok:
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
            if theirs and f"gameday/{run}" in record.user_agent:
                return record.name
        token = page.get("NextToken", "")
        if not token:
            break
    return ""
