"""A process that scans: takes batches of names on standard input, says what came of each on standard output.

It ends when its standard input does, so none is left when the one that started it is gone, however it went.
"""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from gameday.blastradius._scan import LARGEST, Scanner, Tally

Fetch = Callable[[Iterable[str]], Iterator[tuple[str, "bytes | str"]]]
"""Gives each file's bytes under its name, or a sentence why not."""


class Task(msgspec.Struct):
    """What a worker is to do, once."""

    needles: list[str]
    sink: str
    largest: int = LARGEST
    bucket: str = ""
    endpoint: str = ""
    region: str = ""


class Batch(msgspec.Struct):
    """Some files; for S3 with the credentials of the moment."""

    names: list[str]
    keys: list[str] = []


def read_files(names: Iterable[str]) -> Iterator[tuple[str, bytes | str]]:
    """The bytes of local files."""
    for name in names:
        try:
            file = Path(name).stat()
            if not stat.S_ISREG(file.st_mode):  # reading a pipe would wait for ever
                yield name, "unreadable"
                continue
            yield name, (Path(name).read_bytes() if file.st_size <= LARGEST else "too large")
        except OSError:
            yield name, "unreadable"


def scan_batch(scanner: Scanner, fetch: Fetch, names: Iterable[str]) -> Tally:
    """Scan some files."""
    tally = Tally()
    for name, data in fetch(names):
        if isinstance(data, str):
            tally.skip(name, data)
        else:
            scanner.scan(name, data, tally)
    return tally


def main() -> None:
    """Serve until standard input ends."""
    lines = sys.stdin.buffer
    task = msgspec.json.decode(lines.readline(), type=Task)
    with Path(task.sink).open("w", encoding="utf-8") as sink:
        scanner = Scanner([needle.encode() for needle in task.needles], sink, task.largest)
        for line in lines:
            batch = msgspec.json.decode(line, type=Batch)
            tally = scan_batch(scanner, _fetch(task, batch), batch.names)
            sink.flush()
            sys.stdout.buffer.write(msgspec.json.encode(tally) + b"\n")
            sys.stdout.buffer.flush()


def _fetch(task: Task, batch: Batch) -> Fetch:
    if not task.bucket:
        return read_files
    from gameday.blastradius._s3 import fetch_with

    return fetch_with(task.bucket, task.endpoint, task.region, tuple(batch.keys))
