"""The report as one HTML file that needs no network: for a screen, a phone and paper, light and dark."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pydantic import JsonValue

from exporters.report.flow import Flow
from exporters.report.model import ProbeReport, Report, Segment
from exporters.report.timeline import Timeline
from exporters.text import HARMLESS, between, clean, count, short, span
from gameday.sdk import Closed, Phase

_HERE = Path(__file__).parent
_TONES = {"passed": "good", "failed": "bad", "rollback incomplete": "bad", "abandoned": "bad", "refused": "refused"}
RAW, ALL_RAW = 8_000, 80_000
"""Signs that are shown of a raw record, and of all together: a hostile one must not fill the page."""
CALLS, ROWS = 12, 80
"""How many calls of a step, and how many probes, the page lists."""


def render(report: Report) -> str:
    """Write the page; whatever came from outside stays text (autoescape, and a policy that runs no other script)."""
    script = (_HERE / "report.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    timeline = Timeline(report)
    rules = Markup("").join(
        Markup('<i class="rule" style="left:{}%"></i>').format(band.left) for _, band in timeline.phases[1:]
    )
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            timeline=timeline,
            flows=[Flow(one) for one in report.radius],
            tone=_TONES.get(report.ending.verdict, "waiting"),
            figures=_figures(report),
            facts=_facts(report),
            rules=lambda: rules,
            pretty=_Pretty(),
            calls=CALLS,
            rows=ROWS,
            style=Markup((_HERE / "report.css").read_text()),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            script_hash=digest,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    environment.filters.update(
        span=span,
        between=between,
        short=short,
        told=_told,
        spoken=_spoken,
        look=_look,
        cut=lambda text, size: text if len(text) <= size else text[:size] + HARMLESS,
        moment=lambda utc: utc[:19].replace("T", " ") + " UTC" if utc else "",
        hour=lambda utc: utc[11:].rstrip("Z") if utc else "\N{EN DASH}",
    )
    return environment


def _figures(report: Report) -> list[tuple[str, str, str, str]]:
    """Label, value, note, and ``bad`` where it is not as it should be."""
    leaks = sum(len(probe.leaks) for probe in report.probes)
    undone = [change for change in report.changes if change.state == Closed.RESTORED]
    figures: list[tuple[str, str, str, str]] = []
    if report.changed_for is not None:
        limit = report.limits.get("max_fault")
        late = "bad" if limit and report.changed_for > limit else ""
        figures.append(("Changed for", span(report.changed_for), f"limit {span(limit)}" if limit else "", late))
    if effect := _reached(report, Phase.FAULT, "dark"):
        figures.append(effect)
        figures.append(("Leaks", str(leaks), "reads that worked after the effect", "bad" if leaks else ""))
    if back := _reached(report, Phase.RECOVERY, "back"):
        figures.append(back)
    if report.changes:
        open_ = "bad" if any(change.is_open for change in report.changes) else ""
        figures.append(("Put back and read back", f"{len(undone)} of {len(report.changes)}", "undo steps", open_))
    return figures


def _reached(report: Report, phase: Phase, word: str) -> tuple[str, str, str, str] | None:
    """Whether all that the fault is meant to break went dark, or came back, and which took longest."""
    asked = [
        (probe.facts.name, one)
        for probe in report.probes
        if not probe.facts.guard and "ok" not in probe.facts.expect.get(Phase.FAULT, ("ok",))
        for one in probe.expectations
        if one.phase is phase and one.result != "not reached" and (phase is Phase.FAULT or _went_dark(probe))
    ]
    met = [(one.interval.by, name) for name, one in asked if one.interval is not None]
    if not asked:
        return None
    if len(met) < len(asked):
        missing = [name for name, one in asked if one.interval is None]
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return f"Went {word}", f"{len(met)} of {len(asked)}", f"not {missing[0]}{more}", "bad"
    slowest, name = max(met)
    return f"All {word} after", span(slowest), name, ""


def _went_dark(probe: ProbeReport) -> bool:
    return any(one.phase is Phase.FAULT and one.interval is not None for one in probe.expectations)


def _facts(report: Report) -> list[tuple[str, str]]:
    here = report.surroundings
    return [
        ("caller (STS)", here.caller),
        *here.details.items(),
        ("account and Region", f"{here.account}/{here.region}" if here.account else ""),
        ("endpoint", here.endpoint),
        ("machine", f"{here.machine}, process {here.pid}" if here.machine else ""),
        ("gameday", here.version),
        ("limits", ", ".join(f"{name} {span(value)}" for name, value in report.limits.items())),
        ("playbook, SHA-256", report.chain.playbook_hash),
        ("last event, SHA-256", report.chain.head),
    ]


def _told(probe: ProbeReport) -> str:
    """What became of it, in a few words."""
    words = []
    for one in probe.expectations:
        if one.result in ("broken", "inconclusive"):
            words.append(f"{one.result} in {one.phase}")
        elif one.interval is not None and one.phase is Phase.FAULT and "ok" not in one.expected:
            words.append(f"{one.cause} after {between(one.interval)}")
        elif (
            one.interval is not None
            and one.phase is Phase.RECOVERY
            and "ok" not in probe.facts.expect.get(Phase.FAULT, ("ok",))
        ):
            words.append(f"back after {between(one.interval)}")
    if probe.leaks:
        words.append(count(len(probe.leaks), "leak"))
    return " · ".join(words)


def _spoken(probe: ProbeReport) -> str:
    """The strip in words, for whoever cannot see it."""
    stretches = [f"{one.cause} from {span(one.began)}" for one in probe.segments[:12]]
    rest = len(probe.segments) - len(stretches)
    return f"{probe.facts.name}: " + ", ".join(stretches) + (f", and {rest} more changes" if rest else "")


def _look(segment: Segment) -> str:
    code = f" {segment.code}" if segment.code else ""
    times = f"{span(segment.began)} to {span(segment.ended)}"
    return f"{segment.cause}{code}, {times}, {count(segment.looks, 'look')}"


class _Pretty:
    """Raw records as JSON over several lines, as long as there is room; what would reorder text is made visible."""

    def __init__(self) -> None:
        self._room = ALL_RAW

    def __call__(self, raw: dict[str, JsonValue]) -> Markup:
        text = json.dumps(raw, indent=1, ensure_ascii=True)
        room = min(RAW, self._room)
        if len(text) > room:
            text = f"{text[:room]}\n... cut here; the journal and the JSON report have the whole record"
        shown = Markup.escape(text)
        self._room = max(self._room - len(shown), 0)
        return shown
