"""What a playbook says of the blast radius: how far to look back, and what it may be."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from gameday.sdk import Duration

_PRINCIPAL = r"^(arn:aws[a-z-]*:iam::\d{12}:)?((role|user)/)?[\w+=,.@/-]{1,576}$|^root$"
_SERVICE = r"^[a-z0-9-]+(\.amazonaws\.com)?$"


def _principal(text: str) -> str:
    if "assumed-role/" in text or ":sts:" in text:
        raise ValueError("names a session; name its role: role/NAME, or the role's ARN")
    if not re.fullmatch(_PRINCIPAL, text):
        raise ValueError("must be a role's name, role/NAME, user/NAME, root, or an ARN")
    return text


def _service(text: str) -> str:
    if not re.fullmatch(_SERVICE, text):
        raise ValueError("must be a service as CloudTrail writes it, such as s3 or s3.amazonaws.com; kms is direct use")
    return text


def _source(text: str) -> str:
    if (
        text == "lookup"
        or text.startswith(("/", "./", "../", "~"))
        or re.fullmatch(r"s3://[a-z0-9.-]{3,63}(/.*)?", text)
    ):
        return text
    raise ValueError("must be lookup, s3://BUCKET/PREFIX, or a directory that begins with / or ./")


def _names(value: object) -> object:
    """``refuse`` is an empty list of what is named."""
    return () if value == "refuse" else value


def _positive(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be longer than 0s")
    return value


Limit = Annotated[Duration, AfterValidator(_positive)]
Principal = Annotated[
    str, AfterValidator(_principal), WithJsonSchema({"type": "string", "pattern": _PRINCIPAL, "examples": ["role/app"]})
]
Service = Annotated[
    str, AfterValidator(_service), WithJsonSchema({"type": "string", "pattern": _SERVICE, "examples": ["s3", "kms"]})
]
Most = Annotated[int, Field(ge=0)]


class _Text(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AtMost(_Text):
    """The largest blast radius that the run may begin with; what is not named has no limit."""

    principals: Most | None = Field(None, description="Roles, users and services that depend on the key.")
    services: Most | None = Field(None, description="AWS services through which it is used.")
    resources: Most | None = Field(None, description="Objects, volumes, queues … that it protects.")
    uses: Most | None = Field(None, description="Calls in the look-back.")


class BlastRadius(_Text):
    """Who may feel it when the key goes, looked up before anything is touched and set against what was refused."""

    look_back: Limit = Field(
        timedelta(days=90), description="How far back uses of the key are looked for; a week misses the month's end."
    )
    source: Annotated[str, AfterValidator(_source)] = Field(
        "lookup",
        description="Where the look-back is read: lookup (the event history), s3://BUCKET/PREFIX or a directory.",
    )
    budget: Limit = Field(
        timedelta(minutes=5), description="For how long event history may be read; it gives two pages a second."
    )
    allow_roles: list[Principal] | None = Field(
        None, description="Who may depend on the key: roles and users, never sessions; without it, anyone."
    )
    allow_services: list[Service] | None = Field(
        None, description="Through which services it may be used; kms is direct use. Without it, any."
    )
    at_most: AtMost = Field(AtMost(), description="How large it may be.")
    unexpected: Literal["fail", "allow"] = Field(
        "fail", description="What it means when somebody was refused whom nobody predicted."
    )
    unknown: Literal["refuse", "allow"] | None = Field(
        None, description="What it means when it cannot be known (default: refuse on a real account, allow on a lab)."
    )
    unrecoverable: Annotated[
        tuple[str, ...],
        BeforeValidator(_names),
        WithJsonSchema({"anyOf": [{"const": "refuse"}, {"type": "array", "items": {"type": "string"}}]}),
    ] = Field(
        (),
        description="What enabling the key does not bring back (RDS, DynamoDB …) refuses the run unless it is named "
        "here, by its ARN, name or service.",
        json_schema_extra={"default": "refuse"},
    )
