"""One statement of our own in a policy document that is somebody else's; pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast

from pydantic import JsonValue

Statement = Mapping[str, JsonValue]


def own_sid(prefix: str, run: str, parameters: str) -> str:
    """A Sid that another process finds again in the journal, and nobody else writes by chance."""
    return prefix + hashlib.sha256(f"{run} {parameters}".encode()).hexdigest()[:12]


def has(text: str, sid: str) -> bool:
    """Whether the document has a statement with this Sid; one that begins so, where it ends with ``*``."""
    sids = [str(one.get("Sid", "")) for one in _statements(_read(text))]
    return any(one.startswith(sid[:-1]) if sid.endswith("*") else one == sid for one in sids)


def added(text: str, statement: Statement) -> str:
    """The document with one statement more, at its end; ``""`` is no document yet."""
    document = _read(text)
    return _write({**document, "Statement": [*_statements(document), dict(statement)]})


def removed(text: str, sid: str, found: str) -> str:
    """The document without the statement; ``found`` to the letter where nothing else has changed, ``""`` for none."""
    document = _read(text)
    rest = [one for one in _statements(document) if one.get("Sid") != sid]
    left = _write({**document, "Statement": rest}) if rest else ""
    return found if same(left, found) else left


def same(one: str, other: str) -> bool:
    """Whether two documents mean the same: order and single-element lists carry no meaning in a policy."""
    return _meaning(_read(one)) == _meaning(_read(other)) if one and other else one == other


def _read(text: str) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(text)) if text else {"Version": "2012-10-17", "Statement": []}


def _write(document: Mapping[str, object]) -> str:
    return json.dumps(document, separators=(",", ":"))


def _statements(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = document["Statement"]
    return found if isinstance(found, list) else [found]


def _meaning(value: object) -> object:
    if isinstance(value, dict):
        return {name: _meaning(inner) for name, inner in value.items()}
    if isinstance(value, list):
        parts = sorted((_meaning(inner) for inner in value), key=lambda part: json.dumps(part, sort_keys=True))
        return parts[0] if len(parts) == 1 else parts
    return value
