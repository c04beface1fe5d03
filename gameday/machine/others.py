"""What others say and do: a halt, an abandonment, a hold that is gone, a change that is not ours."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from gameday.machine import way_back
from gameday.machine.inputs import FromOthers, OthersSeen, OthersWatching, Pulsed, StateSeen
from gameday.machine.state import LEASE, TOUCHED, Stage
from gameday.machine.turn import Turn
from gameday.sdk import ForeignChange, OthersWatched, StateRead

CLOUDTRAIL_GRAIN = 1.0
"""Seconds; CloudTrail's records carry whole ones."""


def hear(turn: Turn, event: FromOthers) -> None:
    """Take in what others say or do."""
    match event:
        case Pulsed():
            _on_pulse(turn, event)
        case OthersSeen():
            _on_seen(turn, event)
        case OthersWatching():
            turn.emit(OthersWatched(at=turn.now, ok=event.ok, detail=event.detail))
        case StateSeen() if turn.run.stage is Stage.FAULT:  # later it may be older than what the rollback reads
            turn.emit(StateRead(at=event.asked, resource=event.resource, state=event.state))
        case _:
            pass


def _on_pulse(turn: Turn, event: Pulsed) -> None:
    """The journal answered: the lease is renewed, and whoever wants this run to end is heard."""
    turn.run = replace(turn.run, leased_until=max(event.asked + LEASE, _known(turn.run.leased_until)))
    if event.abandoned and _first(turn, f"abandoned {event.abandoned}"):
        if turn.run.before_fault and not any(step.readiness in TOUCHED for step in turn.run.steps.values()):
            way_back.give_way(turn, event.abandoned)
        else:
            way_back.abandon(turn, event.abandoned)
    elif event.halted and _first(turn, f"halted {event.halted}"):
        way_back.give_way(turn, event.halted)
    elif turn.run.needs_lease and (gone := _gone(turn, event)):
        way_back.give_way(turn, f"the hold on {', '.join(gone)} is no longer this run's")


def _known(until: float) -> float:
    return 0.0 if until == inf else until


def _first(turn: Turn, what: str) -> bool:
    """Whether this is heard for the first time; a halt stands in the journal until somebody takes it away."""
    new = what not in turn.run.told
    turn.run = replace(turn.run, told=turn.run.told | {what})
    return new


def _gone(turn: Turn, event: Pulsed) -> list[str]:
    """The resources whose hold was taken before the journal was asked, and is not there."""
    held = {step.spec.resource for step in turn.run.steps.values() if step.held_at < event.asked}
    return sorted(held - event.holds)


def _on_seen(turn: Turn, event: OthersSeen) -> None:
    """Say it loudly, once; it holds up nothing, and whoever sees it can abandon the run."""
    when = event.changed if event.who else ""  # a state may be read again and again, a call is made once
    if not _first(turn, f"{event.who} {event.what} {event.resource} {when}"):
        return
    turn.emit(
        ForeignChange(
            at=turn.now,
            resource=event.resource,
            who=event.who,
            what=event.what,
            changed=event.changed,
            source=event.source,
        )
    )
    if turn.run.fault_at is not None and event.changed >= turn.run.fault_at - CLOUDTRAIL_GRAIN:
        who = event.who or "somebody else"
        turn.fail(f"{who} changed {event.resource} during the run ({event.what})", inconclusive=True)
