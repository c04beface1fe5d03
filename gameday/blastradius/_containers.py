"""What a file is packed in: gzip, zip, tar, zstandard, bzip2 or xz, one inside another, each bounded and closed again.

The gzip file that CloudTrail delivers takes none of this: ``_scan`` unpacks it into a kept buffer. Here is what people
make of such files.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

DEEPEST = 3
"""Containers inside one another that are opened: a tar of zips of gzips."""
MOST_MEMBERS = 100_000
_ZIP, _ZSTD, _BZ2, _XZ, _GZIP = b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\x00", b"\x1f\x8b"
_TAR = b"ustar"
_EMPTY_ZIP = b"PK\x05\x06"


@dataclass(frozen=True)
class Member:
    """One file of a container.

    Parameters
    ----------
    name: ``container!member``; the container's own name where it holds just one stream.
    data: what is in it, as far as it could be read.
    wrong: why that is not all, or ``""``.
    """

    name: str
    data: bytes
    wrong: str = ""


class _Room:
    """How many bytes may still come out of one file, however deep."""

    def __init__(self, largest: int) -> None:
        self.left = largest


def is_container(data: bytes | bytearray | memoryview) -> bool:
    """Whether it begins like a container."""
    head = bytes(data[:8])
    return head.startswith((_GZIP, _ZIP, _EMPTY_ZIP, _ZSTD, _BZ2, _XZ)) or bytes(data[257:262]) == _TAR


def members(name: str, data: bytes, largest: int) -> Iterator[Member]:
    """Everything in a container that is none itself; at most ``largest`` bytes of it, all members together."""
    yield from _opened(Member(name, data), _Room(largest), 0)


def _opened(one: Member, room: _Room, depth: int) -> Iterator[Member]:
    if not is_container(one.data):
        yield one
        return
    if depth == DEEPEST:
        yield Member(one.name, b"", "packed too deep")
        return
    for inner in _inside(one, room):
        if inner.wrong:
            yield inner  # what is whole of it is still worth reading
        else:
            yield from _opened(inner, room, depth + 1)


def _inside(one: Member, room: _Room) -> Iterator[Member]:
    if one.data.startswith((_ZIP, _EMPTY_ZIP)):
        yield from _zip(one, room)
    elif bytes(one.data[257:262]) == _TAR:
        yield from _tar(one, room)
    else:
        yield _stream(one, room)


def _zip(one: Member, room: _Room) -> Iterator[Member]:
    try:
        with zipfile.ZipFile(io.BytesIO(one.data)) as archive:
            for number, info in enumerate(archive.infolist()):
                if number == MOST_MEMBERS:
                    yield Member(one.name, b"", "too many members")
                    return
                if info.is_dir():
                    continue
                name = f"{one.name}!{info.filename}"
                if info.flag_bits & 1:
                    yield Member(name, b"", "encrypted")
                    continue
                try:
                    with archive.open(info) as file:
                        yield _bounded(name, file, room)
                except (OSError, EOFError, ValueError, NotImplementedError, zipfile.BadZipFile, zlib.error):
                    yield Member(name, b"", "damaged member")
    except (zipfile.BadZipFile, OSError, ValueError, EOFError):
        yield Member(one.name, b"", "damaged archive")


def _tar(one: Member, room: _Room) -> Iterator[Member]:
    """A tar that ends in the middle of a member says nothing of it: so the zeros at its end are asked for."""
    try:
        with tarfile.open(fileobj=io.BytesIO(one.data), mode="r:") as archive:
            for number, info in enumerate(archive):
                if number == MOST_MEMBERS:
                    yield Member(one.name, b"", "too many members")
                    return
                if not info.isreg():
                    continue
                file = archive.extractfile(info)
                if file is None:
                    continue
                name = f"{one.name}!{info.name}"
                try:
                    found = _bounded(name, file, room)
                except (OSError, EOFError, tarfile.TarError):
                    yield Member(name, b"", "damaged member")
                    continue
                yield found if len(found.data) == info.size or found.wrong else Member(name, found.data, "truncated")
            end = archive.offset
    except (tarfile.TarError, OSError, ValueError, EOFError):
        yield Member(one.name, b"", "damaged archive")
        return
    if end >= len(one.data) or any(one.data[end : end + 512]):
        yield Member(one.name, b"", "damaged archive")


def _stream(one: Member, room: _Room) -> Member:
    try:
        if one.data.startswith(_ZSTD):
            import zstandard

            with zstandard.ZstdDecompressor().stream_reader(one.data, read_across_frames=True) as unpacked:
                found = _bounded(one.name, unpacked, room)
            return found if found.wrong or _zstd_ends(one.data) else Member(one.name, found.data, "truncated")
        if one.data.startswith(_BZ2):
            return _bounded(one.name, bz2.BZ2File(io.BytesIO(one.data)), room)
        if one.data.startswith(_XZ):
            return _bounded(one.name, lzma.LZMAFile(io.BytesIO(one.data)), room)
        return _gzip(one, room)
    except EOFError:
        return Member(one.name, b"", "truncated")
    except Exception as error:  # noqa: BLE001 - zstandard's only error derives from Exception; the file is counted
        return Member(one.name, b"", f"damaged ({type(error).__name__})")


def _zstd_ends(data: bytes) -> bool:
    """Whether every frame is whole; the reader of a stream ends in silence where the data does."""
    import zstandard

    while data:
        frame = zstandard.ZstdDecompressor().decompressobj()
        for at in range(0, len(data), 1 << 20):
            frame.decompress(data[at : at + (1 << 20)])
            if frame.eof:
                data = frame.unused_data + data[at + (1 << 20) :]
                break
        else:
            return False
    return True


def _gzip(one: Member, room: _Room) -> Member:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(one.data)) as file:
            return _bounded(one.name, file, room)
    except (OSError, EOFError, zlib.error):
        from gameday.blastradius._scan import rescued

        return Member(one.name, rescued(one.data, room.left), "broken gzip")


def _bounded(name: str, file: object, room: _Room) -> Member:
    """As much as there is room for; a bomb costs no more than that."""
    data: bytes = file.read(room.left + 1)  # type: ignore[attr-defined]  # zipfile's, tarfile's and the rest
    if len(data) > room.left:
        data, room.left = data[: room.left], 0
        return Member(name, data, "too large")
    room.left -= len(data)
    return Member(name, data)
