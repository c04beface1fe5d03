"""Where records come from, and who counts them."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from gameday.blastradius._answer import Answer, Coverage
from gameday.blastradius._flat import flat
from gameday.blastradius._question import Question

if TYPE_CHECKING:
    from pydantic import JsonValue


@dataclass(frozen=True)
class Progress:
    """How far a source is; totals are 0 while they are unknown."""

    files: int = 0
    files_in_all: int = 0
    bytes: int = 0
    bytes_in_all: int = 0
    records: int = 0
    hits: int = 0
    note: str = ""


@dataclass(frozen=True)
class Watch:
    """Who looks on: is told how far a source is, and may ask it to stop; the answer is then partial."""

    tell: Callable[[Progress], None] = field(default=lambda _: None)
    stopping: threading.Event = field(default_factory=threading.Event)


class Engine(Protocol):
    """Answers a question: embedded DuckDB over sources of records, or a cluster that holds the logs."""

    def ask(self, question: Question, watch: Watch) -> Answer:
        """Answer, or raise a GamedayError that says why that is impossible."""


class Source(Protocol):
    """Gives records to count."""

    def read(self, question: Question, hits: Hits, watch: Watch) -> Coverage:
        """Put every record that may be about the key into ``hits``; more than those do no harm, nor do repeated ones.

        Stops early when ``watch.stopping`` is set, and says so in ``Coverage.partial``. What cannot be read is counted
        there too; raises Refused only when the source as a whole is not there.
        """


class Hits:
    """Records on their way to be counted: kept in files, so that memory stays flat however many there are.

    One JSON array of strings a line, in a private folder; see ``_flat.COLUMNS``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: IO[str] | None = None

    def keep(self, record: Mapping[str, JsonValue]) -> None:
        """Add one record as CloudTrail wrote it."""
        if self._file is None:
            self._file = (self.folder / "kept.ndjson").open("w", encoding="utf-8")
        self._file.write(json.dumps(flat(record), ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Write out what is buffered."""
        if self._file is not None:
            self._file.close()
            self._file = None


@contextmanager
def new_hits() -> Iterator[Hits]:
    """A place for hits, readable by this user only, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="gameday-radius-") as folder:
        hits = Hits(Path(folder))
        try:
            yield hits
        finally:
            hits.close()
