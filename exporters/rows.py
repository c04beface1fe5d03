"""The rows of a frame: a probe with its state, its strip and what is left; an undo step; a piece of evidence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from exporters.fold import RunView
from exporters.parts import Look, ProbeView, StepView, Tone
from exporters.text import clean, count, pad, short, span
from gameday.sdk import Outcome, Phase

SIGNS = {Outcome.OK: "▁", Outcome.FAILED: "█", Outcome.UNKNOWN: "·"}
_TONES = {Tone.GOOD: "green", Tone.DARK: "magenta", Tone.WAITING: "yellow", Tone.BAD: "bold red", Tone.NONE: "dim"}
_NAME = 20
_STATE = 46
_WIDE = 100


@dataclass(frozen=True)
class Columns:
    """How wide each column is; the same in all sections, so that nothing jumps."""

    name: int
    state: int
    strip: int
    note: int
    wide: bool

    @classmethod
    def of(cls, width: int, names: Iterable[str]) -> Columns:
        """Share out the terminal's width."""
        wide = width >= _WIDE
        name = min(max((cell_len(one) for one in names), default=1), _NAME, max(width // 4, 4))
        strip, note = (24, 25) if wide else (15, 15)
        left = width - (2 + name + 2 + 2 + strip + 2 + note)
        if left < 12:  # a very narrow terminal has no room for strips
            strip, left = 0, left + strip
        return cls(name, max(min(left, _STATE), 8), strip, note, wide)

    def row(self, name: str, state: Text, strip: Iterable[Look] | None = None, note: Text | None = None) -> Text:
        """Lay out one row; without a strip the state has its room too."""
        shown = state.copy()
        shown.truncate(self.state + (0 if strip is not None else self.strip + 2), overflow="ellipsis", pad=True)
        line = Text.assemble("  ", pad(name, self.name), "  ", shown, "  ")
        if strip is not None:
            looks = list(strip)[-self.strip :] if self.strip else []
            line.append_text(Text.assemble(*((SIGNS[look.outcome], _TONES[look.tone]) for look in looks)))
            line.append(" " * (self.strip - len(looks) + 2))
        line = line.append_text(note or Text())
        line.rstrip()
        return line


def probe_row(view: RunView, probe: ProbeView, now: float, columns: Columns) -> Text:
    """One probe or guard, as it stands in the present phase."""
    phase = _shown_phase(view)
    state = _state(view, probe, phase, now, wide=columns.wide)
    return columns.row(clean(probe.facts.name), state, probe.strip, _note(view, probe, phase, now, wide=columns.wide))


def _shown_phase(view: RunView) -> Phase:
    """During rollback nothing is expected: what was seen in the fault stands; so it does of recovery, in evidence."""
    phase = view.phase or Phase.PREFLIGHT
    return {Phase.ROLLBACK: Phase.FAULT, Phase.EVIDENCE: Phase.RECOVERY}.get(phase, phase)


def _state(view: RunView, probe: ProbeView, phase: Phase, now: float, *, wide: bool) -> Text:
    seen = probe.phases.get(phase)
    if probe.breached is not None and probe.breached.phase is phase:
        return Text(clean(probe.breached.why), "red")
    if seen is not None and seen.broken is not None:
        return Text(clean(seen.broken.why), "yellow" if seen.broken.inconclusive else "red")
    interval = {Phase.FAULT: probe.time_to_effect, Phase.RECOVERY: probe.time_to_recover}.get(phase)
    if seen is not None and seen.met is not None and interval is not None:
        cause = clean(seen.met.cause)
        before = "ok \N{RIGHTWARDS ARROW} " if wide and phase is Phase.FAULT else ""
        return Text.assemble((before, "dim"), f"{cause} ", (f"after {span(interval.by)}", "bold"))
    if seen is not None and seen.last is not None:
        tone = probe.strip[-1].tone if probe.strip else Tone.NONE
        code = f" {clean(seen.last.code)}" if wide and seen.last.code else ""
        style = "" if tone in (Tone.GOOD, Tone.DARK) else _TONES[tone]
        return Text(f"{seen.last.cause} {span(seen.last.latency)}{code}", style)
    began = view.began.get(phase)
    if probe.goes_dark and phase in probe.facts.expect and began is not None and view.finished is None:
        return Text(f"looking \N{HORIZONTAL ELLIPSIS} {max(int(now - began), 0)} s", "dim")
    return Text(f"{probe.last.cause} {span(probe.last.latency)}" if probe.last is not None else "", "dim")


def _note(view: RunView, probe: ProbeView, phase: Phase, now: float, *, wide: bool) -> Text:
    if probe.is_guard and probe.window.maxlen:
        aborts = f", aborts at {probe.aborts_at}" if wide else ""
        style = "red" if probe.fails >= probe.aborts_at else "yellow" if probe.fails else "dim"
        return Text(f"fails {probe.fails} of {probe.window.maxlen}{aborts}", style)
    seen = probe.phases.get(phase)
    if seen is not None and seen.broken is not None:
        return Text("inconclusive" if seen.broken.inconclusive else "BROKEN", "bold red")
    met = seen is not None and seen.met is not None
    if probe.goes_dark and (probe.leaks or (met and phase is Phase.FAULT)):
        return Text(f"leaks {probe.leaks}", "bold red" if probe.leaks else "dim")
    if not met and probe.goes_dark and phase in (Phase.FAULT, Phase.RECOVERY):
        return _left(view, probe, phase, now)
    return Text()


def _left(view: RunView, probe: ProbeView, phase: Phase, now: float) -> Text:
    """How long the expectation may still take."""
    default = {Phase.FAULT: "effect_within", Phase.RECOVERY: "recover_within", Phase.EVIDENCE: "evidence_within"}
    limit = probe.facts.within.get(phase, view.limits.get(default.get(phase, "")))
    if limit is None or phase not in probe.facts.expect:
        return Text()
    since = view.fault_since if phase is Phase.FAULT else view.began.get(phase)
    left = limit - (now - since) if since is not None else limit
    if left > limit / 3:
        return Text(f"limit {span(limit)}", "dim")
    return Text(f"{max(int(left), 0)} s left", "yellow")


def evidence_row(view: RunView, probe: ProbeView, now: float, columns: Columns) -> Text:
    """What CloudTrail was asked for, and whether it was there."""
    name, seen = clean(probe.facts.name), probe.phases.get(Phase.EVIDENCE)
    if view.phase is not Phase.EVIDENCE:
        return columns.row(name, Text("looked for after recovery", "dim"))
    if seen is not None and seen.broken is not None:
        return columns.row(name, Text(clean(seen.broken.why), "yellow"))
    if seen is not None and seen.met is not None:
        records = list(probe.records.values())
        words = f"{clean(records[0].name)} {clean(records[0].error_code)}" if records else ""
        state = Text.assemble((clean(seen.met.cause), "green"), f" {words}")
        return columns.row(name, state, note=Text(count(len(records), "record") if records else "", "dim"))
    began = view.began.get(Phase.EVIDENCE, now)
    state = Text(f"looking \N{HORIZONTAL ELLIPSIS} {max(int(now - began), 0)} s", "dim")
    return columns.row(name, state, note=_left(view, probe, Phase.EVIDENCE, now))


def step_rows(steps: list[StepView]) -> list[Text]:
    """What gameday changed, and whether it is as it was."""
    names = [clean(short(step.facts.resource)) or clean(step.facts.id) for step in steps]
    width = min(max((cell_len(name) for name in names), default=1), 32)
    uses = min(max((cell_len(clean(step.facts.uses)) for step in steps), default=1), 24)
    rows = []
    for name, step in zip(names, steps, strict=True):
        style = "yellow" if step.open else "green" if step.status == "restored" else "bold yellow"
        text = pad(name, width), "  ", pad(clean(step.facts.uses), uses), "  "
        rows.append(Text.assemble("  ", *text, (step.status, style)))
    return rows
