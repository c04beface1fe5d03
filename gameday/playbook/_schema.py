"""The JSON Schema of a playbook: what ``_text`` says, and behind each ``uses`` what that part takes.

The loader reads every value as text and puts variables into it, so wherever it takes a number or a word from a list
the schema takes a text with ``${name}`` too, and wherever it takes a text the schema takes an unquoted number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from pydantic import JsonValue
from pydantic.errors import PydanticInvalidForJsonSchema

from gameday.playbook._text import PlaybookText
from gameday.playbook._variables import NAME
from gameday.sdk import Fault, Part, Probe, StageStep

Schema = dict[str, JsonValue]

_VARIABLE = r"\$\{" + NAME + r"\}"
_FILLED: Schema = {"type": "string", "pattern": _VARIABLE, "description": "A variable."}
_AS_TEXT = {
    "integer": r"^[+-]?\d+$|" + _VARIABLE,
    "number": r"^[+-]?\d+(\.\d+)?$|" + _VARIABLE,
    "boolean": r"^(true|false|yes|no|on|off)$|" + _VARIABLE,
}
_OUTSIDE = ("description", "default", "examples")
"""What is said of a value whatever its spelling."""


def schema(
    probes: Mapping[str, type[Probe]], faults: Mapping[str, type[Fault]], stages: Mapping[str, type[StageStep]]
) -> Schema:
    """The schema for the parts that are registered."""
    whole = PlaybookText.model_json_schema(by_alias=True)
    defs = _mapping(whole["$defs"])
    use = defs.pop("UseText")
    kinds: dict[str, tuple[JsonValue, str, Mapping[str, type[Part]]]] = {
        "probe": (defs.pop("ProbeText"), "probe", probes),
        "guard": (defs.pop("GuardText"), "probe", probes),
        "fault": (use, "fault", faults),
        "stage": (use, "stage", stages),
    }
    made: Schema = {name: _spoken(one) for name, one in defs.items()}
    for name, (text, kind, registry) in kinds.items():
        parts = {uses: _part(kind, uses, registry) for uses in registry}
        made[name] = _using(_mapping(_spoken(text)), kind, parts)
        made |= {_name(kind, uses): part for uses, part in parts.items()}
    properties = {name: _spoken(one) for name, one in _mapping(whole["properties"]).items()}
    for section, name in (("probes", "probe"), ("guards", "guard"), ("faults", "fault"), ("stage", "stage")):
        held = "items" if section in ("faults", "stage") else "additionalProperties"
        properties[section] = {**_mapping(properties[section]), held: {"$ref": f"#/$defs/{name}"}}
    for section in ("probes", "guards"):
        properties[section] = {
            **_mapping(properties[section]),
            "propertyNames": _mapping(whole["properties"])["playbook"],
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A gameday playbook",
        "description": whole["description"],
        "type": "object",
        "properties": properties,
        "required": whole["required"],
        "anyOf": [{"required": ["probes"]}, {"required": ["faults"]}],
        "additionalProperties": False,
        "$defs": made,
    }


def _mapping(value: JsonValue) -> Schema:
    assert isinstance(value, dict)
    return value


def _name(kind: str, uses: str) -> str:
    return f"{kind} {uses}"


def _part(kind: str, uses: str, registry: Mapping[str, type[Part]]) -> Schema:
    """What stands behind ``with`` for one part; anything, where the part cannot say."""
    where = "#/$defs/" + _name(kind, uses).replace(" ", "%20") + "/$defs/{model}"
    try:
        return _mapping(_spoken(cast(JsonValue, registry[uses].model_json_schema(ref_template=where))))
    except PydanticInvalidForJsonSchema:  # a part may have fields that only its own code understands
        return {"type": "object"}


def _using(text: Schema, kind: str, parts: Mapping[str, Schema]) -> Schema:
    """An entry in which ``uses`` decides what ``with`` takes."""
    choices: list[JsonValue] = [
        {"const": uses, "description": str(part.get("description", uses)).split("\n", 1)[0]}
        for uses, part in parts.items()
    ]
    rules: list[JsonValue] = [
        {
            "if": {"properties": {"uses": {"const": uses}}, "required": ["uses"]},
            "then": {
                "properties": {"with": {"$ref": "#/$defs/" + _name(kind, uses).replace(" ", "%20")}},
                **({"required": ["with"]} if part.get("required") else {}),
            },
        }
        for uses, part in parts.items()
    ]
    properties = _mapping(text["properties"])
    given: Schema = {"type": "object", "description": _mapping(properties["with"])["description"]}
    named: Schema = {"description": f"Which {kind}.", "anyOf": [*choices, _FILLED]}
    return {**text, "properties": {**properties, "uses": named, "with": given}, "allOf": rules}


def _spoken(value: JsonValue) -> JsonValue:
    """A schema of values as the schema of their spellings in a playbook."""
    if not isinstance(value, dict):
        return [_spoken(one) for one in value] if isinstance(value, list) else value
    made: Schema = {}
    for name, one in value.items():
        if name in ("properties", "$defs"):
            made[name] = {key: _spoken(inner) for key, inner in _mapping(one).items()}
        elif name in ("items", "additionalProperties", "prefixItems", "anyOf", "allOf"):
            made[name] = _spoken(one)
        elif name == "oneOf":
            made["anyOf"] = _spoken(one)  # a variable may stand for any of them
        elif name not in ("title", "discriminator"):
            made[name] = one
    return _widened(made)


def _widened(one: Schema) -> Schema:
    kind = one.get("type")
    outside = {name: one[name] for name in _OUTSIDE if name in one}
    inside = {name: value for name, value in one.items() if name not in _OUTSIDE}
    if isinstance(kind, str) and kind in _AS_TEXT:
        return {**outside, "anyOf": [inside, {"type": "string", "pattern": _AS_TEXT[kind]}]}
    if "enum" in one or "const" in one or (kind == "string" and ("pattern" in one or "format" in one)):
        return {**outside, "anyOf": [inside, _FILLED]}
    if kind == "string":
        return {**one, "type": ["string", "number", "boolean"]}
    return one
