"""A run as plain lines, for logs and pipes: what is worth a line, once."""

from __future__ import annotations

from datetime import datetime
from functools import singledispatchmethod
from typing import TextIO

from exporters.fold import RunView
from exporters.summary import summary
from exporters.text import Sink, between, clean, count, deed, short, span
from gameday.sdk import (
    AbandonmentEnded,
    Event,
    ExpectationBroken,
    ExpectationMet,
    Exporter,
    ForeignChange,
    GuardBreached,
    Interruption,
    LeakSeen,
    Note,
    OthersWatched,
    Outcome,
    Phase,
    PhaseEntered,
    PreflightChecked,
    ProbeObserved,
    RadiusObserved,
    RollbackFinished,
    RollbackStarted,
    RunAbandoned,
    RunPrepared,
    RunStarted,
    Sealed,
    Staged,
    StepClosed,
    StepInjected,
    StepReadBack,
    StepRefused,
    SwitchArmed,
    UndoTried,
    WatchdogArmed,
    WatchdogLost,
)


class PlainLines(Exporter):
    """Writes one concise line for each noteworthy event, and the summary at the end.

    Parameters
    ----------
    stream: where the lines go; once it is gone, nothing is written any more.
    journal: where the journal is, for the summary.
    alive: whether the run is known to be under way, as it is told from the journal.
    """

    def __init__(self, stream: TextIO, journal: str = "", *, alive: bool = False) -> None:
        self._sink, self._journal = Sink(stream), journal
        self._view = RunView(alive=alive)
        self._causes: dict[str, str] = {}

    def consume(self, sealed: Sealed) -> None:
        """Take the next event."""
        self._view.consume(sealed)
        text = self._line(sealed.event)
        if text:
            phase = self._view.phase or Phase.PREFLIGHT
            self._sink.line(f"{self._elapsed(sealed):7.1f}s {phase:<9} {text}")

    def _elapsed(self, sealed: Sealed) -> float:
        """Seconds since the run's start; what preflight does carries no time but its envelope's."""
        if self._view.phase not in (None, Phase.PREFLIGHT):
            return self._view.now
        try:
            since = datetime.fromisoformat(sealed.at) - datetime.fromisoformat(self._view.started)
        except (ValueError, TypeError):  # not a time, or one with and one without its zone
            return self._view.now
        return max(since.total_seconds(), self._view.now)

    def close(self) -> None:
        """Write the summary."""
        for line in summary(self._view, self._journal):
            self._sink.line(line.plain)

    @singledispatchmethod
    def _line(self, event: Event) -> str:
        """An event that is not worth a line."""
        return ""

    @_line.register
    def _(self, event: RunStarted) -> str:
        about = f": {clean(event.description)}" if event.description else ""
        return f"run {clean(event.run)} of {clean(event.playbook)}{about}"

    @_line.register
    def _(self, event: Staged) -> str:
        return f"staged {clean(event.uses)}: {clean(event.detail)}"

    @_line.register
    def _(self, event: PreflightChecked) -> str:
        return f"{'ok' if event.ok else 'NOT OK'}  {checked(event)}"

    @_line.register
    def _(self, event: RunPrepared) -> str:
        target = event.target
        where = f"{target.kind} {clean(target.account)}/{clean(target.region)}"
        return f"{where}, {count(len(event.probes), 'probe')}, {count(len(event.steps), 'undo step')}"

    @_line.register
    def _(self, event: PhaseEntered) -> str:
        if event.phase is Phase.PREFLIGHT:  # the run's own line has just said so
            return ""
        return f"\N{EM DASH} {event.phase}" + (f", at most {span(event.limit)}" if event.limit is not None else "")

    @_line.register
    def _(self, event: ProbeObserved) -> str:
        seen = event.observation
        before = self._causes.get(event.probe, "")
        if seen.cause == before:
            return ""
        self._causes[event.probe] = seen.cause.value
        code = f" ({clean(seen.code)})" if seen.code else ""
        change = f"{before} \N{RIGHTWARDS ARROW} {seen.cause}{code}" if before else f"{seen.cause}{code}"
        latency = f" in {span(seen.latency)}" if seen.outcome is Outcome.OK and seen.latency > 0 else ""
        return f"{clean(event.probe)}: {change}{latency}{self._since(event)}"

    def _since(self, event: ProbeObserved) -> str:
        """How long after the change of its phase an answer came."""
        changed = self._view.fault_since
        if event.phase is Phase.FAULT and changed is not None:
            return f", {span(event.answered - changed)} after the inject"
        return ""

    @_line.register
    def _(self, event: ExpectationMet) -> str:
        probe = self._view.probe(event.probe)
        since = {Phase.FAULT: "effect", Phase.RECOVERY: "recovered"}.get(event.phase) if probe.goes_dark else None
        when = f"{since} after {between(event.interval)}" if since else "as expected"
        return f"{clean(event.probe)}: {when}: {clean(event.cause)}"

    @_line.register
    def _(self, event: ExpectationBroken) -> str:
        return f"{clean(event.probe)}: {'INCONCLUSIVE' if event.inconclusive else 'BROKEN'}: {clean(event.why)}"

    @_line.register
    def _(self, event: LeakSeen) -> str:
        return f"{clean(event.probe)}: LEAK: it succeeded after the effect had been seen"

    @_line.register
    def _(self, event: GuardBreached) -> str:
        return f"guard {clean(event.guard)} BREACHED: {clean(event.why)}"

    @_line.register
    def _(self, event: StepInjected) -> str:
        certain = "" if event.certain else "; no certain answer, so it counts as done"
        return f"changed {self._what(event.step)}{certain}"

    @_line.register
    def _(self, event: StepRefused) -> str:
        return f"not changed {self._what(event.step)}: {clean(event.why)}"

    @_line.register
    def _(self, event: WatchdogArmed) -> str:
        return f"ok  watchdog: process {event.pid} has rehearsed the undo and stands behind the run"

    @_line.register
    def _(self, event: WatchdogLost) -> str:
        return f"WATCHDOG LOST: {clean(event.why)}"

    @_line.register
    def _(self, event: SwitchArmed) -> str:
        return f"dead man's switch armed and read back: {clean(event.detail)}"

    @_line.register
    def _(self, event: UndoTried) -> str:
        how = "answered" if event.ok else f"FAILED: {clean(event.detail)}"
        return f"undo {self._what(event.step)}, attempt {event.attempt}: {how}"

    @_line.register
    def _(self, event: StepReadBack) -> str:
        detail = f": {clean(event.detail)}" if event.detail else ""
        return "" if event.found == "restored" else f"read back {self._what(event.step)}: {event.found}{detail}"

    @_line.register
    def _(self, event: StepClosed) -> str:
        detail = f": {clean(event.detail)}" if event.detail else ""
        return f"{event.closed} {self._what(event.step)}{detail}"

    @_line.register
    def _(self, event: RollbackStarted) -> str:
        by = f" by {clean(event.by)}" if event.by != "runner" else ""
        return f"rolling back{by}: {clean(event.reason)}"

    @_line.register
    def _(self, event: RollbackFinished) -> str:
        still = "".join(f"; {clean(sentence)}" for sentence in event.open)
        return f"rollback {'complete' if event.complete else 'INCOMPLETE'} after {span(event.seconds)}{still}"

    @_line.register
    def _(self, event: Interruption) -> str:
        return f"{clean(event.why)}" + (" (ignored: rolling back already)" if event.ignored else "")

    @_line.register
    def _(self, event: OthersWatched) -> str:
        return "" if event.ok else f"others' changes are NOT WATCHED: {clean(event.detail)}"

    @_line.register
    def _(self, event: ForeignChange) -> str:
        return f"OTHERS: {deed(event)}; to leave it as it is: gameday abandon {clean(self._view.run)} --reason ..."

    @_line.register
    def _(self, event: RunAbandoned) -> str:
        return f"ABANDONED, nothing is undone any more: {clean(event.why)}"

    @_line.register
    def _(self, event: AbandonmentEnded) -> str:
        return f"no longer left on purpose: {clean(event.step)}: {clean(event.why)} ({clean(event.by)})"

    @_line.register
    def _(self, event: RadiusObserved) -> str:
        radius = self._view.radius.get(event.key)
        return f"radius of {clean(short(event.key))}: {radius.line(0)}" if radius else ""

    @_line.register
    def _(self, event: Note) -> str:
        return f"note: {clean(event.text)}"

    def _what(self, step: str) -> str:
        view = self._view.step(step)
        resource = clean(short(view.facts.resource))
        return f"{resource} ({clean(self._view.part_of(view))})" if resource else clean(step)


def replay(events: list[Sealed], stream: TextIO, journal: str = "") -> None:
    """A whole run from the journal as plain lines."""
    lines = PlainLines(stream, journal)
    for sealed in events:
        lines.consume(sealed)
    lines.close()


_PASSED = {
    "halt": "no halt is in force",
    "faults": "no two faults change the same thing",
    "credentials": "no credentials are known to end before the run's limits",
    "holds": "no other run holds or left open what this one changes",
    "permissions": "no call is known to be refused",
    "permissions to put back": "no call that puts back is known to be refused",
}
"""What a check that passed and shows nothing more has found."""


def checked(event: PreflightChecked) -> str:
    """What a check found, with its name where that is not said by itself."""
    if event.ok and not event.detail:
        return _PASSED.get(event.check, clean(event.check))
    return f"{clean(event.check)}: {clean(event.detail)}" if event.detail else clean(event.check)
