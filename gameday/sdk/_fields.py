"""Typed fields for the parameters of probes, faults and stage steps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION_PATTERN = r"^(\d+(\.\d+)?(ms|s|m|h|d))+$"


def parse_duration(value: object) -> object:
    """Turn ``1m30s``, ``250ms`` or ``90d`` into a timedelta; a bare number is refused, since its unit is a guess."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError("a duration is written as a number and a unit, such as 250ms, 10s, 5m, 2h or 90d")
    text = value.strip()
    if text == "0":
        return timedelta(0)
    if not re.match(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is not a duration; write a number and a unit, such as 250ms, 10s, 5m, 2h or 90d")
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
    try:
        return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))
    except OverflowError:
        raise ValueError(f"{text!r} is too long for a duration") from None


def format_duration(value: timedelta) -> str:
    """Write a timedelta the way a playbook does: ``90s`` is ``1m30s``."""
    seconds = value.total_seconds()
    if seconds < 1:
        return f"{round(seconds * 1000)}ms" if seconds else "0s"
    text = ""
    for unit in ("d", "h", "m"):
        whole, seconds = divmod(seconds, _UNITS[unit])
        text += f"{int(whole)}{unit}" if whole else ""
    return text + (f"{seconds:g}s" if seconds else "")


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["10s", "5m", "90d"]}),
]


class RefKind(StrEnum):
    """What a reference may point at."""

    KEY = "kms.key"
    INSTANCE = "ec2.instance"
    VOLUME = "ebs.volume"
    ANY = "any"
    PARTITION = "partition"


@dataclass(frozen=True)
class Ref:
    """Marks a field whose value is resolved once, in preflight, and pinned for the run."""

    kind: RefKind


KeyId = Annotated[str, Ref(RefKind.KEY)]
"""A key's alias, id or ARN; becomes the key's ARN."""

InstanceId = Annotated[str, Ref(RefKind.INSTANCE)]
"""An instance's id or its Name tag; becomes the instance's ARN, whose tail is its id."""

VolumeId = Annotated[str, Ref(RefKind.VOLUME)]
"""A volume's id or its Name tag; becomes the volume's ARN, whose tail is its id."""

Partition = Annotated[str, Ref(RefKind.PARTITION)]
"""The id of the target's partition, for ARNs that have no Region; whatever is given, it becomes the target's."""

ResourceRef = Annotated[str, Ref(RefKind.ANY)]
"""Anything that another field of the playbook names; becomes what that field became."""
