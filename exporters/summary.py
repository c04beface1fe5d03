"""What is left on the screen when a run is over: readable in ten seconds, and the same as plain text."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text

from exporters.fold import RunView
from exporters.parts import ProbeView, StepView
from exporters.text import between, clean, count, deed, pad, short, span
from gameday.sdk import Outcome, Phase, TrailRecord, Verdict

VERDICT_STYLES = {
    Verdict.PASSED: "bold white on green",
    Verdict.FAILED: "bold white on red",
    Verdict.ABORTED: "bold black on yellow",
    Verdict.INCONCLUSIVE: "bold black on yellow",
    Verdict.REFUSED: "bold black on cyan",
    Verdict.ABANDONED: "bold white on red",
}
ALARM = "bold white on red"
_TITLES = ("probe", "baseline", "to effect", "cause seen", "leaks", "to recover")
_CAUSE = 3
_RECORDS = 8
_LABEL = 10


def summary(view: RunView, journal: str = "", width: int = 0) -> list[Text]:
    """The lines of the summary; ``width`` 0 is as wide as it needs."""
    lines = [Text(), _headline(view, width), *_alarm(view)]
    if view.finished is not None:
        lines.append(Text(clean(view.finished.story)))
    # What is still changed is the first thing below the headline; the command that mends it is the last, too.
    parts = (_table(view, width), _reasons(view), _facts(view, width), _whereabouts(view, journal), _last(view))
    for part in parts:
        if part:
            lines += [Text(), *part]
    return lines


def _headline(view: RunView, width: int) -> Text:
    if view.alive and view.finished is None:
        line = Text(" UNDER WAY ", "bold black on cyan")
    elif view.incomplete:
        line = Text(" ROLLBACK INCOMPLETE ", ALARM)
    elif view.finished is None:
        line = Text(" NOT FINISHED ", "bold black on yellow")
    else:
        line = Text(f" {view.finished.verdict.value.upper()} ", VERDICT_STYLES[view.finished.verdict])
    line.append(f"  {clean(view.playbook) or 'run'}", "bold").append(f"  run {clean(view.run)}")
    took, where = f"  {span(view.now)}", ""
    if view.target is not None:
        where = f"  {view.target.kind} {clean(view.target.account)}/{clean(view.target.region)}"
    if width and cell_len(line.plain + where + took) > width:
        where = ""
    return line.append(where + took, "dim")


# The table


def _table(view: RunView, width: int) -> list[Text]:
    probes = [probe for probe in view.probes.values() if probe.goes_dark or probe.stays_up]
    if not any(probe.last for probe in probes):
        return []
    rows = [_TITLES, *(_row(probe) for probe in probes)]
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(_TITLES))]
    over = sum(widths) + 2 * (len(widths) - 1) - width
    if width and over > 0:  # the cause gives way first, then the name
        taken = min(over, widths[_CAUSE] - 12)
        widths[_CAUSE] -= taken
        widths[0] = max(widths[0] - (over - taken), 8)
    lines = [_cells(_TITLES, widths, "dim")]
    for probe, row in zip(probes, rows[1:], strict=True):
        line = _cells(row, widths, "red" if probe.broken or probe.breached else "")
        lines.append(line)
    return lines


def _cells(row: tuple[str, ...], widths: list[int], style: str) -> Text:
    return Text("  ".join(pad(text, size) for text, size in zip(row, widths, strict=True)).rstrip(), style)


def _row(probe: ProbeView) -> tuple[str, ...]:
    effect, recover = probe.time_to_effect, probe.time_to_recover
    baseline = probe.phases[Phase.BASELINE].last if Phase.BASELINE in probe.phases else None
    before = "\N{EN DASH}"
    if baseline is not None:
        ok = baseline.outcome is Outcome.OK
        before = f"{baseline.cause} {span(baseline.latency)}" if ok else baseline.cause.value
    return (
        clean(probe.facts.name),
        before,
        (between(effect) if effect else _missing(probe, Phase.FAULT)) if probe.goes_dark else _stayed(probe),
        _cause(probe),
        str(probe.leaks) if probe.goes_dark else "\N{EN DASH}",
        (between(recover) if recover else _missing(probe, Phase.RECOVERY)) if probe.goes_dark else "\N{EN DASH}",
    )


def _missing(probe: ProbeView, phase: Phase) -> str:
    """``not seen`` only of what was waited for to the end of its time; an abort checks nothing more."""
    if phase not in probe.phases:
        return "\N{EN DASH}"
    broken = probe.phases[phase].broken
    return "not seen" if broken is not None and not broken.inconclusive else "not checked"


def _stayed(probe: ProbeView) -> str:
    broke = Phase.FAULT in probe.phases and probe.phases[Phase.FAULT].broken is not None
    return "broke" if broke or (probe.breached is not None and probe.breached.phase is Phase.FAULT) else "stays up"


def _cause(probe: ProbeView) -> str:
    """What it saw in the fault, a leak aside, or where it had to stay up what broke it: the cause and AWS's code."""
    here = probe.phases.get(Phase.FAULT)
    if here is None:
        return "\N{EN DASH}"
    seen = here.unfitting or here.last if probe.stays_up else here.fitting or here.last
    return f"{seen.cause} {clean(seen.code)}".rstrip() if seen is not None else "\N{EN DASH}"


# What failed, what was done, where to look


def _reasons(view: RunView) -> list[Text]:
    """Why it did not pass; the events themselves speak where the verdict gives no reasons."""
    given = view.finished.reasons if view.finished is not None else ()
    alarm = view.still_changed if view.incomplete else []  # said at the end
    reasons = [clean(reason) for reason in given if reason not in alarm]
    if not given:
        reasons = [f"guard {clean(breach.guard)}: {clean(breach.why)}" for breach in view.breaches]
        for probe in view.probes.values():
            reasons += [f"{clean(probe.facts.name)} in {one.phase}: {clean(one.why)}" for one in probe.broken]
    passed = view.finished is not None and view.finished.verdict is Verdict.PASSED
    return [Text.assemble(("  \N{EN DASH} " if passed else "  \N{MULTIPLICATION X} ", "red"), one) for one in reasons]


def _facts(view: RunView, width: int) -> list[Text]:
    lines = [_labelled("rollback", _rollback(view))] if view.rollback is not None else []
    lines += [_labelled(label, text) for label, text in (_closed(view, step) for step in view.steps.values()) if text]
    lines += [_labelled("others", deed(change)) for change in view.others[-_RECORDS:]]
    for radius in view.radius.values():
        told = list(radius.story())
        lines += [_labelled("" if number else "radius", text) for number, text in enumerate(told)]
    records = [record for probe in view.probes.values() for record in probe.records.values()]
    for record in records[:_RECORDS]:
        lines += _evidence(record, width)
    if len(records) > _RECORDS:
        lines.append(_labelled("", f"and {count(len(records) - _RECORDS, 'record')} more"))
    for line in lines:
        if width:
            line.truncate(width, overflow="ellipsis")
    return lines


def _evidence(record: TrailRecord, width: int) -> list[Text]:
    """What happened, when, and who did it, on a line of its own where one is too short for both."""
    time = f"{record.time:%Y-%m-%dT%H:%M:%SZ}" if record.time.year > 1 else ""
    who = short(record.principal)
    via = f"{who} via {record.invoked_by}" if record.invoked_by and record.invoked_by != who else who
    words = [clean(word) for word in (record.name, record.error_code or "no error", time) if word]
    by = f"by {clean(via)}" if via else ""
    whole = _labelled("evidence", "  ".join([*words, by]).rstrip())
    if not width or cell_len(whole.plain) <= width:
        return [whole]
    return [_labelled("evidence", "  ".join(words)), _labelled("", by)]


def _rollback(view: RunView) -> str:
    rollback = view.rollback
    if rollback is None or rollback.complete is None:
        return "not finished"
    how = "complete" if rollback.complete else "INCOMPLETE"
    seconds = f" after {span(rollback.seconds)}" if rollback.seconds is not None else ""
    tried = f", {count(rollback.attempts, 'attempt')}" if rollback.attempts > 1 else ""
    failed = f", {rollback.failures} failed" if rollback.failures else ""
    by = f", by {clean(rollback.by)}" if rollback.by != "runner" else ""
    return f"{how}{seconds}{tried}{failed}{by}"


def _closed(view: RunView, step: StepView) -> tuple[str, str]:
    """``restored  kms.disable_key on key/12ab34cd…``; nothing for what was never changed."""
    if step.changed_at is None or step.closed is None:  # what is open is said at the end
        return "", ""
    detail = f": {clean(step.closed.detail)}" if step.closed.detail else ""
    what = clean(short(step.facts.resource) or step.facts.id)
    return step.closed.closed.value, f"{what}  {clean(view.part_of(step))}{detail}"


def _whereabouts(view: RunView, journal: str) -> list[Text]:
    lines = [_labelled("journal", clean(journal))] if journal else []
    return [*lines, _labelled("again", f"gameday show {clean(view.run)}")] if view.run else lines


def _is_open(view: RunView) -> bool:
    if view.alive and view.finished is None:
        return False
    return view.incomplete or (view.finished is None and bool(view.open_steps))


def _alarm(view: RunView) -> list[Text]:
    """What is still changed, and how to finish it: by gameday, and in each sentence by hand."""
    if not _is_open(view):
        return []
    lines = [Text(" STILL CHANGED, or could not be read back ", ALARM)]
    lines += [Text(f"  {clean(sentence)}", "red") for sentence in view.still_changed]
    return [*lines, *_finish(view)]


def _last(view: RunView) -> list[Text]:
    """The last thing on the screen, since the last thing is what is read."""
    if view.alive and view.finished is None:
        return _under_way(view)
    return _finish(view) if _is_open(view) else []


def _finish(view: RunView) -> list[Text]:
    command = view.finished.finish_with if view.finished is not None else ""
    command = clean(command) or f"gameday rollback {clean(view.run)}"
    # Never broken over lines, so that it can be copied.
    return [Text.assemble(("Finish it with:  ", "bold"), (command, "bold red"), no_wrap=True)]


def _under_way(view: RunView) -> list[Text]:
    """What a living run has changed is its own to put back."""
    said = "The run is under way, and puts back what it changes."
    if view.open_steps:
        changed = ", ".join(clean(short(step.facts.resource) or step.facts.id) for step in view.open_steps)
        said = f"The run is under way, and will put back what it has changed: {changed}."
    stop = Text.assemble(("To put it back now:  ", "bold"), "gameday halt --reason …", no_wrap=True)
    return [Text(said), stop]


def _labelled(label: str, text: str) -> Text:
    return Text.assemble((pad(label, _LABEL), "dim"), text)
