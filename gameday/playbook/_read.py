"""From a file to a playbook, or to all of its mistakes at once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gameday.errors import PlaybookInvalid
from gameday.playbook import _checks
from gameday.playbook._document import MAX_BYTES, BrokenError, Data, Mark, begins, compose, decode
from gameday.playbook._entries import Entries, Registries, present
from gameday.playbook._model import Playbook, SwitchUse
from gameday.playbook._problems import Problems, printed_file
from gameday.playbook._pydantic import keys, unknown_key, validated
from gameday.playbook._radius import BlastRadius
from gameday.playbook._schedule import Schedule
from gameday.playbook._text import HeadText, PlaybookText, SwitchText, Timing
from gameday.playbook._variables import Substitution, effective

if TYPE_CHECKING:
    from gameday.playbook._target import TargetFile


def read(
    path: Path,
    variables: Mapping[str, str],
    *,
    lab: bool,
    registries: Registries,
    target: TargetFile | None,
) -> Playbook:
    """Read a playbook; raises PlaybookInvalid with every mistake that can be told apart.

    A playbook need not know all of the target's variables and identities.
    """
    raw = read_bytes(path)
    problems = Problems(str(path))
    try:
        text = decode(raw)
        problems.root, duplicates = compose(text)
        for twice in duplicates:
            problems.at(twice.mark, twice.path, f"is there twice; the first is on line {twice.first.line}")
        values = effective(problems.root, variables, target.vars if target else {}, lab=lab, problems=problems)
        data = Substitution(text, values, problems).into(problems.root).data()
        sections = _sections(data)
    except BrokenError as broken:
        problems.at(broken.mark, (), broken.message)
        problems.fail()
    entries = Entries(sections, registries, problems, target.identities if target else {})
    switch = _switch(sections, problems, target.dead_man_switch if target else None)
    playbook = _playbook(sections, entries, problems, path, raw, values, switch)
    if playbook is None:
        problems.fail()
    return playbook


def read_bytes(path: Path, kind: str = "playbook") -> bytes:
    """The file's bytes, or as many as show that it is too large; one sentence when it cannot be read."""
    name = printed_file(str(path))
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise PlaybookInvalid(f"{name}: there is no such file") from None
    except IsADirectoryError:
        raise PlaybookInvalid(f"{name}: is a directory, not a {kind}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise PlaybookInvalid(f"{name}: cannot be read: {why}") from None


def _sections(data: Data) -> dict[str, Data]:
    found = present(data)
    if not isinstance(found, dict):
        raise BrokenError(Mark(1, 1), f"is not a mapping; {begins('playbook')}")
    return found


def read_schedule(written: Data, problems: Problems) -> Schedule | None:
    """When it is due, in a playbook or in a target file."""
    return None if written is None else validated(Schedule, present(written), ("schedule",), problems)


def _playbook(
    sections: Mapping[str, Data],
    entries: Entries,
    problems: Problems,
    source: Path,
    raw: bytes,
    values: Mapping[str, str],
    switch: SwitchUse | None,
) -> Playbook | None:
    known = keys(PlaybookText)
    for name in sections:
        if name not in known:
            problems.add((name,), unknown_key(name, known, {}), key=True)
    head = validated(HeadText, {name: sections[name] for name in keys(HeadText) if name in sections}, (), problems)
    stage, probes, guards, faults = entries.stage(), entries.probes(), entries.guards(), entries.faults()
    timing = validated(Timing, present(sections.get("timing", {})), ("timing",), problems)
    schedule = read_schedule(sections.get("schedule"), problems)
    radius = _radius(sections, problems)
    _checks.whole(sections, problems)
    _checks.faults(faults, problems)
    if timing is not None:
        _checks.timing(timing, probes, problems, has_faults=bool(sections.get("faults")))
    if problems or head is None or timing is None:
        return None
    return Playbook(
        name=head.playbook,
        description=head.description,
        vars=dict(values),
        stage=stage,
        probes=probes,
        guards=guards,
        faults=faults,
        timing=timing,
        schedule=schedule,
        blast_radius=radius,
        source=source,
        hash=hashlib.sha256(raw).hexdigest(),
        dead_man_switch=switch,
    )


def _switch(sections: Mapping[str, Data], problems: Problems, targets: SwitchText | None) -> SwitchUse | None:
    """What the playbook asks for, in the account's own terms where the target has them."""
    if sections.get("dead_man_switch") is None:
        if targets is None or not sections.get("faults"):
            return None
        return SwitchUse(targets.role, targets.margin, targets.group, targets.dead_letter_queue, asked=False)
    path = ("dead_man_switch",)
    text = validated(SwitchText, present(sections["dead_man_switch"]), path, problems)
    if not sections.get("faults"):
        problems.add(path, "stands behind nothing, since the playbook has no faults")
    if text is None:
        return None
    of = targets or text
    return SwitchUse(of.role, text.margin, of.group, of.dead_letter_queue)


def _radius(sections: Mapping[str, Data], problems: Problems) -> BlastRadius | None:
    """What it says of the blast radius, or None when it says nothing."""
    if "blast_radius" not in sections:
        return None
    if not sections.get("faults"):
        problems.add(("blast_radius",), "is of what a fault takes away, and the playbook has no faults", key=True)
    return validated(BlastRadius, present(sections["blast_radius"]), ("blast_radius",), problems)
