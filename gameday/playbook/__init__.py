"""Playbooks: found, read, checked, and explained when wrong.

A playbook is data: reading one runs no code, opens no other file and asks AWS nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from gameday.playbook._find import find
from gameday.playbook._model import (
    Expect,
    Fails,
    FaultUse,
    GuardUse,
    Playbook,
    ProbeUse,
    StageUse,
    SwitchUse,
)
from gameday.playbook._text import Timing
from gameday.sdk import FAULTS, PROBES, STAGES, Fault, Part, Probe, StageStep

__all__ = [
    "Expect",
    "Fails",
    "FaultUse",
    "GuardUse",
    "Playbook",
    "ProbeUse",
    "StageUse",
    "SwitchUse",
    "Timing",
    "field_docs",
    "find",
    "json_schema",
    "load",
]


def load(
    path: str | Path,
    variables: Mapping[str, str] = {},
    lab: bool = True,
    probes: Mapping[str, type[Probe]] = PROBES,
    faults: Mapping[str, type[Fault]] = FAULTS,
    stages: Mapping[str, type[StageStep]] = STAGES,
) -> Playbook:
    """Read a playbook.

    Raises :class:`gameday.errors.PlaybookInvalid` with every mistake found, one a line, in the file's order:
    ``file:line:col: path: what is wrong``.

    ``variables`` outrank the values in the file; without ``lab`` those in the file are not used at all, and each
    variable must be given. ``probes``, ``faults`` and ``stages`` are what the playbook may use.
    """
    from gameday.playbook._entries import Registries
    from gameday.playbook._read import read

    return read(Path(path), variables, lab=lab, registries=Registries(probes, faults, stages))


def json_schema(
    probes: Mapping[str, type[Probe]] = PROBES,
    faults: Mapping[str, type[Fault]] = FAULTS,
    stages: Mapping[str, type[StageStep]] = STAGES,
) -> dict[str, JsonValue]:
    """The JSON Schema (2020-12) of a playbook, with what each registered part takes."""
    from gameday.playbook._schema import schema

    return schema(probes, faults, stages)


def field_docs(part: type[Part]) -> dict[str, str]:
    """What each parameter of a probe, fault or stage step means: the docstrings below its fields."""
    from gameday.playbook import _schema

    return _schema.field_docs(part)
