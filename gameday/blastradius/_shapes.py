"""Records in any text that holds them whole, wherever they stand in it.

It delivers ``{"Records": […]}``; what people have at hand in an incident is the same record in something else: a
list, JSON lines, several documents in a row, ``lookup-events``' answer, EventBridge's event, CloudWatch Logs' export
(``TIME {record}``) and subscription (base64 of gzip), Splunk's ``_raw``, Elastic's ``event.original``, a table of
Athena or CloudTrail Lake. One rule finds them all: a record is an object with ``eventSource`` and ``eventName``, and a
text that holds ``eventSource`` is looked into like a file.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import JsonValue

LENIENT = json.JSONDecoder(strict=False, parse_int=str, parse_float=str)
"""Takes what the standard does not allow but the bytes still say: control characters, halves of surrogates."""
PACKED = "H4sI"
"""How gzip begins in base64."""
LARGEST_TEXT = 16 * 2**20
"""Bytes that a packed text inside a file may become: CloudWatch Logs sends 1 MB at most."""
_DEEPEST = 12
_TRACE = re.compile(r"event[_ ]?source", re.IGNORECASE)
_RECORD = re.compile(r'\{\s*"event(?:Version|Time|ID|Source|Name)"')
_BETWEEN = re.compile(r"[\s,\ufeff]*")
_CLOSING = re.compile(r"[\s,\]}]*")
_WHOLE = ("_raw", "original", "CloudTrailEvent", "message", "eventJson", "eventjson", "event_json")
"""Names under which others keep the record as it was, beside their own idea of it."""
_CANONICAL = {
    name.lower(): name
    for name in (
        "eventVersion", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress", "userAgent",
        "errorCode", "errorMessage", "requestParameters", "responseElements", "additionalEventData", "requestID",
        "eventID", "readOnly", "resources", "eventType", "recipientAccountId", "sharedEventID", "eventCategory",
        "userIdentity", "type", "principalId", "arn", "accountId", "accessKeyId", "userName", "invokedBy",
        "sessionContext", "sessionIssuer", "inScopeOf", "credentialsIssuedTo", "issuerType", "addendum", "reason",
        "originalEventID", "originalRequestID", "encryptionContext", "keyId",
    )
}  # fmt: skip
"""Hive knows small letters only, so Athena gives these names without their capitals."""


@dataclass(frozen=True)
class Harm:
    """Something that is not as it should be, where records may be lost."""

    why: str


def has_trace(text: bytes | bytearray | memoryview) -> bool:
    """Whether a record may be in it."""
    data = bytes(text)
    return re.search(rb"event[_ ]?source", data, re.IGNORECASE) is not None or PACKED.encode() in data


def records_in(text: str, depth: int = 0) -> Iterator[Mapping[str, JsonValue] | Harm]:
    """Each record in a text, in whatever shape, and each place where it is damaged."""
    at = 0
    while at < len(text):
        at = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        if at == len(text):
            return
        if text[at] not in "{[":
            line_end = text.find("\n", at)
            line_end = len(text) if line_end < 0 else line_end
            brace = text.find("{", at, line_end)
            if brace < 0:
                if _TRACE.search(text, at, line_end):
                    yield Harm("invalid JSON")
                at = line_end
                continue
            at = brace
        try:
            value, at = LENIENT.raw_decode(text, at)
        except (ValueError, RecursionError):
            yield Harm("invalid JSON")
            following = _RECORD.search(text, at + 1)
            if not following:
                return
            at = following.start()
            yield from _until_harmed_again(text, at, depth)
            return
        yield from _records_of(value, depth)


def _until_harmed_again(text: str, at: int, depth: int) -> Iterator[Mapping[str, JsonValue] | Harm]:
    """What comes behind some damage: one record after another, from each that begins like one."""
    while True:
        try:
            value, at = LENIENT.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
        else:
            yield from _records_of(value, depth)
            at = _CLOSING.match(text, at).end()  # type: ignore[union-attr]  # as above
            if text.startswith("{", at):
                continue
        following = _RECORD.search(text, at)
        if not following:
            return
        at = following.start()


def is_record(value: object) -> bool:
    """Whether it is a record of CloudTrail's; notifications of S3 and Lambda call their source ``aws:s3``."""
    if not isinstance(value, dict):
        return False
    source, name = value.get("eventSource"), value.get("eventName")
    return isinstance(source, str) and isinstance(name, str) and ".amazonaws" in source


def _records_of(value: JsonValue, depth: int) -> Iterator[Mapping[str, JsonValue] | Harm]:
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        whole = next((each for name in _WHOLE if isinstance(each := value.get(name), str) and _may_hold(each)), None)
        if whole is not None:
            yield from records_in(_unpacked(whole), depth + 1)
        elif is_record(value):
            yield value
        elif is_record(renamed := _renamed(value)):
            yield renamed
        else:
            for inner in value.values():
                yield from _records_of(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _records_of(inner, depth + 1)
    elif isinstance(value, str) and _may_hold(value):
        yield from _records_of_text(value, depth)


def _records_of_text(text: str, depth: int) -> Iterator[Mapping[str, JsonValue] | Harm]:
    unpacked = _unpacked(text)
    if unpacked is text and text.startswith(PACKED):
        yield Harm("damaged text inside")
    else:
        yield from records_in(unpacked, depth + 1)


def _may_hold(text: str) -> bool:
    return text.startswith(PACKED) or ("{" in text and _TRACE.search(text) is not None)


def _unpacked(text: str) -> str:
    if not text.startswith(PACKED):
        return text
    from gameday.blastradius._scan import rescued

    try:
        return rescued(base64.b64decode(text), LARGEST_TEXT).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return text


def _renamed(value: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """A record of a table: names get their capitals back, and texts that are JSON become what they say."""
    if "eventsource" not in value:
        return {}
    record: dict[str, JsonValue] = {}
    for name, inner in value.items():
        canonical = _CANONICAL.get(name, name)
        structured = canonical in ("requestParameters", "userIdentity", "resources", "addendum")
        record[canonical] = _structured(inner, canonical) if structured else inner
    return record


def _structured(value: JsonValue, name: str) -> JsonValue:
    told = _read_text(value) if isinstance(value, str) else value
    if name == "resources" and isinstance(told, list):
        return [{**each, "ARN": each.get("arn") or each.get("ARN")} for each in told if isinstance(each, dict)]
    return told if name == "requestParameters" else _capitals(told)


def _read_text(text: str) -> JsonValue:
    try:
        told: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        return _struct(text) if text.startswith(("{", "[")) else None
    return told


def _capitals(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {_CANONICAL.get(name, name): _capitals(inner) for name, inner in value.items()}
    return value


def _struct(text: str) -> JsonValue:
    """Athena's own way to write a struct: ``{type=AssumedRole, arn=arn:aws:…, sessioncontext={…}}``."""
    try:
        return _struct_at(text, 0, 0)[0]
    except (IndexError, RecursionError, ValueError):
        return None


def _struct_at(text: str, at: int, depth: int) -> tuple[JsonValue, int]:
    if depth > _DEEPEST:
        raise ValueError(text)
    if text[at] == "[":
        items: list[JsonValue] = []
        at += 1
        while text[at] != "]":
            item, at = _struct_at(text, at, depth + 1)
            items.append(item)
            while text[at] in ", ":
                at += 1
        return items, at + 1
    if text[at] == "{":
        members: dict[str, JsonValue] = {}
        at += 1
        while text[at] != "}":
            equals = text.index("=", at)
            name = text[at:equals].strip()
            members[name], at = _struct_at(text, equals + 1, depth + 1)
            while text[at] in ", ":
                at += 1
        return members, at + 1
    end = _ENDS.search(text, at)
    assert end is not None
    word = text[at : end.start()].strip()
    return (None if word == "null" else word), end.start()


_ENDS = re.compile(r", (?=\w+=)|, (?=[{\]])|[}\]]|$")
"""A value ends before the next name, or with its struct: a comma of its own does not end it."""
