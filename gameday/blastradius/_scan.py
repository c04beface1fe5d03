"""One log file after another: decompress, look for the key's name, cut into records, keep those that name it.

Most files do not hold the key's bytes at all and are done with after that one look. In the others the records are found
without being decoded, and only those with the key's bytes are. Whether such a record is really about the key is for the
definition to say. A file that is damaged gives what is whole in it, and is counted.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import msgspec
from isal import igzip_lib, isal_zlib

from gameday.blastradius._flat import flat

if TYPE_CHECKING:
    from zlib import _Decompress  # the type has no public name

    from pydantic import JsonValue

LARGEST = 256 * 2**20
"""Bytes that one file may become: CloudTrail's own are far smaller, and a gzip bomb is not."""
_SMALL = 16 * 2**20
_PIECE = 4096
_RECORDS = re.compile(rb'"Records"\s*:\s*\[')
_RECORD = re.compile(r'\{\s*"event(?:Version|Time|ID|Source|Name)"')
_DIGEST = (b'"digestS3Object"', b'"logFiles"', b'"previousDigestSignature"')
_LENIENT = json.JSONDecoder(strict=False, parse_int=str, parse_float=str)
"""Takes what the standard does not allow but the bytes still say: control characters, halves of surrogates."""


class _LogFile(msgspec.Struct):
    Records: list[msgspec.Raw]


_SPLIT = msgspec.json.Decoder(_LogFile)


@dataclass
class Tally:
    """What came of some files."""

    files: int = 0
    bytes: int = 0
    raw_bytes: int = 0
    split_bytes: int = 0
    records: int = 0
    hits: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    excluded: dict[str, int] = field(default_factory=dict)
    examples: list[tuple[str, str]] = field(default_factory=list)

    def skip(self, name: str, why: str) -> None:
        """Count a file that could not be read, or not in full."""
        self.skipped[why] = self.skipped.get(why, 0) + 1
        if len(self.examples) < 10:
            self.examples.append((name, why))

    def add(self, other: Tally) -> None:
        """Add what came of others."""
        for name in ("files", "bytes", "raw_bytes", "split_bytes", "records", "hits"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for mine, theirs in ((self.skipped, other.skipped), (self.excluded, other.excluded)):
            for why, count in theirs.items():
                mine[why] = mine.get(why, 0) + count
        self.examples = (self.examples + other.examples)[:10]


class Scanner:
    """Looks through files for records that hold one of the needles and speak of KMS.

    Parameters
    ----------
    needles: bytes, one of which every record about the key holds.
    sink: where hits go, a line each.
    """

    def __init__(self, needles: Sequence[bytes], sink: IO[str], largest: int = LARGEST) -> None:
        self._needles, self._sink, self._largest = needles, sink, largest
        self._buffer = bytearray(min(_SMALL, largest + 1))

    def scan(self, name: str, data: bytes, tally: Tally) -> None:
        """Read one file; whatever is wrong with it ends up in the tally."""
        tally.bytes += len(data)
        if not data:
            tally.skip(name, "empty")
            return
        if data[:2] == b"\x1f\x8b":
            length, wrong = self._unpack(data)
            text: bytes | bytearray = self._buffer
        else:
            text, length, wrong = data, min(len(data), self._largest), "too large" * (len(data) > self._largest)
        tally.raw_bytes += length
        tally.files += not wrong
        if wrong:
            tally.skip(name, wrong)
        if any(text.find(needle, 0, length) >= 0 for needle in self._needles):
            self._read(name, memoryview(text)[:length], tally, damaged=bool(wrong))
        elif not wrong:
            self._see_what_it_is(name, text, length, tally)

    def _unpack(self, data: bytes) -> tuple[int, str]:
        """Decompress into the buffer, every member; returns the length, and what is wrong."""
        # What igzip.decompress stands on: every member, checksums, and (which that has not) a bound and a kept buffer.
        reader, length = isal_zlib._GzipReader(data), 0  # type: ignore[arg-type]  # takes a buffer as well
        try:
            while True:
                if length > self._largest:
                    return self._largest, "too large"
                if length == len(self._buffer):
                    self._buffer.extend(bytes(min(length, self._largest + 1 - length)))
                with memoryview(self._buffer) as view:
                    got = reader.readinto(view[length:])
                if not got:
                    return length, ""
                length += got
        except EOFError:
            return self._rescue(data), "truncated"
        except (OSError, ValueError, igzip_lib.IsalError):  # type: ignore[misc]  # its stub names no base  # BadGzipFile is an OSError
            return self._rescue(data), "broken gzip"

    def _rescue(self, data: bytes) -> int:
        """Decompress up to the damage; the fast way gives nothing of what it was at when it found the damage."""
        found = rescued(data, self._largest)
        self._buffer[: len(found)] = found  # never shorter than it was
        return len(found)

    def _see_what_it_is(self, name: str, text: bytes | bytearray, length: int, tally: Tally) -> None:
        """A file without the key's name is not read any further, but one that is no log file must not pass for one."""
        if _RECORDS.search(text, 0, min(length, 4096)) or _RECORDS.search(text, 0, length):
            return
        tally.files -= 1
        if any(text.find(word, 0, length) >= 0 for word in _DIGEST):
            tally.excluded["CloudTrail-Digest"] = tally.excluded.get("CloudTrail-Digest", 0) + 1
        else:
            tally.skip(name, "no log file")

    def _read(self, name: str, text: memoryview, tally: Tally, *, damaged: bool) -> None:
        try:
            if damaged:
                raise msgspec.DecodeError
            found = _SPLIT.decode(text).Records
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            self._salvage(name, bytes(text), tally, damaged=damaged)
            return
        tally.records += len(found)
        tally.split_bytes += len(text)
        for raw in found:  # for each of 2,500,000 records in 5,000,000: a generator here would be a tenth of the scan
            record = bytes(raw)
            for needle in self._needles:
                if needle in record:
                    if b"kms." in record:
                        self._keep(name, record, tally)
                    break

    def _keep(self, name: str, record: bytes, tally: Tally) -> None:
        try:
            read: JsonValue = msgspec.json.decode(record)
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            try:
                read = _LENIENT.decode(record.decode("utf-8", "replace"))
            except (ValueError, RecursionError):
                tally.skip(name, "unreadable record")
                return
        self._write(read, tally)

    def _write(self, record: JsonValue, tally: Tally) -> None:
        if isinstance(record, dict):
            self._sink.write(json.dumps(flat(record), ensure_ascii=False) + "\n")
            tally.hits += 1

    def _salvage(self, name: str, data: bytes, tally: Tally, *, damaged: bool) -> None:
        """The records of a file that is not whole, up to the damage and from the next one that begins like one."""
        start = _RECORDS.search(data)
        if not start:
            if not damaged:
                tally.files -= 1
                tally.skip(name, "no log file")
            return
        found, whole = 0, False
        for record in _records(data[start.end() :].decode("utf-8", "replace")):
            if record is None:
                whole = True
                continue
            found += 1
            text = json.dumps(record)
            if "kms." in text and any(needle.decode() in text for needle in self._needles):
                self._write(record, tally)
        tally.records += found
        tally.split_bytes += len(data)
        if not whole and not damaged:
            tally.files -= 1
            tally.skip(name, "invalid JSON")


def rescued(data: bytes, most: int) -> bytes:
    """What gzip data holds up to the byte that is wrong, at most so much."""
    found: list[bytes] = []
    size = 0
    for part in _inflated(data):
        found.append(part)
        size += len(part)
        if size >= most:
            break
    return b"".join(found)[:most]


def _inflated(data: bytes) -> Iterator[bytes]:
    stream, at = zlib.decompressobj(31), 0
    while at < len(data):
        piece = data[at : at + _PIECE]
        before = stream.copy()
        try:
            yield stream.decompress(piece)
        except zlib.error:
            yield from _bytewise(before, piece)
            return
        at += len(piece)
        if stream.eof:
            at -= len(stream.unused_data)
            stream = zlib.decompressobj(31)


def _bytewise(stream: _Decompress, piece: bytes) -> Iterator[bytes]:
    for one in piece:
        try:
            yield stream.decompress(bytes([one]))
        except zlib.error:
            return


def _records(text: str) -> Iterator[Any]:
    """Each value of the array whose inside ``text`` begins with; at last None, if that end is reached unharmed."""
    at, harmed = 0, False
    space = re.compile(r"[\s,]*")
    while at < len(text):
        at = space.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        if text[at : at + 1] == "]":
            if not harmed:
                yield None
            return
        try:
            value, at = _LENIENT.raw_decode(text, at)
        except (ValueError, RecursionError):
            harmed = True
            following = _RECORD.search(text, at + 1)
            if not following:
                return
            at = following.start()
        else:
            yield value
