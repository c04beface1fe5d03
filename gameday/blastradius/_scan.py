"""One log file after another: decompress, look for the key's name, cut into records, keep those that name it.

Most files do not hold the key's bytes at all and are done with after that one look. In the others the records are found
without being decoded, and only those with the key's bytes are. Whether such a record is really about the key is for the
definition to say. A file that is damaged gives what is whole in it, and is counted.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

import msgspec
from isal import igzip_lib, isal_zlib

from gameday.blastradius._containers import is_container, members
from gameday.blastradius._flat import flat
from gameday.blastradius._layout import bears_name, other_kind
from gameday.blastradius._shapes import LENIENT, PACKED, Harm, has_trace, records_in
from gameday.blastradius._tables import is_table, records_of_table

if TYPE_CHECKING:
    from zlib import _Decompress  # the type has no public name

    from pydantic import JsonValue

LARGEST = 256 * 2**20
"""Bytes that one file may become: CloudTrail's own are far smaller, and a gzip bomb is not."""
_SMALL = 16 * 2**20
_PIECE = 4096
_RECORDS = re.compile(rb'"Records"\s*:\s*\[')
_DIGEST = (b'"digestS3Object"', b'"logFiles"', b'"previousDigestSignature"')
_HEAD = 4096
_FINDER = (b"\0\5\x16\7", b"\0\0\0\1Bud1")
"""How ``._NAME`` and ``.DS_Store`` begin, which a Mac leaves in folders and archives (RFC 1740, AppleDouble)."""
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""How a text begins that PowerShell wrote: ``aws cloudtrail lookup-events > FILE``."""


class _LogFile(msgspec.Struct):
    Records: list[msgspec.Raw]


_SPLIT = msgspec.json.Decoder(_LogFile)


@dataclass
class Tally:
    """What came of some files."""

    files: int = 0
    blank: int = 0
    bytes: int = 0
    raw_bytes: int = 0
    split_bytes: int = 0
    records: int = 0
    hits: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    excluded: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    examples: list[tuple[str, str]] = field(default_factory=list)

    def skip(self, name: str, why: str) -> None:
        """Count a file that could not be read, or not in full."""
        self.skipped[why] = self.skipped.get(why, 0) + 1
        if len(self.examples) < 10:
            self.examples.append((name, why))

    def leave_out(self, why: str) -> None:
        """Count a file that holds no calls."""
        self.left_out[why] = self.left_out.get(why, 0) + 1

    def add(self, other: Tally) -> None:
        """Add what came of others."""
        for name in ("files", "blank", "bytes", "raw_bytes", "split_bytes", "records", "hits"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        pairs = ((self.skipped, other.skipped), (self.excluded, other.excluded), (self.left_out, other.left_out))
        for mine, theirs in pairs:
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
            self._no_log(name, "empty", tally)
            return
        if data[:2] == b"\x1f\x8b":
            length, wrong = self._unpack(data)
            text: bytes | bytearray = self._buffer
        else:
            text, length, wrong = data, min(len(data), self._largest), "too large" * (len(data) > self._largest)
        if is_container(text[:512]):
            self._open(name, bytes(text[:length]), wrong, tally)
        else:
            self._text(name, text, length, wrong, tally, checked=text is self._buffer)

    def _open(self, name: str, data: bytes, wrong: str, tally: Tally) -> None:
        """A file of files counts as one, and as read when all of it that may be a log was."""
        files, tally.files = tally.files, 0
        if wrong:
            tally.skip(name, wrong)
        for member in members(name, data, self._largest):
            inside = member.name.partition("!")[2]
            if kind := other_kind(inside):
                tally.leave_out(kind)
            elif not member.data and not member.wrong:
                self._no_log(member.name, "empty", tally)
            else:
                self._text(member.name, member.data, len(member.data), member.wrong, tally)
        tally.files = files + bool(tally.files)

    def _text(
        self, name: str, text: bytes | bytearray, length: int, wrong: str, tally: Tally, *, checked: bool = False
    ) -> None:
        """What a file says once it is unpacked; ``checked`` when its packing had a checksum."""
        if text.startswith(_FINDER):
            tally.leave_out("a Mac's own, not a log")
            return
        if text[:2] in _UTF_16:
            text = bytes(text[:length]).decode("utf-16", "replace").encode()
            length = len(text)
        tally.raw_bytes += length
        if wrong:
            tally.skip(name, wrong)
        named = any(text.find(needle, 0, length) >= 0 for needle in self._needles)
        with memoryview(text) as view:
            if wrong:
                self._search(name, bytes(view[:length]), tally, damaged=True)
            elif PACKED.encode() in bytes(view[:_HEAD]):
                self._search(name, bytes(view[:length]), tally)
            elif named:
                self._read(name, view[:length], tally)
            elif not (checked and _is_closed(view[:length])) and not _splits(view[:length]):
                self._search(name, bytes(view[:length]), tally)
            else:
                tally.files += 1
                tally.blank += text.find(b"event", 0, length) < 0

    def _no_log(self, name: str, why: str, tally: Tally) -> None:
        """A file that is none of CloudTrail's may lie beside its own; one that bears its name is missing."""
        if bears_name(name):
            tally.skip(name, why)
        else:
            tally.leave_out("empty" if why == "empty" else "no CloudTrail log")

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

    def _read(self, name: str, text: memoryview, tally: Tally) -> None:
        try:
            found = _SPLIT.decode(text).Records
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            self._search(name, bytes(text), tally)
            return
        tally.files += 1
        tally.blank += not found
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
                read = LENIENT.decode(record.decode("utf-8", "replace"))
            except (ValueError, RecursionError):
                tally.skip(name, "unreadable record")
                return
        if isinstance(read, dict) and "eventSource" in read and "kinesis" not in read and "body" not in read:
            self._write(read, tally)
        else:  # an event of Lambda's, whose records hold CloudTrail's
            self._search(name, record, tally, damaged=True)

    def _write(self, record: Mapping[str, JsonValue], tally: Tally) -> None:
        self._sink.write(json.dumps(flat(record), ensure_ascii=False) + "\n")
        tally.hits += 1

    def _search(self, name: str, data: bytes, tally: Tally, *, damaged: bool = False) -> None:
        """Records in any other shape; what is damaged gives those that are whole in it."""
        if not has_trace(data):
            if any(word in data for word in _DIGEST):
                tally.excluded["CloudTrail-Digest"] = tally.excluded.get("CloudTrail-Digest", 0) + 1
                return
            if damaged:
                return
            if _RECORDS.search(data) or any(needle in data for needle in self._needles) or not _is_text(data):
                tally.skip(name, "no log file")
            else:
                self._no_log(name, "no log file", tally)
            return
        text = data.decode("utf-8", "replace")
        found, wrong = 0, ""
        for record in records_of_table(text) if is_table(text) else records_in(text):
            if isinstance(record, Harm):
                wrong = wrong or record.why
                continue
            found += 1
            if str(record.get("eventSource")).startswith("kms.") and self._names_key(record):
                self._write(record, tally)
        tally.records += found
        tally.split_bytes += len(data)
        if damaged:
            return
        if wrong or not found:
            tally.skip(name, wrong or "no log file")
        else:
            tally.files += 1

    def _names_key(self, record: Mapping[str, JsonValue]) -> bool:
        text = json.dumps(record, ensure_ascii=False)
        return any(needle.decode() in text for needle in self._needles)


def _is_closed(text: memoryview) -> bool:
    """Whether it begins and ends as CloudTrail's own files do; one that was cut off before it was packed does not."""
    return _RECORDS.search(bytes(text[:_HEAD])) is not None and bytes(text[-64:]).rstrip().endswith(b"]}")


def _is_text(data: bytes) -> bool:
    """Whether its beginning is text; what is not may be a log whose packing is damaged."""
    head = data[:_HEAD]
    return b"\0" not in head and head.decode("utf-8", "replace").count("\N{REPLACEMENT CHARACTER}") <= 1


def _splits(text: memoryview) -> bool:
    try:
        _SPLIT.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return False
    return True


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
