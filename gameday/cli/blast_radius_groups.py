"""The table of a blast radius: a line for each principal and service, its resources counted, at any width."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from textwrap import wrap

from rich.cells import cell_len

from exporters.text import clean, pad
from gameday.blastradius import Row

_FEW = 3
"""Resources of one principal and service that have a line each; more are counted in one."""
_NUMBERS = 6 + 1 + 7 + 2 + 12
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class Group:
    """What one principal did through one service, to one resource or to many."""

    principal: str
    service: str
    place: str
    resources: list[str] = field(default_factory=list)
    uses: int = 0
    errors: int = 0
    refused: int = 0
    last_used: datetime = _NEVER

    def take(self, row: Row) -> None:
        """Add a row."""
        self.resources += [row.resource] if row.resource else [f"for {one}" for one in row.issued_to]
        self.uses, self.errors, self.refused = (
            self.uses + row.uses,
            self.errors + row.errors,
            self.refused + row.refused,
        )
        self.last_used = max(self.last_used, row.last_used)


def as_groups(rows: Sequence[Row], limit: int, sort: str, now: datetime) -> Iterator[str]:
    """Lines that fit the terminal; a principal for whom there is no line is named below them."""
    groups = grouped(rows)
    groups.sort(key=lambda one: (-one.last_used.timestamp() if sort == "recent" else -one.uses, one.principal))
    accounts = {one.principal.split(":")[4] for one in groups if one.principal.startswith("arn:")}
    shared = next(iter(accounts)) if len(accounts) == 1 else ""
    texts = [
        (short(one.principal, shared), one.service.removesuffix(".amazonaws.com"), _what(one, shared), one.place)
        for one in groups[:limit]
    ]
    wide = _widths(texts)
    heads = ("PRINCIPAL", "SERVICE", "RESOURCE", "WHERE")
    yield _line(heads, wide, "USES", "FAILED", "LAST USED")
    for one, names in zip(groups, texts, strict=False):
        failed = f"{one.errors:,}" + ("!" if one.refused else "")
        yield _line(names, wide, f"{one.uses:,}", failed, ago(one.last_used, now))
    if len(groups) > limit:
        shown = {one.principal for one in groups[:limit]}
        rest = list(dict.fromkeys(short(one.principal, shared) for one in groups if one.principal not in shown))
        yield f"… and {count(len(groups) - limit, 'line')} more: --limit {len(groups)}, or --format csv\n"
        for line in wrap("Also: " + clean(", ".join(rest)), width(), break_on_hyphens=False) if rest else ():
            yield f"{line}\n"


def grouped(rows: Sequence[Row]) -> list[Group]:
    """One for each principal and service, or for each of its resources where there are few."""
    number: dict[tuple[str, str], int] = {}
    for row in rows:
        number[row.principal, row.service] = number.get((row.principal, row.service), 0) + 1
    found: dict[tuple[str, ...], Group] = {}
    for row in rows:
        name: tuple[str, ...] = (row.principal, row.service)
        if number[row.principal, row.service] <= _FEW:
            name = (*name, row.resource)
        place = _where(row, rows)
        group = found.setdefault(name, Group(row.principal, row.service, place))
        group.place = place if group.place == place else "several"
        group.take(row)
    return list(found.values())


def short(arn: str, shared: str = "") -> str:
    """An ARN from its account on; the account too is left out where all share it."""
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn":
        return arn.removesuffix(".amazonaws.com")
    return f"{parts[4]}:{parts[5]}" if parts[4] and parts[4] != shared else parts[5]


def cut(text: str, most: int) -> str:
    """Cut in the middle: names begin alike, and what tells them apart is at their end."""
    if cell_len(text) <= most or not text.isascii() or " resources: " in text:
        return text  # ``pad`` cuts it at its end
    tail = (most - 1) * 2 // 3
    return text[: most - 1 - tail] + "…" + text[len(text) - tail :]


def ago(at: datetime, now: datetime) -> str:
    """``9 days ago``."""
    seconds = (now - at).total_seconds()
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min ago"
    if seconds < timedelta(hours=48).total_seconds():
        return f"{seconds // 3600:.0f} h ago"
    return f"{seconds // 86400:,.0f} days ago"


def count(number: int, what: str) -> str:
    """``1 use``, ``2 uses``, ``2 more calls``."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def width() -> int:
    """Columns of the terminal; at least 60, below which no table is one."""
    return max(shutil.get_terminal_size((140, 24)).columns, 60)


def _what(group: Group, shared: str) -> str:
    names = list(dict.fromkeys(short(each, shared) for each in group.resources))
    if len(names) <= 1:
        return names[0] if names else "—"
    return f"{count(len(names), 'resource')}: {', '.join(names[:2])}"


def _where(row: Row, rows: Sequence[Row]) -> str:
    """Account and Region, each where not all rows have the same one."""
    accounts, regions = ({name for one in rows for name in getattr(one, each)} for each in ("accounts", "regions"))
    told = (",".join(row.accounts) if len(accounts) > 1 else "", ",".join(row.regions) if len(regions) > 1 else "")
    return "/".join(filter(None, told))


def _widths(texts: Sequence[tuple[str, ...]]) -> tuple[int, ...]:
    """What each column of names has; the resource gets what the others leave."""
    needs = [max((cell_len(each[column]) for each in texts), default=0) for column in range(4)]
    left = width() - _NUMBERS - 3
    where = min(needs[3], left * 45 // 100)
    left -= where + bool(where)
    service = min(max(needs[1], 7), left * 25 // 100)
    principal = min(max(needs[0], 9), (left - service) * 55 // 100 if needs[2] > 8 else left - service - 9)
    resource = min(max(needs[2], 8), left - service - principal)
    return (principal, service, resource, *([where] if where else []))


def _line(texts: Sequence[str], wide: Sequence[int], uses: str, failed: str, last: str) -> str:
    named = " ".join(pad(cut(clean(text), room), room) for text, room in zip(texts, wide, strict=False))
    return f"{named} {uses:>6} {failed:>7}  {last:<12}".rstrip() + "\n"
