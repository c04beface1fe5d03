"""Log files under a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from gameday.blastradius._answer import Coverage
from gameday.blastradius._layout import Wanted, month_of, read_name
from gameday.blastradius._pool import Found, Pool, estimated_records
from gameday.blastradius._question import KeyName, Question
from gameday.blastradius._scan import LARGEST, Tally
from gameday.blastradius._source import Hits, Watch
from gameday.blastradius._worker import Task, read_files
from gameday.errors import Refused


class FolderSource:
    """Reads the log files below a folder, or one file; needs no AWS.

    Parameters
    ----------
    folder: as CloudTrail lays its files out (then accounts, Regions and days are recognised), or any other way.
    """

    def __init__(self, folder: Path, *, largest: int = LARGEST) -> None:
        self._folder, self._largest = folder, largest

    def read(self, question: Question, hits: Hits, watch: Watch) -> Coverage:
        """Scan what the question needs; raises Refused when there is no such folder."""
        if not self._folder.exists():
            raise Refused(f"there is no folder or file {self._folder}: name where the log files are")
        seen = Seen(question)
        task = Task(needles_of(question.key), str(hits.folder), self._largest)
        tally = Pool(task, lambda: read_files, tuple, watch).scan(seen.watch_over(self.list(seen)))
        return seen.coverage(f"files under {self._folder}", tally, watch)

    def list(self, seen: Seen) -> Iterator[Found]:
        """The files that the question needs, as they are found."""
        root = Path(os.path.abspath(self._folder))  # noqa: PTH100 (resolve() would follow links away from the layout)
        if root.is_file():
            yield Found(str(root), root.stat().st_size)
            return
        folders, visited = [str(root)], set[tuple[int, int]]()
        while folders:
            folder = folders.pop()
            try:
                at = Path(folder).stat()
                if (at.st_dev, at.st_ino) in visited:  # a link that leads back
                    continue
                visited.add((at.st_dev, at.st_ino))
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError:
                seen.unlisted(folder)
                continue
            deeper = []
            for entry in entries:
                if _is_folder(entry):
                    deeper.append(entry.path)
                elif seen.wants_file(entry.path):
                    yield Found(entry.path, _size(entry))
            folders += [each for each in reversed(deeper) if seen.wants_local(each)]


class Seen:
    """What a listing went through: what the names say, and what was left out."""

    def __init__(self, question: Question) -> None:
        self._wanted = Wanted(question)
        self._question = question
        self._accounts: set[str] = set()
        self._regions: set[str] = set()
        self._times: list[datetime] = []
        self._excluded: set[str] = set()
        self._unlisted: list[str] = []
        self._unopened: dict[str, int] = {}
        self._examples: list[tuple[str, str]] = []
        self._left_out: dict[str, int] = {}
        self._months: set[str] = set()
        self._files = 0

    @property
    def wanted(self) -> Wanted:
        """Which folders and files the question needs."""
        return self._wanted

    def wants_folder(self, path: str) -> bool:
        """Whether to look into it."""
        why = self._wanted.folder(path)
        self._leave(why, path, "folder")
        return not why

    def wants_local(self, path: str) -> bool:
        """The same, for a folder whose files cost little to count."""
        if self._wanted.folder(path) != "date":
            return self.wants_folder(path)
        for folder, _, files in os.walk(path):
            for name in files:
                self._leave("date", f"{folder}/{name}", "file")
        return False

    def wants_file(self, path: str) -> bool:
        """Whether to read it."""
        why = self._wanted.file(path)
        self._leave(why, path, "file")
        return not why

    def _leave(self, why: str, path: str, what: str) -> None:
        """Remember what is left out, and why; a format that nothing here opens is not left out but missing."""
        reason, _, detail = why.partition(" ")
        if not why:
            return
        if reason == "kind":
            self._excluded.add(detail)
        elif reason == "format":
            name = f"format that cannot be read here: {detail}"
            self._unopened[name] = self._unopened.get(name, 0) + 1
            self._examples.append((path, name))
        else:
            said = {"date": "outside the window", "ending": f"ending in {detail}"}.get(reason, f"of another {reason}")
            name = f"{what} {said}"
            self._left_out[name] = self._left_out.get(name, 0) + 1
        if reason == "date" and (month := month_of(path) or month_of(path.rpartition("/")[0])):
            self._months.add(month)

    def unlisted(self, path: str) -> None:
        """Remember a folder that cannot be listed."""
        self._unlisted.append(path)

    def watch_over(self, listing: Iterator[Found]) -> Iterator[Found]:
        """The same listing, remembered."""
        for found in listing:
            self._files += 1
            if named := read_name(found.name):
                self._accounts.add(named.account)
                self._regions.add(named.region)
                self._times = [min([named.time, *self._times[:1]]), max([named.time, *self._times[1:]])]
            yield found

    def _gaps(self, tally: Tally, source: str) -> Iterator[str]:
        """What was asked for and is not there at all."""
        if not tally.files:
            yield f"no log file was read: there is none that the question needs among the {source}"
        elif tally.blank >= tally.files:
            yield f"no record was in the {source}"
        if self._accounts:
            for account in self._question.accounts:
                if account not in self._accounts:
                    yield f"no log file of account {account} was read"
        if self._regions:
            for region in self._question.reading_regions:
                if region not in self._regions:
                    yield f"no log file of Region {region} was read"

    def named(self) -> Coverage:
        """What the names of the files tell."""
        return Coverage(
            accounts=tuple(sorted(self._accounts)),
            regions=tuple(sorted(self._regions)),
            earliest=self._times[0] if self._times else None,
            latest=self._times[-1] if self._times else None,
            excluded=tuple(sorted(self._excluded)),
        )

    def coverage(self, source: str, tally: Tally, watch: Watch) -> Coverage:
        """What was looked at."""
        skipped = tally.skipped | self._unopened
        if self._unlisted:
            skipped["folder that cannot be listed"] = len(self._unlisted)
        examples = [
            *tally.examples,
            *self._examples,
            *((path, "folder that cannot be listed") for path in self._unlisted),
        ]
        regions = self._question.reading_regions
        left_out = dict(self._left_out)
        for why, count in tally.left_out.items():
            left_out[f"file: {why}"] = count
        return self.named().but(
            left_out=left_out,
            outside=(min(self._months), max(self._months)) if self._months else (),
            gaps=() if watch.stopping.is_set() else tuple(self._gaps(tally, source)),
            sources=(source,),
            files=self._files,
            read_files=tally.files,
            bytes=tally.bytes,
            raw_bytes=tally.raw_bytes,
            records=tally.records,
            estimated_records=estimated_records(tally),
            excluded=tuple(sorted(self._excluded | set(tally.excluded))),
            skipped=skipped,
            examples=tuple(examples[:10]),
            partial="interrupted" if watch.stopping.is_set() else "",
            notes=(f"Only {', '.join(regions)} was read: KMS logs a key's use in the key's Region.",)
            if regions
            else (),
        )


def needles_of(key: KeyName) -> list[str]:
    """Texts of which every record about the key holds one.

    Of an alias only its longest part between slashes: a JSON writer may put a backslash before a slash.
    """
    return list(dict.fromkeys([key.id, *(max(name.split("/")[1:], key=len) for name in key.aliases)]))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself: reading it says so
        return False


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:  # gone meanwhile, or a link to nowhere: reading it says so
        return 0
