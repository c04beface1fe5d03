"""A target file: which account, as whom to run and to put back, and what playbooks need to know of it.

Read like a playbook (YAML's structure, none of its types), and every mistake is reported at once. It holds no
secret: credentials come from boto3's chain, a role's external id is none (AWS, IAM User Guide, "external ID").
"""

from __future__ import annotations

import inspect
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from gameday.playbook._document import BrokenError, Data, Mark, begins, compose, decode
from gameday.playbook._entries import present
from gameday.playbook._problems import Problems
from gameday.playbook._pydantic import keys, unknown_key, validated
from gameday.playbook._read import read_bytes
from gameday.playbook._schedule import Schedule
from gameday.playbook._spelling import Generator, Schema, mapping
from gameday.playbook._text import ROLE_PATTERN, Identities, Name, Role, SwitchText, check_name
from gameday.playbook._variables import NAME
from gameday.sdk import Duration
from gameday.urls import is_web_address

KIND = "target file"
_ACCOUNT = r"^\d{12}$"
_REGION = r"^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$"
_SHORTEST, _LONGEST = timedelta(minutes=15), timedelta(hours=12)


def _matching(pattern: str, says: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(says)
        return text

    return AfterValidator(check)


def _session(value: timedelta) -> timedelta:
    if not _SHORTEST <= value <= _LONGEST:
        raise ValueError("must be from 15m to 12h, which is what AWS gives a role's session")
    return value


def _role_text(given: object) -> object:
    """A role's name alone is a role without anything more to say."""
    return {"assume": given} if isinstance(given, str) else given


def _lab(text: str) -> str:
    if text.lower() in ("true", "yes", "on"):
        return "embedded"
    if text.lower() in ("false", "no", "off"):
        return ""
    if not is_web_address(text):
        raise ValueError("must be true, or the URL that gameday lab printed")
    return text


class _Text(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RoleUse(_Text):
    """A role to assume."""

    assume: Role = Field(description="role/NAME of the target's account, or an ARN.")
    external_id: str = Field("", description="What the role's trust policy asks for as sts:ExternalId.")
    session: Annotated[Duration, AfterValidator(_session)] = Field(
        timedelta(hours=1),
        description="How long its credentials last, 15m to 12h; they are renewed before they end. A role that assumes "
        "another gives an hour at most.",
    )


_RoleUse = Annotated[
    RoleUse | None,
    BeforeValidator(_role_text),
]


class JournalSeal(_Text):
    """What seals the undo steps in the journal, so that who can write the journal cannot write one."""

    key_file: str = Field(
        min_length=1,
        description="A file of 32 bytes or more that its owner alone can read.",
    )
    required: bool = Field(False, description="true: gameday rollback refuses an undo step that has no seal.")


class TargetFile(_Text):
    """Which AWS a game day runs on, as whom, and the values of variables there."""

    target: Name = Field(description="The target's name.")
    account: Annotated[
        str,
        _matching(_ACCOUNT, "must be 12 digits, an account's id"),
        WithJsonSchema({"anyOf": [{"type": "string", "pattern": _ACCOUNT}, {"type": "integer"}]}),
    ] = Field("", description="The account that you mean; STS must agree.")
    region: Annotated[str, _matching(_REGION, "must be a Region, such as eu-west-1")] = Field(
        "", description="The Region.", json_schema_extra={"pattern": _REGION}
    )
    profile: str = Field("", description="One of boto3's profiles; without it, boto3's own chain of credentials.")
    lab: Annotated[
        str,
        AfterValidator(_lab),
        WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": "^https?://|^(true|false)$"}]}),
    ] = Field("", description="true: an embedded lab instead of AWS; or the URL of a lab that is up.")
    role: _RoleUse = Field(None, description="The role that runs: role/NAME, an ARN, or a mapping with assume.")
    rollback_role: _RoleUse = Field(
        None,
        description="The role that puts back, in the run, the watchdog and gameday rollback alike (default: role).",
    )
    session_tags: dict[str, str] = Field(
        {}, description="Tags of the sessions of role and rollback_role, which CloudTrail and policies can see."
    )
    identities: Identities = Field(
        {}, description="Roles that probes look as (`as: NAME`); they outrank those of the playbook."
    )
    dead_man_switch: SwitchText | None = Field(
        None,
        description="Schedules in AWS itself that put things back should everything else be lost: armed for every "
        "playbook whose faults they can undo exactly. Its role, group and queue outrank the playbook's.",
    )
    schedule: Schedule | None = Field(
        None, description="When gameday schedule runs playbooks here; it outranks the playbooks' own."
    )
    journal: str = Field("", description="A file, or a SQLAlchemy URL; --journal outranks it.")
    journal_seal: JournalSeal | None = Field(
        None, description="Seals undo steps by a key that is not in the journal; gameday rollback checks the seal."
    )
    vars: dict[str, str] = Field({}, description="Values of the playbooks' variables; --var outranks them.")


def read_target(path: Path) -> TargetFile:
    """Read a target file; raises PlaybookInvalid with every mistake found, one a line, in the file's order."""
    problems = Problems(str(path))
    raw = read_bytes(path, KIND)
    try:
        problems.root, duplicates = compose(decode(raw, KIND), KIND)
        data = present(problems.root.data())
        if not isinstance(data, dict):
            raise BrokenError(Mark(1, 1), f"is not a mapping; {begins(KIND)}")
    except BrokenError as broken:
        problems.at(broken.mark, (), broken.message)
        problems.fail()
    for twice in duplicates:
        problems.at(twice.mark, twice.path, f"is there twice; the first is on line {twice.first.line}")
    known = keys(TargetFile)
    for name in set(data) - set(known):
        problems.add((name,), unknown_key(name, known, {}), key=True)
    found = validated(TargetFile, {name: data[name] for name in known if name in data}, (), problems)
    _whole(data, problems)
    if problems or found is None:
        problems.fail()
    return found


def _whole(data: dict[str, Data], problems: Problems) -> None:
    """Whether it says where, and says nothing that its own other half contradicts."""
    on_lab = str(data.get("lab", "false")).lower() not in ("false", "no", "off")
    for name in ("account", "region"):
        if not on_lab and name not in data:
            problems.add((), f"{name} is missing: no real account by accident (or say 'lab: true')")
    if on_lab and "profile" in data:
        problems.add(("profile",), "is for a real account; a lab takes no credentials of yours", key=True)
    if "session_tags" in data and not {"role", "rollback_role"} & set(data):
        problems.add(
            ("session_tags",), "tag the session of a role, and neither role nor rollback_role is there", key=True
        )
    for section in ("vars", "identities"):
        written = data.get(section)
        for name in written if isinstance(written, dict) else {}:
            _named(section, name, problems)


def _named(section: str, name: str, problems: Problems) -> None:
    if section == "vars":
        if not re.fullmatch(NAME, name):
            what = "a variable's name is letters, digits, '_' and '-', and begins with a letter"
            problems.add((section, name), what, key=True)
        return
    try:
        check_name(name)
    except ValueError as error:
        problems.add((section, name), str(error), key=True)


def schema() -> Schema:
    """The JSON Schema (2020-12) of a target file."""
    made: Schema = TargetFile.model_json_schema(by_alias=True, schema_generator=Generator)
    properties = {name: mapping(one) for name, one in mapping(made["properties"]).items()}
    for name in ("vars", "session_tags"):
        properties[name]["additionalProperties"] = {"type": ["string", "number", "boolean"]}
    role: Schema = {"anyOf": [{"type": "string", "pattern": ROLE_PATTERN}, {"$ref": "#/$defs/RoleUse"}]}
    due: Schema = {"$ref": "#/$defs/Schedule"}
    switch: Schema = {"$ref": "#/$defs/SwitchText"}
    for name, one in (("role", role), ("rollback_role", role), ("dead_man_switch", switch), ("schedule", due)):
        properties[name] = {"description": properties[name]["description"], **one}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "properties": {**properties},
        "title": "A gameday target",
        "description": inspect.getdoc(TargetFile) or "",
        "anyOf": [{"required": ["account", "region"]}, {"required": ["lab"]}],
    }
