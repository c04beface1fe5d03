"""The report as Markdown, for a pull request or a chat: the verdict, a table, and what to do next."""

from __future__ import annotations

import re

from exporters.report.model import Expectation, ProbeReport, Report
from exporters.text import between, clean, count, span
from gameday.sdk import Closed, Phase

_SIGNS = {
    "passed": "✅",
    "failed": "❌",
    "rollback incomplete": "🚨",
    "aborted": "⚠️",
    "inconclusive": "⚠️",
    "refused": "⛔",
    "abandoned": "🚨",
}
_MARKS = {"met": "✅", "held": "✅", "broken": "❌", "inconclusive": "⚠️", "not reached": "\N{EN DASH}"}


def render(report: Report) -> str:
    """Write the page; what came from outside cannot become a link, a mention, HTML or a table's edge."""
    ending = report.ending
    lines = [
        f"### {_SIGNS.get(ending.verdict, '❔')} {_text(report.playbook)}: {ending.verdict}",
        "",
        _text(ending.story),
        "",
    ]
    lines += [f"- {_text(reason)}" for reason in ending.reasons]
    if ending.still_changed:
        lines += ["", "**Still changed, or could not be read back:**", ""]
        lines += [f"- {_text(one)}" for one in ending.still_changed]
        lines += ["", f"Finish it with {_code(ending.finish_with)}"]
    if report.probes:
        lines += ["", "| probe | phase | expected | came | after | |", "|---|---|---|---|---|---|"]
        lines += [_row(probe, one) for probe in report.probes for one in probe.expectations]
    lines += ["", *(f"- {line}" for line in _facts(report)), ""]
    return "\n".join(lines)


def _row(probe: ProbeReport, one: Expectation) -> str:
    after = between(one.interval) if one.interval and one.phase in (Phase.FAULT, Phase.RECOVERY) else ""
    seen = " ".join(filter(None, (one.cause, _code(one.code) if one.code else "")))
    leaks = f", {count(len(probe.leaks), 'leak')}" if one.phase is Phase.FAULT and probe.leaks else ""
    cells = (
        _text(probe.facts.name),
        one.phase.value,
        " or ".join(map(_text, one.expected)),
        seen + leaks,
        after,
        _MARKS[one.result],
    )
    return "| " + " | ".join(cells) + " |"


def _facts(report: Report) -> list[str]:
    here = report.surroundings
    facts = [f"run {_code(report.run)}, {_text(report.started[:19])}Z, {span(report.seconds)}"]
    if here.account:
        facts.append(f"{here.target} {_text(here.account)}/{_text(here.region)} as {_code(here.caller)}")
    if report.changed_for is not None:
        put_back = sum(change.state == Closed.RESTORED for change in report.changes)
        facts.append(
            f"changed for {span(report.changed_for)}; {put_back} of {len(report.changes)} put back and read back"
        )
    whole = "whole" if report.chain.whole else "**BROKEN**"
    for radius in report.radius:
        told = ", ".join(f"{number} {_text(fate)}" for fate, number in radius.counts.items())
        facts.append(f"blast radius: {radius.sizes.dependents} predicted" + (f"; observed: {told}" if told else ""))
    return [*facts, f"{report.chain.events} events, chain {whole}, last {_code(report.chain.head[:16])}"]


def _text(text: str) -> str:
    """Text that stays text, in a table too; a mention would call people."""
    escaped = re.sub(r"([\\`*\[\]<>|~]|\b_|_\b)", _escape, clean(text))
    return escaped.replace("@", "@\N{ZERO WIDTH SPACE}")


def _escape(found: re.Match[str]) -> str:
    return f"\\{found[0]}"


def _code(text: str) -> str:
    """Text in a fixed font; a backtick or a bar inside would end it."""
    return "`" + clean(text).replace("`", "'").replace("|", "\N{BROKEN BAR}") + "`" if text else ""
