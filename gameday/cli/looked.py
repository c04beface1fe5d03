"""Whether what a run left as it is on purpose is still so: only AWS knows, and only where it can be reached."""

from __future__ import annotations

from dataclasses import dataclass

from gameday.errors import GamedayError
from gameday.journal import Journal
from gameday.journal.left import Left
from gameday.rollback.recovery import rebuild
from gameday.sdk import AbandonmentEnded, Restored, StillOurs, Unknown
from gameday.target import reopen, vanished

BY = "gameday status --look"


@dataclass(frozen=True)
class Seen:
    """What a look showed: whether it is over, and in a few words what was read."""

    over: bool
    words: str


def look_at(journal: Journal, left: Left) -> Seen:
    """Read the resource back, and write down that the abandonment is over where it is as it was before the run."""
    target = left.run.target
    if target is None:
        return Seen(over=False, words="the journal does not say which AWS it is in")
    try:
        if vanished(target):
            seen = Seen(over=True, words="its embedded lab has ended")
        else:
            with (aws := reopen(target, left.run.run)).answering() as answer:
                found = rebuild(left.step).read_back(aws, left.step.before)
            seen = _seen(found if answer.ok else Unknown(f"{answer.code or answer.cause}: {answer.detail}"))
    except GamedayError as error:
        return Seen(over=False, words=f"AWS could not be asked whether it is still so: {error}")
    if seen.over:
        journal.append(left.run.run, AbandonmentEnded(step=left.step.id, by=BY, why=seen.words))
    return seen


def _seen(found: object) -> Seen:
    if isinstance(found, Restored):
        return Seen(over=True, words=f"it reads as it was before the run: {found.detail}")
    detail = str(getattr(found, "detail", ""))
    if isinstance(found, StillOurs):
        return Seen(over=False, words=f"it is still so: {detail}")
    if isinstance(found, Unknown):
        return Seen(over=False, words=f"AWS did not say whether it is still so: {detail}")
    return Seen(over=False, words=detail)
