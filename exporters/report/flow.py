"""The blast radius as a picture: principals to services to resources, each line coloured by what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from exporters.report.model import Affected, Radius
from exporters.text import count, short

_X = (10, 375, 740)
_WIDTH = 250
_STEP = 34
_ROOM = (14, 10, 18)
"""How many principals, services and resources have a box of their own; the rest share one."""
_WORST = ("unexpected", "as predicted", "", "spared", "silent")


@dataclass(frozen=True)
class Box:
    """A principal, a service or a resource."""

    x: int
    y: int
    name: str
    width: int = _WIDTH
    height: int = 26

    @property
    def shown(self) -> str:
        """As much of the name as the box has room for; the end tells resources apart."""
        return self.name if len(self.name) <= 32 else f"{self.name[:12]}\N{HORIZONTAL ELLIPSIS}{self.name[-19:]}"


@dataclass(frozen=True)
class Line:
    """Who goes through what."""

    path: str
    fate: str
    width: float


class Flow:
    """The boxes and lines of one key's blast radius."""

    def __init__(self, radius: Radius) -> None:
        names = [tuple(_names(one)) for one in radius.affected]
        self._columns = [_column([row[place] for row in names], room) for place, room in enumerate(_ROOM)]
        tallest = max((len(column.boxes) for column in self._columns), default=0)
        self.height = tallest * _STEP + 10
        self.boxes = tuple(
            Box(_X[place], 10 + row * _STEP, name)
            for place, column in enumerate(self._columns)
            for row, name in enumerate(column.boxes)
        )
        self.lines = tuple(self._lines(zip(names, (one.fate for one in radius.affected), strict=True)))

    def _lines(self, rows: Iterable[tuple[tuple[str, ...], str]]) -> Iterable[Line]:
        uses: Counter[tuple[int, int, int, str]] = Counter()
        for names, fate in rows:
            places = [column.place(name) for column, name in zip(self._columns, names, strict=True)]
            uses[(0, places[0], places[1], fate)] += 1
            uses[(1, places[1], places[2], fate)] += 1
        ordered = sorted(uses.items(), key=lambda item: -_WORST.index(item[0][3]))  # the worst is drawn on top
        for (column, left, right, fate), number in ordered:
            x1, x2 = _X[column] + _WIDTH, _X[column + 1]
            y1, y2 = (10 + row * _STEP + 13 for row in (left, right))
            middle = (x1 + x2) / 2
            path = f"M{x1} {y1}C{middle:.0f} {y1} {middle:.0f} {y2} {x2} {y2}"
            yield Line(path, fate.replace(" ", "-") or "predicted", min(1.5 + number / 2, 8))


@dataclass(frozen=True)
class _Column:
    boxes: tuple[str, ...]
    rows: dict[str, int]

    def place(self, name: str) -> int:
        return self.rows.get(name, len(self.boxes) - 1)


def _column(names: list[str], room: int) -> _Column:
    kept = list(dict.fromkeys(names))
    rest = len(kept) - room
    shown = kept[: room - 1] if rest > 0 else kept
    rows = {name: row for row, name in enumerate(shown)}
    return _Column((*shown, count(len(kept) - len(shown), "more", "more")) if rest > 0 else tuple(shown), rows)


def _names(one: Affected) -> Iterable[str]:
    yield short(one.principal) or "whoever uses it"
    yield one.service.removesuffix(".amazonaws.com") or "through AWS"
    yield short(one.resource) or "not named"
