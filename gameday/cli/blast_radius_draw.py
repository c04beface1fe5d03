"""A blast radius as a table, JSON, CSV or a Mermaid flowchart; what came from logs is made harmless in each."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime

from exporters.text import clean, pad
from gameday.blastradius import Answer, Row, coverage_sentences

_NODES = 60
"""A flowchart with more arrows is read by nobody."""


def as_table(answer: Answer, limit: int) -> Iterator[str]:
    """For people: the rows, totals, gameday's own calls apart, and what the answer covers."""
    totals = answer.totals
    yield f"KEY      {clean(answer.key)}\n"
    yield f"WINDOW   {_when(answer.window.since)} to {_when(answer.window.until)} UTC\n"
    if answer.coverage.partial:
        yield f"PARTIAL  {clean(answer.coverage.partial)}: what was found until then\n"
    if answer.rows:
        yield "\n"
        yield from _rows(answer.rows[:limit])
    if len(answer.rows) > limit:
        yield f"… and {len(answer.rows) - limit:,} rows more: --limit {len(answer.rows)}, or --format csv\n"
    yield (
        f"\nTOTAL    {totals.uses:,} uses, {totals.errors:,} failed ({totals.refused:,} as the key was not usable); "
        f"{totals.principals:,} principals, {totals.services:,} services, {totals.resources:,} resources\n"
    )
    if answer.own:
        yield f"GAMEDAY  {totals.own:,} more calls were gameday's own\n"
    if answer.management:
        names = sorted({name for row in answer.management for name in row.actions})
        yield f"BESIDES  {totals.management:,} calls that work without the key: {clean(', '.join(names[:8]))}\n"
    yield "\nCOVERAGE\n"
    for sentence in coverage_sentences(answer):
        yield f"  {clean(sentence)}\n"


def _rows(rows: tuple[Row, ...]) -> Iterator[str]:
    width = max(shutil.get_terminal_size((140, 24)).columns, 100)
    where = [_where(row, rows) for row in rows]
    seen = min(max(map(len, where)), 40)
    left = width - 9 - 8 - 8 - 18 - 18 - (seen + 1 if seen else 0)
    wide = (
        left * 35 // 100,
        left * 20 // 100,
        left - left * 35 // 100 - left * 20 // 100 - 3,
        *((seen,) if seen else ()),
    )
    heads = ("PRINCIPAL", "SERVICE", "RESOURCE", "WHERE")[: len(wide)]
    yield _line(heads, wide, "USES", "ERRORS", "FIRST USED", "LAST USED")
    for row, place in zip(rows, where, strict=True):
        texts = (_short(row.principal), row.service.removesuffix(".amazonaws.com"), _short(row.resource) or "—", place)
        yield _line(
            tuple(clean(text) for text in texts[: len(wide)]),
            wide,
            f"{row.uses:,}",
            f"{row.errors:,}" + ("!" if row.refused else ""),
            _when(row.first_used),
            _when(row.last_used),
        )


def _where(row: Row, rows: tuple[Row, ...]) -> str:
    """Account and Region, each where not all rows have the same one."""
    accounts, regions = ({name for one in rows for name in getattr(one, each)} for each in ("accounts", "regions"))
    told = (",".join(row.accounts) if len(accounts) > 1 else "", ",".join(row.regions) if len(regions) > 1 else "")
    return "/".join(filter(None, told))


def _line(texts: tuple[str, ...], wide: tuple[int, ...], uses: str, errors: str, first: str, last: str) -> str:
    named = " ".join(pad(text, width) for text, width in zip(texts, wide, strict=True))
    return f"{named} {uses:>8} {errors:>8}  {first:<16}  {last:<16}".rstrip() + "\n"


def _short(arn: str) -> str:
    """An ARN from its account on: what comes before is the same in every line."""
    parts = arn.split(":", 5)
    return arn if len(parts) < 6 or parts[0] != "arn" else f"{parts[4]}:{parts[5]}" if parts[4] else parts[5]


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def as_json(answer: Answer, _limit: int) -> Iterator[str]:
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
    "sessions",
)  # fmt: skip


def as_csv(answer: Answer, _limit: int) -> Iterator[str]:
    """Every row, gameday's own and harmless calls marked by their kind. What was not covered is in the other forms."""
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


def as_mermaid(answer: Answer, limit: int) -> Iterator[str]:
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
        yield f'  {one} -->|"{uses:,} uses' + (f", {errors:,} failed" if errors else "") + f'"| {other}\n'
    if len(answer.rows) > len(shown):
        yield f"  %% and {len(answer.rows) - len(shown)} rows more\n"
    if answer.coverage.partial:
        yield "  %% partial\n"


def _node(nodes: dict[tuple[str, str], str], kind: str, text: str) -> str:
    return nodes.setdefault((kind, text), f"{kind}{len(nodes)}")


def _label(text: str) -> str:
    """Mermaid reads HTML, Markdown and its own signs in labels; entities are shown as what they stand for."""
    return "".join(sign if sign.isalnum() or sign in " .:/_-," else f"#{ord(sign)};" for sign in clean(text))


DRAWN: Mapping[str, Callable[[Answer, int], Iterator[str]]] = {
    "table": as_table,
    "json": as_json,
    "csv": as_csv,
    "mermaid": as_mermaid,
}
