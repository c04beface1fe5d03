"""The JSON Schema of a playbook: what ``_text`` says, and behind each ``uses`` what that part takes."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from typing import cast

from pydantic import JsonValue
from pydantic.errors import PydanticInvalidForJsonSchema

from gameday.playbook._spelling import SHARED, Generator, Schema, mapping, spelled
from gameday.playbook._text import CODE_PATTERN, EXPECTED_PHASES, PlaybookText
from gameday.sdk import Cause, Fault, Part, Phase, Probe, StageStep

_PHASES = {
    Phase.BASELINE: "Before anything is touched; the first definite contrary look refuses the run.",
    Phase.FAULT: "While the fault is on; by default within timing.effect_within.",
    Phase.RECOVERY: "After everything was put back; by default within timing.recover_within.",
    Phase.EVIDENCE: "After recovery; by default within timing.evidence_within.",
}
_CAUSES: Schema = {"$ref": "#/$defs/causes"}
_EXPECT: Schema = {
    "cause": {
        "description": "A cause, or an exact AWS error code such as KMS.DisabledException.",
        "anyOf": [
            {"enum": [cause.value for cause in Cause]},
            {"type": "string", "pattern": CODE_PATTERN},
            {"$ref": "#/$defs/variable"},
        ],
    },
    "causes": {
        "description": "A cause, or a list of which any will do.",
        "anyOf": [{"$ref": "#/$defs/cause"}, {"type": "array", "items": {"$ref": "#/$defs/cause"}, "minItems": 1}],
    },
    "becomes": {
        "type": "object",
        "properties": {
            "becomes": {"description": "What must be seen.", **_CAUSES},
            "within": {"description": "How long it may take until it is seen.", "$ref": "#/$defs/duration"},
        },
        "required": ["becomes"],
        "additionalProperties": False,
    },
    "expect": {
        "description": "What must be seen, by phase: becomes so within a time, and stays so until the phase ends.",
        "type": "object",
        "properties": {
            **{
                phase.value: {"description": _PHASES[phase], "anyOf": [_CAUSES, {"$ref": "#/$defs/becomes"}]}
                for phase in EXPECTED_PHASES
            },
            "always": {"description": "The same for baseline, fault and recovery.", **_CAUSES},
        },
        "minProperties": 1,
        "additionalProperties": False,
    },
}
_KINDS = {
    "probe": "A look at one resource, again and again, and what it must see in which phase.",
    "guard": "A probe that must see ok throughout; its breach refuses the run before the fault and rolls back after.",
    "fault": "Something that is broken, and mended again whatever happens.",
    "stage step": "A resource that the playbook needs.",
}


def schema(
    probes: Mapping[str, type[Probe]], faults: Mapping[str, type[Fault]], stages: Mapping[str, type[StageStep]]
) -> Schema:
    """The schema for the parts that are registered."""
    whole = cast(Schema, PlaybookText.model_json_schema(by_alias=True, schema_generator=Generator))
    texts = mapping(whole["$defs"])
    defs: Schema = {**SHARED, **_EXPECT, "timing": {**mapping(spelled(texts["Timing"]))}}
    defs["schedule"] = {
        **mapping(spelled(texts["Schedule"])),
        "anyOf": [{"required": ["cron"]}, {"required": ["dates"]}],
    }
    defs |= {"blast_radius": spelled(texts["BlastRadius"]), "AtMost": spelled(texts["AtMost"])}
    sections: tuple[tuple[str, str, str, Mapping[str, type[Part]]], ...] = (
        ("stage", "stage step", "UseText", stages),
        ("probes", "probe", "ProbeText", probes),
        ("guards", "guard", "GuardText", probes),
        ("faults", "fault", "FaultText", faults),
    )
    properties = {name: spelled(one) for name, one in mapping(whole["properties"]).items()}
    properties["timing"] = {"$ref": "#/$defs/timing"}
    properties["dead_man_switch"] = mapping(spelled(texts["SwitchText"]))
    properties["schedule"] = {"$ref": "#/$defs/schedule"}
    properties["blast_radius"] = {"$ref": "#/$defs/blast_radius"}
    for section, kind, text, registry in sections:
        spoken = "probe" if kind == "guard" else kind
        parts = {f"{spoken} {uses}": _part(f"{spoken} {uses}", registry[uses]) for uses in registry}
        defs |= {kind: _using(mapping(spelled(texts[text])), kind, parts), **parts}
        properties[section] = _section(mapping(properties[section]), kind)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A gameday playbook",
        "description": whole["description"],
        "type": "object",
        "properties": properties,
        "required": whole["required"],
        "anyOf": [{"required": ["probes"]}, {"required": ["faults"]}],
        "additionalProperties": False,
        "$defs": defs,
    }


def _ref(name: str) -> str:
    return "#/$defs/" + name.replace(" ", "%20")


def _section(section: Schema, kind: str) -> Schema:
    if section["type"] == "array":
        return {**section, "items": {"$ref": _ref(kind)}}
    name = {"pattern": "^[a-z0-9][a-z0-9-]*$", "maxLength": 63}
    return {**section, "additionalProperties": {"$ref": _ref(kind)}, "propertyNames": cast(Schema, name)}


def _part(name: str, part: type[Part]) -> Schema:
    """What stands behind ``with`` for one part; anything, where the part cannot say."""
    where = _ref(name) + "/$defs/{model}"
    try:
        made = mapping(spelled(part.model_json_schema(ref_template=where, schema_generator=Generator)))
    except PydanticInvalidForJsonSchema:  # a part may have fields that only its own code understands
        return {"type": "object", "description": inspect.getdoc(part) or name}
    properties = mapping(made.get("properties", {}))
    for field, said in field_docs(part).items():
        if field in properties:
            properties[field] = {"description": said, **mapping(properties[field])}
    return {**made, "description": inspect.getdoc(part) or name, "properties": properties}


def field_docs(part: type[Part]) -> dict[str, str]:
    """The docstrings below a part's fields.

    pydantic could collect them too, but whenever the class is made, and so in every run that never asks.
    """
    found: dict[str, str] = {}
    for one in reversed(part.__mro__):
        if issubclass(one, Part) and one is not Part:
            found |= _own_docs(one)
    return found


def _own_docs(part: type[Part]) -> dict[str, str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(part))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):  # no source, as in a frozen program
        return {}
    assert isinstance(tree, ast.ClassDef)
    return {
        before.target.id: inspect.cleandoc(after.value.value)
        for before, after in zip(tree.body, tree.body[1:], strict=False)
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name)
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
    }


def _using(text: Schema, kind: str, parts: Mapping[str, Schema]) -> Schema:
    """An entry in which ``uses`` decides what ``with`` takes."""
    named = {name.rpartition(" ")[2]: (name, part) for name, part in parts.items()}
    choices: list[JsonValue] = [
        {"const": uses, "description": str(part["description"]).split("\n", 1)[0]} for uses, (_, part) in named.items()
    ]
    rules: list[JsonValue] = [
        {
            "if": {"properties": {"uses": {"const": uses}}, "required": ["uses"]},
            "then": {
                "properties": {"with": {"$ref": _ref(name)}},
                **({"required": ["with"]} if part.get("required") else {}),
            },
        }
        for uses, (name, part) in named.items()
    ]
    properties = mapping(text["properties"])
    properties["uses"] = {
        "description": f"Which {kind.replace('guard', 'probe')}.",
        "anyOf": [*choices, {"$ref": "#/$defs/variable"}],
    }
    properties["with"] = {"type": "object", "description": mapping(properties["with"])["description"]}
    if "expect" in properties:
        properties["expect"] = {"$ref": "#/$defs/expect"}
        text |= {"required": ["uses", "expect"], "not": {"required": ["every", "once"]}}
    return {**text, "description": _KINDS[kind], "allOf": rules}
