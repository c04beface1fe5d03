"""The rollback part of the machine: undo, retry, read back, close.

The runner, the watchdog and ``gameday rollback`` all drive this same code. Nothing in it knows a clock or AWS.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from gameday.machine.commands import CloseStep, Command, Emit, ReadBackStep, Undo
from gameday.machine.inputs import Injected, InjectRefused, Input, Overtaken, ReadBackDone, Undone
from gameday.machine.spec import StepSpec, Timing
from gameday.sdk import (
    Before,
    Closed,
    Drifted,
    Note,
    Restored,
    StepClosed,
    StepReadBack,
    StillOurs,
    UndoTried,
    Unknown,
)

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
"""Seconds between attempts, doubling: EnableKey has a quota of five a second for an account and Region."""


class Doing(StrEnum):
    """What is under way for a step."""

    WAITING = "waiting"
    UNDOING = "undoing"
    READING = "reading"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Undoing:
    """One open undo step on its way back.

    Parameters
    ----------
    settle_until: seconds; until then an injected call may still land, so only an undo asked for later is believed.
    untouched: the inject was certainly never asked for; there is nothing to undo.
    denied: the inject was answered with a certain no: it is read back first, and undone only if that was not so.
    leave: who decided that it stays as it is, and why; empty when it is to be undone.
    loose_until: seconds; until then an undo that was not answered may still land, closed or not.
    """

    spec: StepSpec
    before: Before
    settle_until: float = 0.0
    untouched: bool = False
    denied: bool = False
    leave: str = ""
    loose_until: float = 0.0
    doing: Doing = Doing.WAITING
    attempt: int = 0
    asked: float = 0.0
    next_at: float = 0.0
    undone_at: float | None = None
    """When the last undo that was answered with a yes had been asked for."""
    tried: bool = False
    restored_since: float | None = None
    closed: Closed | None = None
    overtaken: bool = False
    """Another actor closed it, and wrote that down."""
    last: str = "not tried yet"

    def sentence(self) -> str:
        """That it is open, and why."""
        last = self.last
        if self.spec.switch and not self.attempt:
            fires_at = self.before.get("fires_at", "a time that was not written down")
            last = f"the dead man's switch stays armed until everything else is put back; it fires at {fires_at}"
        by_hand = f"; by hand: {' && '.join(self.spec.by_hand)}" if self.spec.by_hand else ""
        return f"{self.spec.uses} on {self.spec.resource}: {last}{by_hand}"


@dataclass(frozen=True, slots=True)
class Rollback:
    """All open steps, and the time by which they must be closed."""

    steps: tuple[Undoing, ...]
    started: float
    deadline: float
    timing: Timing

    @property
    def open(self) -> tuple[Undoing, ...]:
        """The steps that are not closed."""
        return tuple(step for step in self.steps if step.closed is None)

    @property
    def loose_until(self) -> float:
        """Until when an undo that was not answered may still land: no hold is given back before."""
        return max((step.loose_until for step in self.steps), default=0.0)

    @property
    def overtaken(self) -> bool:
        """Whether another actor has closed all that there was to do here, and told how it ended."""
        return bool(self.steps) and all(step.overtaken for step in self.steps)

    @property
    def drifted(self) -> tuple[Undoing, ...]:
        """The steps that someone else's change has overtaken."""
        return tuple(step for step in self.steps if step.closed is Closed.DRIFTED)

    def expired(self, now: float) -> bool:
        """Whether it must be given up (by this driver: others try on)."""
        return bool(self.open) and now >= self.deadline

    def sentences(self) -> tuple[str, ...]:
        """What is still open, one sentence each."""
        return tuple(step.sentence() for step in self.open)

    def wake_at(self) -> float:
        """The next moment at which time alone changes something."""
        limit = self.timing.call_limit
        # A step that must wait for another begins with that other's answer, not with time.
        begins = [s.next_at for s in self.open if s.doing is Doing.WAITING and _may_start(self, s)]
        waits = begins + [s.asked + limit for s in self.open if s.doing is not Doing.WAITING]
        return min([self.deadline, *waits])


def begin(steps: tuple[Undoing, ...], now: float, timing: Timing) -> tuple[Rollback, list[Command]]:
    """Start rolling back."""
    rollback = Rollback(steps, now, now + timing.rollback_within, timing)
    return _advance(rollback, now, [])


def join(rollback: Rollback, steps: tuple[Undoing, ...], now: float) -> tuple[Rollback, list[Command]]:
    """Let more steps take part in a rollback that is under way, until its deadline."""
    return _advance(replace(rollback, steps=(*rollback.steps, *steps)), now, [])


def handle(rollback: Rollback, event: Input) -> tuple[Rollback, list[Command]]:
    """Take an input into account; inputs that are not for the rollback only let time pass."""
    out: list[Command] = []
    match event:
        case Undone():
            rollback = _on_undone(rollback, event, out)
        case ReadBackDone():
            rollback = _on_read_back(rollback, event, out)
        case Overtaken():
            rollback = _on_overtaken(rollback, event, out)
        case Injected():
            rollback = settled(rollback, event.step, event.now + rollback.timing.lands_within(event.certain))
        case InjectRefused():
            rollback = settled(rollback, event.step, event.now)
        case _:
            pass
    return _advance(rollback, event.now, out)


def _swap(rollback: Rollback, new: Undoing) -> Rollback:
    steps = tuple(new if step.spec.id == new.spec.id else step for step in rollback.steps)
    return replace(rollback, steps=steps)


def _find(rollback: Rollback, step: str) -> Undoing | None:
    return next((s for s in rollback.open if s.spec.id == step), None)


def settled(rollback: Rollback, step: str, until: float) -> Rollback:
    """Say until when an injected call may still land: its answer is here, or an invasive probe's look has ended."""
    found = _find(rollback, step)
    return _swap(rollback, replace(found, settle_until=until)) if found else rollback


def _on_undone(rollback: Rollback, event: Undone, out: list[Command]) -> Rollback:
    step = _find(rollback, event.step)
    if step is None or step.doing is not Doing.UNDOING or event.attempt != step.attempt:
        return rollback
    out.append(
        Emit(
            UndoTried(
                step=event.step,
                attempt=event.attempt,
                asked=step.asked,
                answered=event.now,
                ok=event.ok,
                detail=event.detail,
                request_id=event.request_id,
            )
        )
    )
    last = "undone, not read back yet" if event.ok else _unsure(step, event)
    undone_at = step.asked if event.ok else step.undone_at
    loose = step.loose_until if event.certain else max(step.loose_until, event.now + rollback.timing.settle)
    step = replace(
        step, doing=Doing.READING, tried=True, undone_at=undone_at, asked=event.now, last=last, loose_until=loose
    )
    # Read back even after a refusal: the resource may be gone, or someone else may have mended it.
    out.append(ReadBackStep(event.step, event.attempt, step.before))
    return _swap(rollback, step)


def _unsure(step: Undoing, event: Undone) -> str:
    """Why an undo is not known to have worked."""
    if event.certain:
        return f"the undo failed: {event.detail}"
    off = step.spec.resource.split(":")[2:3] == ["kms"]
    return f"{event.detail}; {'the key may still be off' if off else f'{step.spec.resource} may still be changed'}"


def _on_overtaken(rollback: Rollback, event: Overtaken, out: list[Command]) -> Rollback:
    """Whoever closed it has told how; what this one adds would be told twice."""
    step = _find(rollback, event.step)
    if step is None or step.doing is not Doing.UNDOING or event.attempt != step.attempt:
        return rollback
    out.append(Emit(Note(at=event.now, text=f"{event.step} is left alone: {event.detail}")))
    return _swap(rollback, replace(step, doing=Doing.CLOSED, closed=event.closed, overtaken=True, last=event.detail))


def _on_read_back(rollback: Rollback, event: ReadBackDone, out: list[Command]) -> Rollback:
    step = _find(rollback, event.step)
    if step is None or step.doing is not Doing.READING or event.attempt != step.attempt:
        return rollback
    found, now = event.found, event.now
    if now > step.asked + rollback.timing.call_limit:
        return rollback  # this process stood still: what was true when it was read may be long past; it is read again
    denied, step = step.denied, replace(step, denied=False)
    word = {Restored: "restored", StillOurs: "still_ours", Drifted: "drifted", Unknown: "unknown"}[type(found)]
    out.append(
        Emit(
            StepReadBack.model_validate(
                {"step": event.step, "at": now, "found": word, "detail": found.detail, "state": found.state}
            )
        )
    )
    match found:
        case Drifted() if now < step.settle_until:
            # Our own call may still land on top of what someone else did; then it is ours to take away again.
            return _swap(rollback, _again(step, now, f"{found.detail}; a call of ours may still be on its way"))
        case Drifted():
            return _swap(rollback, _close(step, Closed.DRIFTED, now, found.detail, out))
        case Restored() if denied:
            return _swap(rollback, _close(step, Closed.RESTORED, now, "was never changed", out))
        case Restored():
            step = replace(step, restored_since=now if step.restored_since is None else step.restored_since)
            if _believed(step, now, rollback.timing):
                return _swap(rollback, _close(step, Closed.RESTORED, now, found.detail, out))
            return _swap(rollback, _again(step, now, "reads as restored, but a call may still be on its way"))
        case _:
            step = replace(step, restored_since=None)
            said = found.detail or "the resource did not answer"
            last = f"read back: {said}" if step.undone_at is not None else f"{step.last}; read back: {said}"
            return _swap(rollback, _again(step, now, last))


def _believed(step: Undoing, now: float, timing: Timing) -> bool:
    """Whether a read-back of "restored" closes the step."""
    if step.undone_at is not None and step.undone_at >= step.settle_until:
        return True
    # No undo was answered with a yes since the inject was over: this may be a stale read, so it must last.
    return step.restored_since is not None and now - max(step.restored_since, step.settle_until) >= timing.settle


def _again(step: Undoing, now: float, last: str) -> Undoing:
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(step.attempt - 1, 8))
    next_at = now + pause
    if step.settle_until > now:  # once nothing can land any more, one more undo settles it
        next_at = min(next_at, step.settle_until)
    return replace(step, doing=Doing.WAITING, next_at=next_at, last=last)


def _close(step: Undoing, closed: Closed, now: float, detail: str, out: list[Command]) -> Undoing:
    out.append(CloseStep(step.spec.id, closed, detail))
    out.append(Emit(StepClosed(step=step.spec.id, at=now, closed=closed, detail=detail)))
    return replace(step, doing=Doing.CLOSED, closed=closed, last=detail)


def _leave(step: Undoing, now: float, timing: Timing, out: list[Command]) -> Undoing:
    """Close a step as abandoned; its hold stays for as long as a call of ours may still land."""
    under_way, loose = "", max(step.loose_until, min(step.settle_until, now + timing.lands_after_death))
    if step.doing is Doing.UNDOING:
        under_way = "; an undo was under way and may still land"
        loose = max(loose, step.asked + timing.call_limit + timing.settle)
    closed = _close(step, Closed.ABANDONED, now, step.leave + under_way, out)
    return replace(closed, loose_until=loose)


def _advance(rollback: Rollback, now: float, out: list[Command]) -> tuple[Rollback, list[Command]]:
    """Start what may start, and leave behind what hangs."""
    if rollback.expired(now):
        return rollback, out
    for step in rollback.open:
        if step.untouched:
            rollback = _swap(rollback, _close(step, Closed.RESTORED, now, "was never changed", out))
            continue
        if step.leave:
            rollback = _swap(rollback, _leave(step, now, rollback.timing, out))
            continue
        if step.doing in (Doing.UNDOING, Doing.READING) and now >= step.asked + rollback.timing.call_limit:
            if step.doing is Doing.UNDOING:
                step = replace(step, loose_until=max(step.loose_until, now + rollback.timing.settle))
            late = replace(step, tried=True, denied=False)
            step = _again(late, now, f"no answer within {rollback.timing.call_limit:g} s")
            rollback = _swap(rollback, step)
        if step.doing is Doing.WAITING and now >= step.next_at and _may_start(rollback, step):
            doing, command = (Doing.READING, ReadBackStep) if step.denied else (Doing.UNDOING, Undo)
            step = replace(step, doing=doing, attempt=step.attempt + 1, asked=now)
            rollback = _swap(rollback, step)
            out.append(command(step.spec.id, step.attempt, step.before))
    return rollback, out


def _may_start(rollback: Rollback, step: Undoing) -> bool:
    """Within a fault strictly backwards; across faults by rank, but one that fails holds up no other.

    A dead man's switch waits until all that it stands behind is closed: what cannot be put back stays behind it.
    """
    for other in rollback.open:
        if step.spec.switch:
            if not other.spec.switch and not other.spec.probe:
                return False
        elif other.spec.chain == step.spec.chain:
            if other.spec.order > step.spec.order:
                return False
        elif other.spec.rank < step.spec.rank and not other.tried:
            return False
    return True
