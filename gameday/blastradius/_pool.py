"""One scanning process a core, fed from a listing that may still be going on."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from gameday.blastradius._scan import Scanner, Tally
from gameday.blastradius._source import Progress, Watch
from gameday.blastradius._worker import Batch, Fetch, Task, scan_batch

BATCH_FILES, BATCH_BYTES = 256, 8 * 2**20
_ALONE = 8 * 2**20
"""Fewer bytes than this are scanned in this process sooner than others have started."""
_PATIENCE = 2.0


@dataclass(frozen=True)
class Found:
    """A file in reach: its name, and its size where it is stored."""

    name: str
    size: int


class Pool:
    """Scans files with as many processes as there are cores; a process that dies costs its batch and is replaced.

    Parameters
    ----------
    task: what each process is told first; ``sink`` is the folder for what they find.
    fetch: how this process itself would read files, for small jobs.
    keys: credentials of the moment, asked for with each batch.
    """

    def __init__(self, task: Task, fetch: Callable[[], Fetch], keys: Callable[[], Sequence[str]], watch: Watch) -> None:
        self._task, self._fetch, self._keys, self._watch = task, fetch, keys, watch
        self._tally, self._progress = Tally(), Progress()
        self._lock = threading.Lock()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._over = threading.Event()
        self._made = 0

    def scan(self, listing: Iterable[Found]) -> Tally:
        """Scan all, or until the watch says stop."""
        batches = _batches(listing)
        first: list[list[Found]] = []
        size = 0
        for batch in batches:
            first.append(batch)
            size += sum(found.size for found in batch)
            if size > _ALONE:
                break
        else:
            self._alone(first)
            return self._tally
        waiting = _Shared(first, batches, self._listed)
        threads = [threading.Thread(target=self._drive, args=(waiting,), daemon=True) for _ in range(_cores())]
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                self._watch.tell(self._progress)
                if self._watch.stopping.wait(0.1):
                    break
                for thread in threads:
                    thread.join(0.02)
            waiting.close()
            for thread in threads:
                thread.join(_PATIENCE)
            waiting.check()
        finally:
            waiting.close()
            self._end()
        self._watch.tell(self._progress)
        return self._tally

    def _alone(self, batches: list[list[Found]]) -> None:
        sink_path = Path(self._task.sink) / "alone.ndjson"
        with sink_path.open("w", encoding="utf-8") as sink:
            scanner = Scanner([needle.encode() for needle in self._task.needles], sink, self._task.largest)
            for batch in batches:
                self._listed(batch)
            for batch in batches:
                if self._watch.stopping.is_set():
                    return
                self._done(scan_batch(scanner, self._fetch(), [found.name for found in batch]), batch)
                self._watch.tell(self._progress)

    def _drive(self, waiting: _Shared) -> None:
        """Feed one process until nothing is left."""
        process = self._start()
        while (batch := waiting.next()) is not None:
            names = [found.name for found in batch]
            tally = _asked(process, Batch(names, list(self._keys())))
            if tally is None and not self._over.is_set():
                tally = Tally()
                for name in names:
                    tally.skip(name, "scanner died")
                process = self._start()
            if tally is not None:
                self._done(tally, batch)

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            self._made += 1
            number = self._made
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from gameday.blastradius._worker import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the one that answers
        )
        with self._lock:
            self._processes.append(process)
        task = msgspec.structs.replace(self._task, sink=str(Path(self._task.sink) / f"worker-{number}.ndjson"))
        _say(process, task)
        return process

    def _listed(self, batch: list[Found]) -> None:
        with self._lock:
            self._progress = replace(
                self._progress,
                files_in_all=self._progress.files_in_all + len(batch),
                bytes_in_all=self._progress.bytes_in_all + sum(found.size for found in batch),
            )

    def _done(self, tally: Tally, batch: list[Found]) -> None:
        with self._lock:
            self._tally.add(tally)
            self._progress = replace(
                self._progress,
                files=self._progress.files + len(batch),
                bytes=self._progress.bytes + sum(found.size for found in batch),
                records=estimated_records(self._tally),
                hits=self._tally.hits,
            )

    def _end(self) -> None:
        """No process is left; a line that one was writing when it was ended is cut off."""
        self._over.set()
        for process in self._processes:
            with suppress(OSError):
                process.stdin.close()  # type: ignore[union-attr]  # it has pipes
        for process in self._processes:
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()  # type: ignore[union-attr]  # as above
        for file in Path(self._task.sink).glob("worker-*.ndjson"):
            _cut(file)


def estimated_records(tally: Tally) -> int:
    """How many records went by: counted where files were cut into records, else by their size."""
    if not tally.split_bytes:
        return tally.raw_bytes // 1400
    return round(tally.records * tally.raw_bytes / tally.split_bytes)


class _Shared:
    """The batches that are left, for several threads; listing goes on while they are taken."""

    def __init__(
        self, first: list[list[Found]], rest: Iterator[list[Found]], listed: Callable[[list[Found]], None]
    ) -> None:
        self._first, self._rest, self._listed = first, rest, listed
        self._lock = threading.Lock()
        self._closed = False
        self._failed: Exception | None = None

    def next(self) -> list[Found] | None:
        with self._lock:
            if self._closed:
                return None
            try:
                batch = self._first.pop(0) if self._first else next(self._rest, None)
            except Exception as error:  # noqa: BLE001 - a listing that fails is told to the one that asked for it
                self._failed, self._closed = error, True
                return None
        if batch is not None:
            self._listed(batch)
        return batch

    def close(self) -> None:
        self._closed = True

    def check(self) -> None:
        if self._failed is not None:
            raise self._failed


def _batches(listing: Iterable[Found]) -> Iterator[list[Found]]:
    batch: list[Found] = []
    size = 0
    for found in listing:
        if batch and (len(batch) == BATCH_FILES or size + found.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(found)
        size += found.size
    if batch:
        yield batch


def _say(process: subprocess.Popen[bytes], what: msgspec.Struct) -> bool:
    assert process.stdin is not None
    try:
        process.stdin.write(msgspec.json.encode(what) + b"\n")
        process.stdin.flush()
    except (OSError, ValueError):
        return False
    return True


def _asked(process: subprocess.Popen[bytes], batch: Batch) -> Tally | None:
    """What came of a batch, or None when the process is gone."""
    assert process.stdout is not None
    if not _say(process, batch):
        return None
    try:
        line = process.stdout.readline()
    except ValueError:
        return None
    return msgspec.json.decode(line, type=Tally) if line.endswith(b"\n") else None


def _cut(file: Path) -> None:
    with file.open("r+b") as lines:
        end = lines.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - 65536)
            lines.seek(start)
            if (newline := lines.read(end - start).rfind(b"\n")) >= 0:
                lines.truncate(start + newline + 1)
                return
            end = start
        lines.truncate(0)


def _cores() -> int:
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
