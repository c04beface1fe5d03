"""The JSON Schema of a playbook: what ``_text`` says, and behind each ``uses`` what that part takes.

The loader reads every value as text and puts variables into it, so wherever it takes a number or a word from a list
the schema takes a text with ``${name}`` too, and wherever it takes a text the schema takes an unquoted number.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from pydantic import JsonValue

from gameday.playbook._text import PlaybookText
from gameday.playbook._variables import NAME
from gameday.sdk import Fault, Part, Probe, StageStep

Schema = dict[str, JsonValue]

_VARIABLE = r"\$\{" + NAME + r"\}"
_FILLED: Schema = {"type": "string", "pattern": _VARIABLE}
_NUMBER = {"integer": r"^[+-]?\d+$", "number": r"^[+-]?\d+(\.\d+)?$", "boolean": "^(true|false|yes|no|on|off)$"}


def schema(
    probes: Mapping[str, type[Probe]], faults: Mapping[str, type[Fault]], stages: Mapping[str, type[StageStep]]
) -> Schema:
    """The schema for the parts that are registered."""
    whole = PlaybookText.model_json_schema(by_alias=True)
    defs = _object(whole["$defs"])
    use = _object(defs.pop("UseText"))
    kinds: dict[str, tuple[Schema, Mapping[str, type[Part]]]] = {
        "probe": (_object(defs.pop("ProbeText")), probes),
        "guard": (_object(defs.pop("GuardText")), probes),
        "fault": (use, faults),
        "stage": (use, stages),
    }
    made: Schema = {name: _spoken(one) for name, one in defs.items()}
    for kind, (text, registry) in kinds.items():
        made[kind] = _using(_object(_spoken(text)), kind, registry)
        for name, part in registry.items():
            made[_name(kind, name)] = _part(kind, name, part)
    properties = _object(_spoken(whole["properties"]))
    for section, kind in (("probes", "probe"), ("guards", "guard"), ("faults", "fault"), ("stage", "stage")):
        held = "items" if section in ("faults", "stage") else "additionalProperties"
        properties[section] = {**_object(properties[section]), held: {"$ref": f"#/$defs/{kind}"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A gameday playbook",
        "description": str(whole["description"]),
        "type": "object",
        "properties": {name: _or_nothing(_object(one), name) for name, one in properties.items()},
        "required": whole["required"],
        "anyOf": [{"required": ["probes"]}, {"required": ["faults"]}],
        "additionalProperties": False,
        "$defs": made,
    }
