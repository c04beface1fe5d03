"""Playbooks: found, read, checked, and explained when wrong.

A playbook is data: reading one runs no code, opens no other file and asks AWS nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from gameday.playbook._find import find, shipped
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
from gameday.playbook._radius import BlastRadius
from gameday.playbook._schedule import DAYS, Allowed, Freeze, Schedule
from gameday.playbook._text import Timing
from gameday.sdk import FAULTS, PROBES, STAGES, Fault, Part, Probe, StageStep

if TYPE_CHECKING:
    from gameday.playbook._target import RoleUse, TargetFile
else:

    def __getattr__(name: str) -> object:
        """What a target file is made of; a command without one does not load it."""
        if name not in ("RoleUse", "TargetFile"):
            raise AttributeError(name)
        return getattr(import_module("gameday.playbook._target"), name)


__all__ = [
    "DAYS",
    "Allowed",
    "BlastRadius",
    "Expect",
    "Fails",
    "FaultUse",
    "Freeze",
    "GuardUse",
    "Playbook",
    "ProbeUse",
    "RoleUse",
    "Schedule",
    "StageUse",
    "SwitchUse",
    "TargetFile",
    "Timing",
    "field_docs",
    "find",
    "json_schema",
    "load",
    "load_target",
    "shipped",
    "target_schema",
]


def load(
    path: str | Path,
    variables: Mapping[str, str] = {},
    lab: bool = True,
    target: TargetFile | None = None,
    probes: Mapping[str, type[Probe]] = PROBES,
    faults: Mapping[str, type[Fault]] = FAULTS,
    stages: Mapping[str, type[StageStep]] = STAGES,
) -> Playbook:
    """Read a playbook.

    Raises :class:`gameday.errors.PlaybookInvalid` with every mistake found, one a line, in the file's order:
    ``file:line:col: path: what is wrong``.

    ``variables`` outrank the target's, and those the values in the file; without ``lab`` those in the file are not
    used at all, and each variable must be given. The target's identities outrank the playbook's. ``probes``,
    ``faults`` and ``stages`` are what the playbook may use.
    """
    from gameday.playbook._entries import Registries
    from gameday.playbook._read import read

    registries = Registries(probes, faults, stages)

    return read(Path(path), variables, lab=lab, registries=registries, target=target)


def load_target(path: str | Path) -> TargetFile:
    """Read a target file; raises PlaybookInvalid with every mistake found, as :func:`load` does."""
    from gameday.playbook._target import read_target

    return read_target(Path(path))


def target_schema() -> dict[str, JsonValue]:
    """The JSON Schema (2020-12) of a target file."""
    from gameday.playbook._target import schema

    return schema()


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
