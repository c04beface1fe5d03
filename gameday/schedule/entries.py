"""What is scheduled: each playbook on each target, as it was when it last could be read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from gameday.errors import PlaybookInvalid
from gameday.playbook import Playbook, Schedule
from gameday.schedule.calendar import begins

ON_TIME = timedelta(seconds=5)
"""What begins no later than this is not late, whatever the grace: processes and databases take their time."""

Where = tuple[str, str, str]
"""A target's name, its account and its Region, as far as it names them."""
Load = Callable[[str, str], tuple[Playbook, Schedule | None, Where]]
"""Reads a playbook for a target: the playbook, when it is due, and where; raises PlaybookInvalid."""


@dataclass(frozen=True)
class Entry:
    """A playbook on a target, and when it is due.

    Parameters
    ----------
    id: under which its due times stand in the journal; another calendar is another id, whose past is not missed.
    name: for people and metrics.
    target: as ``--target`` names it.
    where: for metrics.
    copy: the playbook's bytes as they were checked; that is what runs.
    """

    id: str
    name: str
    playbook: Playbook
    schedule: Schedule
    target: str
    where: Where
    copy: bytes

    @property
    def labels(self) -> tuple[str, str, str, str]:
        """The first labels of its metrics."""
        return self.name, *self.where

    def latest(self, due: datetime) -> datetime:
        """When a due time's run must have begun."""
        return begins(self.schedule, self.id, due) + max(self.schedule.grace, ON_TIME)

    @property
    def longest(self) -> timedelta:
        """How long a run may last until everything is back and has recovered; evidence may come later."""
        timing = self.playbook.timing
        return timing.baseline_within + timing.max_fault + timing.rollback_within + timing.recover_within


class Entries:
    """All that is scheduled; loading it again keeps the old of what is broken now.

    Parameters
    ----------
    places: playbooks, and folders of playbooks.
    targets: as ``--target`` names them.
    """

    def __init__(self, places: Sequence[str], targets: Sequence[str], load: Load) -> None:
        self._places, self._targets, self._load = places, targets, load
        self._good: dict[tuple[str, str], Entry | None] = {}

    def load(self) -> tuple[Mapping[str, Entry], list[str]]:
        """What is scheduled now, by id, and what is wrong, a sentence each."""
        found: dict[tuple[str, str], Entry | None] = {}
        wrong: list[str] = []
        for place, named in self._files(wrong):
            for target in self._targets:
                try:
                    found[place, target] = self._entry(place, target, named=named)
                except PlaybookInvalid as error:
                    wrong.append(str(error))
                    found[place, target] = self._good.get((place, target))
        self._good = found
        entries: dict[str, Entry] = {}
        for entry in found.values():
            if entry is not None and entries.setdefault(entry.id, entry) is not entry:
                wrong.append(f"{entry.name} is scheduled twice; give each playbook its own name")
        return entries, wrong

    def _files(self, wrong: list[str]) -> Iterator[tuple[str, bool]]:
        for place in self._places:
            if not Path(place).is_dir():
                yield place, True
                continue
            files = sorted(file for file in Path(place).iterdir() if file.suffix in (".yaml", ".yml"))
            if not files:
                wrong.append(f"{place}: holds no playbook (*.yaml)")
            yield from ((str(file), False) for file in files)

    def _entry(self, place: str, target: str, *, named: bool) -> Entry | None:
        playbook, schedule, where = self._load(place, target)
        if schedule is None:
            if named:
                raise PlaybookInvalid(f"{place}: has no schedule, and neither has its target")
            return None
        copy = playbook.source.read_bytes()
        if hashlib.sha256(copy).hexdigest() != playbook.hash:
            raise PlaybookInvalid(f"{place}: was changed while it was read; reload once more")
        name = f"{playbook.name}@{where[0]}"
        calendar = f"{schedule.cron} {[date.isoformat() for date in schedule.dates]} {schedule.timezone}"
        id_ = f"{name}#{hashlib.sha256(calendar.encode()).hexdigest()[:6]}"
        return Entry(id_, name, playbook, schedule, target, where, copy)
