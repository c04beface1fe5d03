"""A blast radius as a table, JSON, CSV or a Mermaid flowchart; what came from logs is made harmless in each."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from textwrap import wrap

from exporters.text import clean
from gameday.blastradius import Answer, coverage_sentences
from gameday.cli.blast_radius_groups import as_groups, count, width

_NODES = 60
"""A flowchart with more arrows is read by nobody."""


def as_table(answer: Answer, limit: int, sort: str = "uses", now: datetime | None = None) -> Iterator[str]:
    """For people: who uses it through what, totals, gameday's own calls apart, and what the answer covers."""
    totals, now = answer.totals, now or datetime.now(UTC)
    yield f"KEY      {clean(answer.key)}\n"
    yield f"WINDOW   {_when(answer.window.since)} to {_when(answer.window.until)} UTC\n"
    if answer.coverage.partial:
        yield f"PARTIAL  {clean(answer.coverage.partial)}: what was found until then\n"
    elif not answer.coverage.complete:
        yield "PARTIAL  not all that was asked for was read: see COVERAGE\n"
    if answer.rows:
        yield "\n"
        yield from as_groups(answer.rows, limit, sort, now)
    yield "\n"
    yield from _labelled(
        "TOTAL",
        f"{count(totals.uses, 'use')}, {totals.errors:,} failed ({totals.refused:,} as the key was not usable); "
        f"{count(totals.principals, 'principal')}, {count(totals.services, 'service')}, "
        f"{count(totals.resources, 'resource')}",
    )
    if answer.rows:
        recent = {row.principal for row in answer.rows if now - row.last_used <= timedelta(hours=24)}
        yield f"ACTIVE   {len(recent)} of {count(totals.principals, 'principal')} in the last 24 h\n"
    if totals.dry_runs:
        yield f"DRY RUN  {count(totals.dry_runs, 'call')} only asked whether it would succeed\n"
    if answer.own:
        yield f"GAMEDAY  {count(totals.own, 'more call')} by gameday itself\n"
    if answer.management:
        names = sorted({name for row in answer.management for name in row.actions})
        work = f"{count(totals.management, 'call')} that work{'s' if totals.management == 1 else ''}"
        told = f"{work} without the key: {', '.join(names[:8])}"
        yield from _labelled("BESIDES", told)
    yield "\nCOVERAGE\n"
    for sentence in coverage_sentences(answer):
        for line in wrap(clean(sentence), max(width() - 2, 20), break_on_hyphens=False):
            yield f"  {line}\n"


def _labelled(label: str, text: str) -> Iterator[str]:
    lines = wrap(clean(text), max(width() - 9, 20), break_on_hyphens=False)
    yield from (f"{label if not number else '':<9}{line}\n" for number, line in enumerate(lines))


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def as_json(answer: Answer, _limit: int, _sort: str) -> Iterator[str]:
    """One object with every row; ASCII only, so that no terminal is moved by it."""
    told = asdict(answer)
    told["partial"] = bool(answer.coverage.partial)
    told["complete"] = answer.coverage.complete
    told["coverage"]["sentences"] = coverage_sentences(answer)
    del told["uses"]
    yield json.dumps(told, default=_plain, indent=1) + "\n"


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)


_COLUMNS = (
    "kind", "principal", "service", "resource", "uses", "errors", "refused", "first_used", "last_used",
    "first_refused", "last_refused", "last_succeeded", "actions", "error_codes", "accounts", "regions",
    "sessions", "issued_to",
)  # fmt: skip


def as_csv(answer: Answer, _limit: int, _sort: str) -> Iterator[str]:
    """Every row, gameday's own and harmless calls marked by their kind. What is incomplete stands on standard error."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(_COLUMNS)
    for kind, rows in (("use", answer.rows), ("own", answer.own), ("management", answer.management)):
        for row in rows:
            values: Mapping[str, object] = {"kind": kind, **asdict(row)}
            lines.writerow([_cell(values[name]) for name in _COLUMNS])
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    text = clean(" ".join(str(each) for each in value) if isinstance(value, tuple) else str(value))
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text  # else a spreadsheet would calculate it


def as_mermaid(answer: Answer, limit: int, _sort: str) -> Iterator[str]:
    """A flowchart: who reaches which resource through which service, the most used first."""
    yield f'flowchart LR\n  key(["{_label(answer.key)}"])\n'
    nodes: dict[tuple[str, str], str] = {}
    arrows: dict[tuple[str, str], tuple[int, int]] = {}
    shown = answer.rows[: min(limit, _NODES)]
    for row in shown:
        who, what = _node(nodes, "p", row.principal), _node(nodes, "r", row.resource or "not named")
        service = _node(nodes, "s", row.service)
        for arrow in (("key", service), (service, what), (what, who)):
            uses, errors = arrows.get(arrow, (0, 0))
            arrows[arrow] = (uses + row.uses, errors + row.errors)
    for (_, text), name in nodes.items():
        yield f'  {name}["{_label(text)}"]\n'
    for (one, other), (uses, errors) in arrows.items():
        yield f'  {one} -->|"{count(uses, "use")}' + (f", {errors:,} failed" if errors else "") + f'"| {other}\n'
    if len(answer.rows) > len(shown):
        yield f"  %% and {len(answer.rows) - len(shown)} rows more\n"
    if answer.coverage.partial:
        yield "  %% partial\n"


def _node(nodes: dict[tuple[str, str], str], kind: str, text: str) -> str:
    return nodes.setdefault((kind, text), f"{kind}{len(nodes)}")


def _label(text: str) -> str:
    """Mermaid reads HTML, Markdown and its own signs in labels; entities are shown as what they stand for."""
    return "".join(sign if sign.isalnum() or sign in " .:/_-," else f"#{ord(sign)};" for sign in clean(text))


DRAWN: Mapping[str, Callable[[Answer, int, str], Iterator[str]]] = {
    "table": as_table,
    "json": as_json,
    "csv": as_csv,
    "mermaid": as_mermaid,
}
