"""A JSON Schema of values, turned into the schema of how a playbook may spell them.

The loader reads every value as text and puts variables into it, so wherever it takes a number, a duration or a word
from a list the schema takes a text with ``${name}`` too, and wherever it takes a text, an unquoted number.
"""

from __future__ import annotations

from datetime import timedelta

from pydantic import JsonValue
from pydantic.json_schema import GenerateJsonSchema

from gameday.playbook._variables import NAME
from gameday.sdk import format_duration
from gameday.sdk._fields import DURATION_PATTERN

Schema = dict[str, JsonValue]

_VARIABLE = r"\$\{" + NAME + r"\}"
_AS_TEXT = {
    "integer": r"^[+-]?\d+$|" + _VARIABLE,
    "number": r"^[+-]?\d+(\.\d+)?$|" + _VARIABLE,
    "boolean": r"^(true|false|yes|no|on|off)$|" + _VARIABLE,
}
_OUTSIDE = ("description", "default")
"""What is said of a value whatever its spelling."""

SHARED: Schema = {
    "variable": {"type": "string", "pattern": _VARIABLE, "description": "A value with ${name} in it."},
    "duration": {
        "description": "A number and a unit: ms, s, m, h or d; several add up, as in 1m30s.",
        "anyOf": [{"type": "string", "pattern": DURATION_PATTERN}, {"enum": [0, "0"]}, {"$ref": "#/$defs/variable"}],
    },
}


class Generator(GenerateJsonSchema):
    """Writes the defaults of durations as a playbook does."""

    def encode_default(self, dft: object) -> JsonValue:
        """``5m``, where pydantic would write ``PT5M``."""
        encoded: JsonValue = format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)
        return encoded


def mapping(value: JsonValue) -> Schema:
    """The value, which is known to be a mapping."""
    assert isinstance(value, dict)
    return value


def spelled(value: JsonValue) -> JsonValue:
    """The schema of a value's spellings."""
    if not isinstance(value, dict):
        return [spelled(one) for one in value] if isinstance(value, list) else value
    made: Schema = {}
    for name, one in value.items():
        if name in ("properties", "$defs"):
            made[name] = {key: spelled(inner) for key, inner in mapping(one).items()}
        elif name in ("items", "additionalProperties", "prefixItems", "anyOf", "allOf"):
            made[name] = spelled(one)
        elif name == "oneOf":
            made["anyOf"] = spelled(one)  # a variable may stand for any of them
        elif name not in ("title", "discriminator") and not (name == "default" and one is None):
            made[name] = one
    return _widened(made)


def _widened(one: Schema) -> Schema:
    kind = one.get("type")
    outside = {name: one[name] for name in _OUTSIDE if name in one}
    inside = {name: value for name, value in one.items() if name not in _OUTSIDE}
    if inside.get("pattern") == DURATION_PATTERN:
        return {**outside, "$ref": "#/$defs/duration"}
    if isinstance(kind, str) and kind in _AS_TEXT:
        return {**outside, "anyOf": [inside, {"type": "string", "pattern": _AS_TEXT[kind]}]}
    if "enum" in one or "const" in one or (kind == "string" and ("pattern" in one or "format" in one)):
        return {**outside, "anyOf": [inside, {"$ref": "#/$defs/variable"}]}
    if kind == "string":
        return {**one, "type": ["string", "number", "boolean"]}
    return one
