"""One picture of a run, made from its view and the time alone: what the live terminal draws again and again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.text import Text

from exporters.fold import RunView
from exporters.parts import KeyState, KeyView, ProbeView, StepView, Tone, is_key
from exporters.rows import Columns, evidence_row, probe_row, step_rows
from exporters.text import clean, clock, deed, fit, short, span
from gameday.sdk import Note, Outcome, Phase, WatchdogLost

_PHASE_STYLES = {Phase.FAULT: "bold white on red", Phase.ROLLBACK: "bold black on yellow"}
_KEY_STYLES = {KeyState.ENABLED: "green", KeyState.DISABLED: "bold red", KeyState.PENDING_DELETION: "bold red"}
_KEY_WORDS = {
    KeyState.ENABLED: "ENABLED",
    KeyState.DISABLED: "DISABLED",
    KeyState.PENDING_DELETION: "PENDING DELETION",
    KeyState.OTHER: "IN ANOTHER STATE",
}
_DARK_TITLES = {
    Phase.FAULT: "GOES DARK",
    Phase.ROLLBACK: "WENT DARK",
    Phase.RECOVERY: "COMES BACK",
    Phase.EVIDENCE: "COMES BACK",
}
_STALE = 15.0
"""Seconds after which a read of the key's state is no longer news."""
_BROKEN = "broken"
_HINT = "[Ctrl-C = restore now]"


@dataclass
class Section:
    """A title with rows below; the urgent rows are the last to give way where there is no room."""

    title: str
    rows: list[Text]
    urgent: set[int] = field(default_factory=set)
    words: list[str] = field(default_factory=list)
    """Each row's state in a word, by which those that are left out are counted."""
    needed: bool = True
    """Whether the present phase is about it; what is not gives way as a whole."""

    def lines(self, most: int) -> list[Text]:
        """The title and at most ``most`` rows: where not all have room, what is urgent first, the rest counted."""
        if len(self.rows) <= most:
            return [Text(self.title, "bold"), *self.rows]
        broken = {index for index, word in enumerate(self.words) if word == _BROKEN}
        order = sorted(range(len(self.rows)), key=lambda index: (index not in broken, index not in self.urgent, index))
        room = max(most - 1, 0)
        if self.words and self.urgent:  # rows that are as they should be only hide those that are not
            room = min(room, len(self.urgent))
        kept, rest = order[:room], order[room:]
        return [Text(self.title, "bold"), *(self.rows[index] for index in kept), self._folded(rest)]

    def _folded(self, rest: list[int]) -> Text:
        """``… 26 dark, 2 not dark yet``, or how many more there are."""
        counts = Counter(self.words[index] for index in rest) if self.words else Counter[str]()
        said = ", ".join(f"{number} {word}" for word, number in counts.most_common() if word)
        alarming = any(index in self.urgent for index in rest)
        return Text(
            f"  \N{HORIZONTAL ELLIPSIS} {said or f'and {len(rest)} more'}",
            "bold red" if self.words and alarming else "dim",
        )


def frame(view: RunView, now: float, width: int, height: int) -> list[Text]:
    """The lines to show, none wider than ``width``, not more than ``height`` of them."""
    head = [
        _title(view, now, width),
        _phase_line(view, now, width),
        *_key_lines(view, now),
        *_guard_line(view),
        *_troubles(view),
    ]
    sections = [section for section in _sections(view, now, width) if section.rows]
    following = _next(view)
    foot = [*_radius_lines(view), *_others(view)]
    foot += [Text.assemble(("NEXT    ", "dim"), following)] if following else []
    lines = _stack(head, sections, foot, height)
    for line in lines:
        line.truncate(width, overflow="ellipsis")
        line.no_wrap = True
    return lines[:height]


def _stack(head: list[Text], sections: list[Section], foot: list[Text], height: int) -> list[Text]:
    """Blank lines are the first to go, then what the phase is not about, then the rows of the longest sections."""
    needed = [section for section in sections if section.needed]
    longest = max((len(section.rows) for section in sections), default=1)
    tries = [(sections, longest, True), (sections, longest, False)]
    tries += [(needed, most, False) for most in range(longest, 1, -1)]
    lines: list[Text] = []
    for kept, most, gap in tries:
        lines = _joined(head, [section.lines(most) for section in kept], foot, gap=gap)
        if len(lines) <= height:
            return lines
    return [*lines[: max(height - len(foot), 0)], *foot]


def _joined(head: list[Text], parts: list[list[Text]], foot: list[Text], *, gap: bool) -> list[Text]:
    lines = list(head)
    for part in [*parts, foot]:
        lines += [Text(), *part] if gap and part else part
    return lines


# The head


def _title(view: RunView, now: float, width: int) -> Text:
    line = Text(clean(view.playbook).upper() or "RUN", "bold")
    line = Text.assemble(line, f"  run {clean(view.run)}")
    if view.target is not None:
        line.append(f"  {view.target.kind} {clean(view.target.account)}/{clean(view.target.region)}")
    return _right(line, Text(clock(now), "dim"), width)


def _right(line: Text, end: Text, width: int) -> Text:
    """Put ``end`` at the right edge where there is room for it."""
    room = width - cell_len(line.plain) - cell_len(end.plain)
    return Text.assemble(line, " " * room, end) if room >= 2 else line


def _phase_line(view: RunView, now: float, width: int) -> Text:
    phase = view.phase or Phase.PREFLIGHT
    line = Text.assemble((f" {phase.value.upper()} ", _PHASE_STYLES.get(phase, "bold black on cyan")), "  ")
    began = view.began.get(phase)
    since = view.fault_since
    if view.finished is not None:
        line.append(f"over: {view.finished.verdict.value}")
    elif phase in (Phase.FAULT, Phase.ROLLBACK) and since is not None and view.fault_active:
        line.append(f"{_what_is_off(view)} {clock(now - since)}", "bold")
        if phase is Phase.FAULT:
            line.append_text(_put_back(view, now - since))
            return _right(line, Text(_HINT, "dim"), width)
        if began is not None:
            line.append(f"   rolling back {clock(now - began)}")
    elif began is not None:
        line.append(clock(now - began), "bold")
        if view.phase_limit is not None:
            line.append(f"   at most {span(view.phase_limit)}", "dim")
    else:
        line.append("nothing is changed yet", "dim")
    if phase is Phase.ROLLBACK and view.rollback is not None:
        line.append(f"   {clean(view.rollback.reason)}")
    return line


def _what_is_off(view: RunView) -> str:
    keys = all(is_key(step.facts.resource) for step in view.fault_steps if step.open)
    return "key off" if keys else "broken for"


def _put_back(view: RunView, off: float) -> Text:
    limit = view.limits.get("max_fault")
    if limit is None:
        return Text()
    left = limit - off
    return Text(f"   put back within {clock(left)}", "bold yellow" if left < limit / 5 else "")


def _key_lines(view: RunView, now: float) -> list[Text]:
    """Each key that the run changes: what it last said, to gameday or a probe, or else what gameday did to it."""
    steps = {step.facts.resource: step for step in view.fault_steps if is_key(step.facts.resource)}
    lines, read = [], list(view.keys)
    for resource, step in steps.items():
        name = clean(step.facts.named or short(resource))
        mine = [key for key in read if key.resource == resource or key.resource.startswith(f"{resource} ")]
        read = [key for key in read if key not in mine]
        mine += [view.states[resource]] if resource in view.states else []
        latest = max(mine, key=lambda key: key.read_at, default=None)
        lines.append(_key_read(name, latest, now) if latest else _key_done(name, step, now))
    lines += [_key_read(clean(short(key.resource)) or clean(key.probe), key, now) for key in read]
    return lines[:3]


def _key_read(name: str, key: KeyView, now: float) -> Text:
    age = max(now - key.read_at, 0.0)
    line = Text.assemble(("key     ", "dim"), name, "  ")
    line.append(_KEY_WORDS[key.state], _KEY_STYLES.get(key.state, "yellow"))
    read = f" (read {int(age)} s ago)" if age < 120 else f" (read {span(age)} ago)"
    return line.append(read, "yellow" if age > _STALE else "dim")


def _key_done(name: str, step: StepView, now: float) -> Text:
    line = Text.assemble(("key     ", "dim"), name, "  ")
    if step.changed_at is None or step.closed is not None:
        return line.append(step.status.upper() if step.closed else "NOT CHANGED", "green")
    line.append(step.status.upper(), "bold red")
    return line.append(f" (by gameday, {clock(now - step.changed_at)} ago)", "dim")


def _guard_line(view: RunView) -> list[Text]:
    """Who puts it back should this process not."""
    guards = []
    if view.watchdog is not None:
        lost = isinstance(view.watchdog, WatchdogLost)
        guards.append(Text("watchdog LOST", "bold red") if lost else Text("watchdog alive"))
    if armed := view.armed:
        guards.append(Text(f"switch armed {clean(armed[0].fires_at)[11:16]}Z"))
    return [Text.assemble(("guard   ", "dim"), Text(" \N{MIDDLE DOT} ").join(guards))] if guards else []


def _troubles(view: RunView) -> list[Text]:
    """The last things that went wrong or were said, one line each."""
    lines = [
        Text.assemble(("!       ", "bold red"), (f"guard {clean(breach.guard)}: {clean(breach.why)}", "red"))
        for breach in view.breaches[-2:]
    ]
    for interruption in view.interruptions[-1:]:
        ignored = " (noted: it is being put back already)" if interruption.ignored else ""
        lines.append(Text.assemble(("!       ", "bold yellow"), f"{clean(interruption.why)}{ignored}"))
    rollback = view.rollback
    if rollback is not None and rollback.failures and rollback.complete is not True:
        tried = f"undo failed {rollback.failures} times, trying again: {clean(rollback.trouble)}"
        lines.append(Text.assemble(("!       ", "bold red"), (tried, "red")))
    lines += [Text.assemble(("note    ", "dim"), clean(note.text)) for note in _notes(view)[-2:]]
    return lines


def _notes(view: RunView) -> list[Note]:
    """What preflight had to say is over with it."""
    over = view.began.get(Phase.BASELINE)
    return [note for note in view.notes if over is None or note.at >= over]


# The sections


def _sections(view: RunView, now: float, width: int) -> list[Section]:
    phase = view.phase or Phase.PREFLIGHT
    if not view.probes:
        rows = [_check(check.check, check.detail, ok=check.ok) for check in view.checks]
        made = [_check(staged.uses, staged.detail, ok=True) for staged in view.staged]
        failed = {index for index, check in enumerate(view.checks) if not check.ok}
        return [Section("CHECKS", rows, failed), Section("STAGE", made, needed=False)]
    columns = Columns.of(width, [clean(name) for name in view.probes])
    dark = [probe for probe in view.probes.values() if probe.goes_dark]
    up = [probe for probe in view.probes.values() if probe.stays_up]
    proof = [probe for probe in view.probes.values() if probe.is_evidence]
    sections = []
    for title, probes in ((_DARK_TITLES.get(phase, "WILL GO DARK"), dark), ("STAYS UP", up)):
        rows = [probe_row(view, probe, now, columns) for probe in probes]
        urgent = {index for index, probe in enumerate(probes) if _excepted(probe)}
        sections.append(Section(title, rows, urgent, [_word(probe, phase) for probe in probes]))
    rows = [evidence_row(view, probe, now, columns) for probe in proof]
    sections.append(Section("EVIDENCE", rows, needed=phase is Phase.EVIDENCE))
    opened = [step for step in view.steps.values() if step.changed_at is not None]
    urgent = {index for index, step in enumerate(opened) if step.open}
    return [*sections, Section("CHANGED", step_rows(opened), urgent, needed=phase is Phase.ROLLBACK)]


def _excepted(probe: ProbeView) -> bool:
    """Whether it is not as it should be, as against only not yet."""
    last = probe.strip[-1].tone if probe.strip else Tone.NONE
    return bool(probe.broken or probe.breached or probe.leaks) or last is Tone.BAD


def _word(probe: ProbeView, phase: Phase) -> str:
    if probe.broken or probe.breached:
        return _BROKEN
    if _excepted(probe):
        return "not as expected"
    if probe.stays_up:
        return "up"
    if phase in (Phase.RECOVERY, Phase.EVIDENCE):
        return "back" if probe.time_to_recover is not None else "not back yet"
    if phase in (Phase.FAULT, Phase.ROLLBACK):
        return "dark" if probe.time_to_effect is not None else "not dark yet"
    return "working" if probe.last is not None and probe.last.outcome is Outcome.OK else "not seen yet"


def _others(view: RunView) -> list[Text]:
    """Whether somebody else changed what the run holds: perhaps a real incident, and then this is the way out."""
    if view.others:
        change = view.others[-1]
        more = f" and {len(view.others) - 1} more" if len(view.others) > 1 else ""
        line = Text.assemble(("OTHERS  ", "bold red"), (f"{deed(change)}{more}", "bold red"))
        abandon = f"gameday abandon {clean(view.run)} --reason …"
        return [line, Text.assemble(("        leave it as it is with: ", "dim"), abandon)]
    watched = view.others_watched
    if watched is None or view.finished is not None:
        return []
    if not watched.ok:
        return [Text.assemble(("OTHERS  ", "dim"), ("not watched: ", "yellow"), clean(watched.detail))]
    return [Text.assemble(("OTHERS  no foreign change", "dim"), (f"  ({clean(watched.detail)})", "dim"))]


def _check(name: str, detail: str, *, ok: bool) -> Text:
    mark = ("  \N{CHECK MARK} ", "green") if ok else ("  \N{MULTIPLICATION X} ", "bold red")
    return Text.assemble(mark, clean(name), (f"  {fit(clean(detail), 200)}" if detail else "", "dim" if ok else "red"))


def _radius_lines(view: RunView) -> list[Text]:
    """Who was expected to feel it, and what CloudTrail says of them so far."""
    dark = sum(probe.time_to_effect is not None for probe in view.probes.values())
    return [
        Text.assemble(("RADIUS  ", "dim"), (one.line(dark), "red" if one.unexpected else ""))
        for one in view.radius.values()
    ]


def _next(view: RunView) -> str:
    arrow = " \N{RIGHTWARDS ARROW} "
    if view.finished is not None:
        return ""
    held = view.limits.get("hold", 0.0)
    hold = [f"hold {span(held)}"] if held else []
    proof = any(probe.is_evidence for probe in view.probes.values())
    after = ["evidence", "verdict"] if proof else ["verdict"]
    steps = {
        Phase.BASELINE: ["all as expected", "fault", "rollback", "recovery"],
        Phase.FAULT: [*([] if view.effect_everywhere else ["all effects seen"]), *hold, "put back", "recovery"],
        Phase.ROLLBACK: ["read back", "recovery", *after],
        Phase.RECOVERY: ["all as before", *after],
        Phase.EVIDENCE: ["verdict"],
    }
    return arrow.join(steps.get(view.phase or Phase.PREFLIGHT, ["baseline", "fault", "rollback", "recovery", *after]))
